use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;

use super::*;

const CERTIFICATE: &str = include_str!("tests/client.crt");
const KEY: &str = include_str!("tests/client.key");
const STRANGER: &str = include_str!("tests/stranger.key");

/// What is never repeated.
const CANARY: &str = "canary-kubeconfig-5f1d07";

/// A kubeconfig of one context, with these lines in its cluster, its user and its context.
fn config(cluster: &str, user: &str, context: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    {cluster}\nusers:\n- name: u\n  user:\n    \
         {user}\ncontexts:\n- name: here\n  context:\n    cluster: c\n    user: u\n    {context}\ncurrent-context: here\n"
    )
}

fn cluster(line: &str) -> String {
    config(&format!("server: https://c.example.org\n    {line}"), "token: t", "")
}

fn user(line: &str) -> String {
    config("server: https://c.example.org", line, "")
}

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// Place, message and hint of each problem.
fn problems(text: &str, context: Option<&str>) -> Vec<(String, String, String)> {
    let error = sanitise(text, context).map(|_| ()).unwrap_err();
    assert_eq!(error.code, "kubeconfig_refused");
    assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
    let problems = error.problems.into_iter();
    problems.map(|one| (one.place, one.message, one.hint.unwrap_or_default())).collect()
}

#[track_caller]
fn refused(text: &str, context: Option<&str>, place: &str, words: &str) {
    let found = problems(text, context);
    let [(at, message, hint)] = found.as_slice() else { panic!("{text}\n{found:?}") };
    assert_eq!(at, &format!("kubeconfig:{place}"), "{text}\n{message}");
    assert!(message.contains(words), "{message} says nothing of {words}");
    assert!(hint.len() > 10, "{message} shows no way out");
}

#[test]
fn a_token_is_kept_with_its_server() {
    let authority = format!("certificate-authority-data: {}", base64(CERTIFICATE));
    let text = config(
        &format!("server: \"https://C.example.org:6443/k8s/\"\n    {authority}\n    tls-server-name: api.c"),
        &format!("token: {CANARY}"),
        "namespace: ml",
    );
    let kept = sanitise(&text, None).unwrap();
    assert_eq!(kept.credential.expose_secret(), CANARY);
    assert_eq!(kept.namespace.as_deref(), Some("ml"));
    let ClusterAccess::Kubeconfig { server, certificate_authority, tls_server_name, credential } =
        &kept.access
    else {
        panic!("{:?}", kept.access)
    };
    assert_eq!(server, "https://c.example.org:6443/k8s");
    assert_eq!(certificate_authority.as_deref(), Some(CERTIFICATE));
    assert_eq!(tls_server_name.as_deref(), Some("api.c"));
    assert_eq!(*credential, CredentialKind::Token);
    assert!(!format!("{kept:?}").contains(CANARY));
}

#[test]
fn a_client_certificate_and_its_key_become_one_text() {
    let pair = |certificate: &str, key: &str| {
        user(&format!(
            "client-certificate-data: {}\n    client-key-data: {}",
            base64(certificate),
            base64(key)
        ))
    };
    let kept = sanitise(&pair(CERTIFICATE, KEY), None).unwrap();
    assert_eq!(kept.credential.expose_secret(), format!("{CERTIFICATE}{KEY}"));
    // Words around the blocks are not kept.
    let kept = sanitise(&pair(&format!("Bag Attributes\n{CERTIFICATE}"), KEY), None).unwrap();
    assert_eq!(kept.credential.expose_secret(), format!("{CERTIFICATE}{KEY}"));
    refused(&pair(CERTIFICATE, STRANGER), None, "11:22", "does not belong to the certificate");
    refused(&pair(CERTIFICATE, CERTIFICATE), None, "11:22", "no private key");
    refused(&pair(KEY, KEY), None, "10:30", "no certificate");
    let half = user(&format!("client-key-data: {}", base64(KEY)));
    refused(&half, None, "10:5", "half of a client certificate");
}

#[test]
fn only_the_chosen_context_counts() {
    let text = "
clusters:
- {name: a, cluster: {server: 'https://a'}}
- {name: b, cluster: {server: 'https://b', proxy-url: 'http://p'}}
users:
- {name: a, user: {token: t}}
- {name: b, user: {exec: {command: sh}}}
contexts:
- {name: a, context: {cluster: a, user: a}}
- {name: b, context: {cluster: b, user: b}}
- {name: c, context: {cluster: a, user: nobody}}
- {name: d, context: {user: a}}
";
    assert!(sanitise(text, Some("a")).is_ok());
    let both: Vec<String> = problems(text, Some("b")).into_iter().map(|(_, message, _)| message).collect();
    assert!(both[0].contains("proxy-url") && both[1].contains("exec"), "{both:?}");
    for (context, place, words, way) in [
        (None, "2:1", "no context is named", "a, b, c, d"),
        (Some("z"), "2:1", "there is no context z", "a, b, c, d"),
        (Some("c"), "11:41", "there is no user nobody", "a, b"),
        (Some("d"), "12:22", "names no cluster", "a, b"),
    ] {
        refused(text, context, place, words);
        assert!(problems(text, context)[0].2.contains(way), "{words}");
    }
}

#[test]
fn fields_that_run_read_or_skip_are_refused() {
    let c = CANARY;
    for (line, words) in [
        (format!("certificate-authority: /etc/{c}"), "`certificate-authority` would read a file"),
        ("insecure-skip-tls-verify: true".into(), "`insecure-skip-tls-verify` would talk to whoever"),
        (format!("proxy-url: http://{c}@proxy"), "`proxy-url` would send everything"),
        (format!("certificate-authority-data: {c}!"), "`certificate-authority-data` is no base64"),
        (format!("certificate-authority-data: {}", base64(c)), "holds no certificate"),
        (format!("tls-server-name: '{c} x'"), "`tls-server-name` is no host name"),
        (format!("token-review: {c}"), "\"token-review\" is not known"),
        (format!("'{c} {c}': x"), "\"…\" is not known"),
    ] {
        let column = if words.contains("-data") || words.contains("holds") || words.contains("no host") {
            line.find(": ").unwrap() + 7
        } else {
            5
        };
        refused(&cluster(&line), None, &format!("7:{column}"), words);
    }
    let token = "token: t\n    ";
    for (line, words) in [
        (format!("exec: {{command: sh, args: ['{c}']}}"), "`exec` would run a program"),
        (format!("auth-provider: {{name: {c}}}"), "`auth-provider` would ask a plugin"),
        (format!("tokenFile: /etc/{c}"), "`tokenFile` would read a file"),
        (format!("client-certificate: /etc/{c}"), "`client-certificate` would read a file"),
        (format!("client-key: /etc/{c}"), "`client-key` would read a file"),
        (format!("username: {c}"), "`username` belongs to basic authentication"),
        (format!("password: {c}"), "`password` belongs to basic authentication"),
        (format!("as: {c}"), "`as` would act as somebody else"),
        (format!("as-uid: {c}"), "`as-uid` would act"),
        (format!("as-groups: ['{c}']"), "`as-groups` would act"),
        (format!("as-user-extra: {{{c}: [x]}}"), "`as-user-extra` would act"),
        (format!("impersonate: {c}"), "\"impersonate\" is not known"),
    ] {
        refused(&user(&format!("{token}{line}")), None, "11:5", words);
    }
}

#[test]
fn every_field_has_a_case() {
    let source = include_str!("tests.rs");
    let (mut seen, all) = (0, [fields::CLUSTER, fields::USER]);
    for (name, fate) in all.into_iter().flatten() {
        if matches!(fate, fields::Fate::Refused(..) | fields::Fate::RefusedIfTrue(..)) {
            assert!(source.contains(&format!("{name}: ")), "no case refuses {name}");
            seen += 1;
        }
    }
    assert_eq!(seen, 14);
    let schema: BTreeSet<&str> = all.into_iter().flatten().map(|(name, _)| *name).collect();
    assert_eq!(
        schema.len(),
        fields::CLUSTER.len() + fields::USER.len() - 1,
        "extensions alone stands in both"
    );
}

#[test]
fn empty_and_harmless_fields_pass() {
    for line in [
        "insecure-skip-tls-verify: false",
        "proxy-url: \"\"",
        "certificate-authority: null",
        "disable-compression: true",
        "extensions: [{name: minikube, extension: {version: v1}}]",
    ] {
        assert!(sanitise(&cluster(line), None).is_ok(), "{line}");
    }
    assert!(sanitise(&user("token: t\n    as: ''\n    as-groups: []\n    exec: ~"), None).is_ok());
    let text = user("token: t") + "preferences: {colors: true}\nextensions: []\n";
    assert!(sanitise(&text, None).is_ok());
    let json = serde_json::json!({ "clusters": [{ "name": "c", "cluster": { "server": "https://[::1]:6443" } }],
        "users": [{ "name": "u", "user": { "token": "t" } }],
        "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }] });
    assert!(sanitise(&json.to_string(), Some("x")).is_ok(), "JSON is YAML");
}

#[test]
fn servers_are_reached_by_https_alone() {
    let c = CANARY;
    for (server, words) in [
        ("http://c.example.org".to_owned(), "http://"),
        ("ftp://c.example.org".into(), "does not begin with https://"),
        (format!("https://{c}:x@c.example.org"), "user name or password"),
        (format!("https://c.example.org/?token={c}"), "query"),
        (format!("c.example.org {c}"), "is no address"),
    ] {
        refused(&config(&format!("server: '{server}'"), "token: t", ""), None, "6:13", words);
    }
    refused(&config("tls-server-name: x", "token: t", ""), None, "6:5", "has no `server`");
}

#[test]
fn the_rest_of_the_file_has_its_rules() {
    let c = CANARY;
    let good = user("token: t");
    refused(&user(&format!("token: '{c} {c}'")), None, "10:12", "is no token");
    refused(&user("token: ~"), None, "10:5", "no credential");
    let both = user(&format!("token: t\n    client-key-data: {}", base64(KEY)));
    refused(&both, None, "10:12", "both a token and a client certificate");
    let text = config("server: https://c", "token: t", &format!("namespace: {}", c.to_uppercase()));
    refused(&text, None, "16:16", "no name of a namespace");
    refused(&config("server: https://c", "token: t", "mode: x"), None, "16:5", "\"mode\" is not known");
    refused(&format!("{good}include: {c}\n"), None, "18:1", "\"include\" is not known");
    refused(&good.replace("kind: Config", "kind: Pod"), None, "2:7", "no kubeconfig");
    let twice = good.replace("- name: u\n", "- name: u\n  user: {token: x}\n- name: u\n");
    refused(&twice, None, "10:3", "two called u");
    refused("", None, "1:1", "empty");
    refused(c, None, "1:1", "holds no fields");
    refused(&format!("a: [{c}"), None, "1:4", "not YAML");
    refused(&format!("{good}kind: {c}\n"), None, "18:1", "twice");
    refused(&format!("a: &x {c}\nb: *x\n"), None, "2:4", "aliases");
    refused(&format!("{good}---\na: b\n"), None, "18:1", "second document");
    refused(&("[".repeat(100) + &"]".repeat(100)), None, "1:17", "nested");
    refused(&"a".repeat(LONGEST + 1), None, "1:1", "bytes");
}
