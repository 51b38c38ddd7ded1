//! A run of tests: tasks beside what runs, started, awaited, written down and removed. Nothing that runs is touched, and
//! nothing is switched, so it may be cancelled at any time.
//!
//! A result is written as soon as its test has ended and before its container goes, so a process that takes over awaits
//! what was started, and runs only what has neither result nor container.

mod await_end;
mod judge;
mod order;
mod record;

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::judge::Verdict;
use super::load::Work;
use super::run::{Claim, Ended, Halt, Run};
use super::words::{self, failure};
use crate::domain::name::ServiceName;
use crate::domain::test::TestOutcome;
use crate::domain::update::{Failure, Outcome, Step};
use crate::domain::{Error, Result};
use crate::engine::{EngineError, SlotRef};
use crate::reconcile::definition::Definition;
use crate::store;

/// How far a test of the run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Started,
    Ended(TestOutcome),
    /// Its turn did not come.
    Skipped,
}

/// What the tests of one run tell each other.
struct Bench<'a> {
    work: &'a Work,
    definition: &'a Definition,
    stages: watch::Sender<BTreeMap<ServiceName, Stage>>,
    /// Set when the run can't go on.
    over: CancellationToken,
}

impl Bench<'_> {
    fn set(&self, name: &ServiceName, stage: Stage) {
        self.stages.send_modify(|stages| {
            stages.insert(name.clone(), stage);
        });
    }

    /// The one place of a test.
    fn slot(&self, name: &ServiceName) -> Option<SlotRef> {
        self.definition.slots_of(name).next()
    }
}

impl Run {
    /// Runs the tests to an end, or as far as it goes now.
    pub(super) async fn run_tests(&self, work: &Work, checked: Result<(), Failure>, claim: Claim) -> Ended {
        let result = match &work.doomed {
            Some(verdict) => match self.claimed(claim).await {
                Ok(_) => return self.abandon(work, work.own.as_ref(), verdict.clone()).await,
                Err(halt) => Err((None, halt)),
            },
            None => self.all_tests(work, checked, claim).await,
        };
        let (definition, halt) = match result {
            Ok(verdict) => return self.end(verdict, |_| Ok(())).await,
            Err(stopped) => stopped,
        };
        let definition = definition.or_else(|| work.own.clone());
        match halt {
            Halt::Failed(failure) => {
                self.abandon(work, definition.as_ref(), Outcome::Failed { failure }).await
            }
            Halt::Cancelled { by } => {
                self.abandon(work, definition.as_ref(), Outcome::Cancelled { by }).await
            }
            other => self.later(other),
        }
    }

    async fn all_tests(
        &self,
        work: &Work,
        checked: Result<(), Failure>,
        claim: Claim,
    ) -> Result<Outcome, (Option<Definition>, Halt)> {
        let begun = self.begin_tests(work, checked);
        let prepared = match begun {
            Ok(()) => self.prepare(work).await,
            Err(halt) => Err(halt),
        };
        self.claimed(claim).await.map_err(|halt| (None, halt))?;
        let definition = prepared.map_err(|halt| (None, halt))?;
        match self.each_test(work, &definition).await {
            Ok(verdict) => Ok(verdict),
            Err(halt) => Err((Some(definition), halt)),
        }
    }

    fn begin_tests(&self, work: &Work, checked: Result<(), Failure>) -> Result<(), Halt> {
        self.journal.begin(Step::Plan);
        if self.update.attempt > 0 && self.trouble.is_none() {
            self.journal.say("Going on with a run that was cut off.");
        }
        self.journal.done(format!(
            "Tests of bundle {}: {}. What runs stays as it is.",
            work.plan.version,
            words::names(&work.plan.testing)
        ));
        self.journal.begin(Step::Check);
        self.interrupted()?;
        checked.map_err(Halt::Failed)?;
        let same = work.running.as_ref().and_then(|running| running.plan.for_tests());
        if same.as_ref() != Some(work.plan.as_ref()) {
            return Err(Halt::Failed(failure(
                "nothing_runs",
                Step::Check,
                "what was to be tested does not run any more",
                "Run the tests again when the deployment is updated.",
            )));
        }
        self.journal.done("The requester may deploy here, and the policy allows it.");
        Ok(())
    }

    /// Starts and awaits every test that has no result yet, and removes them.
    async fn each_test(&self, work: &Work, definition: &Definition) -> Result<Outcome, Halt> {
        self.journal.begin(Step::Start);
        let ended = self.results(work).await?;
        let stages = ended.into_iter().map(|(name, outcome)| (name, Stage::Ended(outcome))).collect();
        let bench =
            Bench { work, definition, stages: watch::Sender::new(stages), over: CancellationToken::new() };
        self.clear_leftovers(&bench).await?;
        let open = |name: &&ServiceName| !bench.stages.borrow().contains_key(*name);
        let open: Vec<&ServiceName> = definition.plan.testing.iter().filter(open).collect();
        let all_started = self.tell_started(&bench, open.len());
        let mut tests: FuturesUnordered<_> = open.iter().map(|name| self.one_test(&bench, name)).collect();
        let all_ended = async {
            let mut halt = None;
            while let Some(result) = tests.next().await {
                let Err(stopped) = result else { continue };
                bench.over.cancel();
                if !matches!(stopped, Halt::Aside) {
                    halt.get_or_insert(stopped);
                }
            }
            halt
        };
        if let Some(halt) = tokio::join!(all_ended, all_started).0 {
            return Err(halt);
        }
        let verdict = self.verdict(work, &self.results(work).await?);
        match &verdict {
            Outcome::Failed { failure } => self.journal.failed(&failure.message),
            _ => {
                self.journal.done(format!("{} passed.", words::count(definition.plan.testing.len(), "test")))
            }
        }
        self.journal.begin(Step::CleanUp);
        let removed = self.remove_tests(work, definition).await?;
        self.journal.done(format!("{} removed.", words::count(removed, "test")));
        Ok(verdict)
    }

    /// Turns from starting to awaiting once every test was started or had no turn.
    async fn tell_started(&self, bench: &Bench<'_>, open: usize) {
        let mut stages = bench.stages.subscribe();
        let all = bench.definition.plan.testing.len();
        tokio::select! {
            _ = stages.wait_for(|stages| stages.len() >= all) => {}
            () = bench.over.cancelled() => return,
        }
        self.journal.done(format!("{} to run.", words::count(open, "test")));
        self.journal.begin(Step::Verify);
    }

    /// Removes containers that an earlier run left: a task that has ended is never started again by its engine.
    async fn clear_leftovers(&self, bench: &Bench<'_>) -> Result<(), Halt> {
        let work = bench.work;
        self.observed(work).await?;
        self.shared.look_again(&work.infrastructure.id).await;
        let slots = self.shared.table.slots(&work.infrastructure.id, &work.deployment.id);
        let left = slots.iter().map(|seen| &seen.state).filter(|state| {
            bench.definition.plan.testing.contains(&state.slot.service)
                && state.revision != bench.definition.number
        });
        for state in left {
            let slot = &state.slot;
            self.journal.say(format!("{}: what an earlier run left is removed", slot.service));
            let _turn = self.shared.turns.acquire().await.map_err(Error::internal)?;
            work.engine.retire(slot).await.map_err(|error| self.service_halt(error, &slot.service))?;
        }
        Ok(())
    }

    async fn one_test(&self, bench: &Bench<'_>, name: &ServiceName) -> Result<(), Halt> {
        let turn = tokio::select! {
            turn = self.turn_of(bench, name) => turn,
            halt = self.interruption() => Err(halt),
            () = bench.over.cancelled() => Err(Halt::Aside),
        };
        if let Err(why) = turn? {
            self.journal.complain(format!("{name} is not run: {why}"));
            bench.set(name, Stage::Skipped);
            return Ok(());
        }
        let began = self.shared.clock.now();
        let verdict = match self.start_test(bench, name).await? {
            Some(verdict) => verdict,
            None => {
                bench.set(name, Stage::Started);
                tokio::select! {
                    verdict = self.await_test(bench, name) => verdict?,
                    () = bench.over.cancelled() => return Err(Halt::Aside),
                }
            }
        };
        let outcome = verdict.outcome;
        self.record(bench.work, bench.definition, name, began, verdict).await?;
        bench.set(name, Stage::Ended(outcome));
        Ok(())
    }

    /// Has the engine start a test; a verdict already where it can't.
    async fn start_test(&self, bench: &Bench<'_>, name: &ServiceName) -> Result<Option<Verdict>, Halt> {
        let request = self.request(bench.work, bench.definition, name).await?;
        let turn = self.shared.turns.acquire().await.map_err(Error::internal)?;
        if bench.over.is_cancelled() {
            return Err(Halt::Aside);
        }
        self.recheck(bench.work).await?;
        let ensured = bench.work.engine.ensure(&request).await;
        drop(turn);
        match ensured {
            Ok(ensured) if ensured.fresh.is_empty() => {
                self.journal.say(format!("{name}: started before, and awaited"));
                Ok(None)
            }
            Ok(_) => {
                self.journal.say(format!("{name}: started"));
                Ok(None)
            }
            Err(error @ EngineError::StartFailed { .. }) => {
                Ok(Some(Verdict::failed(None, format!("it can't be started: {error}"))))
            }
            Err(error) => Err(self.service_halt(error, name)),
        }
    }

    /// Removes what this run started, seen or not.
    async fn remove_tests(&self, work: &Work, definition: &Definition) -> Result<usize, Halt> {
        let tests = definition.plan.testing.iter().flat_map(|name| definition.slots_of(name));
        self.retire_all(work, tests.collect::<Vec<_>>()).await
    }

    /// How the run ends, by the results that were written.
    fn verdict(&self, work: &Work, results: &BTreeMap<ServiceName, TestOutcome>) -> Outcome {
        let tests = &work.plan.testing;
        let told = tests.iter().map(|name| match results.get(name) {
            Some(TestOutcome::Passed) => (name, None),
            Some(TestOutcome::Failed) => (name, Some("failed")),
            Some(TestOutcome::Aborted) => (name, Some("was aborted")),
            None => (name, Some("was not run")),
        });
        let wrong: Vec<(&ServiceName, &str)> = told.filter_map(|(name, what)| Some((name, what?))).collect();
        if wrong.is_empty() {
            return Outcome::Succeeded;
        }
        let named: Vec<String> = wrong.iter().map(|(name, what)| format!("{name} {what}")).collect();
        let plain = failure(
            "tests_failed",
            Step::Verify,
            format!(
                "{} of {} did not pass: {}",
                wrong.len(),
                words::count(tests.len(), "test"),
                named.join(", ")
            ),
            "Their last lines are in the log. Mend what they name, update, then run the tests again.",
        );
        let plain = match wrong.as_slice() {
            [(name, _)] => words::of_service(plain, name),
            _ => plain,
        };
        Outcome::Failed { failure: Failure { serving: words::serving(work.running.as_ref()), ..plain } }
    }

    /// What the run has come to so far.
    async fn results(&self, work: &Work) -> Result<BTreeMap<ServiceName, TestOutcome>, Halt> {
        let (uuid, number) = (work.deployment.uuid, self.update.number);
        let read = self.shared.store.read(move |db| store::test::of_run(db, uuid, number));
        Ok(read.await?.into_iter().map(|result| (result.service, result.outcome)).collect())
    }

    /// Ends a run that can't go on: how is written first, then what was started is noted as aborted and removed.
    async fn abandon(&self, work: &Work, definition: Option<&Definition>, verdict: Outcome) -> Ended {
        self.tell_verdict(&verdict);
        if let Some(definition) = definition {
            if let Err(halt) = self.doom(&verdict).await {
                return self.later(halt);
            }
            self.journal.begin(Step::Undo);
            if let Err(halt) = self.note_aborted(work, definition, &verdict).await {
                return self.later(halt);
            }
            match self.remove_tests(work, definition).await {
                Ok(_) => self.journal.done("The tests were stopped and removed; what runs was not touched."),
                Err(halt) => return self.later(halt),
            }
        }
        let verdict = match verdict {
            Outcome::Failed { failure } => Outcome::Failed {
                failure: Failure { serving: words::serving(work.running.as_ref()), ..failure },
            },
            other => other,
        };
        self.end(verdict, |_| Ok(())).await
    }
}
