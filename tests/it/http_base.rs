//! The layers that stand before every route.

use reqwest::Method;

use crate::harness::TestApp;

#[tokio::test]
async fn an_unknown_path_answers_nobody_like_a_known_one() {
    let it = TestApp::builder().start().await;
    let known = it.nobody().get("/api/v1/projects").await.expect(401);
    let unknown = it.nobody().get("/api/v1/nothing-here").await.expect(401);
    let without_id = |text: &str| {
        let mut body: serde_json::Value = serde_json::from_str(text).unwrap();
        assert!(body["requestId"].take().is_string());
        body
    };
    assert_eq!(without_id(&known.text), without_id(&unknown.text));
    assert_eq!(known.header("www-authenticate"), Some("Bearer realm=\"slipway\""));
}

#[tokio::test]
async fn a_browser_without_a_session_is_sent_to_the_login() {
    let it = TestApp::builder().base_path("/slipway").start().await;
    let answer = it.nobody().header("accept", "text/html").get("/deployments?q=a").await.expect(303);
    assert_eq!(answer.header("location"), Some("/slipway/login?to=%2Fslipway%2Fdeployments%3Fq%3Da"));
}

#[tokio::test]
async fn operators_routes_are_open_to_their_allow_list() {
    let it = TestApp::builder().start().await;
    assert_eq!(it.nobody().get("/healthz").await.expect(200).text, "ok\n");
    assert_eq!(it.nobody().get("/readyz").await.expect(200).text, "ready\n");
    let metrics = it.nobody().get("/metrics").await.expect(200).text;
    assert!(metrics.contains("slipway_http_requests_total{method=\"GET\",status=\"200\"} 2"), "{metrics}");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let it = TestApp::builder().start().await;
    for path in ["/healthz", "/nothing", "/login"] {
        let answer = it.nobody().get(path).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-request-id").map(str::len), Some(32), "{path}");
    }
}

#[tokio::test]
async fn an_unsafe_request_of_a_session_must_prove_where_it_comes_from() {
    let it = TestApp::builder().start().await;
    let bob = it.session("bob", &["ml-deployers"]).await;
    let token = bob.csrf().to_owned();
    // Behind the layer there is no such route: 404 means that the request was let through.
    let cases: &[(&str, &[(&str, &str)], u16)] = &[
        ("nothing", &[], 403),
        ("token alone", &[("x-csrf-token", &token)], 403),
        ("metadata alone", &[("sec-fetch-site", "same-origin")], 403),
        ("both", &[("x-csrf-token", &token), ("sec-fetch-site", "same-origin")], 404),
        ("cross-site", &[("x-csrf-token", &token), ("sec-fetch-site", "cross-site")], 403),
        ("same-site is not same-origin", &[("x-csrf-token", &token), ("sec-fetch-site", "same-site")], 403),
        ("origin", &[("x-csrf-token", &token), ("origin", &it.base)], 404),
        ("foreign origin", &[("x-csrf-token", &token), ("origin", "https://evil.example")], 403),
        ("opaque origin", &[("x-csrf-token", &token), ("origin", "null")], 403),
        ("another token", &[("x-csrf-token", "AAAA"), ("sec-fetch-site", "same-origin")], 403),
    ];
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        for (what, headers, status) in cases {
            let request =
                headers.iter().fold(bob.request(method.clone(), "/nothing"), |request, (name, value)| {
                    request.header(*name, *value)
                });
            assert_eq!(bob.send(request).await.status, *status, "{method} {what}");
        }
    }
}

#[tokio::test]
async fn the_token_is_found_in_forms_and_nothing_of_the_body_is_lost() {
    let it = TestApp::builder().start().await;
    let bob = it.session("bob", &["ml-deployers"]).await;
    let post = || bob.request(Method::POST, "/nothing").header("sec-fetch-site", "same-origin");
    let form = post().form(&[("a", "b"), ("csrf", bob.csrf())]);
    assert_eq!(bob.send(form).await.status, 404);
    let multipart = |first: &str| {
        let other = "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n";
        let token = format!("--X\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{}\r\n", bob.csrf());
        let body = if first == "csrf" {
            format!("{token}{other}--X--\r\n")
        } else {
            format!("{other}{token}--X--\r\n")
        };
        post().header("content-type", "multipart/form-data; boundary=X").body(body)
    };
    assert_eq!(bob.send(multipart("csrf")).await.status, 404);
    assert_eq!(bob.send(multipart("other")).await.status, 403, "the token must come before what it protects");
}

#[tokio::test]
async fn a_revoked_session_ends_within_two_seconds() {
    let it = TestApp::builder().start().await;
    let bob = it.session("bob", &["ml-deployers"]).await;
    bob.get("/nothing").await.expect(404);
    let users = it.instance.app.store.read(|db| slipway::store::user::list(db, None, 10)).await.unwrap();
    let caller = slipway::domain::access::Caller::system();
    slipway::app::user::revoke_sessions(&it.instance.app, &caller, users[0].id).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    bob.get("/nothing").await.expect(303);
}
