//! Where a sign-in leads, and every other redirect that something from outside has a say in: to our own pages alone.

use secrecy::SecretString;
use slipway::auth::local::NewLocal;
use slipway::domain::access::Caller;

use crate::harness::{Answer, Client, TestApp, groups};

const PASSWORD: &str = "correct horse battery staple";

/// What must lead home, below `/slipway` on the host of the test.
const HOSTILE: &[&str] = &[
    "https://evil.example",
    "https://evil.example/slipway/projects",
    "http:evil.example",
    "http:/evil.example",
    "http:///evil.example",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/slipway\\..\\..\\evil",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/slipway/\r\nLocation: https://evil.example",
    "/slipway/../evil",
    "/slipway/../../evil",
    "/slipway/%2e%2e/evil",
    "/slipway/.%2e/evil",
    "/slipway/x/../../evil",
    "/slipwayevil",
    "/evil",
    "evil",
    "?evil",
    "#evil",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "https:evil.example",
    "http://127.0.0.1@evil.example/",
    "http://evil.example#@127.0.0.1/",
    "/slipway@evil.example",
    "//127.0.0.1@evil.example/slipway/",
    "\u{2028}//evil.example",
    "\u{ff0f}\u{ff0f}evil.example",
    "",
];

/// More sign-ins than so many at one instance would be taken for guessing.
const AT_ONE: usize = 8;

async fn instance() -> TestApp {
    let it = TestApp::builder().base_path("/slipway").start().await;
    let new = NewLocal {
        username: "ada".into(),
        name: String::new(),
        password: SecretString::from(PASSWORD.to_owned()),
        groups: groups(&["ml"]),
    };
    it.instance.auth.create_local(&Caller::system(), new).await.unwrap();
    it
}

fn browser(it: &TestApp) -> Client {
    it.nobody().header("accept", "text/html").header("sec-fetch-site", "same-origin")
}

/// Where a browser goes that reads `to` at `from`.
fn leads(from: &str, to: &str) -> String {
    url::Url::parse(from).unwrap().join(to).unwrap().into()
}

#[track_caller]
fn location(answer: &Answer) -> &str {
    answer.header("location").unwrap_or_else(|| panic!("no redirect but {}", answer.status))
}

/// Where a sign-in at `it` sends a browser that wanted to go to `to`.
async fn signed_in(it: &TestApp, to: &str) -> Answer {
    let fields = [("username", "ada"), ("password", PASSWORD), ("to", to)];
    browser(it).form("/login", &fields).await.expect(303)
}

#[tokio::test]
async fn a_sign_in_leads_to_our_own_pages_alone() {
    for some in HOSTILE.chunks(AT_ONE) {
        let it = instance().await;
        for to in some {
            let answer = signed_in(&it, to).await;
            let led = leads(&format!("{}/login", it.base), location(&answer));
            assert_eq!(led, format!("{}/", it.base), "{to:?}");
        }
    }
    let it = instance().await;
    for to in ["/slipway/", "/slipway/projects", "/slipway/deployments?q=a%26b&sort=-id", "/slipway/a//b"] {
        assert_eq!(location(&signed_in(&it, to).await), to);
    }
}

#[tokio::test]
async fn the_sign_in_page_carries_no_hostile_address_on() {
    let it = instance().await;
    for to in HOSTILE {
        let encoded: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
        let answer = browser(&it).get(&format!("/login?to={encoded}")).await.expect(200);
        let page = scraper::Html::parse_document(&answer.text);
        let field = scraper::Selector::parse("input[name=to]").unwrap();
        let kept = page.select(&field).next().map(|input| input.attr("value").unwrap_or_default().to_owned());
        assert_eq!(kept.as_deref(), Some("/slipway/"), "{to:?}");
        assert!(!answer.text.contains("evil"), "{to:?}");
    }
}

#[tokio::test]
async fn a_referer_sends_nobody_away() {
    let it = instance().await;
    let session = it.session("bob", &["ml"]).await;
    for referer in
        ["https://evil.example/slipway/", "//evil.example", "http://127.0.0.1:1/slipway/", "/evil", ""]
    {
        let request = session
            .request(reqwest::Method::POST, "/account/theme")
            .header("x-csrf-token", session.csrf())
            .header("sec-fetch-site", "same-origin")
            .header("referer", referer);
        let answer = session.send(request.form(&[("theme", "dark")])).await.expect(303);
        assert_eq!(location(&answer), "/slipway/", "{referer}");
    }
}

#[tokio::test]
async fn no_host_that_a_request_names_gets_into_an_answer() {
    let it = instance().await;
    for (name, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-original-url", "/slipway/projects"),
        ("x-rewrite-url", "/slipway/projects"),
    ] {
        let browser = browser(&it).header(name, value);
        let answer = browser.get("/deployments?q=a").await.expect(303);
        assert_eq!(location(&answer), "/slipway/login?to=%2Fslipway%2Fdeployments%3Fq%3Da", "{name}");
        let answer = browser.get("/login").await.expect(200);
        assert!(!answer.text.contains("evil.example"), "{name}");
        let key = it.admin().await.header(name, value);
        let listed = key.get("/api/v1/users?limit=1").await.expect(200);
        assert!(!listed.header("link").unwrap_or_default().contains("evil"), "{name}");
    }
}
