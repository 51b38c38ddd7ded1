//! Which engine serves which kind of connection: the one place that names them all.

use std::sync::Arc;

use crate::domain::clock::SystemClock;
use crate::domain::infrastructure::EngineConnection;
use crate::engine::EngineError;
use crate::engine::broken::Broken;
use crate::engine::docker::DockerEngine;
use crate::engine::fake::FakeEngine;
use crate::engine::registry::Factory;

/// Makes engines for the instance of this id. A connection that can't be used at all makes an engine that says why
/// whenever it is called.
pub fn factory(instance: &str) -> Factory {
    let (instance, clock) = (instance.to_owned(), Arc::new(SystemClock));
    Box::new(move |infrastructure| match &infrastructure.engine {
        EngineConnection::Fake {} => Arc::new(FakeEngine::new(clock.clone())),
        EngineConnection::Kubernetes(_) => {
            Arc::new(Broken::new(EngineError::Unsupported("Kubernetes yet".to_owned())))
        }
        connection @ EngineConnection::Docker { .. } => {
            match DockerEngine::connect(connection, &instance, clock.clone()) {
                Ok(engine) => Arc::new(engine),
                Err(error) => Arc::new(Broken::new(error)),
            }
        }
    })
}
