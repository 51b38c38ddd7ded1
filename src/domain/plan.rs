//! The plan: bundle + settings + infrastructure policy, resolved. It is what an engine will be asked, frozen when an
//! update is asked for.
//!
//! Equal inputs give byte-equal plans, so that a digest of the plan can be approved and compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::bundle::{Bundle, BundleFile, Digest};
use crate::domain::cluster;
use crate::domain::deployment::{ServiceSettings, Settings};
use crate::domain::infrastructure::{EngineConnection, HostPorts, Infrastructure};
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, SecretName, ServiceName, Version};
use crate::domain::policy::{self, Profile};
use crate::domain::secret::SecretInfo;
use crate::domain::workload::{EnvValue, Image, SecretMount, Service, Source, Workload};
use crate::domain::{Error, Problem, Result};

/// A resolved workload for one deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub deployment: DeploymentId,
    pub project: ProjectKey,
    pub version: Version,
    /// The bundle's archive.
    pub bundle: Digest,
    pub infrastructure: InfrastructureId,
    /// `false`: everything stops.
    pub enabled: bool,
    pub profile: Profile,
    pub workload: Workload,
    /// What each service's containers are made from besides its own fields: the content of its bundle files.
    pub inputs: BTreeMap<ServiceName, Digest>,
    /// The version of every secret that the workload uses.
    pub secrets: BTreeMap<SecretName, u32>,
    /// Of a run of tests: which of the services are tests. Then they alone are made ready, started and removed; the others
    /// run already, and stand here so that engines see whose peers the tests are.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub testing: BTreeSet<ServiceName>,
}

impl Plan {
    /// The plan of a run of this plan's tests beside its services; `None` where it has no tests.
    pub fn for_tests(&self) -> Option<Self> {
        let mut plan = self.clone();
        let tests = std::mem::take(&mut plan.workload.tests);
        plan.testing = tests.keys().cloned().collect();
        plan.workload.services.extend(tests);
        (!plan.testing.is_empty()).then_some(plan)
    }

    /// The services that an engine gets ready for this plan: all of them, or of a run of tests the tests.
    pub fn to_prepare(&self) -> impl Iterator<Item = (&ServiceName, &Service)> {
        let ours = |name: &ServiceName| self.testing.is_empty() || self.testing.contains(name);
        self.workload.services.iter().filter(move |(name, _)| ours(name))
    }

    /// Covers everything above, so that whatever would change what runs changes it.
    pub fn digest(&self) -> Digest {
        Digest::of(&canonical(self))
    }

    /// The hash of a service's template: everything its containers are made of, replicas left out, so that scaling
    /// keeps what runs and an unchanged service is never touched. 16 hex digits.
    pub fn template_hash(&self, name: &ServiceName) -> Option<String> {
        let mut service = self.workload.services.get(name)?.clone();
        service.replicas = 0;
        service.depends_on.clear();
        let files = |mounts: &[SecretMount], sources: &BTreeMap<SecretName, Source>| -> BTreeMap<_, _> {
            let told = |mount: &SecretMount| {
                let source = sources.get(&mount.source).cloned();
                let version = source.as_ref().map(|source| self.secret_versions(source));
                (mount.source.clone(), (source, version))
            };
            mounts.iter().map(told).collect()
        };
        let secrets = files(&service.secrets, &self.workload.secrets);
        let configs = files(&service.configs, &self.workload.configs);
        let template = (&service, self.inputs.get(name), secrets, configs, self.profile);
        Some(Digest::of(&canonical(&template)).as_str()[..16].to_owned())
    }

    fn secret_versions(&self, source: &Source) -> Vec<u32> {
        let version = |name: &SecretName| self.secrets.get(name).copied();
        match source {
            Source::Setting(name) => version(name).into_iter().collect(),
            Source::Json(template) => template.secret.values().filter_map(version).collect(),
            Source::BundleFile(_) | Source::Inline(_) => Vec::new(),
        }
    }

    /// What will interrupt the service, for each service whose replicas are replaced stop-first; `ports` is the engine's way.
    pub fn downtime(&self, running: Option<&Plan>, ports: HostPorts) -> Vec<Downtime> {
        let Some(running) = running else {
            return Vec::new();
        };
        self.workload
            .services
            .iter()
            .filter(|(name, _)| running.workload.services.contains_key(*name))
            .filter(|(name, _)| running.template_hash(name) != self.template_hash(name))
            .filter_map(|(name, service)| {
                service.stop_first_because(ports).map(|because| Downtime { service: name.clone(), because })
            })
            .collect()
    }
}

/// A service that stops before its successor starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Downtime {
    pub service: ServiceName,
    pub because: String,
}

/// What the resolution starts from.
#[derive(Debug)]
pub struct Inputs<'a> {
    pub deployment: &'a DeploymentId,
    pub bundle: &'a Bundle,
    pub infrastructure: &'a Infrastructure,
    pub enabled: bool,
    pub settings: &'a Settings,
    pub secrets: &'a [SecretInfo],
}

/// Lays settings and policy over the bundle. Every problem is named at once, each with its place and way out. What the
/// policy forbids may still be stopped: of a disabled deployment only its own settings are refused.
pub fn resolve(inputs: &Inputs<'_>) -> Result<Plan> {
    let bundle = inputs.bundle;
    let mut workload = bundle.manifest.workload.clone();
    let mut problems = unknown_services(inputs.settings, &workload);
    let secrets: BTreeMap<SecretName, u32> =
        inputs.secrets.iter().map(|secret| (secret.name.clone(), secret.version)).collect();
    for (name, service) in workload.all_mut() {
        let own = inputs.settings.services.get(name);
        apply(service, inputs.settings, own, &secrets, name, &mut problems);
        service.resources = policy::effective_limits(&service.resources, &inputs.infrastructure.policy);
    }
    problems.extend(misplaced(inputs.settings, &workload));
    problems.extend(missing_environment(&workload));
    problems.extend(missing_secrets(&workload, &secrets));
    if inputs.enabled {
        problems.extend(policy::refusals(&workload, &inputs.infrastructure.policy));
    }
    if inputs.enabled && matches!(inputs.infrastructure.engine, EngineConnection::Kubernetes(_)) {
        problems.extend(cluster::refusals(&workload));
    }
    if !problems.is_empty() {
        return Err(Error::problems("plan_refused", problems));
    }
    let used = used_secrets(&workload, &secrets);
    Ok(Plan {
        deployment: inputs.deployment.clone(),
        project: bundle.project.clone(),
        version: bundle.version.clone(),
        bundle: bundle.digest.clone(),
        infrastructure: inputs.infrastructure.id.clone(),
        enabled: inputs.enabled,
        profile: inputs.infrastructure.policy.profile,
        inputs: file_inputs(&workload, &bundle.files),
        workload,
        secrets: used,
        testing: BTreeSet::new(),
    })
}

/// What settings can't say of a test, which runs once and serves nobody.
fn misplaced(settings: &Settings, workload: &Workload) -> Vec<Problem> {
    let of_tests = settings.services.iter().filter(|(name, _)| workload.tests.contains_key(*name));
    let wrong = |(name, own): (&ServiceName, &ServiceSettings)| {
        let replicas = own.replicas.filter(|replicas| *replicas != 1).map(|_| "replicas");
        let ports = own.ports.as_ref().filter(|ports| !ports.is_empty()).map(|_| "ports");
        let problem = |key: &str| {
            Problem::new(
                format!("settings.services.{name}.{key}"),
                format!("{name} is a test, which has no {key}"),
            )
            .hint("Remove the override.")
        };
        replicas.into_iter().chain(ports).map(problem).collect::<Vec<_>>()
    };
    of_tests.flat_map(wrong).collect()
}

fn unknown_services(settings: &Settings, workload: &Workload) -> Vec<Problem> {
    let known: Vec<&str> = workload.all().map(|(name, _)| name.as_str()).collect();
    settings
        .services
        .keys()
        .filter(|name| workload.any(name).is_none())
        .map(|name| {
            Problem::new(format!("settings.services.{name}"), "the bundle has no service of that name")
                .hint(format!("Its services are {}. Remove the override or rename it.", known.join(", ")))
        })
        .collect()
}

fn apply(
    service: &mut Service,
    settings: &Settings,
    own: Option<&ServiceSettings>,
    secrets: &BTreeMap<SecretName, u32>,
    name: &ServiceName,
    problems: &mut Vec<Problem>,
) {
    let plain = |(key, value): (&String, &String)| (key.clone(), EnvValue::Plain(value.clone()));
    service.environment.extend(settings.environment.iter().map(plain));
    for (secret, version) in secrets {
        let value = EnvValue::Secret { name: secret.clone(), version: *version };
        service.environment.insert(secret.to_string(), value);
    }
    let Some(own) = own else { return };
    service.environment.extend(own.environment.iter().map(plain));
    if let Some(replicas) = own.replicas {
        service.replicas = replicas;
    }
    if let Some(ports) = &own.ports {
        service.ports.clone_from(ports);
    }
    overlay_resources(&mut service.resources, &own.resources);
    if let Some(tag) = &own.image_tag {
        match &mut service.image {
            Image::Reference(reference) => *reference = with_tag(reference, tag),
            Image::Build(_) => problems.push(
                Problem::new(
                    format!("settings.services.{name}.image_tag"),
                    "the service is built from the bundle, so it has no tag",
                )
                .hint("Remove the override, or publish a bundle that names an image."),
            ),
        }
    }
}

fn overlay_resources(
    base: &mut crate::domain::workload::Resources,
    over: &crate::domain::workload::Resources,
) {
    base.cpu_limit_milli = over.cpu_limit_milli.or(base.cpu_limit_milli);
    base.memory_limit_bytes = over.memory_limit_bytes.or(base.memory_limit_bytes);
    base.pids_limit = over.pids_limit.or(base.pids_limit);
    base.cpu_reservation_milli = over.cpu_reservation_milli.or(base.cpu_reservation_milli);
    base.memory_reservation_bytes = over.memory_reservation_bytes.or(base.memory_reservation_bytes);
}

/// `reference` with its tag or digest replaced; a `tag` that starts with `sha256:` is a digest.
fn with_tag(reference: &str, tag: &str) -> String {
    let name = reference.split('@').next().unwrap_or(reference);
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    let bare = match name[slash..].rfind(':') {
        Some(colon) => &name[..slash + colon],
        None => name,
    };
    if tag.starts_with("sha256:") { format!("{bare}@{tag}") } else { format!("{bare}:{tag}") }
}

/// Variables that the bundle names without a value and that neither settings nor secrets give.
fn missing_environment(workload: &Workload) -> Vec<Problem> {
    let required = |(name, service): (&ServiceName, &Service)| {
        let missing = service.environment.iter().filter(|(_, value)| **value == EnvValue::Required);
        let problem = |(key, _): (&String, &EnvValue)| {
            Problem::new(format!("services.{name}.environment.{key}"), "the bundle names it without a value")
                .hint(format!("Set {key} in the deployment's settings, as environment or as a secret."))
        };
        missing.map(problem).collect::<Vec<_>>()
    };
    workload.all().flat_map(required).collect()
}

fn missing_secrets(workload: &Workload, held: &BTreeMap<SecretName, u32>) -> Vec<Problem> {
    let sources = workload.secrets.iter().chain(&workload.configs);
    sources
        .filter_map(|(name, source)| match source {
            Source::Setting(setting) if !held.contains_key(setting) => Some(
                Problem::new(format!("secrets.{name}"), format!("the deployment has no secret {setting}"))
                    .hint(format!("Set the secret {setting} in the deployment's settings.")),
            ),
            Source::Json(template) => {
                let missing = template.secret.iter().find(|(_, setting)| !held.contains_key(*setting));
                missing.map(|(option, _)| {
                    Problem::new(
                        format!("secrets.{name}"),
                        format!("the option {option} has no value any more"),
                    )
                    .hint("Give it one in the stream, the pipeline or the deployment.")
                })
            }
            _ => None,
        })
        .collect()
}

fn used_secrets(workload: &Workload, held: &BTreeMap<SecretName, u32>) -> BTreeMap<SecretName, u32> {
    let in_environment = workload.all().flat_map(|(_, service)| service.environment.values());
    let names = in_environment
        .flat_map(|value| match value {
            EnvValue::Secret { name, .. } => vec![name],
            EnvValue::Json(template) => template.secret.values().collect(),
            EnvValue::Plain(_) | EnvValue::Required => Vec::new(),
        })
        .chain(workload.secrets.values().chain(workload.configs.values()).flat_map(|source| match source {
            Source::Setting(name) => vec![name],
            Source::Json(template) => template.secret.values().collect(),
            Source::BundleFile(_) | Source::Inline(_) => Vec::new(),
        }));
    names.filter_map(|name| held.get(name).map(|version| (name.clone(), *version))).collect()
}

/// The digest of the bundle files that each service is made from; services that use none have no entry.
fn file_inputs(workload: &Workload, files: &[BundleFile]) -> BTreeMap<ServiceName, Digest> {
    let mut inputs = BTreeMap::new();
    for (name, service) in workload.all() {
        let mut roots: Vec<&str> = service.files.iter().map(|mount| mount.source.as_str()).collect();
        if let Image::Build(build) = &service.image {
            roots.push(&build.context);
        }
        let secrets = service.secrets.iter().map(|mount| workload.secrets.get(&mount.source));
        let configs = service.configs.iter().map(|mount| workload.configs.get(&mount.source));
        for source in secrets.chain(configs).flatten() {
            if let Source::BundleFile(path) = source {
                roots.push(path);
            }
        }
        let used: Vec<_> = files
            .iter()
            .filter(|file| roots.iter().any(|root| is_under(&file.path, root)))
            .map(|file| (&file.path, &file.sha256, file.executable))
            .collect();
        if !roots.is_empty() {
            inputs.insert(name.clone(), Digest::of(&canonical(&used)));
        }
    }
    inputs
}

/// Whether `path` is `root` or lies below it; an empty root is the whole bundle.
pub fn is_under(path: &str, root: &str) -> bool {
    root.is_empty() || path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn canonical(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plans hold only maps with text keys")
}

#[cfg(test)]
mod tests {
    use super::with_tag;

    #[test]
    fn tags_are_replaced_where_they_stand() {
        assert_eq!(with_tag("redis", "7"), "redis:7");
        assert_eq!(with_tag("redis:6", "7"), "redis:7");
        assert_eq!(with_tag("host:5000/team/api", "1.2"), "host:5000/team/api:1.2");
        assert_eq!(with_tag("host:5000/team/api:1@sha256:aa", "sha256:bb"), "host:5000/team/api@sha256:bb");
    }
}
