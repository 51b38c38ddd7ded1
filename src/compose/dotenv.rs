//! `.env` and `env_file` text, in the grammar that Compose reads.
//!
//! `KEY=value` lines; `export` before a key is allowed; `'…'` is literal, `"…"` knows escapes, both may span lines;
//! outside single quotes variables are put in, of the same file or of `.env`; ` #` starts a comment.

use crate::compose::interpolate::{self, Fault, Variables};
use crate::compose::report::Report;
use crate::domain::notation::is_variable;

/// One assignment; `None` names the variable without giving it a value.
pub type Assignment = (String, Option<String>);

/// Reads `text` of the bundle's file `path`. A later assignment of a name wins, as in a shell.
pub fn read(path: &str, text: &str, known: &Variables, report: &mut Report) -> Vec<Assignment> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut file = File { path, rest: text, line: 1, seen: known.clone(), left: interpolate::BUDGET, report };
    let mut found = Vec::new();
    while !file.rest.is_empty() {
        if let Some((name, value)) = file.assignment() {
            if let Some(value) = &value {
                file.seen.insert(name.clone(), value.clone());
            }
            found.push((name, value));
        }
        file.skip_line();
    }
    found
}

/// `KEY=value` lines without quotes, comments or variables (`format: raw`).
pub fn read_raw(path: &str, text: &str, report: &mut Report) -> Vec<Assignment> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (line, None),
        };
        if is_variable(name) {
            found.push((name.to_owned(), value));
        } else {
            bad_name(path, at + 1, name, report);
        }
    }
    found
}

fn bad_name(path: &str, line: usize, name: &str, report: &mut Report) {
    let shown: String = name.chars().take(40).collect();
    let hint =
        "Write `NAME=value`, the name of letters, digits, `_`, `.` and `-`; a comment starts with `#`.";
    report.in_file(path, line, format!("{shown:?} is no name of a variable"), hint);
}

struct File<'a, 'r> {
    path: &'a str,
    rest: &'a str,
    line: usize,
    seen: Variables,
    left: usize,
    report: &'r mut Report,
}

impl<'a> File<'a, '_> {
    fn assignment(&mut self) -> Option<Assignment> {
        let line = self.rest.lines().next().unwrap_or_default();
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return None;
        }
        let bare = |text: &'a str| text.trim_start().strip_prefix("export ").unwrap_or(text).trim();
        let Some((name, _)) = line.split_once('=') else {
            let name = bare(line).split(" #").next().unwrap_or_default().trim_end();
            if is_variable(name) {
                return Some((name.to_owned(), None));
            }
            bad_name(self.path, self.line, name, self.report);
            return None;
        };
        self.rest = self.rest[name.len() + 1..].trim_start_matches([' ', '\t']);
        let name = bare(name);
        if !is_variable(name) {
            bad_name(self.path, self.line, name, self.report);
            return None;
        }
        let value = self.value()?;
        Some((name.to_owned(), Some(value)))
    }

    fn value(&mut self) -> Option<String> {
        match self.rest.chars().next() {
            Some('\'') => {
                let inside = self.quoted('\'')?;
                Some(inside.to_owned())
            }
            Some('"') => {
                let inside = self.quoted('"')?;
                let line = self.line;
                self.filled(&unescape(inside), line)
            }
            _ => {
                let line = self.rest.lines().next().unwrap_or_default();
                let end = line.find(" #").or_else(|| line.find("\t#")).unwrap_or(line.len());
                let plain = if line.starts_with('#') { "" } else { line[..end].trim_end() };
                self.filled(plain, self.line)
            }
        }
    }

    /// The text between this quote and the next, which stands on this line or a later one.
    fn quoted(&mut self, quote: char) -> Option<&'a str> {
        let inside = &self.rest[1..];
        let mut escaped = false;
        let end = inside.char_indices().find(|(_, c)| {
            let ends = *c == quote && !escaped;
            escaped = quote == '"' && *c == '\\' && !escaped;
            ends
        });
        let Some((end, _)) = end else {
            let hint = "Close the quote, or write the value without quotes.";
            self.report.in_file(self.path, self.line, format!("the quote {quote} is not closed"), hint);
            self.rest = "";
            return None;
        };
        let value = &inside[..end];
        self.rest = &inside[end + 1..];
        let after = self.rest.lines().next().unwrap_or_default().trim();
        if !after.is_empty() && !after.starts_with('#') {
            let hint = "Put the whole value between the quotes.";
            let line = self.line + value.matches('\n').count();
            self.report.in_file(self.path, line, "something follows the closing quote", hint);
        }
        self.line += value.matches('\n').count();
        Some(value)
    }

    fn filled(&mut self, template: &str, line: usize) -> Option<String> {
        match interpolate::text(template, &self.seen, &mut self.left) {
            Ok(value) => Some(value),
            Err(Fault::Unset { variable, .. }) => {
                let hint = format!(
                    "Assign {variable} above this line or in .env, give it a default, `${{{variable}:-…}}`, or put \
                     the value into single quotes if the dollar sign is meant as it stands."
                );
                self.report.in_file(self.path, line, format!("the variable {variable} has no value"), hint);
                None
            }
            Err(fault) => {
                let (message, hint) = fault.words();
                self.report.in_file(self.path, line, message, hint);
                None
            }
        }
    }

    fn skip_line(&mut self) {
        self.rest = match self.rest.split_once('\n') {
            Some((_, rest)) => rest,
            None => "",
        };
        self.line += 1;
    }
}

/// The escapes of double quotes; `\$` becomes `$$`, so that it is no variable afterwards.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('$') => out.push_str("$$"),
            Some(c @ ('"' | '\\')) => out.push(c),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<(String, Option<String>)>, Vec<String>> {
        let mut report = Report::new("compose.yaml");
        let known = [("BASE".to_owned(), "b".to_owned())].into();
        let found = read("x.env", text, &known, &mut report);
        let problems = |error: crate::domain::Error| {
            error.problems.iter().map(|problem| format!("{} {}", problem.place, problem.message)).collect()
        };
        report.into_result(Some(found)).map_err(problems)
    }

    #[test]
    fn the_grammar_of_compose_is_read() {
        let text = "\u{feff}# comment\r\n\nA=1\r\nexport B = two words # no\nC='$A \"x\" #'\nD=\"$A\\t\\$B \\\"q\\\"\"\n\
                    E=\"one\ntwo\" # after\nF=\nPASS\nH=a#b\nI=${BASE}/${A:-9}\nJ=\"${NO:-x}\"\n K = '' \nL=# only\n";
        let expected = [
            ("A", Some("1")),
            ("B", Some("two words")),
            ("C", Some("$A \"x\" #")),
            ("D", Some("1\t$B \"q\"")),
            ("E", Some("one\ntwo")),
            ("F", Some("")),
            ("PASS", None),
            ("H", Some("a#b")),
            ("I", Some("b/1")),
            ("J", Some("x")),
            ("K", Some("")),
            ("L", Some("")),
        ];
        let expected: Vec<_> = expected.map(|(k, v)| (k.to_owned(), v.map(str::to_owned))).into();
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn faults_name_file_and_line() {
        assert_eq!(
            parse("A=1\n2B=x\nC=$NO\nD='x' y\nkey: value\nE=\"a\nb\" c\nF='open\n").unwrap_err(),
            [
                "x.env:2:1 \"2B\" is no name of a variable",
                "x.env:3:1 the variable NO has no value",
                "x.env:4:1 something follows the closing quote",
                "x.env:5:1 \"key: value\" is no name of a variable",
                "x.env:7:1 something follows the closing quote",
                "x.env:8:1 the quote ' is not closed",
            ]
        );
    }

    #[test]
    fn raw_takes_values_as_they_stand() {
        let mut report = Report::new("compose.yaml");
        let found = read_raw("x.env", "# c\nA='$x' # y\n\nB\n1=2\n", &mut report);
        assert_eq!(found, [("A".to_owned(), Some("'$x' # y".to_owned())), ("B".to_owned(), None)]);
        assert!(!report.is_empty());
    }
}
