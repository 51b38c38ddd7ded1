//! Writes down what tests came to: the end of their output in the run's log, and the result.

use tokio::time::Instant;

use super::super::load::Work;
use super::super::run::{Halt, Run};
use super::super::verify::last_lines;
use super::judge::{Look, Verdict, judge};
use crate::bus::Topic;
use crate::domain::clock::Timestamp;
use crate::domain::name::ServiceName;
use crate::domain::test::{TestOutcome, TestResult, TestedBundle};
use crate::domain::update::Outcome;
use crate::reconcile::definition::Definition;
use crate::reconcile::table;
use crate::store;

/// The most lines of a test that are kept.
const KEPT_LINES: usize = 200;

impl Run {
    /// Keeps the result of a test that has ended, with its last lines, in one commit.
    pub(super) async fn record(
        &self,
        work: &Work,
        definition: &Definition,
        name: &ServiceName,
        began: Timestamp,
        verdict: Verdict,
    ) -> Result<(), Halt> {
        let Some(slot) = definition.slots_of(name).next() else { return Ok(()) };
        let lines = last_lines(work, &slot, KEPT_LINES).await;
        lines.iter().for_each(|line| self.journal.say(format!("{name}: {line}")));
        let mut message = verdict.message;
        match verdict.outcome {
            TestOutcome::Passed => self.journal.say(format!("{name}: passed")),
            outcome => {
                self.journal.complain(format!("{name}: {}: {message}", outcome.word().to_lowercase()));
            }
        }
        if let Some(last) = lines.iter().rev().find(|line| !line.is_empty()).filter(|_| !message.is_empty()) {
            message = format!("{message}. Its last line: {last}");
        }
        let slots = self.shared.table.slots(&work.infrastructure.id, &work.deployment.id);
        let state = table::find(&slots, &slot).map(|seen| &seen.state);
        let state = state.filter(|state| state.revision == self.update.number);
        let result = TestResult {
            service: name.clone(),
            outcome: verdict.outcome,
            exit_code: verdict.exit_code,
            message,
            started_at: state.and_then(|state| state.started_at).unwrap_or(began),
            ended_at: state.and_then(|state| state.ended_at).unwrap_or_else(|| self.shared.clock.now()),
            place: None,
        };
        self.keep_result(work, result).await
    }
    /// Notes every test as aborted that was started and has no result, because the run ends with `verdict`.
    pub(super) async fn note_aborted(
        &self,
        work: &Work,
        definition: &Definition,
        verdict: &Outcome,
    ) -> Result<(), Halt> {
        let why = match verdict {
            Outcome::Cancelled { by } => format!("its run was cancelled by {by}"),
            Outcome::Failed { failure } => format!("its run could not go on: {}", failure.message),
            Outcome::Succeeded => return Ok(()),
        };
        self.observed(work).await?;
        self.shared.look_again(&work.infrastructure.id).await;
        let (now, done) = (Instant::now(), self.results(work).await?);
        let slots = self.shared.table.slots(&work.infrastructure.id, &work.deployment.id);
        for name in definition.plan.testing.iter().filter(|name| !done.contains_key(*name)) {
            let Some(slot) = definition.slots_of(name).next() else { continue };
            let seen = table::find(&slots, &slot).filter(|seen| seen.state.revision == self.update.number);
            let Some((seen, began)) = seen.and_then(|seen| Some((seen, seen.state.started_at?))) else {
                continue;
            };
            let verdict = match judge(seen, now) {
                Look::Ended(verdict) => verdict,
                Look::Wait(_) => Verdict::aborted(why.clone()),
            };
            self.record(work, definition, name, began, verdict).await?;
        }
        Ok(())
    }

    async fn keep_result(&self, work: &Work, result: TestResult) -> Result<(), Halt> {
        let (entries, update, deployment) =
            (self.journal.take(), self.update.clone(), work.deployment.clone());
        let bundle = TestedBundle {
            project: work.plan.project.clone(),
            version: work.plan.version.clone(),
            digest: work.plan.bundle.clone(),
        };
        let write = self.shared.store.write(move |tx| {
            entries.write(tx, &deployment.id, update.number)?;
            store::test::insert(tx, &bundle, &deployment, &update, &result)?;
            for id in store::test::concerned(tx, &bundle)? {
                tx.publish(Topic::Deployment(id));
            }
            tx.publish(Topic::Deployment(deployment.id));
            tx.publish(Topic::Project(bundle.project));
            Ok(())
        });
        Ok(write.await?)
    }
}
