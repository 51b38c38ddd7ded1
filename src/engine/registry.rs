//! Which engine serves which infrastructure: made when first asked for, made anew when the connection changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::infrastructure::{EngineConnection, Infrastructure, SealedCredential};
use crate::domain::name::InfrastructureId;
use crate::engine::Engine;

/// Makes an engine for a connection. It connects lazily: an engine that is down answers `Unreachable` when called.
pub type Factory = Box<dyn Fn(&Infrastructure) -> Arc<dyn Engine> + Send + Sync>;

struct Made {
    connection: EngineConnection,
    credential: Option<SealedCredential>,
    engine: Arc<dyn Engine>,
}

impl Made {
    fn serves(&self, infrastructure: &Infrastructure) -> bool {
        self.connection == infrastructure.engine && self.credential == infrastructure.credential
    }
}

/// The engines of all infrastructures.
pub struct Engines {
    factory: Factory,
    made: Mutex<HashMap<InfrastructureId, Made>>,
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
            Some(one) if one.serves(infrastructure) => Arc::clone(&one.engine),
            _ => {
                let engine = (self.factory)(infrastructure);
                let one = Made {
                    connection: infrastructure.engine.clone(),
                    credential: infrastructure.credential.clone(),
                    engine: Arc::clone(&engine),
                };
                made.insert(infrastructure.id.clone(), one);
                engine
            }
        }
    }

    /// Forgets the engine of an infrastructure that is no more.
    pub fn forget(&self, id: &InfrastructureId) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
