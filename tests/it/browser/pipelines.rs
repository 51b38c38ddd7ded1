//! A data scientist makes streams and a pipeline and deploys it; every page of that is open to all, wide and narrow.

use super::access::look;
use super::{Browser, WIDE, Window, administrator};
use crate::harness::Team;

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_is_made_and_deployed_by_hand() {
    let team = Team::start().await;
    administrator(&team.it).await;
    let browser = Browser::open(WIDE).await;
    browser.sign_in(&team.it).await;
    browser.press_words("Pipelines").await;
    browser.see("main", "No pipeline yet").await;
    look(&browser, "pipelines-empty").await;
    browser.press_words("Streams").await;
    browser.see("main", "No stream yet").await;
    look(&browser, "streams-empty").await;
    for name in ["orders", "clean-orders"] {
        browser.press_words("New stream").await;
        browser.fill("#f-name", name).await;
        browser.fill("#f-options", "bootstrap.servers: kafka:9092\nsasl.jaas.config: secret").await;
        look(&browser, "stream-form").await;
        browser.press_words("Make the stream").await;
        browser.see("#options", "********").await;
        look(&browser, "stream").await;
        browser.go(&format!("{}/streams", team.it.base)).await;
    }
    look(&browser, "streams").await;
    browser.press(".tabs a").await;
    browser.press_words("New pipeline").await;
    browser.fill("#f-name", "clean").await;
    browser.fill("#f-image", "team/clean:1").await;
    browser.choose("#f-stream-in", "orders").await;
    browser.choose("#f-stream-out", "clean-orders").await;
    browser.fill("#f-config", "batch: 5").await;
    browser.fill("#f-rest", "steps: [{kind: Map}]").await;
    look(&browser, "pipeline-form").await;
    browser.press_words("Make the pipeline").await;
    browser.see("#config", "batch").await;
    browser.press_words("Deploy…").await;
    browser.choose("#f-infrastructure", "local · dev").await;
    look(&browser, "pipeline-deploy").await;
    browser.press_words("Deploy").await;
    browser.see("#pills", "Healthy").await;
    look(&browser, "pipeline-deployment").await;
    let deployment = browser.client.current_url().await.unwrap().to_string();
    browser.press_words("Options…").await;
    look(&browser, "pipeline-options").await;
    browser.go(&deployment).await;
    browser.press_words("clean").await;
    browser.see("#deployments", "Healthy").await;
    look(&browser, "pipeline").await;
    let pipeline = browser.client.current_url().await.unwrap().to_string();
    browser.go(&format!("{}/deployments", team.it.base)).await;
    browser.see("tbody", "pipeline").await;
    look(&browser, "deployments-pipeline").await;
    let narrow = Browser::open(Window { width: 320, scripts: true }).await;
    narrow.sign_in(&team.it).await;
    let edit = format!("{pipeline}/edit");
    let lists = ["/pipelines", "/streams", "/deployments"].map(|path| format!("{}{path}", team.it.base));
    for url in [&pipeline, &edit, &deployment, &format!("{deployment}/pipeline")].into_iter().chain(&lists) {
        narrow.go(url).await;
        let wide = narrow.ask("return document.documentElement.scrollWidth - innerWidth").await;
        assert!(wide.as_i64().unwrap() <= 0, "{url} is {wide} px too wide");
    }
}
