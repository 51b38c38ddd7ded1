//! A second person looks at a plan and approves it; every page of that is open to all.

use serde_json::json;

use super::access::look;
use super::{Browser, WIDE, administrator};
use crate::harness::Team;

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_asks_for_another_approves() {
    let team = Team::start().await;
    administrator(&team.it).await;
    let spec = json!({ "spec": { "stage": "dev", "governPolicy": "PREVENT" } });
    team.admin.put("/api/v1/infrastructures/local", &spec).await.expect(200);
    team.admin.put("/api/v1/infrastructures/local/approvers/release", &json!({})).await.expect(200);
    team.deployment(json!({})).await;
    let reason = json!({ "reason": "the first release" });
    team.deployer.post("/api/v1/deployments/iris-on-local/approvals", &reason).await.expect(200);

    let base = &team.it.base;
    let browser = Browser::open(WIDE).await;
    browser.sign_in(&team.it).await;
    browser.go(&format!("{base}/deployments/iris-on-local/update")).await;
    browser.see("main", "Somebody else's approval was asked for").await;
    look(&browser, "approval-plan").await;
    browser.go(&format!("{base}/infrastructures/local/permissions")).await;
    browser.see("main", "release").await;
    look(&browser, "approval-permissions").await;
    browser.press_words("Approvals").await;
    browser.see("h1", "Approvals").await;
    look(&browser, "approval-list").await;
    browser.press_words("iris-on-local").await;
    browser.see(".head .state", "Waiting").await;
    browser.see("main", "Images are not pinned").await;
    look(&browser, "approval").await;
    browser.fill("#f-comment", "tried on test").await;
    browser.press_words("Approve").await;
    browser.see(".head .state", "Approved").await;
    browser.see("main", "tried on test").await;
    look(&browser, "approval-approved").await;
    browser.press_words("iris-on-local").await;
    browser.press_words("Update…").await;
    browser.press_words("Update now").await;
    browser.see("#pills", "Succeeded").await;
}
