//! Dataiku's public API as far as its project deployer and futures go, for the client `dataikuapi` as it is.
//!
//! What each operation and field means here stands in `docs/dataiku.md`. The shapes follow the client's own docstrings
//! (PyPI `dataiku-api-client` 15.2.0, `dataikuapi.dss.projectdeployer` and `future`); times are milliseconds since 1970.

mod bundle;
mod deployment;
mod deployment_settings;
pub mod failure;
mod future;
mod infrastructure;
mod infrastructure_settings;
mod message;
mod permission;
mod project;
mod project_settings;
mod settings;
mod stage;
mod test;
mod update;

use actix_web::http::header::{self, HeaderMap};
use base64::Engine as _;
use secrecy::SecretString;

use crate::app::{self, App};
use crate::domain::access::Caller;
use crate::domain::name::DeploymentId;
use crate::domain::{Error, Result};
use crate::http::identity::bearer;
use crate::http::routes::Routes;

/// Where the client looks for it.
pub const PREFIX: &str = "/dip/publicapi";

/// Its routes.
pub fn routes(routes: &mut Routes) {
    stage::routes(routes);
    infrastructure::routes(routes);
    infrastructure_settings::routes(routes);
    project::routes(routes);
    project_settings::routes(routes);
    bundle::routes(routes);
    deployment::routes(routes);
    deployment_settings::routes(routes);
    update::routes(routes);
    test::routes(routes);
    future::routes(routes);
}

/// A noun's routes from one table, paths below `/dip/publicapi`.
macro_rules! operations {
    ($($method:ident $path:literal => $handler:ident),+ $(,)?) => {
        /// Registers the routes of this file.
        pub(super) fn routes(routes: &mut $crate::http::routes::Routes) {
            $(routes.$method(concat!("/dip/publicapi", $path), $handler);)+
        }
    };
}
use operations;

/// The id of the deployment that `text` names. What runs no bundle is not there for these clients: it has no project.
async fn deployment_of(app: &App, caller: &Caller, text: &str) -> Result<DeploymentId> {
    let id = app::deployment::id_of(app, caller, text).await?;
    if app::deployment::get(app, caller, id.clone()).await?.source.is_bundle() {
        return Ok(id);
    }
    Err(Error::not_found("deployment", text.chars().take(130).collect::<String>()))
}

/// The API key: the user of basic authentication, as the client sends it, or a bearer token.
pub fn credential(headers: &HeaderMap) -> Option<SecretString> {
    let value = headers.get(header::AUTHORIZATION)?;
    if let Some(token) = bearer(value) {
        return Some(SecretString::from(token.to_owned()));
    }
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, _) = text.split_once(':')?;
    Some(SecretString::from(user.to_owned()))
}

/// Python writes booleans its own way into a query.
fn python_bool<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    use serde::Deserialize as _;
    match String::deserialize(deserializer)?.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(serde::de::Error::custom(format!("{other:?} is neither true nor false"))),
    }
}
