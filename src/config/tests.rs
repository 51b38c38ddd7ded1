//! The configuration through its front door: files, environment and flags in, values or problems out.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::*;

struct Case {
    dir: tempfile::TempDir,
    environment: Vec<(String, String)>,
    flags: Flags,
}

impl Case {
    fn new(file: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if !file.is_empty() {
            std::fs::write(dir.path().join("config.toml"), file).unwrap();
        }
        let flags = Flags { data_dir: Some(dir.path().to_owned()), ..Flags::default() };
        Self { dir, environment: Vec::new(), flags }
    }

    fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_str().unwrap().into()));
        self
    }

    fn put(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn load(&self) -> Result<Loaded> {
        Config::load(&self.flags, &self.environment)
    }

    fn config(&self) -> Config {
        self.load().unwrap().config
    }

    /// Every problem as `place: message hint`, without the directory.
    fn problems(&self) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        let error = self.load().unwrap_err();
        let shown = error.problems.iter().map(|problem| {
            let hint = problem.hint.as_deref().unwrap_or_default();
            format!("{}: {} {hint}", problem.place, problem.message).trim_end().replace(&dir, "")
        });
        shown.collect()
    }
}

#[test]
fn nothing_at_all_works() {
    let config = Case::new("").config();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.base_url(config.server.listen).as_str(), "http://127.0.0.1:8080");
    assert_eq!(config.access.admin_groups[0].as_str(), "admins");
    assert!(config.oidc.issuer.is_none() && config.registry.is_empty());
    assert_eq!(config.bundles.max_upload.0, 4 << 30);
    config.demand_login(false).unwrap();
}

#[test]
fn each_layer_hides_the_one_below() {
    let mut case = Case::new("[server]\nlisten = \"127.0.0.1:1\"\n[session]\nidle = \"1h\"\n");
    assert_eq!(case.config().server.listen.port(), 1);
    case = case.env("SLIPWAY_SERVER__LISTEN", "127.0.0.1:2");
    assert_eq!(case.config().server.listen.port(), 2);
    case.flags.listen = Some("127.0.0.1:3".parse().unwrap());
    let loaded = case.load().unwrap();
    assert_eq!(loaded.config.server.listen.port(), 3);
    assert_eq!(loaded.config.session.idle, Duration::from_secs(3600));
    let source = |section: &str, key: &str| {
        let entry = loaded.entries.iter().find(|entry| entry.section == section && entry.key == key);
        entry.unwrap().source.to_string()
    };
    assert_eq!(source("server", "listen"), "--listen");
    assert!(source("session", "idle").ends_with("config.toml:4"));
    assert_eq!(source("session", "absolute"), "default");
    assert_eq!(source("data", "dir"), "--data-dir");
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest() {
    let case = Case::new(
        "[server]\nlissten = \"127.0.0.1:1\"\n\n[oidcc]\nissuer = \"x\"\n[log]\nidle = \"1h\"\nzzzzzzzz = 1\n",
    );
    assert_eq!(
        case.problems(),
        [
            "config.toml:2: [server] has no option lissten Did you mean listen?",
            "config.toml:4: there is no section [oidcc] Did you mean [oidc]?",
            "config.toml:7: [log] has no option idle idle belongs into [session].",
            "config.toml:8: [log] has no option zzzzzzzz It has format, level.",
        ]
    );
    assert_eq!(
        Case::new("listen = \"127.0.0.1:1\"").problems(),
        ["config.toml:1: listen stands in no section Put it under its heading, such as [server]."]
    );
}

#[test]
fn an_unknown_variable_is_refused_and_those_of_kubernetes_and_tests_are_not() {
    let case = Case::new("")
        .env("SLIPWAY_SERVER__LISTENN", "127.0.0.1:1")
        .env("SLIPWAY_SERVER_LISTEN", "127.0.0.1:1")
        .env("SLIPWAY_SERVICE_HOST", "10.0.0.1")
        .env("SLIPWAY_SERVICE_PORT_HTTP", "80")
        .env("SLIPWAY_PORT_8080_TCP_ADDR", "10.0.0.1")
        .env("SLIPWAY_PORT", "tcp://10.0.0.1:80")
        .env("SLIPWAY_TEST_KUBECONFIG", "/somewhere")
        .env("SLIPWAYS", "sails");
    let text = "there is no option behind this environment variable Did you mean SLIPWAY_SERVER__LISTEN?";
    assert_eq!(
        case.problems(),
        [format!("SLIPWAY_SERVER__LISTENN: {text}"), format!("SLIPWAY_SERVER_LISTEN: {text}")]
    );
}

#[test]
fn a_wrong_value_is_refused_with_its_line_and_what_it_takes() {
    let case = Case::new(
        "[server]\nlisten = 8080\nworkers = \"8\"\ntrusted_proxies = \"10.0.0.0/8\"\nbase_url = \"example.org\"\n\
         [session]\nidle = \"8\"\n[updates]\nparallel = -1\nkeep = 1.5\n[bundles]\nmax_upload = true\n\
         [access]\nadmin_groups = [\"a\", 1]\n[log]\nformat = \"xml\"\n",
    );
    let problems = case.problems();
    let expected = [
        "config.toml:2: server.listen: this is a number; it takes an address and a port",
        "config.toml:5: server.base_url: \"example.org\" does not fit; it takes a URL",
        "config.toml:4: server.trusted_proxies: this is text; it takes a list, each entry of which is a range",
        "config.toml:3: server.workers: this is text; it takes a whole number",
        "config.toml:16: log.format: \"xml\" does not fit; it takes \"text\" or \"json\"",
        "config.toml:14: access.admin_groups: this is a number; it takes a group's name",
        "config.toml:7: session.idle: \"8\" lacks a unit (ms, s, m, h or d); it takes a time",
        "config.toml:12: bundles.max_upload: this is true or false; it takes a size",
        "config.toml:9: updates.parallel: \"-1\" does not fit; it takes a whole number",
        "config.toml:10: updates.keep: this is a fraction; it takes a whole number",
    ];
    for text in expected {
        assert!(problems.iter().any(|problem| problem.starts_with(text)), "{text}\n{problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    let case = Case::new("").env("SLIPWAY_UPDATES__PARALLEL", "many");
    assert!(
        case.problems()[0].starts_with("SLIPWAY_UPDATES__PARALLEL: updates.parallel: \"many\" does not fit")
    );
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    for (text, line) in
        [("[server\n", 1), ("[log]\n\nlevel = \n", 3), ("[log]\nlevel = \"a\"\nlevel = \"b\"\n", 3)]
    {
        let error = Case::new(text).load().unwrap_err();
        assert_eq!(error.code, "config_syntax");
        assert!(error.problems[0].place.ends_with(&format!("config.toml:{line}")), "{error:?}");
    }
}

#[test]
fn a_secret_comes_from_any_layer_or_a_file_and_is_never_shown() {
    let oidc = "[oidc]\nissuer = \"https://id.example.org\"\nclient_id = \"slipway\"\n";
    let canary = "canary-4711";
    let in_file = Case::new(&format!("{oidc}client_secret = \"{canary}\"\n"));
    let beside = Case::new(&format!("{oidc}client_secret_file = \"secret\"\n"));
    beside.put("secret", &format!("{canary}\n"));
    let by_variable = Case::new(oidc).env("SLIPWAY_OIDC__CLIENT_SECRET", canary);
    let path = beside.put("other", canary);
    let by_named_file = Case::new(oidc).env("SLIPWAY_OIDC__CLIENT_SECRET_FILE", path);
    for case in [&in_file, &beside, &by_variable, &by_named_file] {
        let loaded = case.load().unwrap();
        let secret = loaded.config.oidc.client_secret.as_ref().unwrap();
        assert_eq!(secret.expose_secret(), canary);
        assert!(!format!("{loaded:?}").contains(canary));
        let printed = print::effective(&loaded.entries);
        assert!(!printed.contains(canary));
        assert!(printed.contains("# client_secret is set, and hidden"), "{printed}");
    }
}

#[test]
fn what_is_wrong_with_a_secret_is_told_without_it() {
    let missing = Case::new("[oidc]\nclient_secret_file = \"nowhere\"\n").problems();
    assert!(missing[0].starts_with("config.toml:2: the secret's file nowhere can't be read"), "{missing:?}");
    let twice = Case::new("[oidc]\nclient_secret = \"canary-4711\"\nclient_secret_file = \"x\"\n").problems();
    assert!(twice[0].starts_with("config.toml:3: the secret is given twice"), "{twice:?}");
    let wrong = Case::new("[oidc]\nclient_secret = 4711\n").problems();
    assert!(wrong[0].contains("this is a number") && !wrong[0].contains("4711"), "{wrong:?}");
}

#[test]
fn registries_have_a_section_each() {
    let case = Case::new(
        "[registry.\"ghcr.io\"]\nusername = \"robot\"\n[registry.registry.example.org]\nusername = \"a\"\npassword = \"b\"\n",
    );
    assert_eq!(
        case.problems(),
        [
            "configuration: registry.ghcr.io.password: user name and password go together Set both, or neither."
        ]
    );
    let case = case.env("SLIPWAY_REGISTRY__GHCR_IO__PASSWORD", "token");
    let registry = case.config().registry;
    assert_eq!(registry.keys().collect::<Vec<_>>(), ["ghcr.io", "registry.example.org"]);
    assert_eq!(registry["ghcr.io"].password.as_ref().unwrap().expose_secret(), "token");
    let stray = Case::new("").env("SLIPWAY_REGISTRY__GHCR_IO__PASSWORD", "token").problems();
    assert!(
        stray[0].ends_with("Give the registry its section in the configuration file first."),
        "{stray:?}"
    );
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let cases = [
        ("[oidc]\nissuer = \"https://id.example.org\"\n", "oidc.client_id"),
        ("[oidc]\nclient_id = \"slipway\"\n", "oidc.issuer"),
        ("[oidc]\nscopes = [\"profile\"]\n", "oidc.scopes"),
        ("[session]\nidle = \"8d\"\n", "session.idle"),
        ("[server]\nbase_url = \"http://slipway.example.org\"\n", "server.base_url"),
        ("[server]\nlisten = \"0.0.0.0:8080\"\n", "server.base_url"),
        ("[updates]\nparallel = 0\n", "updates.parallel"),
        ("[renga]\nissuer = \"https://id.example.org\"\n", "renga.audience"),
        ("[renga]\naudience = \"renga\"\n", "renga.issuer"),
        ("[renga]\njwt_key = \"{}\"\n", "renga.issuer"),
    ];
    for (file, place) in cases {
        let problems = Case::new(file).problems();
        assert!(problems[0].contains(place), "{file}: {problems:?}");
    }
}

#[test]
fn a_switch_is_true_or_false() {
    assert!(Case::new("[renga]\nswagger_ui = true\n").config().renga.swagger_ui);
    assert!(Case::new("").env("SLIPWAY_RENGA__SWAGGER_UI", "true").config().renga.swagger_ui);
    for (wrong, why) in [("\"true\"", "this is text"), ("1", "this is a number")] {
        let problems = Case::new(&format!("[renga]\nswagger_ui = {wrong}\n")).problems();
        assert!(problems[0].contains(why) && problems[0].ends_with("true or false"), "{problems:?}");
    }
    let problems = Case::new("").env("SLIPWAY_RENGA__SWAGGER_UI", "yes").problems();
    assert!(problems[0].contains("\"yes\" does not fit; it takes true or false"), "{problems:?}");
}

#[test]
fn beyond_loopback_somebody_must_be_able_to_sign_in() {
    let open = "[server]\nlisten = \"0.0.0.0:8080\"\nbase_url = \"https://slipway.example.org\"\n";
    let config = Case::new(open).config();
    assert_eq!(config.demand_login(false).unwrap_err().code, "no_login");
    config.demand_login(true).unwrap();
    let with_oidc = format!("{open}[oidc]\nissuer = \"https://id.example.org\"\nclient_id = \"slipway\"\n");
    Case::new(&with_oidc).config().demand_login(false).unwrap();
}

#[test]
fn a_named_file_must_be_there_and_may_place_the_state() {
    let mut case = Case::new("");
    case.flags.config = Some(case.dir.path().join("missing.toml"));
    assert_eq!(case.load().unwrap_err().code, "config_unreadable");
    case.flags.config = Some(case.put("other.toml", "[data]\ndir = \"/srv/slipway\"\n"));
    case.flags.data_dir = None;
    assert_eq!(case.config().data_dir, Path::new("/srv/slipway"));
    let case = case.env("SLIPWAY_DATA_DIR", "/srv/elsewhere");
    assert_eq!(case.config().data_dir, Path::new("/srv/elsewhere"));
    let circular = Case::new("[data]\ndir = \"/srv/slipway\"\n").problems();
    assert!(circular[0].starts_with("config.toml:2: data.dir: a file in the data directory"), "{circular:?}");
}

#[test]
fn what_is_printed_reads_the_same_again() {
    let first = Case::new(
        "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n[session]\nidle = \"90m\"\n[registry.\"ghcr.io\"]\n",
    );
    let printed = print::effective(&first.load().unwrap().entries);
    let dir = first.dir.path().display();
    assert!(printed.contains(&format!("idle = \"1h30m\"  # {dir}/config.toml:4\n")), "{printed}");
    let without_place = printed.replace(&format!("dir = \"{dir}\""), "");
    let second = Case::new(&without_place);
    let shown = |case: &Case| -> Vec<_> {
        let entries = case.load().unwrap().entries;
        entries.into_iter().filter(|e| e.key != "dir").map(|e| (e.section, e.key, e.shown)).collect()
    };
    assert_eq!(shown(&first), shown(&second));
}

/// `WRITE_EXAMPLE=1 cargo test config` writes the file anew.
#[test]
fn the_example_has_every_option_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    let rendered = print::example();
    if std::env::var_os("WRITE_EXAMPLE").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        rendered,
        "write it anew as this test's comment says"
    );
}

#[test]
fn the_example_uncommented_is_a_configuration_with_the_defaults() {
    let assignment =
        |line: &&str| line.starts_with('[') || line.contains(" = ") && !line.contains("SLIPWAY_");
    let example = print::example();
    let lines = example.lines().map(|line| line.trim_start_matches("# ")).filter(assignment);
    let text: Vec<String> = lines.map(|line| line.replace("/run/secrets/", "")).collect();
    let mut case = Case::new("");
    for secret in ["client_secret", "password", "jwt_key"] {
        case.put(secret, "canary-4711");
    }
    case.flags.config = Some(case.put("example.toml", &text.join("\n")));
    let loaded = case.load().unwrap();
    let defaults =
        Case::new("[registry.\"registry.example.org\"]\n[kubeconfig.\"prod\"]\n").load().unwrap().entries;
    assert_eq!(loaded.entries.len(), defaults.len());
    for (entry, default) in loaded.entries.iter().zip(&defaults) {
        assert_eq!((&entry.section, entry.key), (&default.section, default.key));
        if entry.key == "dir" {
            continue;
        }
        assert_ne!(entry.source, Source::Default, "{}.{} is not in the example", entry.section, entry.key);
        if default.shown.is_some() {
            assert_eq!(entry.shown, default.shown, "{}.{}", entry.section, entry.key);
        }
    }
}
