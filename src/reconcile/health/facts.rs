//! What the store knows of a deployment, as far as its state goes.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::domain::Result;
use crate::domain::deployment::Deployment;
use crate::domain::health::{Answer, Message};
use crate::domain::name::DeploymentId;
use crate::domain::update::{Update, UpdateKind, UpdateState};
use crate::reconcile::definition::Definition;
use crate::store;
use crate::store::deployment::Digests;
use crate::store::deployment::list::State;

/// Everything but the replicas and the engine.
pub(super) struct Facts {
    pub deployment: Deployment,
    /// What was folded last.
    pub state: State,
    pub digests: Digests,
    /// The newest update that has ended.
    pub last: Option<Update>,
    /// What the engine was last made to match.
    pub running: Option<Definition>,
    /// What an update under way is making it match, as soon as that is prepared.
    pub target: Option<Definition>,
    /// Whether an update is under way.
    pub updating: bool,
    /// What the replicas' own programs last answered for their health, by their engine's ids.
    pub answers: HashMap<String, Answer>,
    /// What governance says of what the settings give.
    pub governance: Vec<Message>,
}

/// Reads them; `None` when the deployment is gone. One whose rows can't be read is told to the log and left as it is.
pub(super) fn load(db: &Connection, id: &DeploymentId) -> Option<Facts> {
    match try_load(db, id) {
        Ok(facts) => facts,
        Err(error) => {
            tracing::error!(deployment = %id, %error, cause = ?error.cause, "a deployment's state can't be folded");
            None
        }
    }
}

fn try_load(db: &Connection, id: &DeploymentId) -> Result<Option<Facts>> {
    let Some(summary) = store::deployment::list::summary(db, id)? else {
        return Ok(None);
    };
    let deployment = summary.deployment;
    let under_way = match deployment.last_update {
        0 => None,
        _ => {
            let open = store::update::open_of(db, id)?;
            // A run of tests changes nothing of what is counted.
            let mut changing = open.into_iter().filter(|update| update.kind != UpdateKind::Test);
            changing.find(|update| matches!(update.state, UpdateState::Running { .. }))
        }
    };
    let definition = |number: Option<u32>| match number {
        Some(number) => Definition::load(db, id, number),
        None => Ok(None),
    };
    let running = definition(deployment.running_update)?;
    let answers = match &running {
        Some(running) if running.answers_for_health() => {
            store::observation::answers(db, &deployment.infrastructure, id)?
        }
        _ => HashMap::new(),
    };
    Ok(Some(Facts {
        state: summary.state,
        digests: store::deployment::digests(db, id)?,
        last: if deployment.last_update == 0 { None } else { store::update::last_ended(db, id)? },
        running,
        answers,
        target: definition(under_way.as_ref().map(|update| update.number))?,
        updating: under_way.is_some(),
        governance: store::deployment::governance(db, id)?,
        deployment,
    }))
}
