//! The configuration as text: what takes effect with each value's source, and the commented example.

use std::fmt::Write as _;

use crate::config::layers::{Entry, Source};
use crate::config::section::{self, OptionInfo, Section};
use crate::config::value::quoted;

/// What takes effect, as TOML; each line says where its value comes from. Secrets stay hidden.
pub fn effective(entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut heading = "";
    for entry in entries {
        if entry.section != heading {
            let gap = if heading.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{}]", spelled(&entry.section));
            heading = &entry.section;
        }
        let (key, source) = (entry.key, &entry.source);
        let _ = match &entry.shown {
            Some(_) if entry.secret => writeln!(text, "# {key} is set, and hidden  # {source}"),
            Some(value) => writeln!(text, "{key} = {value}  # {source}"),
            None if *source == Source::Default => writeln!(text, "# {key} is not set"),
            None => writeln!(text, "# {key} is not set  # {source}"),
        };
    }
    text
}

/// `server`, `registry."ghcr.io"`
fn spelled(section: &str) -> String {
    match section.split_once('.') {
        Some((table, host)) => format!("{table}.{}", quoted(host)),
        None => section.to_owned(),
    }
}

/// Every option, commented, with its default: `config.example.toml`.
pub fn example() -> String {
    let mut text = String::from(EXAMPLE_HEAD);
    part::<section::Server>(&mut text, "server");
    part::<section::Log>(&mut text, "log");
    part::<section::Data>(&mut text, "data");
    part::<section::Access>(&mut text, "access");
    part::<section::Oidc>(&mut text, "oidc");
    part::<section::Session>(&mut text, "session");
    part::<section::Bundles>(&mut text, "bundles");
    part::<section::Updates>(&mut text, "updates");
    part::<section::Registry>(&mut text, "registry.registry.example.org");
    part::<section::Kubeconfig>(&mut text, "kubeconfig.prod");
    part::<section::Metrics>(&mut text, "metrics");
    part::<section::Docker>(&mut text, "docker");
    part::<section::Datacater>(&mut text, "datacater");
    part::<section::Renga>(&mut text, "renga");
    text
}

const EXAMPLE_HEAD: &str = "\
# Slipway's configuration: every option, commented, with its default. Slipway runs without any of it.
#
# Put it as config.toml into the data directory, or name it with --config. The environment comes before the file
# (SLIPWAY_SECTION__KEY, e.g. SLIPWAY_SERVER__LISTEN; lists with commas), flags come before the environment. A secret
# may stand in a file of its own, named by <key>_file here or by SLIPWAY_SECTION__KEY_FILE.
# `slipway config check` says what is wrong, `slipway config print` what takes effect and where it comes from.
";

fn part<S: Section>(text: &mut String, name: &str) {
    text.push('\n');
    for line in S::ABOUT {
        let _ = writeln!(text, "#{line}");
    }
    let _ = writeln!(text, "[{}]", spelled(name));
    for option in S::options() {
        for line in option.about {
            let _ = writeln!(text, "#{line}");
        }
        let _ = writeln!(text, "{}", assignment(&option));
    }
}

fn assignment(option: &OptionInfo) -> String {
    let key = option.key;
    match (&option.default, option.example) {
        _ if option.secret => format!("# {key}_file = \"/run/secrets/{key}\"  # or {key}; not set"),
        (Some(default), None) => format!("# {key} = {default}"),
        (Some(default), Some(example)) => format!("# {key} = {default}  # e.g. {example}"),
        (None, Some(example)) => format!("# {key} = {example}  # not set"),
        (None, None) => format!("# {key} = \"\"  # not set"),
    }
}
