//! The log page: what comes is shown at once and once, and what is lost is said.

use serde_json::{Value, json};
use slipway::engine::SlotRef;

use super::wire::Wire;
use super::{Browser, WIDE, Window, administrator};
use crate::harness::Team;

const LOGS: &str = "/deployments/iris-on-local/logs";

fn slot(team: &Team, service: &str) -> SlotRef {
    let slots = team.it.fake.controls().slots();
    slots.into_iter().find(|state| state.slot.service.as_str() == service).unwrap().slot
}

/// Prints lines of these numbers.
fn print(team: &Team, service: &str, numbers: std::ops::RangeInclusive<u32>) {
    let (controls, slot) = (team.it.fake.controls(), slot(team, service));
    for number in numbers {
        assert!(controls.print(&slot, &format!("INFO {service} line {number:05}")));
    }
}

async fn open(window: Window, before: u32) -> (Team, Browser) {
    let team = Team::start().await;
    administrator(&team.it).await;
    team.deployment(json!({})).await;
    team.update().await;
    team.healthy("HEALTHY").await;
    if before > 0 {
        print(&team, "api", 1..=before);
    }
    let browser = Browser::open(window).await;
    browser.sign_in(&team.it).await;
    browser.go(&format!("{}{LOGS}", team.it.base)).await;
    (team, browser)
}

/// The numbers of the lines of a service that the page holds, in its order.
async fn shown(browser: &Browser, service: &str) -> Vec<u64> {
    let script = format!(
        "return [...document.querySelectorAll('[data-rows] .line .m')].map((e) => e.textContent)
           .filter((t) => t.startsWith('INFO {service} line ')).map((t) => Number(t.slice(-5)))"
    );
    browser.ask(&script).await.as_array().unwrap().iter().filter_map(Value::as_u64).collect()
}

async fn until_line(browser: &Browser, text: &str) {
    browser
        .wait(&format!("return document.querySelector('[data-rows]').textContent.includes({text:?})"))
        .await;
}

/// The same, with the page loaded over a wire that can be cut.
async fn open_over_wire(before: u32) -> (Team, Browser, Wire) {
    let (team, browser) = open(WIDE, before).await;
    let wire = Wire::to(&team.it.base).await;
    browser.go(&format!("{}{LOGS}", wire.base)).await;
    browser.see("[data-state]", "following").await;
    (team, browser, wire)
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_followed_paused_searched_and_bounded() {
    let (team, browser) = open(WIDE, 3).await;
    browser.see("[data-state]", "following").await;
    print(&team, "api", 4..=6);
    until_line(&browser, "line 00006").await;
    assert_eq!(shown(&browser, "api").await, [1, 2, 3, 4, 5, 6]);

    browser.press("[data-pause]").await;
    print(&team, "api", 7..=9);
    browser.see("[data-found]", "3 new").await;
    assert_eq!(shown(&browser, "api").await.len(), 6, "paused is paused");
    browser.press_words("Follow").await;
    until_line(&browser, "line 00009").await;

    let (controls, api) = (team.it.fake.controls(), slot(&team, "api"));
    controls.print(&api, "ERROR the model is missing");
    controls.print(&api, "WARNING slow");
    until_line(&browser, "WARNING slow").await;
    browser.choose("[data-level-pick]", "errors only").await;
    let visible =
        "return [...document.querySelectorAll('[data-rows] .line')].filter((e) => !e.hidden).length";
    assert_eq!(browser.ask(visible).await, 1);
    browser.choose("[data-level-pick]", "all levels").await;
    browser.fill("[data-search]", "model").await;
    browser.see("[data-found]", "1 of ").await;
    browser.press_words("Only matches").await;
    assert_eq!(browser.ask(visible).await, 1);
    assert_eq!(browser.texts("[data-rows] mark").await, ["model"]);

    browser.press("[data-toggle=times]").await;
    assert_eq!(
        browser.ask("return getComputedStyle(document.querySelector('.line .t')).display").await,
        "none"
    );
    browser.press("[data-toggle=wrap]").await;
    let space = "return getComputedStyle(document.querySelector('.line')).whiteSpace";
    assert_eq!(browser.ask(space).await, "pre");

    print(&team, "api", 10..=7_000);
    browser.go(&format!("{}{LOGS}", team.it.base)).await;
    browser.see("[data-state]", "following").await;
    print(&team, "api", 7_001..=13_000);
    until_line(&browser, "line 13000").await;
    assert!(
        browser.ask("return document.querySelectorAll('[data-rows] .line').length").await.as_u64()
            <= Some(5_000)
    );
    let earlier = browser.see("[data-earlier]", "earlier lines are not on this page").await;
    assert!(earlier.contains("Download"), "{earlier}");
    let last = "const box = document.querySelector('[data-lines]'); return box.scrollHeight - box.scrollTop - box.clientHeight < 24";
    browser.wait(last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_replicas_are_picked_and_the_whole_is_downloaded() {
    let (team, browser) = open(WIDE, 2).await;
    print(&team, "cache", 1..=2);
    browser.choose("select[name=service]", "cache").await;
    browser.wait("return location.search.includes('service=cache')").await;
    until_line(&browser, "cache line 00002").await;
    assert_eq!(shown(&browser, "api").await, Vec::<u64>::new());
    browser.go(&format!("{}{LOGS}?replica=api-0", team.it.base)).await;
    until_line(&browser, "api line 00002").await;
    assert_eq!(shown(&browser, "cache").await, Vec::<u64>::new());
    browser.go(&format!("{}{LOGS}", team.it.base)).await;
    let fetched = "const [done] = arguments;
        fetch(document.querySelector('.bar a[download]').href).then((a) => a.text()).then(done, (e) => done(String(e)));";
    let text = browser.client.execute_async(fetched, Vec::new()).await.unwrap();
    let text = text.as_str().unwrap().to_owned();
    assert!(text.contains("api line 00001") && text.contains("cache line 00002"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_break_no_line_is_missing_or_comes_twice() {
    let (team, browser, wire) = open_over_wire(3).await;
    print(&team, "api", 4..=5);
    print(&team, "cache", 1..=2);
    until_line(&browser, "cache line 00002").await;
    wire.cut();
    browser.see("[data-state]", "reconnecting").await;
    print(&team, "api", 6..=600);
    print(&team, "cache", 3..=4);
    wire.mend();
    until_line(&browser, "api line 00600").await;
    until_line(&browser, "cache line 00004").await;
    browser.see("[data-state]", "following").await;
    print(&team, "api", 601..=601);
    until_line(&browser, "api line 00601").await;
    assert_eq!(shown(&browser, "api").await, (1..=601).collect::<Vec<u64>>());
    assert_eq!(shown(&browser, "cache").await, [1, 2, 3, 4]);
    assert_eq!(browser.texts(".gap").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_goes_while_nobody_reads_leaves_a_mark() {
    let (team, browser, wire) = open_over_wire(3).await;
    print(&team, "cache", 1..=1);
    until_line(&browser, "cache line 00001").await;
    wire.cut();
    browser.see("[data-state]", "reconnecting").await;
    print(&team, "cache", 2..=3);
    assert!(team.it.fake.controls().remove(&slot(&team, "cache")));
    team.healthy("OUT_OF_SYNC").await;
    wire.mend();
    let gap = browser.see(".gap", "lines may be missing here").await;
    assert!(gap.starts_with("cache-0:"), "{gap}");
    print(&team, "api", 4..=4);
    until_line(&browser, "api line 00004").await;
    assert_eq!(shown(&browser, "api").await, [1, 2, 3, 4]);
    assert_eq!(browser.texts(".gap").await.len(), 1, "said once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_away_is_waited_for() {
    let (team, browser, wire) = open_over_wire(1).await;
    wire.cut();
    browser.see("[data-state]", "reconnecting").await;
    team.it.fake.controls().down(true);
    wire.mend();
    browser.see("[data-state]", "waiting").await;
    team.it.fake.controls().down(false);
    browser.see("[data-state]", "following").await;
    print(&team, "api", 2..=2);
    until_line(&browser, "line 00002").await;
    assert_eq!(shown(&browser, "api").await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_the_newest_lines_are_seen_and_the_filters_work() {
    let (team, browser) = open(Window { width: 1280, scripts: false }, 280).await;
    use fantoccini::Locator;
    let frame = async |css: &str| {
        let found = browser.client.find_all(Locator::Css(css)).await.unwrap();
        let (_, y, _, height) = found.last().unwrap().rectangle().await.unwrap();
        (y, y + height)
    };
    let (top, bottom) = frame("[data-lines]").await;
    let (first, last) = frame("[data-rows] .line").await;
    assert!(top < first && last <= bottom, "line 280 from {first} to {last}, box from {top} to {bottom}");
    let newest = browser.texts("[data-rows] .line .m").await.pop().unwrap();
    assert!(newest.ends_with("line 00280"), "{newest}");

    team.it.fake.controls().print(&slot(&team, "api"), "ERROR the model is missing");
    browser.choose("select[name=level]", "errors only").await;
    browser.press_words("Show").await;
    let shown = "[data-rows] .line:not([hidden]) .m";
    browser.see(shown, "ERROR the model is missing").await;
    assert_eq!(browser.texts(shown).await, ["ERROR the model is missing"]);
}
