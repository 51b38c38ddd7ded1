//! How a run ends: its outcome, what runs from then on and what the journal still holds, in one transaction.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::check;
use super::load::Work;
use super::run::{Ended, Halt, Run};
use crate::bus::Topic;
use crate::domain::Result;
use crate::domain::update::{Failure, Outcome, Update};
use crate::reconcile::Note;
use crate::reconcile::definition::Definition;
use crate::store;

impl Run {
    /// Leaves the update as it is, to be gone on with.
    pub(super) fn later(&self, halt: Halt) -> Ended {
        match halt {
            Halt::Silent(error) => {
                if self.trouble.is_none() {
                    self.journal.complain(format!("{error}. It is tried again until it answers."));
                }
                Ended::Later(error.to_string())
            }
            Halt::Store(error) => {
                tracing::warn!(deployment = %self.update.deployment, %error, cause = ?error.cause, "an update can't go on");
                Ended::Later(error.to_string())
            }
            Halt::Gone => Ended::Done,
            _ => Ended::Left,
        }
    }

    /// Ends an update of which nothing was begun.
    pub(super) async fn give_up(&self, verdict: Outcome) -> Ended {
        self.end(verdict, |_| Ok(())).await
    }

    /// Ends an update that failed after a process had died past its switch: what it replaced may be gone, so there is
    /// nothing to go back to.
    pub(super) async fn fail_switched(
        &self,
        work: &Work,
        definition: Option<Definition>,
        failure: Failure,
    ) -> Ended {
        self.journal.failed(&failure.message);
        let failure = Failure {
            serving: "The new revision serves as far as it could be started.".to_owned(),
            ..failure
        };
        let (id, number, digest) =
            (work.deployment.id.clone(), self.update.number, self.update.plan_digest.clone());
        let known = definition.is_some();
        self.end(Outcome::Failed { failure }, move |tx| {
            if known {
                store::deployment::set_running(tx, &id, Some((number, &digest)))?;
            }
            Ok(())
        })
        .await
    }

    /// Ends an update that got through: what it brought is what runs.
    pub(super) async fn succeed(&self, work: &Work, definition: Option<Definition>) -> Ended {
        let (deployment, number) = (work.deployment.clone(), self.update.number);
        let digest = self.update.plan_digest.clone();
        let ports = check::fixed_ports(
            definition.iter().map(|definition| definition.plan.as_ref()),
            &work.infrastructure,
        );
        let reserve = !ports.is_empty() || work.ports_held > 0;
        self.end(Outcome::Succeeded, move |tx| {
            let running = definition.is_some().then_some((number, &digest));
            store::deployment::set_running(tx, &deployment.id, running)?;
            if reserve {
                store::deployment::port::reserve(tx, &deployment, &ports)?;
            }
            Ok(())
        })
        .await
    }

    /// Ends the update, with `also` and what the journal holds in the same transaction. A store that can't write now
    /// is tried again: the world is done, only the word is missing.
    pub(super) async fn end(
        &self,
        outcome: Outcome,
        also: impl Fn(&store::Tx<'_>) -> Result<()> + Clone + Send + 'static,
    ) -> Ended {
        let mut pause = Duration::from_millis(200);
        let entries = Arc::new(self.journal.take());
        loop {
            let (id, number, now) =
                (self.update.deployment.clone(), self.update.number, self.shared.clock.now());
            let (entries, outcome, also) = (Arc::clone(&entries), outcome.clone(), also.clone());
            let key = self.shared.journal_key.clone();
            let written = self.shared.store.write(move |tx| {
                entries.write(tx, &id, number)?;
                let (how, said) = words(&outcome);
                if let Some(ended) = store::run::end(tx, &id, number, outcome, now)? {
                    also(tx)?;
                    let action = format!("{}.{how}", ended.kind.noun());
                    let note = Note { action: &action, reason: None, detail: detail(&ended, said) };
                    crate::reconcile::note(tx, &key, &id, note, now)?;
                }
                tx.publish(Topic::Deployment(id));
                tx.publish(Topic::Work);
                Ok(())
            });
            let Err(error) = written.await else {
                return Ended::Done;
            };
            tracing::warn!(deployment = %self.update.deployment, %error, cause = ?error.cause, "an update's end can't be written");
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
                () = self.shared.stop.cancelled() => return Ended::Left,
            }
        }
    }

    /// Writes what the journal still holds.
    pub(super) async fn leave(&self) {
        let (entries, id, number) = (self.journal.take(), self.update.deployment.clone(), self.update.number);
        if entries.is_empty() {
            return;
        }
        let written = self.shared.store.write(move |tx| entries.write(tx, &id, number)).await;
        if let Err(error) = written {
            tracing::debug!(%error, "the last lines of an update's log can't be written");
        }
    }
}

/// The journal's word for an outcome, and what it adds. `cancelled` is somebody's wish; this is its fulfilment.
fn words(outcome: &Outcome) -> (&'static str, Value) {
    match outcome {
        Outcome::Succeeded => ("succeeded", Value::Null),
        Outcome::Failed { failure } => (
            "failed",
            json!({ "code": failure.code, "message": failure.message, "serving": failure.serving }),
        ),
        Outcome::Cancelled { by } => ("undone", json!({ "cancelled_by": by })),
    }
}

fn detail(update: &Update, said: Value) -> Value {
    let mut detail = json!({ "number": update.number, "kind": update.kind, "version": update.version,
        "requester": update.requester.name });
    if let (Value::Object(detail), Value::Object(said)) = (&mut detail, said) {
        detail.extend(said);
    }
    detail
}
