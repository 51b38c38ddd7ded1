//! Whose turn it is: tests wait for each other as `depends_on` says, and for the health of what they check.

use super::super::run::{Halt, Run};
use super::super::verify::{Aim, Slot};
use super::{Bench, Stage};
use crate::domain::name::ServiceName;
use crate::domain::test::TestOutcome;
use crate::domain::workload::{Condition, Dependency};

impl Run {
    /// Waits until a test may be started; the inner error says why it never may.
    pub(super) async fn turn_of(
        &self,
        bench: &Bench<'_>,
        name: &ServiceName,
    ) -> Result<Result<(), String>, Halt> {
        let Some(service) = bench.definition.plan.workload.services.get(name) else {
            return Ok(Ok(()));
        };
        for (on, dependency) in &service.depends_on {
            let held = if bench.definition.plan.testing.contains(on) {
                after_test(bench, on, dependency.condition).await
            } else {
                self.service_holds(bench, on, dependency).await?
            };
            match held {
                Err(why) if dependency.required => return Ok(Err(why)),
                Err(why) => self.journal.complain(format!("{name} is run without {on}: {why}")),
                Ok(()) => {}
            }
        }
        Ok(Ok(()))
    }

    /// A service that runs was started, and a task of it has ended well, when the deployment was updated: its health
    /// alone may be otherwise by now.
    async fn service_holds(
        &self,
        bench: &Bench<'_>,
        on: &ServiceName,
        dependency: &Dependency,
    ) -> Result<Result<(), String>, Halt> {
        if dependency.condition != Condition::Healthy {
            return Ok(Ok(()));
        }
        let wanted = Slot::of_service(bench.definition, on, &self.shared.settings);
        match self.await_slots(bench.work, &wanted, Aim::Ready).await {
            Err(Halt::Failed(failure)) => Ok(Err(failure.message)),
            other => other.map(Ok),
        }
    }
}

async fn after_test(bench: &Bench<'_>, on: &ServiceName, condition: Condition) -> Result<(), String> {
    let enough = |stage: Stage| stage != Stage::Started || condition != Condition::CompletedSuccessfully;
    let mut stages = bench.stages.subscribe();
    let found = stages.wait_for(|stages| stages.get(on).copied().is_some_and(enough)).await;
    let stage = found.ok().and_then(|stages| stages.get(on).copied());
    match stage {
        Some(Stage::Skipped) | None => Err(format!("{on} was not run")),
        Some(Stage::Ended(outcome))
            if outcome != TestOutcome::Passed && condition == Condition::CompletedSuccessfully =>
        {
            Err(format!("{on} did not pass"))
        }
        Some(Stage::Started | Stage::Ended(_)) => Ok(()),
    }
}
