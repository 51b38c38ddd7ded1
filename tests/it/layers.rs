//! Holds DESIGN's import rules: which module may name which other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each top-level module may import besides itself.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("domain", [].as_slice()),
        ("compose", &["domain"]),
        ("plugin", &["domain"]),
        ("blob", &["domain"]),
        ("crypto", &["domain"]),
        ("engine", &["domain"]),
        ("bus", &["domain"]),
        // Topics are published when a commit is durable, so the store hands them to the bus.
        ("store", &["domain", "bus"]),
        ("config", &["domain"]),
        ("tls", &[]),
        ("auth", &["domain", "bus", "store", "crypto", "tls"]),
        ("app", &["domain", "bus", "store", "crypto", "blob", "compose", "plugin", "engine"]),
        ("reconcile", &["domain", "bus", "store", "crypto", "blob", "compose", "plugin", "engine"]),
        // `http` stands on `app`; it names `store` types that `app` hands out, and `auth` for who asks.
        ("http", &["domain", "bus", "store", "auth", "app", "blob", "engine", "crypto"]),
        (
            "instance",
            &["domain", "bus", "store", "auth", "app", "blob", "engine", "crypto", "reconcile", "config"],
        ),
        (
            "cli",
            &[
                "domain",
                "bus",
                "store",
                "auth",
                "app",
                "blob",
                "engine",
                "crypto",
                "reconcile",
                "config",
                "http",
                "instance",
                "tls",
            ],
        ),
    ])
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The top-level modules that a source text names as `crate::x` or inside `use crate::{x, …}`.
fn named(text: &str) -> Vec<(usize, String)> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for rest in line.split("crate::").skip(1) {
            let group = rest.strip_prefix('{').map(|group| group.split('}').next().unwrap_or_default());
            let names: Vec<&str> = group.map_or_else(|| vec![rest], |group| group.split(',').collect());
            for name in names {
                let word: String =
                    name.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if !word.is_empty() {
                    found.push((number + 1, word));
                }
            }
        }
    }
    found
}

#[test]
fn layers_import_only_what_the_design_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (allowed, mut files, mut wrong, mut seen) = (allowed(), Vec::new(), Vec::new(), 0);
    rust_files(&src, &mut files);
    for file in files {
        let below = file.strip_prefix(&src).unwrap();
        let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        if matches!(module, "main" | "lib") {
            continue;
        }
        let Some(may) = allowed.get(module) else {
            wrong.push(format!("{module} is in no layer: name it in tests/it/layers.rs"));
            continue;
        };
        for (line, name) in named(&fs::read_to_string(&file).unwrap()) {
            seen += 1;
            if name != module && allowed.contains_key(name.as_str()) && !may.contains(&name.as_str()) {
                wrong.push(format!("{}:{line}: {module} names {name}", below.display()));
            }
        }
    }
    assert!(seen > 200, "only {seen} imports were found: the reader of sources is broken");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn only_http_knows_actix_and_only_the_store_knows_sql() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut wrong) = (Vec::new(), Vec::new());
    rust_files(&src, &mut files);
    for file in files {
        let below = file.strip_prefix(&src).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        if text.contains("actix") && !below.starts_with("http") {
            wrong.push(format!("{below} names actix"));
        }
        let sql = ["SELECT ", "INSERT INTO", "DELETE FROM"].iter().any(|word| text.contains(word));
        if sql && !below.starts_with("store") {
            wrong.push(format!("{below} holds SQL"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
