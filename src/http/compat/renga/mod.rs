//! renga-deployer's API: contexts, and their executions on the engines `docker` and `k8s`, for any HTTP client.
//!
//! What each field means here, and what became of each setting, stands in `docs/renga.md`.

pub mod asking;
mod context;
mod description;
mod execution;
pub mod failure;
pub mod wire;

use std::collections::BTreeMap;

use actix_web::http::header::{self, HeaderMap};
use secrecy::SecretString;
use uuid::Uuid;

use crate::app::execution::{Hosts, NewExecution};
use crate::domain::context::Order;
use crate::domain::name::InfrastructureId;
use crate::domain::{Error, Problem, Result};
use crate::http::identity::bearer;
use crate::http::routes::Routes;

/// Where clients look for it. Whole segments: the rest of `/v1` is not ours.
pub const PREFIXES: [&str; 3] = ["/v1/contexts", "/v1/swagger.json", "/v1/ui"];

/// Its routes.
pub fn routes(routes: &mut Routes) {
    context::routes(routes);
    execution::routes(routes);
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
    /// Whom executions run as on restricted infrastructures; `None`: they are refused there.
    pub user: Option<String>,
    /// `DEPLOYER_BASE_URL` of containers without a path of their own.
    pub base_url: String,
    /// The host at which ports are said to be, in place of what the engine says.
    pub docker_host: Option<String>,
    pub k8s_host: Option<String>,
    /// What namespaces mean besides an infrastructure's own.
    pub namespaces: BTreeMap<String, InfrastructureId>,
}

impl Settings {
    /// An order as the use case takes it.
    ///
    /// # Errors
    /// As [`Self::infrastructure`].
    pub fn execution(&self, context: Uuid, order: Order, ignore_warnings: bool) -> Result<NewExecution> {
        Ok(NewExecution {
            context,
            infrastructure: self.infrastructure(&order.engine)?,
            order,
            namespaces: self.namespaces.clone(),
            user: self.user.clone(),
            base_url: self.base_url.clone(),
            ignore_warnings,
        })
    }

    /// Where an execution's ports are said to be, for somebody who reaches this host by the name `here`.
    pub fn hosts<'a>(&'a self, here: Option<&'a str>) -> Hosts<'a> {
        Hosts { docker: self.docker_host.as_deref(), kubernetes: self.k8s_host.as_deref(), here }
    }

    /// The infrastructure that an engine's name means: one of upstream's two names, or an infrastructure's own.
    ///
    /// # Errors
    /// A name that nothing could be called; `k8s` where the configuration gives it no meaning.
    pub fn infrastructure(&self, engine: &str) -> Result<InfrastructureId> {
        const PLACE: &str = "engine";
        let unset = || {
            let hint = "Name an infrastructure, or have an administrator set `renga.k8s`.";
            let problem = Problem::new(PLACE, "there is no engine k8s here").hint(hint);
            Error::problems("execution_refused", vec![problem])
        };
        match engine {
            "docker" => Ok(self.docker.clone()),
            "k8s" => self.k8s.clone().ok_or_else(unset),
            own => InfrastructureId::parse(own).map_err(|error| {
                let problem =
                    Problem::new(PLACE, error.message).hint("Name `docker`, `k8s` or an infrastructure.");
                Error::problems("execution_refused", vec![problem])
            }),
        }
    }
}

impl Default for Settings {
    /// As a configuration without a word of it.
    fn default() -> Self {
        Self {
            docker: InfrastructureId::parse("local").expect("the id written here is one"),
            k8s: None,
            swagger_ui: false,
            user: None,
            base_url: "/".to_owned(),
            docker_host: None,
            k8s_host: None,
            namespaces: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_an_infrastructure() {
        let id = |text: &str| InfrastructureId::parse(text).unwrap();
        let settings = Settings { k8s: Some(id("prod")), ..Settings::default() };
        for (engine, expected) in [("docker", "local"), ("k8s", "prod"), ("gpu-lab", "gpu-lab")] {
            assert_eq!(settings.infrastructure(engine).unwrap(), id(expected));
        }
        for (settings, engine) in [(&Settings::default(), "k8s"), (&settings, "../x"), (&settings, "")] {
            let error = settings.infrastructure(engine).unwrap_err();
            assert_eq!(error.problems[0].place, "engine", "{engine}");
            assert!(error.problems[0].hint.is_some());
        }
    }
}
