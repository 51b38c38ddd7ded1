//! How grave a line sounds, from the word that loggers write: `ERROR`, `level=warn`, `"level":"info"`, `[debug]`.

/// How far into a line the word is looked for.
const NEAR: usize = 160;

/// `error`, `warn`, `info`, `debug`, or empty where the line does not say.
///
/// A word in capitals counts by itself; in small letters only where it is marked as a level, because `GET /error` is no
/// error.
pub fn of(line: &str) -> &'static str {
    let near = line.char_indices().nth(NEAR).map_or(line, |(at, _)| &line[..at]);
    let mut rest = near;
    let mut before = "";
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let gap = &rest[..start];
        let word = &rest[start..];
        let end = word.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        let level = named(word);
        if !level.is_empty() && (is_shouted(word) || is_marked(before, gap, after)) {
            return level;
        }
        before = word;
        rest = after;
    }
    ""
}

fn is_shouted(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// `level=warn`, `"level":"warn"`, `severity: warn`, `[warn]`, `<warn>`, `warn:` at the line's start.
fn is_marked(before: &str, gap: &str, after: &str) -> bool {
    let bracketed =
        gap.ends_with('[') && after.starts_with(']') || gap.ends_with('<') && after.starts_with('>');
    let leads = before.is_empty() && gap.trim().is_empty() && after.starts_with(':');
    let keyed = ["level", "lvl", "severity"].iter().any(|key| before.eq_ignore_ascii_case(key))
        && gap.contains(['=', ':'])
        && gap.len() <= 5;
    bracketed || keyed || leads
}

fn named(word: &str) -> &'static str {
    const LEVELS: [(&str, &str); 13] = [
        ("error", "error"),
        ("err", "error"),
        ("fatal", "error"),
        ("critical", "error"),
        ("panic", "error"),
        ("alert", "error"),
        ("emerg", "error"),
        ("warning", "warn"),
        ("warn", "warn"),
        ("info", "info"),
        ("notice", "info"),
        ("debug", "debug"),
        ("trace", "debug"),
    ];
    LEVELS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map_or("", |(_, level)| level)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn levels_are_read_as_loggers_write_them() {
        for (line, level) in [
            ("ERROR cache timeout after 250ms", "error"),
            ("2026-11-21 03:00:00,123 WARNING retraining is late", "warn"),
            ("{\"level\":\"warn\",\"msg\":\"x\"}", "warn"),
            ("time=1 level=info msg=\"no error\"", "info"),
            ("[debug] cache", "debug"),
            ("error: no such file", "error"),
            ("INFO:     127.0.0.1 - \"GET /error HTTP/1.1\" 200", "info"),
            ("GET /error 200 12ms", ""),
            ("epoch 11/20 loss 0.08 error 0.2", ""),
            ("", ""),
        ] {
            assert_eq!(of(line), level, "{line}");
        }
    }
}
