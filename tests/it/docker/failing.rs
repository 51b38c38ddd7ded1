//! Updates that fail on a real engine: the words that a person gets, and what goes on serving.

use serde_json::json;

use super::scene::Scene;

fn compose(command: &str, restart: &str) -> String {
    format!(
        "services:\n  web: {{image: 'busybox:lab', command: {command}, restart: {restart}, stop_grace_period: 0s}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_not_in_the_image_is_named_and_the_old_revision_serves() {
    let mut scene = Scene::new("failing").await;
    scene.house.publish("p", "1", &compose("sleep 100000", "always")).await;
    scene.house.publish("p", "once", &compose("[\"gunicorm\", \"app\"]", "'no'")).await;
    scene.house.publish("p", "again", &compose("[\"gunicorm\", \"app\"]", "always")).await;
    scene.house.publish("p", "shell", &compose("[\"sh\", \"-c\", \"gunicorm app\"]", "'no'")).await;
    let id = scene.up("command", "1", json!({})).await;
    let before = scene.running(&id, "web").await;
    for version in ["once", "again", "shell"] {
        scene.house.choose(&id, version).await;
        let number = scene.house.ask(&id).await;
        let update = scene.house.ended(&id, number).await;
        assert_eq!(update["status"]["state"], "failed", "{version}: {update}");
        let failure = &update["status"]["failure"];
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains("was not found") || message.contains("not found"), "{version}: {message}");
        assert!(message.contains("gunicorm"), "{version}: it is named: {message}");
        assert!(message.contains("`command`"), "{version}: where to look: {message}");
        assert!(failure["serving"].as_str().unwrap().contains("goes on serving"), "{version}: {failure}");
        assert_eq!(scene.running(&id, "web").await, before, "{version}: untouched");
    }
}
