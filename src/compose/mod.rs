//! Compose files into domain types.
//!
//! What a data team's `docker compose up` reads is read here too, and what Slipway would do differently is refused
//! rather than dropped: every key is either read or named in the refusal, with its line and column, what is wrong and
//! what to do instead, all of them at once. What the file asks for beyond the workload policy becomes an exception of
//! its service, over which [`crate::domain::policy`] decides.
//!
//! The steps: [`yaml`] makes a tree with places, [`interpolate`] puts variables in, one file a noun reads its keys,
//! [`checks`] settles what concerns several services. Hostile input ends in a refusal: size, nesting, expansion and
//! the number of problems are bounded, and nothing recurses deeper than the file may nest.
//!
//! `docs/compose.md` has the whole list of keys.

mod checks;
mod depends;
mod dotenv;
mod environment;
mod field;
mod health;
mod image;
mod interpolate;
pub mod json;
mod keys;
mod networks;
mod node;
mod paths;
mod ports;
mod privileges;
mod process;
mod report;
mod resources;
mod scratch;
mod secrets;
mod service;
mod slipway;
mod testing;
mod units;
mod unsupported;
mod volumes;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use crate::compose::field::{Field, Table};
use crate::compose::interpolate::Variables;
use crate::compose::paths::Files;
use crate::compose::report::{Place, Report};
use crate::compose::secrets::Noun;
use crate::compose::service::Draft;
use crate::domain::bundle::{BundleFile, Manifest};
use crate::domain::name::{ProjectKey, SecretName, ServiceName, VolumeName};
use crate::domain::workload::{Source, Workload};
use crate::domain::{Error, Kind, Result};

/// Bytes of a compose file.
pub const LARGEST: usize = 1 << 20;

/// A compose file with what it may refer to.
pub struct Input<'a> {
    /// The file's path in the bundle, by which problems name it.
    pub path: &'a str,
    pub text: &'a str,
    /// The text of the bundle's `.env`.
    pub env: Option<&'a str>,
    /// Everything in the bundle.
    pub files: &'a [BundleFile],
    /// Reads a text file of the bundle: what `env_file` names.
    pub read: &'a dyn Fn(&str) -> Result<String>,
}

/// What is known while the file is read.
pub(crate) struct Context<'a> {
    report: Report,
    files: Files<'a>,
    variables: Variables,
    read: &'a dyn Fn(&str) -> Result<String>,
    volumes: BTreeSet<VolumeName>,
    secrets: BTreeMap<SecretName, Source>,
    configs: BTreeMap<SecretName, Source>,
    networks: BTreeSet<String>,
}

/// Reads a compose file. An error names every problem with its place; its code is `compose_refused`.
pub fn parse(input: &Input<'_>) -> Result<Manifest> {
    if input.text.len() > LARGEST {
        return Err(Error::new(
            Kind::TooLarge,
            "compose_too_large",
            format!("{} is larger than 1 MiB", input.path),
        )
        .hint("Move long texts into files of the bundle and mount those."));
    }
    let mut cx = Context {
        report: Report::new(input.path),
        files: Files::new(input.files),
        variables: Variables::new(),
        read: input.read,
        volumes: BTreeSet::new(),
        secrets: BTreeMap::new(),
        configs: BTreeMap::new(),
        networks: BTreeSet::new(),
    };
    let manifest = read(input, &mut cx);
    cx.report.into_result(manifest)
}

fn read(input: &Input<'_>, cx: &mut Context<'_>) -> Option<Manifest> {
    let assignments = dotenv::read(".env", input.env.unwrap_or_default(), &Variables::new(), &mut cx.report);
    cx.variables = assignments.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let root = yaml::load(input.text, &mut cx.report);
    let Some(mut root) = root else {
        empty(cx);
        return None;
    };
    let mut left = interpolate::BUDGET.max(input.text.len());
    interpolate::tree(&mut root, &cx.variables, &mut left);
    let field = Field { path: String::new(), node: &root };
    if field.is_null() {
        empty(cx);
        return None;
    }
    let table = field.table(&unsupported::TOP, &mut cx.report)?;
    declarations(&table, cx);
    let services = services(&table, cx)?;
    let name = table.get("name").and_then(|field| name(&field, cx));
    let version = table.get("x-slipway").and_then(|field| slipway::version(&field, cx));
    networks::warn(&services, cx);
    let warnings = cx.report.take_warnings();
    Some(Manifest { name, version, workload: workload(services, cx), made_of: None, warnings })
}

fn empty(cx: &mut Context<'_>) {
    if cx.report.is_empty() {
        let hint = "Write at least `services: {name: {image: …}}`.";
        cx.report.at(Place { line: 1, column: 1 }, "the file is empty", hint);
    }
}

fn declarations(table: &Table<'_>, cx: &mut Context<'_>) {
    if let Some(field) = table.get("networks") {
        networks::declared(&field, cx);
    }
    if let Some(field) = table.get("volumes") {
        volumes::declared(&field, cx);
    }
    if let Some(field) = table.get("secrets") {
        cx.secrets = secrets::declared(&field, Noun::Secret, cx);
    }
    if let Some(field) = table.get("configs") {
        cx.configs = secrets::declared(&field, Noun::Config, cx);
    }
}

fn name(field: &Field<'_>, cx: &mut Context<'_>) -> Option<String> {
    match ProjectKey::parse(field.filled(&mut cx.report)?) {
        Ok(key) => Some(key.to_string()),
        Err(error) => {
            field.refuse(
                &mut cx.report,
                words(&error),
                "Choose another name, or name the project at the upload.",
            );
            None
        }
    }
}

fn services(table: &Table<'_>, cx: &mut Context<'_>) -> Option<BTreeMap<ServiceName, Draft>> {
    const EXAMPLE: &str = "`services: {api: {image: …}}`";
    let field = table.need("services", &format!("Write {EXAMPLE}."), &mut cx.report)?;
    let named = field.named(EXAMPLE, &mut cx.report)?;
    if named.is_empty() {
        field.refuse(&mut cx.report, "there is no service", format!("Write {EXAMPLE}."));
    }
    let mut drafts = BTreeMap::new();
    for (name, at, field) in named {
        if name.starts_with("x-") {
            continue;
        }
        let draft = service::read(name, at, &field, cx);
        if let (Some(name), Some(draft)) = (service_name(name, at, cx), draft) {
            drafts.insert(name, draft);
        }
    }
    checks::settle(&mut drafts, &mut cx.report);
    Some(drafts)
}

/// Peers reach a service by its name, so it must be one of the DNS, on Kubernetes too (RFC 1123, one label).
fn service_name(name: &str, at: Place, cx: &mut Context<'_>) -> Option<ServiceName> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good =
        edge(name.chars().next()) && edge(name.chars().last()) && name.chars().all(inner) && name.len() <= 63;
    if good && let Ok(name) = ServiceName::parse(name) {
        return Some(name);
    }
    let better: String = name.to_lowercase().chars().map(|c| if inner(c) { c } else { '-' }).collect();
    let better = better.trim_matches('-');
    let hint = if better.is_empty() || better.len() > 63 {
        "Write up to 63 lower-case letters, digits and `-`.".to_owned()
    } else {
        format!(
            "Rename it, e.g. to `{better}`, also where other services name it: up to 63 lower-case letters, digits and `-`."
        )
    };
    let shown: String = name.chars().take(80).collect();
    cx.report.at(
        at,
        format!("services.{shown}: the name can't be a host name, by which peers reach the service"),
        hint,
    );
    None
}

/// The workload of all services, with the volumes, secrets and configs that they use.
fn workload(drafts: BTreeMap<ServiceName, Draft>, cx: &mut Context<'_>) -> Workload {
    let (tests, services): (Vec<_>, Vec<_>) = drafts.into_iter().partition(|(_, draft)| draft.is_test);
    let read = |drafts: Vec<(ServiceName, Draft)>| {
        drafts.into_iter().map(|(name, draft)| (name, draft.service)).collect()
    };
    let workload = Workload { services: read(services), tests: read(tests), ..Workload::default() };
    let all = || workload.all().map(|(_, service)| service);
    let volumes = all().flat_map(|service| &service.volumes).map(|mount| mount.volume.clone()).collect();
    let used: BTreeSet<&SecretName> =
        all().flat_map(|service| service.secrets.iter()).map(|mount| &mount.source).collect();
    let used_configs: BTreeSet<&SecretName> =
        all().flat_map(|service| service.configs.iter()).map(|mount| &mount.source).collect();
    cx.secrets.retain(|name, _| used.contains(name));
    cx.configs.retain(|name, _| used_configs.contains(name));
    Workload {
        volumes,
        secrets: std::mem::take(&mut cx.secrets),
        configs: std::mem::take(&mut cx.configs),
        ..workload
    }
}

/// What is wrong with a name, without the noun that its grammar puts before.
fn words(error: &Error) -> &str {
    error.problems.first().map_or(&error.message, |problem| &problem.message)
}
