//! Which engine serves which infrastructure: made when first asked for, made anew when the connection changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::infrastructure::{EngineConnection, Infrastructure};
use crate::domain::name::InfrastructureId;
use crate::engine::Engine;

/// Makes an engine for a connection. It connects lazily: an engine that is down answers `Unreachable` when called.
pub type Factory = Box<dyn Fn(&Infrastructure) -> Arc<dyn Engine> + Send + Sync>;

/// The engines of all infrastructures.
pub struct Engines {
    factory: Factory,
    made: Mutex<HashMap<InfrastructureId, (EngineConnection, Arc<dyn Engine>)>>,
}

impl Engines {
    /// No engine yet; `factory` makes them.
    pub fn new(factory: Factory) -> Self {
        Self { factory, made: Mutex::default() }
    }

    /// The engine of an infrastructure.
    pub fn get(&self, infrastructure: &Infrastructure) -> Arc<dyn Engine> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match made.get(&infrastructure.id) {
            Some((connection, engine)) if *connection == infrastructure.engine => Arc::clone(engine),
            _ => {
                let engine = (self.factory)(infrastructure);
                let entry = (infrastructure.engine.clone(), Arc::clone(&engine));
                made.insert(infrastructure.id.clone(), entry);
                engine
            }
        }
    }

    /// Forgets the engine of an infrastructure that is no more.
    pub fn forget(&self, id: &InfrastructureId) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
