//! Requests that another site makes a browser send: every route that changes something, with a live session and
//! everything but the proof.

use reqwest::{Method, RequestBuilder};

use super::fill::Names;
use super::needs::{Needs, needs};
use super::{Route, table};
use crate::harness::{Client, Team};

fn names() -> Names {
    Names {
        deployment: "iris-on-local".into(),
        infrastructure: "local".into(),
        project: "iris".into(),
        ..Names::absent()
    }
}

/// Routes behind the door that are no mere reading.
fn unsafe_routes(team: &Team) -> Vec<Route> {
    let all = table(&team.it).into_iter();
    all.filter(|route| route.method != Method::GET && needs(route) != Needs::Open).collect()
}

/// A request with the session's cookie and these headers and nothing else that proves anything.
fn bare(session: &Client, route: &Route, headers: &[(&str, &str)]) -> RequestBuilder {
    let request = session.request(route.method.clone(), &names().path(&route.pattern));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.header("content-type", "application/x-www-form-urlencoded").body("a=b")
}

#[tokio::test]
async fn no_route_that_changes_something_takes_a_session_alone() {
    let team = Team::start().await;
    team.deployment(serde_json::json!({})).await;
    let session = team.it.session("Alice", &["admins"]).await;
    let other = team.it.session("Mallory", &["admins"]).await;
    let (token, foreign) = (session.csrf().to_owned(), other.csrf().to_owned());
    let base = team.it.base.clone();
    let evil = "https://evil.example";
    let elsewhere = format!("{base}.evil.example/");
    let attacks: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("a plain form", vec![]),
        ("a form of another site", vec![("sec-fetch-site", "cross-site"), ("origin", evil)]),
        ("a form of a sibling", vec![("sec-fetch-site", "same-site"), ("x-csrf-token", &token)]),
        ("a form that was typed in", vec![("sec-fetch-site", "none"), ("x-csrf-token", &token)]),
        ("our origin without a token", vec![("sec-fetch-site", "same-origin"), ("origin", &base)]),
        ("the token of somebody else", vec![("sec-fetch-site", "same-origin"), ("x-csrf-token", &foreign)]),
        ("no token in its header", vec![("sec-fetch-site", "same-origin"), ("x-csrf-token", "")]),
        ("two opinions", vec![("sec-fetch-site", "same-origin"), ("origin", evil), ("x-csrf-token", &token)]),
        ("an origin that begins like ours", vec![("origin", &elsewhere), ("x-csrf-token", &token)]),
        ("a referer that begins like ours", vec![("referer", &elsewhere), ("x-csrf-token", &token)]),
        (
            "a referer that names us",
            vec![("referer", "https://evil.example/?http://127.0.0.1"), ("x-csrf-token", &token)],
        ),
        ("no origin", vec![("origin", "null"), ("x-csrf-token", &token)]),
    ];
    for route in unsafe_routes(&team) {
        for (what, headers) in &attacks {
            let answer = session.send(bare(&session, &route, headers)).await;
            // A front of another system takes no session at all.
            let of_a_front = route.of_dataiku().is_some() || route.pattern.starts_with("/v1/");
            let (status, words) = match of_a_front {
                true => (401, "you are not signed in"),
                false => (403, "nothing was changed"),
            };
            assert_eq!(answer.status, status, "{route}, {what}: {}", answer.text);
            assert!(answer.text.contains(words), "{route}, {what}: {}", answer.text);
        }
    }
    assert_eq!(session.get("/api/v1/me").await.status, 200, "the session is still there");
}

#[tokio::test]
async fn no_other_method_gets_round_the_check() {
    let team = Team::start().await;
    let session = team.it.session("Alice", &["admins"]).await;
    for name in ["x-http-method-override", "x-method-override", "x-http-method"] {
        let request = session.request(Method::GET, "/projects/iris/delete").header(name, "POST");
        session.send(request).await.expect(200);
    }
    for method in [Method::HEAD, Method::OPTIONS] {
        let request = session.request(method.clone(), "/projects/iris/delete?name=iris&_method=POST");
        assert!(matches!(session.send(request).await.status, 404 | 405), "{method}");
    }
    let odd = Method::from_bytes(b"FROB").unwrap();
    assert_eq!(session.send(session.request(odd, "/projects/iris/delete")).await.status, 403);
    team.admin.get("/api/v1/projects/iris").await.expect(200);
}

#[tokio::test]
async fn a_key_needs_no_token_and_a_cookie_beside_it_counts_for_nothing() {
    let team = Team::start().await;
    let session = team.it.session("Alice", &["admins"]).await;
    let cookie = session.request(Method::GET, "/").build().unwrap().headers()["cookie"].clone();
    let both = team.viewer.clone().header("cookie", cookie.to_str().unwrap());
    let body = serde_json::json!({ "spec": { "description": "mine" } });
    both.put("/api/v1/projects/iris", &body).await.expect(403);
    let me = both.get("/api/v1/me").await.expect(200).json();
    assert_eq!((me["kind"].as_str(), me["isAdmin"].as_bool()), (Some("api_key"), Some(false)));
    // A wrong key is not made good by a right cookie.
    let wrong = team.it.nobody().bearer("slw_wrong").header("cookie", cookie.to_str().unwrap());
    wrong.get("/api/v1/me").await.expect(401);
}
