//! Other systems' own clients, unmodified, against the real server and the real Docker engine. The scripts stand in
//! `tests/clients`; `tests/lab/lab clients` installs what they import.

mod dataiku;
mod fuzz;

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::process::House;

/// Groups that the scripts know; each has a key.
const GROUPS: [&str; 5] = ["admins", "ml", "ops", "viewers", "approvers"];

/// A Slipway, its keys, and the folder whose scripts are run against it.
struct Stage {
    house: House,
    folder: &'static str,
    keys: Value,
}

impl Stage {
    async fn new(folder: &'static str) -> Self {
        let house = House::fresh().await;
        let keys = GROUPS.map(|group| (group.to_owned(), Value::from(key(&house, group))));
        Self { house, folder, keys: Value::Object(keys.into_iter().collect()) }
    }

    /// Runs a script and answers what it said; ends the test where it fails.
    async fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(self.folder);
        let mut command = tokio::process::Command::new("clients-python");
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
        command.env("SLIPWAY_URL", format!("http://{}", self.house.address));
        command.env("SLIPWAY_KEYS", self.keys.to_string()).env("SLIPWAY_RUN", std::process::id().to_string());
        command.envs(environment.iter().copied());
        let output = command.output().await.expect("`tests/lab/lab clients` was run");
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}\n{said}", output.status);
        said
    }

    /// Runs every test of a script, or those that `-k` leaves; there have to be some, and none may be skipped.
    async fn tests(&self, script: &str, chosen: Option<&str>, environment: &[(&str, &str)]) {
        let mut arguments = vec!["-m", "unittest", "-v", script];
        arguments.extend(chosen.into_iter().flat_map(|chosen| ["-k", chosen]));
        let said = self.run(&arguments, environment).await;
        let ran = said.lines().find_map(|line| line.strip_prefix("Ran "));
        let count: u32 = ran.and_then(|line| line.split(' ').next()?.parse().ok()).unwrap_or(0);
        assert!(count > 0 && !said.contains("skipped"), "{said}");
    }
}

/// An API key of a group, by that name.
fn key(house: &House, group: &str) -> String {
    let arguments = ["admin", "create-api-key", "--name", group, "--group", group, "--data-dir"];
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"))
        .args(arguments)
        .arg(&house.dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A note that two scripts share.
fn note() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("note").to_str().unwrap().to_owned();
    (folder, path)
}
