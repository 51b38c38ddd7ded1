//! `.dockerignore`: what of a context is not sent. The engine leaves this to its clients.
//!
//! The rules are Docker's: one pattern a line, `#` comments, `*` and `?` within a name, `**` over folders, `[a-z]`
//! classes, `!` lets in again, the last line that fits decides. What fits a folder fits all below it.

/// The patterns of one file.
#[derive(Debug, Clone, Default)]
pub(super) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    lets_in: bool,
    parts: Vec<String>,
}

impl Ignore {
    /// Reads the lines of a `.dockerignore`.
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let rules = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self { rules: rules.filter_map(Rule::parse).collect() }
    }

    /// Whether the path, relative to the context, stays out.
    pub(super) fn leaves_out(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let mut out = false;
        for rule in &self.rules {
            if rule.lets_in == out && (1..=parts.len()).any(|end| fits(&rule.parts, &parts[..end])) {
                out = !rule.lets_in;
            }
        }
        out
    }
}

impl Rule {
    fn parse(line: &str) -> Option<Self> {
        let (lets_in, pattern) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        let parts = pattern.split('/').filter(|part| !part.is_empty() && *part != ".");
        let parts: Vec<String> = parts.map(str::to_owned).collect();
        (!parts.is_empty()).then_some(Self { lets_in, parts })
    }
}

fn fits(pattern: &[String], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            fits(rest, path) || path.split_first().is_some_and(|(_, below)| fits(pattern, below))
        }
        (Some((first, rest)), Some((name, below))) => {
            let (glob, name): (Vec<char>, Vec<char>) = (first.chars().collect(), name.chars().collect());
            name_fits(&glob, &name) && fits(rest, below)
        }
        _ => false,
    }
}

fn name_fits(glob: &[char], name: &[char]) -> bool {
    match (glob, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => name_fits(rest, name) || (!name.is_empty() && name_fits(glob, &name[1..])),
        (['?', rest @ ..], [_, below @ ..]) => name_fits(rest, below),
        (['\\', c, rest @ ..], [n, below @ ..]) => c == n && name_fits(rest, below),
        (['[', rest @ ..], [n, below @ ..]) => {
            let Some(end) = rest.iter().position(|c| *c == ']') else {
                return false;
            };
            in_class(&rest[..end], *n) && name_fits(&rest[end + 1..], below)
        }
        ([c, rest @ ..], [n, below @ ..]) => c == n && name_fits(rest, below),
        _ => false,
    }
}

fn in_class(class: &[char], c: char) -> bool {
    match class {
        ['^', rest @ ..] => !in_class(rest, c),
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&c) || in_class(rest, c),
        [one, rest @ ..] => *one == c || in_class(rest, c),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_fits_decides() {
        let ignore =
            Ignore::parse("# comment\n*.md\n!README.md\n\n/build\n**/*.pyc\ndata/**/raw\nlog?.txt\n[a-c]x\n");
        for out in [
            "NOTES.md",
            "build",
            "build/a/b",
            "a/b/c.pyc",
            "c.pyc",
            "data/raw",
            "data/x/y/raw/z",
            "log1.txt",
            "bx",
        ] {
            assert!(ignore.leaves_out(out), "{out}");
        }
        for kept in ["README.md", "docs/NOTES.md", "src/build", "data/rawer", "log12.txt", "dx", ""] {
            assert!(!ignore.leaves_out(kept), "{kept}");
        }
    }

    #[test]
    fn everything_but_one_file() {
        let ignore = Ignore::parse("*\n!src/main.py\n");
        assert!(ignore.leaves_out("src/other.py") && ignore.leaves_out("Makefile"));
        assert!(!ignore.leaves_out("src/main.py"));
    }
}
