//! What README and docs say, tried: commands and flags, links, options, routes, names of tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::TestApp;

/// Every page of text that people read, by its path in the project.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(PathBuf::from).into();
    for folder in ["docs", "benches"] {
        let found = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.extend(found.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    let examples =
        std::fs::read_dir("examples").unwrap().map(|entry| entry.unwrap().path().join("README.md"));
    paths.extend(examples.filter(|path| path.is_file()));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// What stands in backquotes or in an indented or fenced block: code, in pieces.
fn code(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut fenced, mut text) = (false, String::new());
    for line in page.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            found.push(line.trim().to_owned());
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    found.extend(text.split('`').skip(1).step_by(2).map(|piece| piece.replace('\n', " ")));
    found
}

/// The arguments of every call of `slipway` in these pieces of code.
fn calls(pieces: &[String]) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for piece in pieces {
        // A call stands at the piece's beginning, or after what begins one in a shell.
        for part in piece.split(['|', ';', '(', ')']).flat_map(|part| part.split("&&")) {
            let words: Vec<&str> = part.split_whitespace().collect();
            let arguments = match words.as_slice() {
                ["slipway" | "./slipway" | "target/release/slipway", rest @ ..] => rest,
                ["cargo", "run", rest @ ..] => match rest.iter().position(|word| *word == "--") {
                    Some(at) => &rest[at + 1..],
                    None => continue,
                },
                _ => continue,
            };
            let end = arguments.iter().position(|word| word.starts_with(['>', '#', '<']) || *word == "…");
            let arguments = &arguments[..end.unwrap_or(arguments.len())];
            if !arguments.is_empty() {
                found.insert(arguments.iter().map(|word| (*word).to_owned()).collect());
            }
        }
    }
    found
}

/// The help of a subcommand; `None` when there is no such.
fn help(subcommand: &[&str]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_slipway")).args(subcommand).arg("--help").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn every_command_and_flag_that_is_named_is_there() {
    let mut tried = 0;
    for (path, page) in pages() {
        for call in calls(&code(&page)) {
            let words: Vec<&str> =
                call.iter().map(String::as_str).take_while(|word| !word.starts_with('-')).collect();
            // Arguments that are no subcommands come after: `completions bash`.
            let depth = if matches!(words.first(), Some(&("admin" | "config"))) { 2 } else { 1 };
            let subcommand = &words[..depth.min(words.len())];
            let help = help(subcommand)
                .unwrap_or_else(|| panic!("{}: there is no `slipway {}`", path.display(), call.join(" ")));
            for flag in call.iter().filter(|word| word.starts_with("--")) {
                let name = flag.split('=').next().unwrap();
                let stands = help.split(|c: char| c.is_whitespace() || c == ',').any(|word| word == name);
                assert!(stands, "{}: `slipway {}` takes no {name}", path.display(), subcommand.join(" "));
            }
            tried += 1;
        }
    }
    assert!(tried >= 8, "the pages name {tried} commands only: are they still read?");
}

/// Where the links of a page lead, titles and anchors cut off.
fn links(page: &str) -> Vec<String> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(|target| target.split([' ', '#']).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_link_leads_to_a_file() {
    for (path, page) in pages() {
        let folder = path.parent().unwrap();
        for link in links(&page) {
            // What another site has is its own, and what begins with a slash a running Slipway answers.
            if link.is_empty() || link.contains("://") || link.starts_with('/') || link.starts_with("mailto:")
            {
                continue;
            }
            assert!(folder.join(&link).exists(), "{}: {link} leads nowhere", path.display());
        }
        for piece in code(&page) {
            let is_path =
                piece.split('/').count() > 1 && !piece.contains([' ', '*', '{', '<', '$', ':', '…']);
            let ours = ["docs/", "src/", "tests/", "examples/", "benches/", "templates/", "static/", ".ci/"];
            if is_path && ours.iter().any(|start| piece.starts_with(start)) {
                let missing = !Path::new(&piece).exists() && !Path::new(&format!("{piece}.rs")).exists();
                assert!(!missing, "{}: there is no {piece}", path.display());
            }
        }
    }
}

#[test]
fn every_option_that_is_named_is_in_the_example() {
    let example = std::fs::read_to_string("config.example.toml").unwrap();
    let mut options = BTreeSet::new();
    let mut section = String::new();
    for line in example.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.split('.').next().unwrap().to_owned();
        } else if let Some((key, _)) = line.strip_prefix("# ").and_then(|rest| rest.split_once(" = ")) {
            options.insert(format!("{section}.{key}"));
            options.insert(format!("{section}.{}", key.trim_end_matches("_file")));
        }
    }
    let sections: BTreeSet<&str> = options.iter().map(|option| option.split('.').next().unwrap()).collect();
    let mut tried = 0;
    for (path, page) in pages() {
        for piece in code(&page) {
            let name: String =
                piece.chars().take_while(|c| c.is_ascii_lowercase() || matches!(c, '.' | '_')).collect();
            let is_option = name.split('.').count() == 2
                && sections.contains(name.split('.').next().unwrap())
                && (piece == name || piece[name.len()..].starts_with(" = "));
            if is_option && !name.ends_with(".toml") && !name.ends_with(".rs") {
                assert!(options.contains(&name), "{}: there is no option {name}", path.display());
                tried += 1;
            }
        }
    }
    assert!(tried >= 5, "the pages name {tried} options only: are they still read?");
}

#[tokio::test]
async fn the_page_of_the_api_names_every_route() {
    let it = TestApp::builder().start().await;
    let document = it.nobody().get("/api/v1/openapi.json").await.expect(200).json();
    let page = std::fs::read_to_string("docs/api.md").unwrap();
    let table: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .filter(|(route, _)| {
            ["GET ", "POST ", "PUT ", "PATCH ", "DELETE "].iter().any(|word| route.starts_with(word))
        })
        .map(|(route, _)| route.to_owned())
        .collect();
    let served: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let missing: Vec<&String> = served.difference(&table).collect();
    let gone: Vec<&String> = table.difference(&served).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/api.md lacks {missing:#?} and has in vain {gone:#?}"
    );
}

#[test]
fn every_test_that_the_page_on_security_names_is_there() {
    let page = std::fs::read_to_string("docs/security.md").unwrap();
    let mut tests = String::new();
    for folder in ["src", "tests/it"] {
        gather(Path::new(folder), &mut tests);
    }
    let mut tried = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 2) {
        let Some(named) = row.rsplit(" | ").next() else { continue };
        for name in named.split('`').skip(1).step_by(2) {
            let last = name.trim_end_matches("::").rsplit("::").next().unwrap();
            let found = tests.contains(&format!("fn {last}("))
                || tests.contains(&format!("mod {last};"))
                || tests.contains(&format!("mod {last} "));
            assert!(found, "there is no test {name}");
            tried += 1;
        }
    }
    assert!(tried >= 30, "{tried} tests only: is the page still read?");
}

fn gather(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, text);
        } else if path.extension().is_some_and(|end| end == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}
