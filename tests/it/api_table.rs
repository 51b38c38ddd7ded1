//! The OpenAPI document against the real route table.

use std::collections::BTreeSet;

use crate::harness::TestApp;
use crate::routes::table;

#[tokio::test]
async fn the_document_holds_every_route_and_no_other() {
    let it = TestApp::builder().start().await;
    let served: BTreeSet<String> = table(&it)
        .into_iter()
        .filter_map(|route| {
            let path = route.pattern.strip_prefix("/api/v1")?.replace("{path:.+}", "{path}");
            Some(format!("{} {path}", route.method.as_str().to_lowercase()))
        })
        .collect();
    let document = it.nobody().get("/api/v1/openapi.json").await.expect(200).json();
    let described: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(served, described);
}

#[tokio::test]
async fn the_document_describes_its_answers_and_has_no_loose_ends() {
    let it = TestApp::builder().base_path("/slipway").start().await;
    let document = it.nobody().get("/api/v1/openapi.json").await.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "/slipway/api/v1");
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} stands there twice");
            assert!(
                operation["summary"].as_str().is_some_and(|text| !text.contains('\n')),
                "{method} {path}"
            );
            assert!(operation["tags"][0].is_string(), "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let words = response["description"].as_str().unwrap_or_default();
                assert!(!words.is_empty(), "{method} {path} {status}");
            }
        }
    }
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name} is named and not there");
    }
}
