//! Nothing keeps anybody out of a page: axe finds nothing to complain of, and pages fit narrow windows and large type.

use base64::Engine as _;
use serde_json::{Value, json};

use super::{Browser, WIDE, administrator};
use crate::harness::{Team, TestApp};
use crate::web::table::PAGES;

const RULES: &str = "wcag2a wcag2aa wcag21a wcag21aa wcag22aa best-practice";

/// What the tests load into every page: npm's axe-core, as `tests/lab/lab browser` installs it.
pub fn axe() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(path).expect("axe-core is there: run tests/lab/lab browser")
}

/// What a page breaks, one line each.
pub async fn broken(browser: &Browser, axe: &str) -> Vec<String> {
    browser.client.execute(axe, Vec::new()).await.unwrap();
    let run = "const [tags, done] = arguments;
        axe.run(document, { runOnly: tags, resultTypes: ['violations', 'passes'] }).then(done, (error) => done(String(error)));";
    let tags: Vec<&str> = RULES.split(' ').collect();
    let result = browser.client.execute_async(run, vec![json!(tags)]).await.unwrap();
    assert!(result["passes"].as_array().is_some_and(|passes| passes.len() > 5), "axe ran: {result}");
    let violations = result["violations"].as_array().cloned().unwrap_or_default();
    violations.iter().map(told).collect()
}

fn told(violation: &Value) -> String {
    let nodes = violation["nodes"].as_array().cloned().unwrap_or_default();
    let at: Vec<String> =
        nodes.iter().take(3).map(|node| format!("{} ({})", node["html"], node["failureSummary"])).collect();
    let word = |name: &str| violation[name].as_str().unwrap_or_default().to_owned();
    format!("{}: {} at {}", word("id"), word("help"), at.join(" | "))
}

/// A deployment that runs, one that needs somebody, and journals and lists with something in them.
pub async fn busy() -> Team {
    let team = Team::start().await;
    administrator(&team.it).await;
    team.deployment(json!({})).await;
    team.update().await;
    let more = json!({ "name": "iris-canary", "spec": { "project": "iris", "bundle": "1.1", "infrastructure": "local" } });
    team.deployer.post("/api/v1/deployments", &more).await.expect(200);
    let changed = json!({ "spec": { "bundle": "1.1" } });
    team.deployer.patch("/api/v1/deployments/iris-on-local", &changed).await.expect(200);
    team.healthy("OUT_OF_SYNC").await;
    let controls = team.it.fake.controls();
    for slot in controls.slots() {
        for line in
            ["INFO started", "WARNING slow answer: 812 ms", "ERROR no such model", "debug: cache miss"]
        {
            controls.print(&slot.slot, line);
        }
    }
    team
}

/// Keeps a picture of the page, wide and narrow, where the variable `KEEP_PICTURES` names a folder.
pub async fn picture(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("KEEP_PICTURES") else { return };
    browser.tool("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    for width in [390, 1280] {
        browser.resize(width).await;
        let taken = browser.tool("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}-{width}.png")), bytes).unwrap();
    }
}

/// The page as it is, looked at in light and dark: a picture, and axe over it.
pub async fn look(browser: &Browser, name: &str) {
    for theme in ["light", "dark"] {
        themed(browser, theme).await;
        picture(browser, &format!("{name} {theme}")).await;
        assert_eq!(broken(browser, &axe()).await, Vec::<String>::new(), "{name} {theme}");
    }
    themed(browser, "light").await;
}

async fn themed(browser: &Browser, theme: &str) {
    let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
    browser.tool("Emulation.setEmulatedMedia", features).await;
}

async fn setup_page(it: &TestApp) -> String {
    let fresh = it.instance.auth.setup_token().await.unwrap();
    format!("/setup?token={}", fresh.unwrap_or_default())
}

/// Every second page, from the first or the second one on.
async fn no_page_breaks_a_rule(theme: &str, from: usize) {
    let (team, axe) = (busy().await, axe());
    let empty = TestApp::builder().start().await;
    let browser = Browser::open(WIDE).await;
    themed(&browser, theme).await;
    let mut all = Vec::new();
    let mut look = async |url: String| {
        browser.go(&url).await;
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        picture(&browser, &format!("{theme} {path}")).await;
        all.extend(broken(&browser, &axe).await.into_iter().map(|each| format!("{url} {each}")));
    };
    let outside = [
        format!("{}/login", team.it.base),
        format!("{}{}", empty.base, setup_page(&empty).await),
        format!("{}/login?after=signed-out", team.it.base),
        format!("{}/setup?token=none", empty.base),
    ];
    for url in outside.into_iter().skip(from).step_by(2) {
        look(url).await;
    }
    browser.sign_in(&team.it).await;
    let more = [
        "/nowhere",
        "/search",
        "/deployments?q=none",
        "/deployments?attention=true&project=iris",
        "/deployments/new",
        "/deployments/iris-canary",
        "/deployments/iris-on-local/settings?view=json",
        "/deployments/iris-on-local/logs?q=slow&level=warn",
    ];
    for path in PAGES.iter().map(|(_, path)| *path).chain(more).skip(from).step_by(2) {
        look(format!("{}{path}", team.it.base)).await;
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_breaks_a_rule_in_light() {
    no_page_breaks_a_rule("light", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_page_breaks_a_rule_in_light() {
    no_page_breaks_a_rule("light", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_breaks_a_rule_in_dark() {
    no_page_breaks_a_rule("dark", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_page_breaks_a_rule_in_dark() {
    no_page_breaks_a_rule("dark", 1).await;
}

/// Too wide a page; targets below 24 px but those in running text, which WCAG 2.2 lets be; headings out of order.
const MEASURE: &str = "
    const wide = document.documentElement.scrollWidth - innerWidth;
    const seen = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !e.closest('.hidden, .skip');
    const inText = (e) => e.matches('a, summary, time') && getComputedStyle(e).display === 'inline'
      && [...e.parentElement.childNodes].some((n) => n !== e && n.textContent.trim());
    const boxOf = (e) => (e.matches('input[type=checkbox], input[type=radio], .pick > *, .find > *') && e.closest('label, .pick, .find') || e).getBoundingClientRect();
    const small = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
      .filter((e) => seen(e) && !inText(e))
      .filter((e) => { const b = boxOf(e); return b.width && (b.width < 23.9 || b.height < 23.9); })
      .map((e) => { const b = boxOf(e); return `${e.outerHTML.slice(0, 120)} ${b.width.toFixed(1)}x${b.height.toFixed(1)}`; });
    const levels = [...document.querySelectorAll('h1, h2, h3, h4, h5')].filter(seen).map((h) => Number(h.tagName[1]));
    const jumps = levels.filter((level, at) => level > (levels[at - 1] ?? 0) + 1);
    return { wide, small: small.slice(0, 5), jumps };";

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_every_width_and_twice_the_size() {
    let team = busy().await;
    let browser = Browser::open(WIDE).await;
    browser.sign_in(&team.it).await;
    let mut all = Vec::new();
    for (_, path) in PAGES {
        browser.go(&format!("{}{path}", team.it.base)).await;
        // A window of 1,280 px at 200 % is one of 640 px with twice as many dots.
        for (width, scale) in [(320, 1), (390, 1), (640, 1), (1280, 1), (640, 2)] {
            let size = json!({ "width": width, "height": 900, "deviceScaleFactor": scale, "mobile": false });
            browser.tool("Emulation.setDeviceMetricsOverride", size).await;
            let found = browser.ask(MEASURE).await;
            if found["wide"].as_i64() > Some(0) || found["small"] != json!([]) || found["jumps"] != json!([])
            {
                all.push(format!("{path} at {width}: {found}"));
            }
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}
