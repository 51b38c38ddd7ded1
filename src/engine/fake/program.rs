//! What a fake container does: a few shell words are understood, so that one test suite can say what a container
//! prints and how it ends on every engine. Whatever is not understood runs on and prints nothing.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::engine::LogStream;

/// What a program sees.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub(super) environment: BTreeMap<String, String>,
    /// Content by absolute path.
    pub(super) files: BTreeMap<String, Bytes>,
    /// Where nothing can be written but below `writable`.
    pub(super) read_only: bool,
    /// Folders that can be written in any case.
    pub(super) writable: Vec<String>,
    /// What the kernel says of limits, by the words after `ulimit`.
    pub(super) limits: BTreeMap<String, String>,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) lines: Vec<(LogStream, Bytes)>,
    /// Its exit code; `None` while it runs on.
    pub(super) end: Option<i64>,
}

/// Runs `argv`.
///
/// # Errors
/// Words for people when there is no such executable: one whose name starts with `no-such`.
pub(super) fn run(argv: &[String], around: &Surroundings) -> Result<Outcome, String> {
    let Some(program) = argv.first() else {
        return Ok(Outcome::default());
    };
    let name = program.rsplit('/').next().unwrap_or(program);
    if name.starts_with("no-such") {
        return Err(format!("{program}: no such executable in the image. Check `command` and `entrypoint`."));
    }
    let mut outcome = Outcome::default();
    match argv {
        [shell, flag, script] if flag == "-c" && (shell == "sh" || shell == "/bin/sh") => {
            for line in script.split([';', '\n']).flat_map(|part| part.split("&&")).map(str::trim) {
                let words: Vec<String> = line.split_whitespace().map(|word| expand(word, around)).collect();
                if !words.is_empty() && !step(&words, around, &mut outcome) {
                    return Ok(outcome);
                }
            }
            outcome.end.get_or_insert(0);
        }
        _ if step(argv, around, &mut outcome) => {
            outcome.end.get_or_insert(0);
        }
        _ => {}
    }
    Ok(outcome)
}

/// Runs one command; `false` when nothing after it runs.
fn step(words: &[String], around: &Surroundings, outcome: &mut Outcome) -> bool {
    let (words, stream) = match words.split_last() {
        Some((last, rest)) if last == ">&2" => (rest, LogStream::Stderr),
        _ => (words, LogStream::Stdout),
    };
    let first = |at: usize| words.get(at).map_or("", String::as_str);
    let mut print = |text: Bytes| {
        for line in text.split(|byte| *byte == b'\n') {
            outcome.lines.push((stream, Bytes::copy_from_slice(line)));
        }
    };
    match first(0) {
        "exec" => return step(&words[1..], around, outcome),
        "echo" => print(Bytes::from(words[1..].join(" "))),
        "printenv" => match around.environment.get(first(1)) {
            Some(value) => print(Bytes::from(value.clone())),
            None => return end(outcome, 1),
        },
        "cat" => match around.files.get(first(1)) {
            Some(content) => {
                print(content.strip_suffix(b"\n").map_or(content.clone(), Bytes::copy_from_slice))
            }
            None => return end(outcome, 1),
        },
        "touch" => {
            let path = first(1);
            let inside = |folder: &String| {
                path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
            };
            if around.read_only && !around.writable.iter().any(inside) {
                print(Bytes::from(format!("touch: {path}: Read-only file system")));
                return end(outcome, 1);
            }
        }
        "ulimit" => print(Bytes::from(around.limits.get(first(1)).cloned().unwrap_or_default())),
        "seq" => {
            let (from, to) = (first(1).parse().unwrap_or(1_u64), first(2).parse().unwrap_or(0_u64));
            (from..=to).for_each(|number| print(Bytes::from(number.to_string())));
        }
        "exit" => return end(outcome, first(1).parse().unwrap_or(0)),
        "true" | ":" => {}
        "false" => return end(outcome, 1),
        "sleep" if first(1).parse::<f64>().is_ok_and(|seconds| seconds < 1.0) => {}
        _ => return false,
    }
    true
}

fn end(outcome: &mut Outcome, code: i64) -> bool {
    outcome.end = Some(code);
    false
}

fn expand(word: &str, around: &Surroundings) -> String {
    let bare = word.trim_matches(['"', '\'']);
    match bare.strip_prefix('$') {
        Some(name) => around.environment.get(name).cloned().unwrap_or_default(),
        None => bare.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Outcome {
        let around = Surroundings {
            environment: BTreeMap::from([("NAME".into(), "iris".into())]),
            files: BTreeMap::from([("/run/secrets/token".into(), Bytes::from_static(b"s3cret\n"))]),
            ..Surroundings::default()
        };
        run(&["sh".into(), "-c".into(), script.into()], &around).unwrap()
    }

    #[test]
    fn it_prints_and_ends() {
        let outcome = shell("echo hello $NAME; echo oops >&2; cat /run/secrets/token && exit 3");
        let text: Vec<&[u8]> = outcome.lines.iter().map(|(_, text)| text.as_ref()).collect();
        assert_eq!(text, [b"hello iris".as_slice(), b"oops", b"s3cret"]);
        assert_eq!(outcome.lines[1].0, LogStream::Stderr);
        assert_eq!(outcome.end, Some(3));
    }

    #[test]
    fn it_runs_on_where_it_sleeps_or_is_not_understood() {
        assert_eq!(shell("echo up; sleep 600; echo never").end, None);
        assert_eq!(shell("httpd -f").end, None);
        assert_eq!(shell("cat /missing; echo never").end, Some(1));
        assert!(run(&["/no-such-thing".into()], &Surroundings::default()).is_err());
    }
}
