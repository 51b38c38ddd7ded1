//! An infrastructure's connection as a request gives it, made whole: a kubeconfig is read and its credential sealed.
//!
//! A credential goes to the server that it came with and to no other: the access of a pasted kubeconfig is never taken
//! from a request that only names a server.

use secrecy::{ExposeSecret as _, SecretString};

use crate::app::App;
use crate::crypto::Context;
use crate::domain::cluster::{Cluster, ClusterAccess};
use crate::domain::infrastructure::{EngineConnection, Infrastructure, SealedCredential};
use crate::domain::name::InfrastructureId;
use crate::domain::{Error, Problem, Result};
use crate::engine::kubernetes::kubeconfig;
use crate::store;

/// A kubeconfig that somebody pasted or uploaded.
#[derive(Debug, Clone)]
pub struct Pasted {
    pub text: SecretString,
    /// Its current context where none is named.
    pub context: Option<String>,
}

/// The place that an infrastructure's credential is sealed for.
pub fn place(id: &InfrastructureId, version: u32) -> Context<'_> {
    Context { table: "infrastructure", row: id.as_str(), name: "credential", version }
}

/// Whether a request asks for another connection than there is; what it leaves out stays.
pub(super) fn differs(wanted: &EngineConnection, held: &EngineConnection) -> bool {
    let (EngineConnection::Kubernetes(wanted), EngineConnection::Kubernetes(held)) = (wanted, held) else {
        return wanted != held;
    };
    let mut wanted = wanted.clone();
    if wanted.access.is_unsaid() {
        wanted.access = held.access.clone();
    }
    if wanted.namespace.is_empty() {
        wanted.namespace.clone_from(&held.namespace);
    }
    wanted != *held
}

/// What a request says of a connection.
pub(super) struct Wanted<'a> {
    pub id: &'a InfrastructureId,
    /// The infrastructure as it is; `None` where it is made.
    pub held: Option<&'a Infrastructure>,
    /// The revision that the save makes: the credential's version.
    pub revision: u32,
    /// Left out: as it is, else the local Docker engine.
    pub engine: Option<&'a EngineConnection>,
    pub pasted: Option<&'a Pasted>,
}

impl Wanted<'_> {
    /// The whole connection and the credential that goes with it.
    ///
    /// # Errors
    /// What is wrong, by fields: `kubeconfig`, `context`, `engine.…`.
    pub(super) fn settle(
        &self,
        app: &App,
        db: &rusqlite::Connection,
    ) -> Result<(EngineConnection, Option<SealedCredential>)> {
        let held = self.held.map(|held| held.engine.clone());
        let connection = self.engine.cloned().or(held).unwrap_or_else(EngineConnection::local_docker);
        let EngineConnection::Kubernetes(mut cluster) = connection else {
            if self.pasted.is_some() {
                let problem =
                    Problem::new("kubeconfig", format!("an engine of kind {} takes none", connection.kind()));
                return Err(invalid(problem.hint("Leave it out, or give an engine of kind kubernetes.")));
            }
            return Ok((connection, None));
        };
        let credential = self.access(app, &mut cluster)?;
        if cluster.namespace.is_empty() {
            cluster.namespace = self.default_namespace(app, &cluster);
        }
        let mut problems = cluster.problems();
        problems.extend(builder(db, &cluster)?);
        problems.extend(configured(app, &cluster));
        if !problems.is_empty() {
            return Err(Error::problems("invalid_input", problems));
        }
        Ok((EngineConnection::Kubernetes(cluster), credential))
    }

    fn access(&self, app: &App, cluster: &mut Cluster) -> Result<Option<SealedCredential>> {
        let held = self.held.and_then(|held| match &held.engine {
            EngineConnection::Kubernetes(cluster) => Some((&cluster.access, &held.credential)),
            _ => None,
        });
        let as_it_is = held.is_some_and(|(access, _)| *access == cluster.access);
        if let Some(pasted) = self.pasted {
            if self.engine.is_some() && !cluster.access.is_unsaid() && !as_it_is {
                let problem = Problem::new("engine.access", "it is given beside a kubeconfig");
                return Err(invalid(
                    problem.hint("Give one of the two: a kubeconfig says how the cluster is reached."),
                ));
            }
            let read = kubeconfig::sanitise(pasted.text.expose_secret(), pasted.context.as_deref())?;
            cluster.access = read.access;
            if cluster.namespace.is_empty() {
                cluster.namespace = read.namespace.unwrap_or_default();
            }
            let sealed =
                app.keys.seal(&place(self.id, self.revision), read.credential.expose_secret().as_bytes());
            return Ok(Some(SealedCredential { version: self.revision, sealed }));
        }
        match held {
            Some((access, credential)) if as_it_is || cluster.access.is_unsaid() => {
                cluster.access = access.clone();
                Ok(credential.clone())
            }
            _ if cluster.access.is_unsaid() => {
                let problem = Problem::new("kubeconfig", "nothing says how the cluster is reached");
                Err(invalid(problem.hint(
                    "Give a kubeconfig; or name one of the configuration, or `in_cluster`, in `engine.access`.",
                )))
            }
            _ if cluster.access.has_credential() => {
                let problem = Problem::new(
                    "engine.access",
                    "a server is given without the kubeconfig that its credential stands in",
                );
                Err(invalid(
                    problem
                        .hint("Give the kubeconfig's text in `kubeconfig`, and leave `engine.access` out."),
                ))
            }
            _ => Ok(None),
        }
    }

    fn default_namespace(&self, app: &App, cluster: &Cluster) -> String {
        let held = self.held.and_then(|held| match &held.engine {
            EngineConnection::Kubernetes(cluster) => Some(cluster.namespace.clone()),
            _ => None,
        });
        let configured = match &cluster.access {
            ClusterAccess::Configured { name } => app.rules.kubeconfigs.get(name).cloned().flatten(),
            _ => None,
        };
        held.or(configured).unwrap_or_else(|| "default".to_owned())
    }
}

fn invalid(problem: Problem) -> Error {
    Error::problems("invalid_input", vec![problem])
}

/// What is wrong with who builds for it.
fn builder(db: &rusqlite::Connection, cluster: &Cluster) -> Result<Option<Problem>> {
    let Some(wanted) = &cluster.builder else {
        return Ok(None);
    };
    let all = store::infrastructure::all(db)?;
    let docker = |one: &&Infrastructure| matches!(one.engine, EngineConnection::Docker { .. });
    if all.iter().filter(docker).any(|one| one.id == *wanted) {
        return Ok(None);
    }
    let known: Vec<String> = all.iter().filter(docker).map(|one| one.id.to_string()).collect();
    let hint = match known.as_slice() {
        [] => "Make a Docker infrastructure first, or name none: bundles that build images are then refused."
            .to_owned(),
        known => format!("Name one of {}, or none.", known.join(", ")),
    };
    let problem = Problem::new("engine.builder", format!("{wanted} is no Docker infrastructure"));
    Ok(Some(problem.hint(hint)))
}

/// What is wrong with the name of a kubeconfig of the configuration.
fn configured(app: &App, cluster: &Cluster) -> Option<Problem> {
    let ClusterAccess::Configured { name } = &cluster.access else {
        return None;
    };
    if app.rules.kubeconfigs.contains_key(name) {
        return None;
    }
    let known: Vec<&str> = app.rules.kubeconfigs.keys().map(String::as_str).collect();
    let hint = match known.as_slice() {
        [] => "Write a section such as [kubeconfig.prod] with `file` into it, and start Slipway again."
            .to_owned(),
        known => format!("It has {}.", known.join(", ")),
    };
    Some(Problem::new("engine.access", format!("the configuration has no [kubeconfig.{name}]")).hint(hint))
}
