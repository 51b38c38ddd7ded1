//! A data scientist makes a context and runs it on a real Docker engine, watches it, opens what it serves, stops it and
//! removes it; every page of that is open to all, wide and narrow.

use std::time::Duration;

use super::access::look;
use super::first::{FirstRun, become_administrator};
use super::{Browser, WIDE, Window};

/// An engine on a busy machine takes a while.
const PATIENCE: Duration = Duration::from_secs(60);

const SPECIFICATION: [(&str, &str); 5] = [
    ("#f-image", "busybox:lab"),
    (
        "#f-command",
        "sh -c 'trap \"echo bye; exit 3\" TERM; mkdir /tmp/w; echo served > /tmp/w/index.html; echo up $DEPTH; httpd -p 8000 -h /tmp/w; while :; do sleep 0.1; done'",
    ),
    ("#f-ports", "8000"),
    ("#f-environment", "DEPTH=1\nMY_TOKEN=c4n4ry"),
    ("#f-rest", "resources: {limits: {memory: 64Mi}}"),
];

async fn address(browser: &Browser) -> String {
    browser.client.current_url().await.unwrap().to_string()
}

async fn make(browser: &Browser) -> String {
    browser.press_words("Jobs").await;
    browser.see("main", "No execution yet").await;
    look(browser, "executions-empty").await;
    browser.press_words("Contexts").await;
    browser.see("main", "No context yet").await;
    look(browser, "contexts-empty").await;
    browser.press_words("New context").await;
    for (css, value) in SPECIFICATION {
        browser.fill(css, value).await;
    }
    look(browser, "context-form").await;
    browser.press_words("Make the context").await;
    browser.see("#environment", "********").await;
    look(browser, "context").await;
    address(browser).await
}

async fn run(browser: &Browser) -> String {
    browser.press_words("Run…").await;
    browser.choose("#f-engine", "local · dev").await;
    browser.fill("#f-environment", "DEPTH=2").await;
    look(browser, "context-run").await;
    browser.press_words("Run it").await;
    browser.see_within("#pills", "Running", PATIENCE).await;
    browser.see_within("#ports", ":", PATIENCE).await;
    look(browser, "execution").await;
    address(browser).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_is_run_on_a_real_engine_by_hand() {
    slipway::tls::install();
    let first = FirstRun::start();
    let browser = Browser::open(WIDE).await;
    become_administrator(&browser, &first).await;
    let context = make(&browser).await;
    let execution = run(&browser).await;
    let id = execution.rsplit('/').next().unwrap();
    first.clean_up(id);
    let served = browser.texts("#ports td").await;
    assert_eq!(
        reqwest::get(format!("http://{}/", served[0])).await.unwrap().text().await.unwrap(),
        "served\n"
    );
    browser.press_words("Logs").await;
    browser.see("main", "up 2").await;
    look(&browser, "execution-logs").await;

    browser.go(&execution).await;
    browser.press_words("Stop…").await;
    look(&browser, "execution-stop").await;
    browser.fill("#f-confirm", "execution of busybox:lab").await;
    browser.press_words("Stop execution").await;
    browser.see_within("#pills", "Exited with 3", PATIENCE).await;
    look(&browser, "execution-stopped").await;
    browser.press_words("Logs").await;
    browser.see("main", "bye").await;
    browser.go(&context).await;
    browser.see("#executions", "Exited with 3").await;
    look(&browser, "context-with-executions").await;
    browser.go(&format!("{}/executions", first.base)).await;
    browser.see("tbody", "execution of busybox:lab").await;
    look(&browser, "executions").await;
    browser.go(&format!("{}/contexts", first.base)).await;
    browser.see("tbody", "busybox:lab").await;
    look(&browser, "contexts").await;
    let narrow = Browser::open(Window { width: 320, scripts: true }).await;
    become_known(&narrow, &first).await;
    let run = format!("{context}/run");
    let lists = ["/executions", "/contexts", "/contexts/new"].map(|path| format!("{}{path}", first.base));
    for url in [&context, &run, &execution, &format!("{execution}/remove")].into_iter().chain(&lists) {
        narrow.go(url).await;
        let wide = narrow.ask("return document.documentElement.scrollWidth - innerWidth").await;
        assert!(wide.as_i64().unwrap() <= 0, "{url} is {wide} px too wide");
    }

    // Without scripts: the same forms, and the page loaded again.
    let plain = Browser::open(Window { width: 1280, scripts: false }).await;
    become_known(&plain, &first).await;
    plain.go(&execution).await;
    plain.press_words("Remove…").await;
    plain.fill("#f-confirm", "execution of busybox:lab").await;
    plain.press_words("Remove execution").await;
    plain.see_on_reload("#pills", "Removed", PATIENCE).await;
    browser.go(&execution).await;
    look(&browser, "execution-removed").await;
    browser.press_words("Delete…").await;
    browser.fill("#f-confirm", "execution of busybox:lab").await;
    browser.press_words("Delete execution").await;
    browser.see("main", "goes once nothing of it runs").await;
    browser.see_within("main", "No execution yet", PATIENCE).await;
}

/// Signs in as the administrator that the first visit made.
async fn become_known(browser: &Browser, first: &FirstRun) {
    browser.sign_in_at(&first.base).await;
}
