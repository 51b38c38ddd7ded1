//! How images, paths, variables and command lines are written, whatever file or request they stand in.

/// What is wrong with an image reference (the grammar of the distribution project).
pub fn image_fault(text: &str) -> Option<&'static str> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let hex =
        |digest: &str| digest.len() == 64 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if digest.is_some_and(|digest| !digest.strip_prefix("sha256:").is_some_and(hex)) {
        return Some("its digest is not sha256: and 64 hex digits");
    }
    let slash = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest[slash..].split_once(':') {
        Some((last, tag)) => (&rest[..slash + last.len()], Some(tag)),
        None => (rest, None),
    };
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let good_tag = |tag: &str| {
        tag.len() <= 128
            && tag.bytes().next().is_some_and(word)
            && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
    };
    if tag.is_some_and(|tag| !good_tag(tag)) {
        return Some("its tag is not made of letters, digits, `_`, `.` and `-`");
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    if parts.len() > 1 && (parts[0].contains(['.', ':']) || parts[0] == "localhost") {
        let host = parts.remove(0);
        if !host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':')) {
            return Some("its host is none");
        }
    }
    let good = |part: &&str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
        edge(part.bytes().next()) && edge(part.bytes().last()) && part.bytes().all(inner)
    };
    if name.len() > 255 || !parts.iter().all(good) {
        return Some("its name is not made of lower-case letters, digits, `.`, `_` and `-`");
    }
    None
}

/// An image reference with a tag: one that names neither tag nor digest means `latest`.
pub fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or_default();
    if image.contains('@') || last.contains(':') { image.to_owned() } else { format!("{image}:latest") }
}

/// `text` without empty and `.` parts; `None` unless it is absolute, without `..` and printable.
pub fn absolute_path(text: &str) -> Option<String> {
    let parts: Vec<&str> =
        text.strip_prefix('/')?.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let plain = !parts.contains(&"..") && text.len() <= 4_096 && !text.chars().any(char::is_control);
    plain.then(|| format!("/{}", parts.join("/")))
}

/// How a user is written, for those who wrote it otherwise.
pub const USER: &str = "Write a user, or user and group: `1000`, `\"1000:1000\"`, `app`.";

/// Whether it is a user, or a user and a group.
pub fn is_user(text: &str) -> bool {
    let word = |part: &str| {
        let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$');
        !part.is_empty() && part.len() <= 64 && !part.starts_with('-') && part.chars().all(rest)
    };
    let parts: Vec<&str> = text.split(':').collect();
    parts.len() <= 2 && parts.into_iter().all(word)
}

/// Whether it is a name of an environment variable: letters, digits, `_`, `.` and `-`, not starting with a digit.
pub fn is_variable(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(good)
}

/// What only a shell would do outside quotes.
pub const SHELL: [char; 6] = [';', '&', '|', '<', '>', '`'];

/// Why a command line can't be split into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLine {
    /// A quote that is not closed, or a backslash at the end.
    OpenQuote,
    /// Something only a shell would do.
    Operator(char),
}

/// A command line into words, by the quoting rules of a POSIX shell and nothing else of it: `#` begins no comment, `$`
/// stands for itself. Outside quotes none of `operators` may stand.
pub fn words(line: &str, operators: &[char]) -> Result<Vec<String>, BadLine> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next().ok_or(BadLine::OpenQuote)? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => double_quoted(&mut characters, word.get_or_insert_default())?,
            '\\' => match characters.next() {
                Some('\n') => {}
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err(BadLine::OpenQuote),
            },
            c if operators.contains(&c) => return Err(BadLine::Operator(c)),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn double_quoted(characters: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), BadLine> {
    loop {
        match characters.next().ok_or(BadLine::OpenQuote)? {
            '"' => return Ok(()),
            '\\' => match characters.next().ok_or(BadLine::OpenQuote)? {
                '\n' => {}
                c @ ('"' | '\\' | '$' | '`') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn image_references() {
        let digest = "a".repeat(64);
        for good in [
            "redis",
            "redis:7",
            "python:3.11-slim",
            "team/api_v2:1.0",
            "localhost/api",
            "host.example:5000/team/api:1",
            &format!("redis@sha256:{digest}"),
            &format!("host:5000/redis:7@sha256:{digest}"),
        ] {
            assert_eq!(image_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "Redis",
            "redis:",
            "redis:a b",
            "-x",
            "a//b",
            "/a",
            "a/",
            "redis@sha256:12",
            "redis@md5:x",
            "a:b:c",
            "ü",
            "host!.x/a",
            "--privileged",
        ] {
            assert!(image_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn an_image_without_a_tag_means_the_latest() {
        let digest = format!("redis@sha256:{}", "a".repeat(64));
        for (text, expected) in [
            ("redis", "redis:latest"),
            ("host:5000/redis", "host:5000/redis:latest"),
            ("host:5000/redis:7", "host:5000/redis:7"),
            (&digest, &digest),
        ] {
            assert_eq!(with_tag(text), expected);
        }
    }

    #[test]
    fn absolute_paths_are_cleaned_and_do_not_climb() {
        for (text, expected) in [
            ("/data", Some("/data")),
            ("//data/./x/", Some("/data/x")),
            ("/", Some("/")),
            ("/a/../b", None),
            ("data", None),
            ("", None),
            ("/a\nb", None),
        ] {
            assert_eq!(absolute_path(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn command_lines() {
        let split = |line: &str| words(line, &SHELL).map(|words| words.join("|"));
        assert_eq!(split("uvicorn app:app --host 0.0.0.0"), Ok("uvicorn|app:app|--host|0.0.0.0".to_owned()));
        assert_eq!(
            split(r#"sh -c 'a && b' "c \"d\" \n" e\ f '' "#),
            Ok(r#"sh|-c|a && b|c "d" \n|e f|"#.to_owned())
        );
        assert_eq!(split("a \\\n  b\n"), Ok("a|b".to_owned()));
        assert_eq!(split(""), Ok(String::new()));
        assert_eq!(split("a 'b"), Err(BadLine::OpenQuote));
        assert_eq!(split("a && b"), Err(BadLine::Operator('&')));
        assert_eq!(split("a > f"), Err(BadLine::Operator('>')));
    }

    #[test]
    fn where_no_shell_is_thought_of_its_signs_are_letters() {
        let split = |line: &str| words(line, &[]).map(|words| words.join("|"));
        assert_eq!(split("notebook --token=a&b;c # $HOME"), Ok("notebook|--token=a&b;c|#|$HOME".to_owned()));
        assert_eq!(split("a \\"), Err(BadLine::OpenQuote));
    }

    /// In single quotes, as a shell would need it.
    fn quoted(word: &str) -> String {
        format!("'{}'", word.replace('\'', r"'\''"))
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(given in proptest::collection::vec(any::<String>(), 0..6), gap in "[ \t\n]{1,3}") {
            let line: Vec<String> = given.iter().map(|word| quoted(word)).collect();
            prop_assert_eq!(words(&line.join(&gap), &SHELL), Ok(given));
        }

        #[test]
        fn no_line_is_too_odd(line in any::<String>()) {
            // Nothing of a line gets lost but quotes, backslashes and the gaps between words.
            if let Ok(found) = words(&line, &[]) {
                let kept = found.concat();
                let expected = |c: &char| !matches!(c, '\'' | '"' | '\\' | ' ' | '\t' | '\n' | '\r');
                prop_assert!(line.chars().filter(expected).eq(kept.chars().filter(expected)));
            }
        }
    }
}
