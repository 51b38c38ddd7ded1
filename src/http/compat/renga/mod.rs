//! renga-deployer's API: contexts, and their executions on the engines `docker` and `k8s`, for any HTTP client.
//!
//! What each field means here, and what became of each setting, stands in `docs/renga.md`.

mod description;
pub mod failure;

use actix_web::http::header::{self, HeaderMap};
use secrecy::SecretString;

use crate::domain::name::InfrastructureId;
use crate::http::identity::bearer;
use crate::http::routes::Routes;

/// Where clients look for it. Whole segments: the rest of `/v1` is not ours.
pub const PREFIXES: [&str; 3] = ["/v1/contexts", "/v1/swagger.json", "/v1/ui"];

/// Its routes.
pub fn routes(routes: &mut Routes) {
    description::routes(routes);
}

/// A bearer token, or an API key as one.
pub fn credential(headers: &HeaderMap) -> Option<SecretString> {
    let token = headers.get(header::AUTHORIZATION).and_then(bearer)?;
    Some(SecretString::from(token.to_owned()))
}

/// What the configuration says of it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the engine `docker` means.
    pub docker: InfrastructureId,
    /// What the engine `k8s` means; `None`: there is no such engine.
    pub k8s: Option<InfrastructureId>,
    /// Whether `/v1/ui` is served.
    pub swagger_ui: bool,
    /// `DEPLOYER_BASE_URL` of containers without a path of their own.
    pub base_url: String,
    /// The host at which ports are said to be, in place of what the engine says.
    pub docker_host: Option<String>,
    pub k8s_host: Option<String>,
}

impl Default for Settings {
    /// As a configuration without a word of it.
    fn default() -> Self {
        Self {
            docker: InfrastructureId::parse("local").expect("the id written here is one"),
            k8s: None,
            swagger_ui: false,
            base_url: "/".to_owned(),
            docker_host: None,
            k8s_host: None,
        }
    }
}
