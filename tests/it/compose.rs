//! Compose files as people write them: each fixture with the workload it gives, or with everything that is wrong
//! with it. The fixtures named `…-as-found` are published examples of other projects, which people will upload.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;
use slipway::compose::{self, Input};
use slipway::domain::bundle::{BundleFile, Digest, Manifest};
use slipway::domain::workload::{Image, Restart, ServiceKind};
use slipway::domain::{Error, Kind, Result};

/// Reads `text` as the compose file of a bundle that holds `files`.
fn parse(text: &str, files: &BTreeMap<String, String>) -> Result<Manifest> {
    let list: Vec<BundleFile> = files
        .iter()
        .map(|(path, content)| BundleFile {
            path: path.clone(),
            size: content.len() as u64,
            sha256: Digest::of(content.as_bytes()),
            executable: false,
        })
        .collect();
    compose::parse(&Input {
        path: "compose.yaml",
        text,
        env: files.get(".env").map(String::as_str),
        files: &list,
        read: &|path| files.get(path).cloned().ok_or_else(|| Error::not_found("bundle file", path)),
    })
}

fn alone(text: &str) -> Result<Manifest> {
    parse(text, &BTreeMap::new())
}

/// The bundle's other files, which a fixture names in its first lines: `# file PATH = CONTENT`.
fn files(text: &str) -> BTreeMap<String, String> {
    let named = text.lines().filter_map(|line| line.strip_prefix("# file ")?.split_once(" ="));
    named.map(|(path, content)| (path.to_owned(), content.trim_start().replace("\\n", "\n"))).collect()
}

fn shown(result: Result<Manifest>) -> String {
    match result {
        Ok(manifest) => serde_json::to_string_pretty(&manifest).unwrap(),
        Err(error) => {
            assert_eq!((error.kind, error.code), (Kind::Invalid, "compose_refused"));
            let mut out = String::new();
            for problem in error.problems {
                let hint = problem.hint.expect("every problem has its way out");
                writeln!(out, "{} {}\n    {hint}", problem.place, problem.message).unwrap();
            }
            out
        }
    }
}

#[test]
fn fixtures_give_what_their_snapshots_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/compose");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 20);
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        insta::assert_snapshot!(name, shown(parse(&text, &files(&text))));
    }
}

#[test]
fn what_the_project_ships_as_examples_is_read() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut read = 0;
    for example in std::fs::read_dir(examples).unwrap() {
        let folder = example.unwrap().path();
        if !folder.join("compose.yaml").exists() {
            continue;
        }
        let mut files = BTreeMap::new();
        collect(&folder, &folder, &mut files);
        let manifest = parse(&files["compose.yaml"].clone(), &files);
        let manifest = manifest.unwrap_or_else(|error| panic!("{}: {}", folder.display(), shown(Err(error))));
        assert!(!manifest.workload.services.is_empty());
        read += 1;
    }
    assert!(read >= 3);
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let content = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            files.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), content);
        }
    }
}

#[test]
fn restart_is_always_unless_said_otherwise_and_tasks_never_do() {
    let manifest = alone(
        "services:\n  a: {image: a}\n  b: {image: b, restart: no}\n  c: {image: c, x-slipway: {kind: task}}\n  \
         d: {image: d, depends_on: {e: {condition: service_completed_successfully}}}\n  e: {image: e}\n",
    )
    .unwrap();
    let restart = |name: &str| manifest.workload.services[name].restart;
    assert_eq!((restart("a"), restart("b"), restart("c")), (Restart::Always, Restart::No, Restart::No));
    assert_eq!(manifest.workload.services["e"].kind, ServiceKind::Task);
    assert_eq!(restart("e"), Restart::No);
}

#[test]
fn a_file_that_is_too_large_is_refused_before_it_is_read() {
    let error = alone(&" ".repeat((1 << 20) + 1)).unwrap_err();
    assert_eq!(error.kind, Kind::TooLarge);
}

#[test]
fn hostile_files_end_in_a_refusal_soon() {
    let laughs = (1..40).fold("x-a0: &a0 [a, a, a, a, a, a, a, a, a, a]\n".to_owned(), |text, at| {
        text + &format!("x-a{at}: &a{at} [{}]\n", vec![format!("*a{}", at - 1); 10].join(","))
    });
    let many_problems: String = (0..30_000).map(|at| format!("unknown{at}: 1\n")).collect();
    let many_services: String = (0..20_000).map(|at| format!("  s{at}: {{image: a}}\n")).collect();
    let chain: String = (0..5_000)
        .map(|at| format!("  s{at}: {{image: a, depends_on: [s{}]}}\n", (at + 1) % 5_000))
        .collect();
    let unknown: String =
        (0..20_000).map(|at| format!("  s{at}: {{image: a, depends_on: [t{at}]}}\n")).collect();
    let names: Vec<String> = (0..300).map(|at| format!("s{at}")).collect();
    let dense: String = names
        .iter()
        .map(|name| format!("  {name}: {{image: a, depends_on: [{}]}}\n", names.join(",")))
        .collect();
    let variables = BTreeMap::from([(".env".to_owned(), format!("A={}", "x".repeat(60_000)))]);
    let grows: String = "$A".repeat(1_000);
    for (text, files) in [
        (laughs, BTreeMap::new()),
        (many_problems, BTreeMap::new()),
        (format!("services:\n{chain}"), BTreeMap::new()),
        (format!("services:\n{unknown}"), BTreeMap::new()),
        (format!("services:\n{dense}"), BTreeMap::new()),
        (format!("services: {{a: {{image: a, labels: {{x: {grows}}}}}}}"), variables),
        ("{".repeat(60_000), BTreeMap::new()),
        ("- ".repeat(60_000), BTreeMap::new()),
        ("? ".repeat(60_000), BTreeMap::new()),
        (format!("services: {{a: {{image: {}}}}}", "${A:-".repeat(50_000)), BTreeMap::new()),
        (format!("services: {{a: {{image: {}}}}}", "x".repeat(900_000)), BTreeMap::new()),
        (format!("{}: 1", "k".repeat(900_000)), BTreeMap::new()),
        (format!("services: {{a: {{image: a, command: \"{}\\\"}}}}", "\\n".repeat(400_000)), BTreeMap::new()),
        (format!("services: {{a: {}}}", "&a ".repeat(100_000)), BTreeMap::new()),
        (format!("x: &x {{<<: {}}}", "[*x, ".repeat(20_000)), BTreeMap::new()),
        (format!("{}services: {{}}", "---\n".repeat(100_000)), BTreeMap::new()),
    ] {
        let begun = std::time::Instant::now();
        let error = parse(&text, &files).unwrap_err();
        assert!(!error.problems.is_empty() && error.problems.len() <= 101);
        // A debug build on a busy machine: a release takes a fiftieth of it.
        let (took, head) = (begun.elapsed(), text.chars().take(40).collect::<String>());
        assert!(took < std::time::Duration::from_secs(20), "{head:?} took {took:?}");
    }
    assert!(alone(&format!("services:\n{many_services}")).is_ok());
}

/// Text made of what compose files are made of, so that it gets past the first line.
fn fragments() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "services:",
        "\n",
        "\n  ",
        "\n    ",
        "a:",
        "image:",
        " redis",
        "ports:",
        "- ",
        "\"80:80\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ": ",
        "&x ",
        "*x",
        "<<:",
        "$",
        "${A:-b}",
        "${",
        "environment:",
        "A=1",
        "volumes:",
        "./x:/y",
        "deploy:",
        "replicas:",
        " 2",
        "healthcheck:",
        "test:",
        "depends_on:",
        "!!str ",
        "|\n",
        ">-\n",
        "#",
        "'",
        "\"",
        "\t",
        "~",
        "null",
        "x-slipway:",
        "kind:",
        "task",
        "---",
        "...",
        "%",
        "?",
        "ü",
        "\u{0}",
        "configs:",
        "secrets:",
        "command:",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = alone(&text);
    }

    #[test]
    fn no_fragments_make_the_parser_panic(text in fragments(), env in fragments()) {
        let files = BTreeMap::from([(".env".to_owned(), env), ("x".to_owned(), String::new())]);
        match parse(&text, &files) {
            Ok(manifest) => {
                // What was refused while it was read is never let through with a stand-in.
                for service in manifest.workload.services.values() {
                    prop_assert!(service.image != Image::Reference(String::new()));
                }
            }
            Err(error) => for problem in &error.problems {
                prop_assert!(problem.hint.is_some() && !problem.message.is_empty());
                let place: Vec<&str> = problem.place.split(':').collect();
                prop_assert!(place.len() == 3 && place[1..].iter().all(|n| n.parse::<u32>().is_ok_and(|n| n > 0)));
            }
        }
    }

    /// What is written comes back, whatever characters it holds.
    #[test]
    fn values_survive_quoting(value in "\\PC{0,40}", image in "[a-z]{1,10}(:[a-z0-9]{1,5})?") {
        let quoted = serde_json::to_string(&value.replace('$', "$$")).unwrap();
        let text = format!("services:\n  a:\n    image: {image}\n    environment:\n      V: {quoted}\n");
        let manifest = alone(&text).unwrap();
        let service = &manifest.workload.services["a"];
        prop_assert_eq!(&service.image, &Image::Reference(image));
        let expected = slipway::domain::workload::EnvValue::Plain(value);
        prop_assert_eq!(&service.environment["V"], &expected);
    }
}

#[test]
fn tests_lie_apart_and_a_bundle_of_tests_alone_is_refused() {
    let manifest = alone(
        "services:\n  api: {image: a}\n  smoke: {image: b, x-slipway: {kind: test}, depends_on: [api]}\n",
    )
    .unwrap();
    let names: Vec<&str> = manifest.workload.services.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["api"]);
    let smoke = &manifest.workload.tests["smoke"];
    assert_eq!((smoke.kind, smoke.restart, smoke.replicas), (ServiceKind::Task, Restart::No, 1));
    let error = alone("services:\n  smoke: {image: b, x-slipway: {kind: test}}\n").unwrap_err();
    assert!(error.problems[0].message.contains("every service is a test"), "{error:?}");
    // What a bundle without tests says is what it said before there were any: plans and digests stay.
    let plain = serde_json::to_string(&alone("services: {api: {image: a}}").unwrap().workload).unwrap();
    assert!(!plain.contains("tests"), "{plain}");
}
