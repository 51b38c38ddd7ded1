//! The part of an infrastructure's forms that says how a Kubernetes cluster is reached and used. What was pasted of a
//! kubeconfig is never shown again, not even beside a refusal.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::app::infrastructure::connection::Pasted;
use crate::app::{App, infrastructure};
use crate::domain::access::Caller;
use crate::domain::cluster::{Cluster, ClusterAccess, CredentialKind, Publish};
use crate::domain::infrastructure::EngineConnection;
use crate::domain::name::InfrastructureId;
use crate::domain::{Error, Problem, Result};
use crate::http::web::fields::Fields;
use crate::http::web::page::{Choice, Field};

const KUBECONFIG: &str = "kubeconfig";
const IN_CLUSTER: &str = "in_cluster";
const CONFIGURED: &str = "configured:";

/// The fields.
pub struct ClusterForm {
    pub access: Field,
    pub kubeconfig: Field,
    pub file: Field,
    pub context: Field,
    pub namespace: Field,
    pub registry: Field,
    pub builder: Field,
    pub mirrors: Field,
    pub publish: Field,
    pub class: Field,
    pub host: Field,
    pub path: Field,
    pub tls_secret: Field,
    pub storage_class: Field,
    pub volume_size: Field,
}

impl ClusterForm {
    /// The fields as a form shows them at first: for a new cluster, or as `held` is.
    pub async fn load(app: &App, caller: &Caller, held: Option<&Cluster>) -> Result<Self> {
        let listed = infrastructure::list(app, caller).await?;
        let docker = listed.iter().map(|one| &one.infrastructure).filter(|one| one.engine.kind() == "docker");
        let builders = docker.map(|one| Choice::new(one.id.as_str(), one.id.as_str())).collect();
        let form = Self::empty(access_choices(app), builders, held.is_some());
        Ok(match held {
            Some(cluster) => form.showing(cluster),
            None => form,
        })
    }

    fn empty(access: Vec<Choice>, builders: Vec<Choice>, keeps: bool) -> Self {
        let text = if keeps {
            "Leave empty to keep what is there. It is never shown."
        } else {
            "What kubectl config view --raw --minify --flatten prints. Only the server, its certificate authority and \
             one token or client certificate are kept; it is never shown again."
        };
        let publish = vec![
            Choice::new("node_port", "By a port of every node (NodePort)"),
            Choice::new("ingress", "By name, through an Ingress"),
            Choice::new("nowhere", "Not at all"),
        ];
        Self {
            access: Field::radio("access", "Reached by", access).value(KUBECONFIG).required(),
            kubeconfig: Field::area("kubeconfig", "Kubeconfig", 6).hint(text).mono(),
            file: Field::file(
                "kubeconfig_file",
                "Or its file",
                ".yaml,.yml,.conf,.config,.kubeconfig,text/*",
            ),
            context: Field::text("context", "Context").hint("The current one where none is named.").mono(),
            namespace: Field::text("namespace", "Namespace").hint("The context's, else default.").mono(),
            registry: Field::text("registry", "Registry")
                .hint("Host and path that images of bundles are pushed to.")
                .mono(),
            builder: Field::select("builder", "Images are built on", builders)
                .hint("A Docker infrastructure; without one, bundles that build images are refused."),
            mirrors: Field::area("mirrors", "Mirrors", 3)
                .hint("One a line: docker.io=mirror.example.org/hub.")
                .mono(),
            publish: Field::radio("publish_by", "Published ports are reached", publish)
                .value("node_port")
                .required(),
            class: Field::text("ingress_class", "Ingress class").mono(),
            host: Field::text("ingress_host", "Host")
                .hint("{deployment}, {service} and {port} stand for the names. Left empty: every host.")
                .mono(),
            path: Field::text("ingress_path", "Path").value("/").mono(),
            tls_secret: Field::text("tls_secret", "TLS secret").hint("None: plain http.").mono(),
            storage_class: Field::text("storage_class", "Storage class")
                .hint("The cluster's own where none is named.")
                .mono(),
            volume_size: Field::text("volume_size", "Size of a volume").value("1Gi").mono(),
        }
    }

    fn showing(self, cluster: &Cluster) -> Self {
        let access = match &cluster.access {
            ClusterAccess::InCluster {} => IN_CLUSTER.to_owned(),
            ClusterAccess::Configured { name } => format!("{CONFIGURED}{name}"),
            ClusterAccess::Kubeconfig { .. } => KUBECONFIG.to_owned(),
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let mirrors: Vec<String> = cluster.mirrors.iter().map(|(host, to)| format!("{host}={to}")).collect();
        let builder = cluster.builder.as_ref().map(ToString::to_string).unwrap_or_default();
        let (by, class, host, path, tls_secret) = match &cluster.publish {
            Publish::NodePort => ("node_port", String::new(), String::new(), "/".to_owned(), String::new()),
            Publish::Nowhere => ("nowhere", String::new(), String::new(), "/".to_owned(), String::new()),
            Publish::Ingress { class, host, path, tls_secret } => {
                ("ingress", text(class), host.clone(), path.clone(), text(tls_secret))
            }
        };
        Self {
            access: self.access.value(access),
            namespace: self.namespace.value(cluster.namespace.clone()).hint(""),
            registry: self.registry.value(text(&cluster.registry)),
            builder: self.builder.value(builder),
            mirrors: self.mirrors.value(mirrors.join("\n")),
            publish: self.publish.value(by),
            class: self.class.value(class),
            host: self.host.value(host),
            path: self.path.value(path),
            tls_secret: self.tls_secret.value(tls_secret),
            storage_class: self.storage_class.value(text(&cluster.storage_class)),
            volume_size: self.volume_size.value(cluster.volume_size.clone()),
            ..self
        }
    }

    /// With what was typed, secrets left out.
    pub fn typed(&mut self, fields: &Fields) {
        for field in self.all() {
            let came = fields.iter().any(|(name, _)| name == field.name);
            if came && !field.name.starts_with(KUBECONFIG) {
                *field = field.clone().value(fields.raw(&field.name).to_owned());
            }
        }
    }

    /// Every field.
    pub fn all(&mut self) -> Vec<&mut Field> {
        vec![
            &mut self.access,
            &mut self.kubeconfig,
            &mut self.file,
            &mut self.context,
            &mut self.namespace,
            &mut self.registry,
            &mut self.builder,
            &mut self.mirrors,
            &mut self.publish,
            &mut self.class,
            &mut self.host,
            &mut self.path,
            &mut self.tls_secret,
            &mut self.storage_class,
            &mut self.volume_size,
        ]
    }
}

fn access_choices(app: &App) -> Vec<Choice> {
    let mut choices = vec![Choice::new(KUBECONFIG, "A kubeconfig, pasted or uploaded")];
    choices.extend(app.rules.kubeconfigs.keys().map(|name| {
        Choice::new(format!("{CONFIGURED}{name}"), format!("[kubeconfig.{name}] of the configuration"))
    }));
    choices.push(Choice::new(IN_CLUSTER, "The service account of the pod that Slipway runs in"));
    choices
}

/// A cluster's connection from a form, and the kubeconfig that came with it.
pub fn cluster_of(fields: &Fields, held: Option<&Cluster>) -> Result<(EngineConnection, Option<Pasted>)> {
    let mut problems = Vec::new();
    let pasted = pasted(fields);
    let has_credential = held.is_some_and(|held| held.access.has_credential());
    let access = match fields.get("access") {
        KUBECONFIG | "" if pasted.is_none() && !has_credential => {
            let problem = Problem::new(KUBECONFIG, "it is missing");
            problems.push(problem.hint("Paste a kubeconfig, or choose its file."));
            ClusterAccess::default()
        }
        KUBECONFIG | "" => ClusterAccess::default(),
        other if pasted.is_some() => {
            let problem = Problem::new("access", format!("a kubeconfig was given, and {other} chosen"));
            problems.push(problem.hint("Choose the kubeconfig, or empty its field."));
            ClusterAccess::default()
        }
        IN_CLUSTER => ClusterAccess::InCluster {},
        other => match other.strip_prefix(CONFIGURED) {
            Some(name) => ClusterAccess::Configured { name: name.to_owned() },
            None => return Err(Error::field("access", format!("{other:?} is no way to a cluster"))),
        },
    };
    let optional = |name: &str| fields.optional(name).map(ToOwned::to_owned);
    let builder = fields.optional("builder").map(|id| {
        InfrastructureId::parse(id)
            .map_err(|_| problems.push(Problem::new("builder", format!("{id:?} is no id"))))
    });
    let builder = builder.and_then(Result::ok);
    let cluster = Cluster {
        access,
        namespace: fields.get("namespace").to_owned(),
        registry: optional("registry"),
        mirrors: mirrors(fields.raw("mirrors"), &mut problems),
        builder,
        publish: publish(fields)?,
        storage_class: optional("storage_class"),
        volume_size: fields.optional("volume_size").unwrap_or("1Gi").to_owned(),
    };
    if problems.is_empty() {
        return Ok((EngineConnection::Kubernetes(Box::new(cluster)), pasted));
    }
    Err(Error::problems("invalid_input", problems))
}

fn pasted(fields: &Fields) -> Option<Pasted> {
    let text = [KUBECONFIG, "kubeconfig_file"].into_iter().find(|name| !fields.get(name).is_empty())?;
    Some(Pasted {
        text: SecretString::from(fields.raw(text)),
        context: fields.optional("context").map(ToOwned::to_owned),
    })
}

fn mirrors(text: &str, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once('=') {
            Some((host, to)) => {
                found.insert(host.trim().to_owned(), to.trim().to_owned());
            }
            None => problems.push(
                Problem::new("mirrors", format!("{line:?} is no host=other"))
                    .hint("Write one a line, such as docker.io=mirror.example.org/hub."),
            ),
        }
    }
    found
}

fn publish(fields: &Fields) -> Result<Publish> {
    let optional = |name: &str| fields.optional(name).map(ToOwned::to_owned);
    match fields.get("publish_by") {
        "node_port" | "" => Ok(Publish::NodePort),
        "nowhere" => Ok(Publish::Nowhere),
        "ingress" => Ok(Publish::Ingress {
            class: optional("ingress_class"),
            host: fields.get("ingress_host").to_owned(),
            path: fields.optional("ingress_path").unwrap_or("/").to_owned(),
            tls_secret: optional("tls_secret"),
        }),
        other => Err(Error::field("publish_by", format!("{other:?} is no way to publish"))),
    }
}

/// The same error with each problem of a cluster at its field.
pub fn at_fields(mut error: Error) -> Error {
    for problem in &mut error.problems {
        if let Some(line) = problem.place.strip_prefix("kubeconfig:") {
            let line = line.split(':').next().unwrap_or_default();
            problem.message = format!("line {line}: {}", problem.message);
            problem.place = KUBECONFIG.to_owned();
            continue;
        }
        let field = match problem.place.as_str() {
            "engine.access" => "access",
            "engine.namespace" => "namespace",
            "engine.registry" => "registry",
            "engine.mirrors" => "mirrors",
            "engine.builder" => "builder",
            "engine.storageClass" => "storage_class",
            "engine.volumeSize" => "volume_size",
            "engine.publish.class" => "ingress_class",
            "engine.publish.host" => "ingress_host",
            "engine.publish.path" => "ingress_path",
            "engine.publish.tlsSecret" => "tls_secret",
            _ => continue,
        };
        problem.place = field.to_owned();
    }
    error
}

/// How a cluster is reached and used, for people.
pub fn facts(cluster: &Cluster) -> Vec<(&'static str, String)> {
    let mut facts = match &cluster.access {
        ClusterAccess::InCluster {} => vec![("Reached by", "the pod's service account".to_owned())],
        ClusterAccess::Configured { name } => vec![("Reached by", format!("[kubeconfig.{name}]"))],
        ClusterAccess::Kubeconfig { server, credential, .. } => {
            let kind = match credential {
                CredentialKind::Token => "token",
                CredentialKind::Certificate => "client certificate",
            };
            vec![("Server", server.clone()), ("Credential", kind.to_owned())]
        }
    };
    facts.push(("Namespace", cluster.namespace.clone()));
    facts.extend(cluster.registry.iter().map(|registry| ("Registry", registry.clone())));
    facts.extend(cluster.mirrors.iter().map(|(host, to)| ("Mirror", format!("{host} = {to}"))));
    facts.extend(cluster.builder.iter().map(|builder| ("Images built on", builder.to_string())));
    let published = match &cluster.publish {
        Publish::NodePort => "NodePort".to_owned(),
        Publish::Nowhere => "not at all".to_owned(),
        Publish::Ingress { host, path, tls_secret, .. } => {
            let scheme = if tls_secret.is_some() { "https" } else { "http" };
            format!("{scheme}://{}{path}", if host.is_empty() { "*" } else { host })
        }
    };
    facts.push(("Ports published", published));
    facts.extend(cluster.storage_class.iter().map(|class| ("Storage class", class.clone())));
    facts.push(("Volume size", cluster.volume_size.clone()));
    facts
}
