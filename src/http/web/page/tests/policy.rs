//! What holds for every template, script and style sheet, whoever writes it.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::{Nav, Page, State, Tone};
use super::signed_in;
use crate::domain::health::Health;

fn files(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if !path.ends_with("vendor") {
                    walk(&path, ending, found);
                }
            } else if path.extension().is_some_and(|e| e == ending) {
                let text = fs::read_to_string(&path).expect("text");
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), ending, &mut found);
    assert!(!found.is_empty(), "no .{ending} under {folder}");
    found
}

/// What follows each `start` up to the next quote.
fn quoted_after<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.split(start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The one page that hands the browser on: to the provider's own sign-out, where no form may lead.
const HANDS_ON: &str = "signing_out.html";

#[test]
fn templates_keep_the_content_security_policy() {
    for (path, text) in files("templates", "html") {
        let mut low = text.to_lowercase();
        if path.ends_with(HANDS_ON) {
            low = low.replacen("<meta http-equiv=\"refresh\"", "", 1);
        }
        for banned in ["style=", "<style", "|safe", "| safe", "javascript:", "hx-on", "js:", "http-equiv"] {
            assert!(!low.contains(banned), "{} holds {banned}", path.display());
        }
        let handler = low.split([' ', '\n']).find(|word| {
            let name = word.split('=').next().unwrap_or_default();
            word.contains('=') && name.starts_with("on") && name.chars().all(|c| c.is_ascii_lowercase())
        });
        assert_eq!(handler, None, "{} holds an inline handler", path.display());
        for script in low.split("<script").skip(1) {
            let tag = script.split('>').next().unwrap_or_default();
            assert!(tag.contains("src="), "{} holds an inline script", path.display());
        }
    }
}

#[test]
fn scripts_make_text_and_never_markup() {
    for (path, text) in files("static", "js") {
        for banned in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
        {
            assert!(!text.contains(banned), "{} holds {banned}", path.display());
        }
    }
    for (path, text) in files("static", "css") {
        assert!(!text.contains("url(\"http") && !text.contains("@import"), "{}", path.display());
    }
}

#[test]
fn every_symbol_that_is_drawn_is_in_the_sprite() {
    let sprite = files("static", "svg").into_iter().find(|(path, _)| path.ends_with("sprite.svg"));
    let sprite = sprite.expect("the sprite").1;
    let known = quoted_after(&sprite, "<symbol id=\"");
    let drawn = files("templates", "html").into_iter().chain(files("static", "js"));
    let mut names: Vec<String> = drawn
        .flat_map(|(_, text)| {
            quoted_after(&text, "icon(\"").into_iter().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let healths = [
        Health::Unknown,
        Health::Error,
        Health::OutOfSync,
        Health::Unhealthy,
        Health::Warning,
        Health::Healthy,
    ];
    names.extend(healths.map(|health| State::from(health).shape.to_owned()));
    names.extend(
        [Tone::Ok, Tone::Warn, Tone::Bad, Tone::Sync, Tone::Info].map(|tone| tone.shape().to_owned()),
    );
    let whole = Page { nav: Nav { clusters: true, approvals: true, ..Nav::default() }, ..signed_in("x") };
    names.extend(whole.nav_items().iter().map(|item| item.icon.to_owned()));
    for name in names {
        assert!(known.contains(&name.as_str()), "the sprite has no {name}");
    }
}
