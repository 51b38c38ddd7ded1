//! Which engine serves which kind of connection: the one place that names them all.

use std::sync::Arc;

use crate::domain::clock::SystemClock;
use crate::domain::infrastructure::EngineConnection;
use crate::engine::Engine;
use crate::engine::fake::FakeEngine;
use crate::engine::registry::Factory;

/// Makes engines for the instance of this id.
pub fn factory(_instance: &str) -> Factory {
    Box::new(move |infrastructure| -> Arc<dyn Engine> {
        match &infrastructure.engine {
            EngineConnection::Docker { .. } | EngineConnection::Fake {} => {
                Arc::new(FakeEngine::new(Arc::new(SystemClock)))
            }
        }
    })
}
