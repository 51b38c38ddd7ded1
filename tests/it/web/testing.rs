//! Tests of bundles in the console, as forms and pages: run by a button, refused with a reason, their results shown.

use serde_json::json;

use super::{Dom, Visitors, page, text};
use crate::harness::{archive, publish};

const COMPOSE: &str = "name: iris\nservices:\n  api: {image: 'redis:7'}\n  smoke:\n    image: busybox\n    \
                       command: [\"sh\", \"-c\", \"echo no answer; exit 2\"]\n    x-slipway: {kind: test}\n  \
                       later:\n    image: busybox\n    depends_on: {smoke: {condition: service_completed_successfully}}\n    \
                       x-slipway: {kind: test}\n";
const DEPLOYMENT: &str = "/deployments/iris-on-local";

/// Name and result of each test that a page lists.
fn results(dom: &Dom) -> Vec<(String, String)> {
    let rows = dom.all("#tests tbody tr:not(.sub)");
    let cell = |row: &scraper::ElementRef<'_>, css: &str| {
        let selector = scraper::Selector::parse(css).unwrap();
        row.select(&selector).next().map(text).unwrap_or_default()
    };
    rows.iter().map(|row| (cell(row, "th"), cell(row, ".state"))).collect()
}

fn told(later: &str, smoke: &str) -> Vec<(String, String)> {
    vec![("later".to_owned(), later.to_owned()), ("smoke".to_owned(), smoke.to_owned())]
}

#[tokio::test]
async fn tests_are_run_by_a_button_and_what_they_came_to_stands_where_people_look() {
    let it = Visitors::start().await;
    let sent = publish(&it.team.admin, "?version=2.0", archive(&[("compose.yaml", COMPOSE)])).await;
    sent.expect(200);
    it.team.deployment(json!({ "bundle": "2.0" })).await;
    let before = page(&it.deployer, DEPLOYMENT).await;
    assert!(before.text("#tests .reason").contains("Update the deployment"), "{}", before.text("#tests"));
    let early = it.deployer.form(&format!("{DEPLOYMENT}/tests"), &[]).await.expect(303);
    assert_eq!(early.header("location"), Some(DEPLOYMENT), "it goes back and says why not");
    it.team.update().await;
    it.team.healthy("HEALTHY").await;

    let shown = page(&it.deployer, DEPLOYMENT).await;
    assert_eq!(results(&shown), told("Never run", "Never run"));
    assert_eq!(shown.text("#tests form button"), "Run tests");
    let seen = page(&it.viewer, DEPLOYMENT).await;
    assert!(seen.text("#tests .reason").contains("takes the right deploy"), "{}", seen.text("#tests"));
    it.viewer.form(&format!("{DEPLOYMENT}/tests"), &[]).await.expect(403);
    it.stranger.form(&format!("{DEPLOYMENT}/tests"), &[]).await.expect(404);

    let begun = it.deployer.form(&format!("{DEPLOYMENT}/tests"), &[]).await.expect(303);
    let run = begun.header("location").unwrap().to_owned();
    assert_eq!(run, format!("{DEPLOYMENT}/updates/2"));
    it.team.ended(&format!("/api/v1{run}")).await;
    let ended = page(&it.viewer, &run).await;
    assert_eq!(results(&ended), told("Not run", "Failed"));
    assert_eq!(ended.texts(".steps > li").len(), 6, "a run of tests switches nothing");
    assert!(ended.text("#tests .sub").contains("It exited with code 2. Its last line: no answer"));
    assert!(page(&it.deployer, &run).await.texts("#buttons button").contains(&"Run tests again".to_owned()));

    let after = page(&it.viewer, DEPLOYMENT).await;
    assert_eq!(results(&after), told("Never run", "Failed"));
    assert_eq!(after.text("#pills .state"), "Healthy", "what runs is as it was");
    assert_eq!(after.text("#u-2 td[data-label=What]"), "Tests");
    let history = page(&it.viewer, &format!("{DEPLOYMENT}/history")).await.text("main");
    assert!(history.contains("Tests failed iris-on-local update 2"), "{history}");
    let link = after.attribute("#t-smoke td[data-label=Run] a", "href");
    assert_eq!(link.as_deref(), Some(run.as_str()));
    let bundle = page(&it.viewer, "/projects/iris/bundles/2.0").await;
    assert_eq!(results(&bundle), told("Never run", "Failed"));
    let without = page(&it.viewer, "/projects/iris/bundles/1.0").await;
    assert!(without.all("#tests").is_empty(), "a bundle without tests says nothing");
}
