//! Everything that is wrong with a compose file, collected with its places instead of stopping at the first.

use crate::compose::keys::nearest;
use crate::domain::{Error, Problem, Result};

/// How many problems are worth reading at once.
const SHOWN: usize = 100;
/// How many are kept to choose those from; a hostile file may have a million.
const KEPT: usize = 1_000;

/// A place in the compose file, both counted from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// The problems found so far.
#[derive(Debug)]
pub struct Report {
    file: String,
    /// The flag puts problems of other files after those of the compose file.
    found: Vec<(bool, Place, Problem)>,
    dropped: usize,
    warnings: Vec<Problem>,
}

impl Report {
    /// An empty report on `file`.
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: Vec::new(), dropped: 0, warnings: Vec::new() }
    }

    /// Adds a problem of the compose file.
    pub fn at(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        let spot = format!("{}:{}:{}", self.file, place.line, place.column);
        self.keep(false, place, Problem::new(spot, message).hint(hint));
    }

    /// Adds a problem of another text file of the bundle.
    pub fn in_file(&mut self, file: &str, line: usize, message: impl Into<String>, hint: impl Into<String>) {
        let spot = format!("{file}:{line}:1");
        self.keep(true, Place { line, column: 1 }, Problem::new(spot, message).hint(hint));
    }

    /// Adds what is taken, but works differently from what the author may expect.
    pub fn warn(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        let spot = format!("{}:{}:{}", self.file, place.line, place.column);
        self.warnings.push(Problem::new(spot, message).hint(hint));
    }

    /// The warnings so far.
    pub fn take_warnings(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.warnings)
    }

    fn keep(&mut self, other: bool, place: Place, problem: Problem) {
        let same = |(_, _, known): &(bool, Place, Problem)| *known == problem;
        if self.is_full() {
            self.dropped += 1;
        } else if !self.found.iter().rev().take(SHOWN).any(same) {
            self.found.push((other, place, problem));
        }
    }

    /// The one of `known` that `written` was perhaps meant to be. Not looked for when the problem would not be kept:
    /// a hostile file has many problems and many names.
    pub fn nearest<'k>(&self, written: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
        if self.is_full() { None } else { nearest(written, known) }
    }

    /// Whether further problems are only counted.
    pub fn is_full(&self) -> bool {
        self.found.len() >= KEPT
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// `value` when nothing is wrong, else every problem in the order of the file.
    pub fn into_result<T>(mut self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                self.found.sort_by_key(|(other, place, _)| (*other, *place));
                let more = self.dropped + self.found.len().saturating_sub(SHOWN);
                let shown = self.found.into_iter().take(SHOWN);
                let mut problems: Vec<Problem> = shown.map(|(_, _, problem)| problem).collect();
                if more > 0 {
                    problems.push(
                        Problem::new(self.file, format!("{more} more problems are not shown"))
                            .hint("Mend those above first."),
                    );
                }
                Err(Error::problems("compose_refused", problems))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_in_the_order_of_the_file_once_each_and_bounded() {
        let mut report = Report::new("compose.yaml");
        report.in_file("api.env", 1, "c", "");
        for line in [7, 3, 7] {
            report.at(Place { line, column: 2 }, "m", "h");
        }
        let error = report.into_result(Some(())).unwrap_err();
        let places: Vec<_> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(places, ["compose.yaml:3:2", "compose.yaml:7:2", "api.env:1:1"]);

        let mut report = Report::new("compose.yaml");
        (1..=5_000).for_each(|line| report.at(Place { line, column: 1 }, "m", "h"));
        let error = report.into_result(Some(())).unwrap_err();
        assert_eq!(error.problems.len(), 101);
        assert_eq!(error.problems[100].message, "4900 more problems are not shown");
    }
}
