//! The built binary: what it prints, how it ends, and what it does beside a running server.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use reqwest::Method;
use serde_json::json;

use crate::harness::process::House;

/// Runs the binary on a data directory, with nothing of this environment's own configuration.
fn slipway(dir: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SLIPWAY_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).arg("--data-dir").arg(dir);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // A command that reads nothing may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a failure says; it prints nothing that a script would take for an answer.
#[track_caller]
fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_configuration_is_checked_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    assert!(good(slipway(dir.path(), &["config", "check"], "")).contains("good (no file)"));
    let file = dir.path().join("config.toml");
    std::fs::write(&file, "[server]\nlissten = 1\n[session]\nidle = 8\n").unwrap();
    for command in [&["config", "check"][..], &["config", "print"], &["serve"]] {
        let said = failed(&slipway(dir.path(), command, ""));
        assert!(said.contains("config.toml:2: [server] has no option lissten"), "{said}");
        assert!(said.contains("Did you mean listen?"), "{said}");
        assert!(said.contains("config.toml:4: session.idle: this is a number"), "{said}");
    }
    std::fs::write(
        &file,
        "[oidc]\nissuer = \"https://id.example.org\"\nclient_id = \"s\"\nclient_secret = \"canary-4711\"\n",
    )
    .unwrap();
    let printed = good(slipway(dir.path(), &["config", "print"], ""));
    assert!(
        printed.contains("issuer = \"https://id.example.org\"  # ") && printed.contains("config.toml:2"),
        "{printed}"
    );
    assert!(!printed.contains("canary"), "{printed}");
}

#[test]
fn a_key_that_is_none_is_told_before_anything_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[renga]\nissuer = \"https://id.example.org\"\naudience = \"renga\"\njwt_key_file = \"key\"\n";
    std::fs::write(dir.path().join("config.toml"), text).unwrap();
    std::fs::write(dir.path().join("key"), "-----BEGIN PRIVATE KEY-----\ncanary\n").unwrap();
    for command in [&["config", "check"][..], &["serve"]] {
        let said = failed(&slipway(dir.path(), command, ""));
        assert!(said.contains("renga.jwt_key: it is a private key") && !said.contains("canary"), "{said}");
    }
}

#[test]
fn the_example_is_printed_and_good() {
    let dir = tempfile::tempdir().unwrap();
    let example = good(slipway(dir.path(), &["config", "example"], ""));
    std::fs::write(dir.path().join("config.toml"), &example).unwrap();
    assert_eq!(example, include_str!("../../config.example.toml"));
    good(slipway(dir.path(), &["config", "check"], ""));
}

#[test]
fn what_is_not_understood_ends_with_two() {
    let dir = tempfile::tempdir().unwrap();
    for wrong in [&["frobnicate"][..], &["admin", "grant"], &["--listen", "nowhere", "version"]] {
        assert_eq!(slipway(dir.path(), wrong, "").status.code(), Some(2), "{wrong:?}");
    }
    assert!(good(slipway(dir.path(), &["version"], "")).starts_with("slipway "));
    assert!(good(slipway(dir.path(), &["completions", "bash"], "")).contains("_slipway()"));
}

#[test]
fn strangers_are_not_served_while_nobody_can_sign_in() {
    let dir = tempfile::tempdir().unwrap();
    let open = "[server]\nlisten = \"0.0.0.0:0\"\nbase_url = \"https://slipway.example.org\"\n";
    std::fs::write(dir.path().join("config.toml"), open).unwrap();
    let said = failed(&slipway(dir.path(), &["serve"], ""));
    assert!(
        said.contains("while nobody can sign in") && said.contains("slipway admin create-user"),
        "{said}"
    );
}

#[test]
fn a_key_is_printed_alone_and_a_bad_one_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let key = good(slipway(dir.path(), &["admin", "create-api-key", "--name", "ci", "--group", "a"], ""));
    assert!(key.starts_with("slw_") && key.trim().len() == 47 && key.lines().count() == 1, "{key}");
    let said = slipway(
        dir.path(),
        &["admin", "create-api-key", "--name", "ci", "--group", "a", "--expires", "30"],
        "",
    );
    assert!(String::from_utf8_lossy(&said.stderr).contains("lacks a unit"));
    assert_eq!(said.status.code(), Some(2));
}

#[tokio::test]
async fn what_an_operator_does_takes_effect_beside_the_running_server() {
    let house = House::fresh().await;
    let admin = |arguments: &[&str], input: &str| {
        let mut all = vec!["admin"];
        all.extend_from_slice(arguments);
        slipway(&house.dir, &all, input)
    };
    good(admin(&["create-user", "--username", "ada", "--group", "ml"], "correct horse battery staple\n"));
    assert!(
        failed(&admin(&["create-user", "--username", "ada"], "correct horse battery staple"))
            .contains("is taken")
    );
    assert!(
        failed(&admin(&["create-user", "--username", "bob"], "short\n")).contains("12 to 256 characters")
    );

    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let base = format!("http://{}", house.address);
    let sign_in = async |password: &str| {
        let form = [("username", "ada"), ("password", password)];
        let request =
            client.post(format!("{base}/login")).form(&form).header("sec-fetch-site", "same-origin");
        let answer = request.header("accept", "text/html").send().await.unwrap();
        let cookie = answer.headers().get("set-cookie").map(|set| set.to_str().unwrap().to_owned());
        cookie.map(|set| set.split(';').next().unwrap().to_owned())
    };
    let me = async |cookie: &str| {
        let request = client.get(format!("{base}/api/v1/me")).header("cookie", cookie);
        request.send().await.unwrap().status().as_u16()
    };
    let cookie = sign_in("correct horse battery staple").await.expect("the new user signs in");
    assert_eq!(me(&cookie).await, 200);

    assert_eq!(good(admin(&["revoke-sessions", "--user", "ada"], "")), "1 ended\n");
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert_eq!(me(&cookie).await, 401);

    good(admin(&["reset-password", "--username", "ada"], "another horse battery staple\n"));
    assert!(sign_in("correct horse battery staple").await.is_none());
    assert!(sign_in("another horse battery staple").await.is_some());

    let grant = ["grant", "--infrastructure", "local", "--group", "ml", "--right", "deploy"];
    assert_eq!(good(admin(&grant, "")), "deploy\tml\n");
    house.call(Method::POST, "/projects", Some(json!({ "name": "iris" }))).await;
    let grants = good(admin(&["grant", "--project", "iris", "--group", "ml", "--right", "view"], ""));
    assert!(grants.lines().any(|line| line == "view\tml"), "{grants}");
    let grants = good(admin(&["grant", "--project", "iris", "--group", "ml", "--right", "none"], ""));
    assert!(!grants.contains("\tml"), "{grants}");
    assert!(
        failed(&admin(&["grant", "--project", "nope", "--group", "ml", "--right", "view"], ""))
            .contains("nope")
    );
}

#[tokio::test]
async fn a_server_is_healthy_until_it_stops_and_alone_on_its_data() {
    let mut house = House::fresh().await;
    let listen = house.address.to_string();
    assert_eq!(good(slipway(&house.dir, &["healthcheck", "--listen", &listen], "")), "ready\n");
    let said = failed(&slipway(&house.dir, &["serve", "--listen", "127.0.0.1:0"], ""));
    assert!(said.contains("another Slipway already serves"), "{said}");
    house.stop(true);
    let said = failed(&slipway(&house.dir, &["healthcheck", "--listen", &listen], ""));
    assert!(said.contains("does not answer"), "{said}");
}

#[test]
fn a_kubeconfig_that_the_configuration_names_is_read_and_judged_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (file, cluster) = (dir.path().join("config.toml"), dir.path().join("prod.kubeconfig"));
    let section = |more: &str| format!("[kubeconfig.prod]\nfile = \"{}\"\n{more}", cluster.display());
    std::fs::write(&file, section("")).unwrap();
    for command in [&["config", "check"][..], &["serve"]] {
        let said = failed(&slipway(dir.path(), command, ""));
        assert!(said.contains("[kubeconfig.prod]") && said.contains("can't be read"), "{said}");
    }
    let text = "clusters: [{name: c, cluster: {server: 'https://c'}}]\nusers:\n- {name: u, user: {exec: {command: touch}}}\n\
                contexts: [{name: x, context: {cluster: c, user: u}}]\n";
    std::fs::write(&cluster, text).unwrap();
    std::fs::write(&file, section("context = \"x\"\n")).unwrap();
    for command in [&["config", "check"][..], &["serve"]] {
        let said = failed(&slipway(dir.path(), command, ""));
        let place = format!("[kubeconfig.prod] {}:3:20", cluster.display());
        assert!(said.contains(&place) && said.contains("would run a program"), "{said}");
    }
    std::fs::write(&cluster, text.replace("exec: {command: touch}", "token: t")).unwrap();
    good(slipway(dir.path(), &["config", "check"], ""));
    std::fs::write(&file, "[kubeconfig.prod]\ncontext = \"x\"\n").unwrap();
    assert!(failed(&slipway(dir.path(), &["config", "check"], "")).contains("a context is set without it"));
}

#[tokio::test]
async fn keys_rotate_beside_the_running_server_and_old_secrets_stay_readable() {
    let house = House::fresh().await;
    house.publish("iris", "1", "services: {api: {image: busybox, environment: {TOKEN: }}}").await;
    let secret = |value: &str| json!({ "spec": { "secrets": { "TOKEN": value } } });
    let spec = json!({ "project": "iris", "bundle": "1", "infrastructure": "local", "secrets": { "TOKEN": "first" } });
    house.call(Method::POST, "/deployments", Some(json!({ "name": "one", "spec": spec }))).await;
    let keys = || -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(house.dir.join("keys.json")).unwrap()).unwrap()
    };
    let sealed_under = || {
        let db = rusqlite::Connection::open(house.dir.join("slipway.db")).unwrap();
        let blob: Vec<u8> = db.query_row("SELECT sealed FROM secret", [], |row| row.get(0)).unwrap();
        u32::from_be_bytes(blob[1..5].try_into().unwrap())
    };
    let before = keys();
    assert_eq!((before["sealing"].as_array().unwrap().len(), sealed_under()), (1, 1));
    assert_eq!(good(slipway(&house.dir, &["admin", "rotate-key"], "")), "1 sealed anew\n");
    let after = keys();
    assert_eq!(after["sealing"][0], before["sealing"][0], "the old key stays, for backups and sessions");
    assert_eq!((after["root"].clone(), sealed_under()), (before["root"].clone(), 2));
    // The server, which was not restarted, seals under the new key and opens what is sealed under it: rotating again
    // opens every secret first.
    house.call(Method::PATCH, "/deployments/one", Some(secret("second"))).await;
    assert_eq!(sealed_under(), 2);
    assert_eq!(good(slipway(&house.dir, &["admin", "rotate-key"], "")), "1 sealed anew\n");
    assert_eq!(sealed_under(), 3);
    let ring = slipway::crypto::KeyRing::load_or_create(&house.dir).unwrap();
    let db = rusqlite::Connection::open(house.dir.join("slipway.db")).unwrap();
    let (version, blob): (u32, Vec<u8>) =
        db.query_row("SELECT version, sealed FROM secret", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let place = slipway::crypto::Context { table: "secret", row: "one", name: "TOKEN", version };
    assert_eq!(*ring.open(&place, &blob).unwrap(), *b"second");
    let events = house.call(Method::GET, "/journal", None).await;
    let rotations =
        events.as_array().unwrap().iter().filter(|event| event["action"] == "keys.rotated").count();
    assert_eq!(rotations, 2);
    assert_eq!(house.call(Method::GET, "/journal/verify", None).await["whole"], true);
}
