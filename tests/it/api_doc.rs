//! The examples of `docs/api.md` and of the README, run as they stand.

use std::process::Stdio;

use crate::harness::{Team, TestApp};

/// Every `sh` block of the page, in order.
fn blocks(page: &str) -> Vec<&str> {
    let parts = page.split("```sh\n").skip(1);
    parts.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[tokio::test]
async fn the_examples_work() {
    let team = Team::on(TestApp::builder().start().await).await;
    let page = std::fs::read_to_string("docs/api.md").unwrap();
    let found = blocks(&page);
    assert!(found.len() >= 8, "the page has lost its examples");
    // Each block says so when it begins, so that a failure names it.
    let script: String =
        found.iter().enumerate().map(|(at, block)| format!("echo '>> block {at}'\n{block}\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    let key =
        team.admin.request(reqwest::Method::GET, "/").build().unwrap().headers()["authorization"].clone();
    let run = tokio::process::Command::new("bash")
        .args(["-eu", "-o", "pipefail", "-c", &script])
        .env("SLIPWAY", &team.it.base)
        .env("KEY", key.to_str().unwrap().trim_start_matches("Bearer "))
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{err}\nafter: {}", out.split(">> block").last().unwrap_or_default());
    assert!(out.contains("\"health\":\"HEALTHY\"") && !out.contains("never shown again"), "{out}");
    let same: Vec<&str> = out.matches("\"number\":4").collect();
    assert!(same.len() >= 2, "the repeated request answered with the first result");
}

#[tokio::test]
async fn the_same_with_curl_works() {
    let team = Team::on(TestApp::builder().start().await).await;
    let folder = tempfile::tempdir().unwrap();
    let root = std::env::current_dir().unwrap();
    let page = std::fs::read_to_string("README.md").unwrap();
    let (_, after) = page.split_once("### The same with curl").expect("the README has it");
    let lines = after.lines().skip_while(|line| !line.starts_with("    "));
    let lines = lines.take_while(|line| line.starts_with("    ")).map(str::trim);
    // The key and the address are the test's own; that the command which makes a key is there, `docs` tries.
    let lines: Vec<&str> =
        lines.filter(|line| !line.starts_with("KEY=") && !line.starts_with("API=")).collect();
    assert!(lines.len() >= 5 && lines.iter().all(|line| line.starts_with("curl ")), "{lines:#?}");
    let pack = format!("python3 {0}/examples/pack --out . {0}/examples/iris", root.display());
    let script = format!("{pack}\n{}", lines.join("\n"));
    let key =
        team.admin.request(reqwest::Method::GET, "/").build().unwrap().headers()["authorization"].clone();
    let run = tokio::process::Command::new("bash")
        .args(["-eu", "-o", "pipefail", "-c", &script])
        .env("API", format!("{}/api/v1", team.it.base))
        .env("KEY", key.to_str().unwrap().trim_start_matches("Bearer "))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{err}\n{out}");
    assert!(out.contains("\"state\":\"succeeded\""), "the update was followed to its good end: {out}");
}
