//! The iris bundle, as the README has it: published, deployed, asked for a prediction, updated, rolled back.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::process::House;

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The example's archive, with another version and another greeting in its compose file.
fn archive(version: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/iris");
    let (mut paths, mut writer) = (Vec::new(), zip::ZipWriter::new(std::io::Cursor::new(Vec::new())));
    files(&root, &mut paths);
    for path in paths {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let mut content = std::fs::read(&path).unwrap();
        if name == "compose.yaml" {
            let text = String::from_utf8(content).unwrap();
            assert!(text.contains("version: \"1.0.0\"") && text.contains("RETRAIN_SECONDS: \"30\""));
            let text = text.replace("version: \"1.0.0\"", &format!("version: \"{version}\""));
            content = text.replace("RETRAIN_SECONDS: \"30\"", "RETRAIN_SECONDS: \"5\"").into_bytes();
        }
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(&content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

async fn detail(house: &House, id: &str) -> Value {
    house.call(Method::GET, &format!("/deployments/{id}"), None).await
}

async fn wait_health(house: &House, id: &str, wanted: &str) -> Value {
    let begun = Instant::now();
    loop {
        let deployment = detail(house, id).await;
        if deployment["status"]["health"] == wanted {
            return deployment;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "not {wanted}: {deployment:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Where the API answers now.
fn api_url(deployment: &Value) -> String {
    let slots = deployment["status"]["slots"].as_array().unwrap();
    let api = slots.iter().find(|slot| slot["service"] == "api").unwrap();
    let endpoint = &api["endpoints"][0];
    format!("http://{}:{}", endpoint["hostIp"].as_str().unwrap(), endpoint["hostPort"])
}

async fn predict(url: &str) -> Value {
    let body = json!({ "sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2 });
    let response = reqwest::Client::new().post(format!("{url}/predict")).json(&body).send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert!(status.is_success(), "{status} {text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_iris_bundle_is_deployed_updated_and_rolled_back() {
    slipway::tls::install();
    let house = House::fresh().await;
    let id = format!("iris-{}", std::process::id());
    house.upload(archive("1.0.0"), "").await;
    house.upload(archive("1.1.0"), "").await;
    house.deploy(&id, "iris", "1.0.0").await;
    assert_eq!(detail(&house, &id).await["status"]["health"], "UNKNOWN", "no update has ended yet");
    house.update(&id).await;
    let deployment = wait_health(&house, &id, "HEALTHY").await;
    assert_eq!((&deployment["status"]["ready"], &deployment["status"]["wanted"]), (&json!(4), &json!(4)));
    let prediction = predict(&api_url(&deployment)).await;
    assert!(prediction.to_string().contains("setosa"), "{prediction}");

    house.choose(&id, "1.1.0").await;
    let changed = wait_health(&house, &id, "OUT_OF_SYNC").await;
    assert!(!changed["status"]["changes"].as_array().unwrap().is_empty());
    house.update(&id).await;
    let deployment = wait_health(&house, &id, "HEALTHY").await;
    assert_eq!(deployment["status"]["runningUpdate"], 2);
    predict(&api_url(&deployment)).await;

    let back = json!({ "to": 1, "reason": "trying the way back" });
    let update = house.call(Method::POST, &format!("/deployments/{id}/rollback"), Some(back)).await;
    house.wait(&id, update["number"].as_u64().unwrap()).await;
    let deployment = wait_health(&house, &id, "HEALTHY").await;
    assert_eq!(deployment["spec"]["bundle"], "1.0.0");
    predict(&api_url(&deployment)).await;

    let run = house.call(Method::POST, &format!("/deployments/{id}/tests"), Some(json!({}))).await;
    let (log, number) = (format!("/deployments/{id}/updates/{}/log", run["number"]), &run["number"]);
    house.wait(&id, number.as_u64().unwrap()).await;
    let told = house.call(Method::GET, &log, None).await.to_string();
    assert!(told.contains("predicts: setosa: model") && told.contains("predicts: passed"), "{told}");

    let lines = house.call(Method::GET, &format!("/deployments/{id}/logs?service=api&tail=50"), None).await;
    let text = lines.to_string();
    assert!(text.contains("/predict"), "the API's log tells of the request: {text}");
    house.remove(&id).await;
}
