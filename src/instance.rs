//! One instance: its data directory with key, database and blobs, opened and filled on the first run.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use crate::app::{self, App, Rules};
use crate::auth::{Auth, Lifetimes};
use crate::blob;
use crate::bus::Bus;
use crate::crypto::KeyRing;
use crate::domain::access::Caller;
use crate::domain::clock::SharedClock;
use crate::domain::infrastructure::{EngineConnection, GovernPolicy};
use crate::domain::name::{InfrastructureId, StageId};
use crate::domain::policy::Policy;
use crate::domain::{Error, Result, random};
use crate::engine::registry::{Engines, Factory};
use crate::store::audit::JournalKey;
use crate::store::{Mode, Store, meta};

/// Makes the engines' factory, given the instance's id and the keys that open its infrastructures' credentials.
pub type MakeFactory = Box<dyn FnOnce(&str, Arc<KeyRing>) -> Factory + Send>;

/// What an instance is opened with.
pub struct Options<'a> {
    pub dir: &'a Path,
    pub mode: Mode,
    pub clock: SharedClock,
    pub rules: Rules,
    pub lifetimes: Lifetimes,
    pub archive_limits: blob::Limits,
    /// Of the infrastructure `local` that a first run adds.
    pub local_engine: EngineConnection,
    /// Makes the engines' factory, given this instance's id and its keys.
    pub engines: MakeFactory,
}

/// An open instance.
pub struct Instance {
    pub app: App,
    pub auth: Arc<Auth>,
    /// Marks what is ours on every engine.
    pub id: String,
}

impl Instance {
    /// Opens the data directory; makes what is missing.
    ///
    /// # Errors
    /// A directory that can't be used; a second instance; a newer schema; a key that others can read.
    pub async fn open(options: Options<'_>) -> Result<Self> {
        make_private_dir(options.dir)?;
        let keys = Arc::new(KeyRing::load_or_create(options.dir)?);
        let store = Store::open(options.dir, Bus::new(), options.mode)?;
        let id = instance_id(&store).await?;
        let blobs = Arc::new(blob::Store::open(options.dir).await?);
        let engines = Arc::new(Engines::new((options.engines)(&id, Arc::clone(&keys))));
        let app = App {
            store: store.clone(),
            clock: Arc::clone(&options.clock),
            journal_key: JournalKey(keys.journal_key()),
            keys: Arc::clone(&keys),
            blobs,
            archive_limits: options.archive_limits,
            engines,
            rules: Arc::new(options.rules),
        };
        if options.mode == Mode::Lead {
            first_run(&app, options.local_engine).await?;
        }
        let admin_groups = app.rules.admin_groups.clone();
        let auth = Auth::new(store, options.clock, keys, admin_groups, options.lifetimes);
        Ok(Self { app, auth, id })
    }
}

fn make_private_dir(dir: &Path) -> Result<()> {
    let broken = |error: std::io::Error| {
        Error::invalid("data_dir", format!("the data directory {} can't be used: {error}", dir.display()))
            .hint("Name another with --data-dir, or let this user write there.")
    };
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(broken)?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).map_err(broken)
}

async fn instance_id(store: &Store) -> Result<String> {
    const KEY: &str = "instance";
    if let Some(id) = store.read(|db| meta::get(db, KEY)).await? {
        return Ok(id);
    }
    let fresh = random::uuid().simple().to_string();
    store
        .write(move |tx| match meta::get(tx, KEY)? {
            Some(id) => Ok(id),
            None => meta::set(tx, KEY, &fresh).map(|()| fresh),
        })
        .await
}

/// Stages and the local Docker engine, once.
async fn first_run(app: &App, engine: EngineConnection) -> Result<()> {
    const KEY: &str = "first_run_done";
    let inner = app.clone();
    app.store
        .write(move |tx| {
            if meta::get(tx, KEY)?.is_some() {
                return Ok(());
            }
            app::stage::initialise(tx)?;
            let local = app::infrastructure::NewInfrastructure {
                id: InfrastructureId::parse("local")?,
                stage: StageId::parse("dev")?,
                engine: Some(engine),
                kubeconfig: None,
                govern_policy: GovernPolicy::NoCheck,
                policy: Policy::default(),
            };
            app::infrastructure::insert(&inner, tx, &Caller::system(), &local)?;
            meta::set(tx, KEY, "1")
        })
        .await
}
