//! An update's steps and a diff's lines, as they are drawn.

use similar::{ChangeTag, TextDiff};

use super::State;
use super::words::took;
use crate::domain::clock::Timestamp;
use crate::domain::update::{Outcome, Step, StepRecord, StepState, UpdateKind, UpdateState};

/// One step of an update, done or still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepView {
    pub state: State,
    pub title: &'static str,
    /// `22.4 s`; empty before it starts.
    pub took: String,
    /// One line of what it did.
    pub detail: String,
    /// Not begun.
    pub waits: bool,
}

impl StepView {
    /// Every step of a run: those on record as they went, then those to come. A run that failed or was cancelled keeps
    /// the latter in the list as not reached; one that succeeded needed no more.
    pub fn all(kind: UpdateKind, records: &[StepRecord], run: &UpdateState, now: Timestamp) -> Vec<Self> {
        let ahead = if matches!(run, UpdateState::Ended { .. }) { "Not reached" } else { "Waiting" };
        let over = has_succeeded(run);
        let known = |step: &Step| records.iter().any(|record| record.step == *step);
        let all = Step::of(kind).iter().copied();
        let to_come = all.filter(|step| !over && !known(step)).map(|step| Self {
            state: State::wait(ahead),
            title: step.title(),
            took: String::new(),
            detail: String::new(),
            waits: true,
        });
        records.iter().map(|record| Self::of(record, now)).chain(to_come).collect()
    }

    fn of(record: &StepRecord, now: Timestamp) -> Self {
        Self {
            state: State::from(record.state),
            title: record.step.title(),
            took: took(record.ended_at.unwrap_or(now) - record.started_at),
            detail: record.detail.clone(),
            waits: false,
        }
    }
}

/// How many steps are done, of how many: what the progress bar shows.
pub fn progress(kind: UpdateKind, records: &[StepRecord], run: &UpdateState) -> (usize, usize) {
    let done =
        records.iter().filter(|record| record.state == StepState::Done && record.step != Step::Undo).count();
    (done, if has_succeeded(run) { done } else { Step::of(kind).len() })
}

fn has_succeeded(run: &UpdateState) -> bool {
    matches!(run, UpdateState::Ended { outcome: Outcome::Succeeded, .. })
}

/// One line of a text diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffLine {
    /// `add`, `del`, `same`, or `skip` for lines left out.
    pub kind: &'static str,
    /// Without its end of line.
    pub text: String,
}

impl DiffLine {
    /// The lines that differ, with three lines around each; what lies between is one `skip` line with its count.
    pub fn between(before: &str, after: &str) -> Vec<Self> {
        let diff = TextDiff::from_lines(before, after);
        let mut lines = Vec::new();
        let mut seen = 0;
        for group in diff.grouped_ops(3) {
            let start = group.first().map_or(seen, |op| op.old_range().start);
            if start > seen {
                lines.push(Self::skipped(start - seen));
            }
            seen = group.last().map_or(start, |op| op.old_range().end);
            lines.extend(group.iter().flat_map(|op| diff.iter_changes(op)).map(|change| Self {
                kind: match change.tag() {
                    ChangeTag::Insert => "add",
                    ChangeTag::Delete => "del",
                    ChangeTag::Equal => "same",
                },
                text: change.value().trim_end_matches(['\r', '\n']).to_owned(),
            }));
        }
        let left = before.lines().count().saturating_sub(seen);
        if left > 0 && !lines.is_empty() {
            lines.push(Self::skipped(left));
        }
        lines
    }

    /// The lines of a unified diff.
    pub fn unified(diff: &str) -> Vec<Self> {
        let lines = diff.lines().filter(|line| !line.starts_with("---") && !line.starts_with("+++"));
        let drawn = lines.map(|line| {
            let kind = match line.chars().next() {
                Some('+') => "add",
                Some('-') => "del",
                Some('@') => "skip",
                _ => "same",
            };
            let text = if kind == "skip" { line } else { line.get(1..).unwrap_or_default() };
            Self { kind, text: text.to_owned() }
        });
        drawn.collect()
    }

    fn skipped(count: usize) -> Self {
        Self { kind: "skip", text: super::words::plural(count as u64, "equal line") }
    }

    /// What stands in front of the line.
    pub fn sign(&self) -> &'static str {
        match self.kind {
            "add" => "+",
            "del" => "-",
            _ => " ",
        }
    }
}
