//! Stopping a task where it is: its container stays, with what it has written. Nothing is undone, and nothing is switched.

use super::load::Work;
use super::run::{Claim, Ended, Halt, Run};
use super::words;
use crate::domain::update::{Failure, Outcome, Step};
use crate::domain::{Error, Result};

impl Run {
    /// Stops everything of the workload and keeps it.
    pub(super) async fn run_halt(&self, work: &Work, checked: Result<(), Failure>, claim: Claim) -> Ended {
        let halted = match self.claimed(claim).await {
            Ok(_) => self.halt_all(work, checked).await,
            Err(halt) => Err(halt),
        };
        match halted {
            Ok(()) => self.end(Outcome::Succeeded, |_| Ok(())).await,
            Err(Halt::Failed(failure)) => {
                self.journal.failed(&failure.message);
                self.end(Outcome::Failed { failure }, |_| Ok(())).await
            }
            Err(Halt::Cancelled { by }) => self.end(Outcome::Cancelled { by }, |_| Ok(())).await,
            Err(other) => self.later(other),
        }
    }

    async fn halt_all(&self, work: &Work, checked: Result<(), Failure>) -> Result<(), Halt> {
        self.journal.begin(Step::Plan);
        self.journal.done("What runs stops; nothing is removed.");
        self.journal.begin(Step::Check);
        self.interrupted()?;
        checked.map_err(Halt::Failed)?;
        self.journal.done("The requester may deploy here.");
        self.journal.begin(Step::Halt);
        let slots = self.observed(work).await?;
        for slot in &slots {
            self.recheck(work).await?;
            let _turn = self.shared.turns.acquire().await.map_err(Error::internal)?;
            work.engine.halt(slot).await.map_err(|error| self.engine_halt(error))?;
        }
        self.journal.done(format!("{} stopped and kept.", words::count(slots.len(), "replica")));
        Ok(())
    }
}
