//! A context, as renga-deployer calls it: an image with what it takes to run it, in the words of a Kubernetes container;
//! and its execution: one run of it, a task.
//!
//! What is sent is kept as it is, to be answered again, and is read strictly beside it: a key that nothing stands
//! behind is refused by name, all of them at once, so that nothing is dropped in silence.

mod kept;
mod parts;
mod quantity;
mod read;
#[cfg(test)]
mod tests;
mod volumes;

use std::collections::BTreeMap;
use std::iter;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::context::read::Reader;
use crate::domain::context::volumes::Mounts;
use crate::domain::policy::Exception;
use crate::domain::workload::{EnvValue, Image, Port, Protocol, Resources, Restart, Service, ServiceKind};
use crate::domain::{Error, Result, notation};
pub use kept::{Context, ContextSpec, SERVICE, effective, execution_service};

/// Tells a container which context it runs.
pub const CONTEXT_VARIABLE: &str = "RENGA_CONTEXT_ID";
/// Tells a container below which path or URL it is reached.
pub const BASE_URL_VARIABLE: &str = "DEPLOYER_BASE_URL";

const SPECIFICATION: &[&str] =
    &["image", "command", "ports", "labels", "env", "volumes", "volumeMounts", "resources"];
const ORDER: &[&str] = &["engine", "namespace", "environment"];

/// What a context runs, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Specification {
    sent: Value,
    image: String,
    command: Option<Vec<String>>,
    ports: Vec<ContextPort>,
    labels: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    mounts: Mounts,
    resources: Resources,
}

/// A port of the container that is to be reached from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextPort {
    pub port: u16,
    pub protocol: Protocol,
}

/// What a run of a context adds to it.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    pub context: Uuid,
    /// The execution's own; it comes before the context's.
    pub environment: &'a BTreeMap<String, String>,
    /// Where the container is reached.
    pub base_url: &'a str,
    /// The path of an Ingress at which it is reached, where there is one.
    pub ingress_path: Option<&'a str>,
}

/// A run that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// `docker`, `k8s`, or an infrastructure.
    pub engine: String,
    /// `default` is the infrastructure's own.
    pub namespace: String,
    pub environment: BTreeMap<String, String>,
}

impl Specification {
    /// Reads what was sent.
    ///
    /// # Errors
    /// `context_refused` with every wrong place, such as `volumes[0].hostPath.path`.
    pub fn parse(sent: Value) -> Result<Self> {
        let mut reader = Reader::new("context_refused");
        let read = Self::read(&sent, &mut reader);
        reader.into_result(read).map(|read| Self { sent, ..read })
    }

    fn read(sent: &Value, reader: &mut Reader) -> Option<Self> {
        let table = reader.table(sent, "", SPECIFICATION)?;
        let image = match table.get("image") {
            Some(at) => parts::image(at, reader),
            None => {
                reader.refuse("image", "it is missing", "Name the image to run, such as \"hello-world\".");
                None
            }
        };
        let command = table.get("command").and_then(|at| parts::command(at, reader));
        let ports = table.get("ports").map(|at| parts::ports(at, reader)).unwrap_or_default();
        let labels = table.get("labels").map(|at| parts::labels(at, reader)).unwrap_or_default();
        let environment = table.get("env").map(|at| parts::env(at, reader)).unwrap_or_default();
        let mounts = volumes::read(table.get("volumes"), table.get("volumeMounts"), reader);
        let resources = table.get("resources").map(|at| parts::resources(at, reader)).unwrap_or_default();
        let (sent, image) = (Value::Null, image?);
        Some(Self { sent, image, command, ports, labels, environment, mounts, resources })
    }

    /// Whether a port of TCP is to be reached, which is what an Ingress leads to.
    pub fn serves(&self) -> bool {
        self.ports.iter().any(|port| port.protocol == Protocol::Tcp)
    }

    /// As it was sent.
    pub fn sent(&self) -> &Value {
        &self.sent
    }

    /// The image, with its tag.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// The command line, as it was sent; `None` where the image's own runs.
    pub fn command(&self) -> Option<&str> {
        self.sent.get("command").and_then(Value::as_str).filter(|line| !line.trim().is_empty())
    }

    /// The environment, secrets masked.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// The ports that are reached from outside, in the order in which they were sent.
    pub fn ports(&self) -> &[ContextPort] {
        &self.ports
    }

    /// The one service of a run: a task, made of nothing but what stands here.
    pub fn service(&self, run: &Run<'_>) -> Service {
        let default = (BASE_URL_VARIABLE.to_owned(), run.base_url.to_owned());
        let given = self.environment.iter().chain(run.environment);
        let given = given.map(|(name, value)| (name.clone(), value.clone()));
        let ours = (CONTEXT_VARIABLE.to_owned(), run.context.to_string());
        let environment = iter::once(default).chain(given).chain(iter::once(ours));
        let Mounts { volumes, tmpfs, host } = self.mounts.clone();
        let port = |port: &ContextPort| Port {
            container_port: port.port,
            protocol: port.protocol,
            host_port: None,
            host_ip: None,
        };
        Service {
            kind: ServiceKind::Task,
            restart: Restart::No,
            command: self.command.clone(),
            environment: environment.map(|(name, value)| (name, EnvValue::Plain(value))).collect(),
            exceptions: host.iter().map(|mount| Exception::HostPath(mount.source.clone())).collect(),
            volumes,
            tmpfs,
            host_mounts: host,
            ports: self.ports.iter().map(port).collect(),
            resources: self.resources,
            labels: self.labels.clone(),
            ingress_path: run.ingress_path.map(str::to_owned),
            any_end: true,
            ..Service::new(Image::Reference(self.image.clone()))
        }
    }
}

impl TryFrom<Value> for Specification {
    type Error = Error;
    fn try_from(sent: Value) -> Result<Self> {
        Self::parse(sent)
    }
}

impl From<Specification> for Value {
    fn from(specification: Specification) -> Self {
        specification.sent
    }
}

impl Order {
    /// Reads what was sent.
    ///
    /// # Errors
    /// `execution_refused` with every wrong place, such as `environment.TOKEN`.
    pub fn parse(sent: &Value) -> Result<Self> {
        let mut reader = Reader::new("execution_refused");
        let read = Self::read(sent, &mut reader);
        let order = reader.into_result(read)?;
        kept::check_names("execution_refused", "environment", order.environment.keys())?;
        Ok(order)
    }

    fn read(sent: &Value, reader: &mut Reader) -> Option<Self> {
        let table = reader.table(sent, "", ORDER)?;
        let engine = match table.get("engine") {
            Some(at) => reader.text(at, "\"docker\"").map(str::to_owned),
            None => {
                reader.refuse("engine", "it is missing", "Name `docker`, `k8s` or an infrastructure.");
                None
            }
        };
        let namespace = match table.get("namespace") {
            Some(at) => reader.text(at, "\"default\"")?.to_owned(),
            None => "default".to_owned(),
        };
        let environment =
            table.get("environment").map(|at| parts::environment(at, reader)).unwrap_or_default();
        Some(Self { engine: engine?, namespace, environment })
    }
}

impl ContextPort {
    /// `8888`, `8888/tcp` or `53/udp`.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, protocol) = match text.split_once('/') {
            None => (text, Protocol::Tcp),
            Some((number, word)) if word.eq_ignore_ascii_case("tcp") => (number, Protocol::Tcp),
            Some((number, word)) if word.eq_ignore_ascii_case("udp") => (number, Protocol::Udp),
            Some(_) => return None,
        };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let port = number.parse().ok().filter(|port: &u16| *port > 0 && digits)?;
        Some(Self { port, protocol })
    }
}
