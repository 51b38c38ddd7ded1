//! Rotating the key that seals: a fresh one is added to the ring, and every secret is sealed anew under it.
//!
//! Old keys stay in the ring. What a session keeps for the provider's logout was sealed under them and ends by itself,
//! and a restored backup may hold older values still.

use serde_json::json;

use super::infrastructure::connection;
use super::{App, Note, resource};
use crate::crypto::Context;
use crate::domain::Result;
use crate::domain::access::Caller;
use crate::store;

/// Adds a key to the ring and seals all secrets and credentials under it; says how many. The database's write lock is held meanwhile,
/// so that one process rotates at a time and no secret is saved in between; a running server takes part by itself.
///
/// # Errors
/// Forbidden but for administrators; `key_file_unwritable`; `sealed_elsewhere` for a value that no key opens, before
/// anything was sealed.
pub async fn rotate(app: &App, caller: &Caller) -> Result<usize> {
    caller.subject.demand_admin("rotating the keys")?;
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let keys = &app_.keys;
            let mut secrets = Vec::new();
            for (deployment, name, version, sealed) in store::secret::all(tx)? {
                let value = keys.open(&place(deployment.as_str(), name.as_str(), version), &sealed)?;
                secrets.push((deployment, name, version, value));
            }
            let mut credentials = Vec::new();
            for (id, credential) in store::infrastructure::credentials(tx)? {
                let value = keys.open(&connection::place(&id, credential.version), &credential.sealed)?;
                credentials.push((id, credential.version, value));
            }
            let mut of_resources = Vec::new();
            for (uuid, (name, version, sealed)) in store::resource::all_sealed(tx)? {
                let value = resource::opened(&app_, uuid, &(name.clone(), version, sealed))?;
                of_resources.push((uuid, name, version, value));
            }
            keys.rotate()?;
            for (deployment, name, version, value) in &secrets {
                let sealed = keys.seal(&place(deployment.as_str(), name.as_str(), *version), value);
                store::secret::reseal(tx, deployment, name, &sealed)?;
            }
            for (id, version, value) in &credentials {
                let sealed = keys.seal(&connection::place(id, *version), value);
                store::infrastructure::reseal(tx, id, &sealed)?;
            }
            for (uuid, name, version, value) in &of_resources {
                let sealed = resource::sealed(&app_, *uuid, name, *version, value);
                store::resource::reseal(tx, *uuid, name, &sealed)?;
            }
            let count = secrets.len() + credentials.len() + of_resources.len();
            app_.journal(
                tx,
                &caller,
                "keys.rotated",
                ("instance", "keys"),
                Note::detail(json!({ "secrets": count })),
            )?;
            Ok(count)
        })
        .await
}

fn place<'a>(deployment: &'a str, name: &'a str, version: u32) -> Context<'a> {
    Context { table: "secret", row: deployment, name, version }
}
