//! A session's life from outside: it is new at every sign-in, ends on the server, and its cookie keeps to itself.

use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::header::HeaderMap;
use secrecy::SecretString;
use slipway::auth::local::NewLocal;
use slipway::domain::access::Caller;

use crate::harness::{Answer, Client, TestApp, groups};

const PASSWORD: &str = "correct horse battery staple";

async fn with_ada() -> TestApp {
    let it = TestApp::builder().start().await;
    let new = NewLocal {
        username: "ada".into(),
        name: "Ada".into(),
        password: SecretString::from(PASSWORD.to_owned()),
        groups: groups(&["ml"]),
    };
    it.instance.auth.create_local(&Caller::system(), new).await.unwrap();
    it
}

/// Signs in as Ada, showing this cookie.
async fn sign_in(it: &TestApp, cookie: Option<&str>) -> Answer {
    let browser = it.nobody().header("accept", "text/html").header("sec-fetch-site", "same-origin");
    let browser = match cookie {
        Some(cookie) => browser.header("cookie", cookie),
        None => browser,
    };
    browser.form("/login", &[("username", "ada"), ("password", PASSWORD)]).await.expect(303)
}

/// `name=value` of the session's cookie that an answer sets.
fn cookie(headers: &HeaderMap) -> String {
    let set = headers["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

async fn who(it: &TestApp, cookie: &str) -> Option<String> {
    let answer = it.nobody().header("cookie", cookie).get("/api/v1/me").await;
    (answer.status == 200).then(|| answer.json()["name"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn no_sign_in_goes_on_with_an_id_that_was_there_before() {
    let it = with_ada().await;
    let name = it.state.settings.cookie_name();
    // One that the attacker made up, one that was ended, and a live one of the attacker's own.
    let made_up = format!("{name}={}", "a".repeat(43));
    let ended = cookie(&sign_in(&it, None).await.headers);
    assert_eq!(who(&it, &ended).await.as_deref(), Some("Ada"));
    let csrf = csrf_of(&it, &ended);
    Client::new(&it.base).session(&ended, &csrf).form("/logout", &[]).await.expect(303);
    let mallory = it.session("Mallory", &["ml"]).await;
    let live = mallory.request(reqwest::Method::GET, "/").build().unwrap().headers()["cookie"].clone();
    let live = live.to_str().unwrap().to_owned();
    for planted in [&made_up, &ended] {
        let fresh = cookie(&sign_in(&it, Some(planted)).await.headers);
        assert_ne!(fresh, *planted);
        assert_eq!(who(&it, &fresh).await.as_deref(), Some("Ada"));
        assert_eq!(who(&it, planted).await, None, "what was planted opens nothing");
    }
    // Behind a live session a sign-in needs that session's token, as everything does.
    let fields = [("username", "ada"), ("password", PASSWORD)];
    let bare = it.nobody().header("cookie", &live).header("sec-fetch-site", "same-origin");
    let refused = bare.form("/login", &fields).await.expect(403);
    assert!(refused.header("set-cookie").is_none());
    let fresh = cookie(&mallory.form("/login", &fields).await.expect(303).headers);
    assert_eq!((fresh == live, who(&it, &fresh).await.as_deref()), (false, Some("Ada")));
    assert_eq!(who(&it, &live).await, None, "the planted one ended, it did not become Ada's");
}

fn csrf_of(it: &TestApp, cookie: &str) -> String {
    let (_, value) = cookie.split_once('=').unwrap();
    it.instance.app.keys.csrf_token(slipway::domain::bundle::Digest::of(value.as_bytes()).as_str())
}

#[tokio::test]
async fn signing_out_ends_the_session_here_and_no_other() {
    let it = with_ada().await;
    let (one, other) = (cookie(&sign_in(&it, None).await.headers), cookie(&sign_in(&it, None).await.headers));
    assert_ne!(one, other, "two browsers, two sessions");
    let browser = Client::new(&it.base).session(&one, &csrf_of(&it, &one));
    let answer = browser.form("/logout", &[]).await.expect(303);
    let cleared = answer.header("set-cookie").unwrap();
    assert!(cleared.contains("Max-Age=0") && cleared.contains("=;"), "{cleared}");
    assert_eq!(who(&it, &one).await, None, "a copy of the cookie opens nothing");
    assert_eq!(who(&it, &other).await.as_deref(), Some("Ada"));
    // Once more changes nothing, and neither does the token of the ended session.
    assert!(browser.form("/logout", &[]).await.status >= 300);
    assert_eq!(who(&it, &other).await.as_deref(), Some("Ada"));
}

#[tokio::test]
async fn a_token_of_one_session_is_no_good_in_another() {
    let it = with_ada().await;
    let (one, other) = (cookie(&sign_in(&it, None).await.headers), cookie(&sign_in(&it, None).await.headers));
    let mixed = Client::new(&it.base).session(&one, &csrf_of(&it, &other));
    mixed.form("/account/theme", &[("theme", "dark")]).await.expect(403);
    let right = Client::new(&it.base).session(&one, &csrf_of(&it, &one));
    right.form("/account/theme", &[("theme", "dark")]).await.expect(303);
}

#[tokio::test]
async fn the_sessions_cookie_is_not_in_the_database() {
    let it = with_ada().await;
    let cookie = cookie(&sign_in(&it, None).await.headers);
    let (_, value) = cookie.split_once('=').unwrap();
    let dir = it.instance.app.store.dir();
    for name in ["slipway.db", "slipway.db-wal", "observed.db"] {
        let Ok(bytes) = std::fs::read(dir.join(name)) else { continue };
        assert!(
            memchr::memmem::find(&bytes, value.as_bytes()).is_none(),
            "{name} holds it: who reads it is Ada"
        );
    }
}

/// A running server, ended with the test.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves on a free port; answers which.
fn serve(dir: &Path) -> (Server, u16) {
    use std::io::BufRead as _;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = slipway(&["serve", "--listen", &format!("127.0.0.1:{port}")], dir);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    // The address is printed once it listens.
    std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("https://"), "{line}");
    (Server(child), port)
}

fn slipway(arguments: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.args(arguments).arg("--data-dir").arg(dir);
    command
}

/// A server that people reach over TLS at `base_url`; answers the cookie line of a sign-in.
async fn set_at(dir: &Path, base_url: &str) -> String {
    slipway::tls::install();
    std::fs::write(dir.join("config.toml"), format!("[server]\nbase_url = \"{base_url}\"\n")).unwrap();
    let (_server, port) = serve(dir);
    let mut command = slipway(&["admin", "create-user", "--username", "ada", "--group", "ml"], dir);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{PASSWORD}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let path = url::Url::parse(base_url).unwrap().path().trim_end_matches('/').to_owned();
    let request = client.post(format!("http://127.0.0.1:{port}{path}/login"));
    let request = request.header("sec-fetch-site", "same-origin").header("accept", "text/html");
    let answer = request.form(&[("username", "ada"), ("password", PASSWORD)]).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    answer.headers()["set-cookie"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn over_tls_the_cookie_has_the_strictest_prefix_that_fits() {
    for (base_url, name, path) in [
        ("https://slipway.example.org", "__Host-slipway=", "Path=/"),
        ("https://example.org/tools/slipway", "__Secure-slipway=", "Path=/tools/slipway/"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let set = set_at(dir.path(), base_url).await;
        let parts: Vec<&str> = set.split("; ").collect();
        assert!(parts[0].starts_with(name), "{set}");
        assert!(
            ["HttpOnly", "Secure", "SameSite=Lax", path].iter().all(|part| parts.contains(part)),
            "{set}"
        );
        assert!(!set.contains("Domain="), "{set}");
    }
}
