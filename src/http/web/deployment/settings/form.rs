//! The settings as a form's fields, and back.

use std::collections::BTreeMap;

use super::text::{
    parse_count, parse_cpus, parse_environment, parse_mebibytes, parse_ports, show_cpus, show_environment,
    show_mebibytes, show_ports,
};
use crate::domain::bundle::Bundle;
use crate::domain::deployment::{Deployment, ServiceSettings, Settings};
use crate::domain::name::{ServiceName, Version};
use crate::domain::workload::{Image, Resources, Service, Workload};
use crate::domain::{Error, Problem, Result};
use crate::http::web::fields::Fields;
use crate::http::web::page::{Choice, Field};
use crate::store::bundle::Summary;

/// Settings that are not saved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub version: Version,
    pub settings: Settings,
    pub auto_repair: bool,
    pub folder: String,
}

impl Draft {
    /// What is saved.
    pub fn of(deployment: &Deployment) -> Self {
        Self {
            version: deployment.version.clone(),
            settings: deployment.settings.clone(),
            auto_repair: deployment.auto_repair,
            folder: deployment.folder.clone(),
        }
    }

    /// The settings alone, as the JSON view has them.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.settings).unwrap_or_default()
    }

    /// Everything, as the review compares it.
    pub fn text(&self) -> String {
        let folder = if self.folder.is_empty() { "" } else { &self.folder };
        format!(
            "bundle {}\nrepairs itself: {}\nfolder: {folder}\n{}\n",
            self.version,
            self.auto_repair,
            self.json()
        )
    }

    /// From the JSON view, or from the hidden fields of the review.
    pub fn from_json_form(fields: &Fields) -> Result<Self> {
        let version = Version::parse(fields.get("version"));
        let text = fields.raw("settings");
        let settings: Result<Settings> = serde_json::from_str(text).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Error::field("settings", format!("this is no JSON of settings: {error}"))
                .hint(format!("Look at {place}."))
        });
        match (version, settings) {
            (Ok(version), Ok(settings)) => Ok(Self {
                version,
                settings,
                auto_repair: fields.is_checked("auto_repair"),
                folder: fields.get("folder").to_owned(),
            }),
            (version, settings) => {
                let errors = [version.err(), settings.err()].into_iter().flatten();
                Err(Error::problems("invalid_input", errors.flat_map(|error| error.problems).collect()))
            }
        }
    }

    /// From the form's fields.
    pub fn from_form(fields: &Fields) -> Result<Self> {
        let mut problems = Vec::new();
        let version = taken(Version::parse(fields.get("version")), &mut problems);
        let environment = taken(parse_environment(fields.raw("environment"), "environment"), &mut problems);
        let mut services = BTreeMap::new();
        for name in fields.all("service") {
            let parsed = taken(ServiceName::parse(name), &mut problems);
            let settings = service_of(fields, name, &mut problems);
            if let Some(parsed) = parsed.filter(|_| settings != ServiceSettings::default()) {
                services.insert(parsed, settings);
            }
        }
        match (version, problems.is_empty()) {
            (Some(version), true) => Ok(Self {
                version,
                settings: Settings { environment: environment.unwrap_or_default(), services },
                auto_repair: fields.is_checked("auto_repair"),
                folder: fields.get("folder").to_owned(),
            }),
            _ => Err(Error::problems("invalid_input", problems)),
        }
    }
}

fn taken<T>(result: Result<T>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|error| problems.extend(error.problems)).ok()
}

fn service_of(fields: &Fields, name: &str, problems: &mut Vec<Problem>) -> ServiceSettings {
    let field = |what: &str| format!("s.{name}.{what}");
    let get = |what: &str| fields.get(&field(what)).to_owned();
    let environment = parse_environment(fields.raw(&field("environment")), &field("environment"));
    let ports = match get("ports").as_str() {
        "" => Ok(None),
        "none" => Ok(Some(Vec::new())),
        text => parse_ports(text, &field("ports")).map(Some),
    };
    let replicas = parse_count(&get("replicas"), &field("replicas"), "replicas");
    let resources = Resources {
        cpu_limit_milli: taken(parse_cpus(&get("cpus"), &field("cpus")), problems).flatten(),
        memory_limit_bytes: taken(parse_mebibytes(&get("memory"), &field("memory")), problems).flatten(),
        pids_limit: taken(parse_count(&get("pids"), &field("pids"), "processes"), problems).flatten(),
        cpu_reservation_milli: taken(parse_cpus(&get("cpus_kept"), &field("cpus_kept")), problems).flatten(),
        memory_reservation_bytes: taken(
            parse_mebibytes(&get("memory_kept"), &field("memory_kept")),
            problems,
        )
        .flatten(),
    };
    ServiceSettings {
        environment: taken(environment, problems).unwrap_or_default(),
        replicas: taken(replicas, problems).flatten(),
        resources,
        ports: taken(ports, problems).flatten(),
        image_tag: Some(get("image_tag")).filter(|tag| !tag.is_empty()),
    }
}

/// The form, drawn.
pub struct SettingsForm {
    pub version: Field,
    pub auto_repair: Field,
    pub folder: Field,
    pub environment: Field,
    pub services: Vec<ServiceForm>,
    pub json: Field,
}

/// One service's fields.
pub struct ServiceForm {
    pub name: String,
    /// Its image, as the bundle says.
    pub image: String,
    pub replicas: Field,
    pub image_tag: Option<Field>,
    pub cpus: Field,
    pub memory: Field,
    pub pids: Field,
    pub cpus_kept: Field,
    pub memory_kept: Field,
    pub ports: Field,
    pub environment: Field,
    /// Whether any of it is set.
    pub is_set: bool,
    /// A test has neither replicas nor ports.
    pub is_test: bool,
}

impl SettingsForm {
    /// The form of a draft; `bundle` is the wanted one, where it is there.
    pub fn new(draft: &Draft, versions: &[Summary], bundle: Option<&Bundle>, may_save: bool) -> Self {
        let mut choices: Vec<Choice> =
            versions.iter().map(|each| Choice::new(each.version.as_str(), each.version.as_str())).collect();
        if !versions.iter().any(|each| each.version == draft.version) {
            choices.push(Choice::new(draft.version.as_str(), draft.version.as_str()));
        }
        let known = bundle.map(|bundle| &bundle.manifest.workload);
        let form = |(name, service)| {
            let form = ServiceForm::new(name, Some(service), draft.settings.services.get(name));
            ServiceForm { is_test: known.is_some_and(|all| all.tests.contains_key(name)), ..form }
        };
        let mut services: Vec<ServiceForm> = known.into_iter().flat_map(Workload::all).map(form).collect();
        let strays = draft
            .settings
            .services
            .iter()
            .filter(|(name, _)| known.is_none_or(|all| all.any(name).is_none()));
        services.extend(strays.map(|(name, own)| ServiceForm::new(name, None, Some(own))));
        let mut form = Self {
            version: Field::select("version", "Bundle", choices).value(draft.version.as_str()).required(),
            auto_repair: Field::check("auto_repair", "Repair what drifts by itself", draft.auto_repair)
                .hint("A container that was stopped, removed or changed behind Slipway's back is put right without asking."),
            folder: Field::text("folder", "Folder").hint("Groups deployments in clients that know folders.").value(draft.folder.clone()),
            environment: Field::area("environment", "Environment of every service", 4)
                .hint("One NAME=value a line; it wins over the bundle's. A value in double quotes is a JSON string.")
                .value(show_environment(&draft.settings.environment))
                .mono(),
            services,
            json: Field::area("settings", "Settings as JSON", 24)
                .hint("What the API calls spec.settings. Memory is in bytes, CPUs in thousandths.")
                .value(draft.json())
                .mono(),
        };
        if !may_save {
            form.all().into_iter().for_each(|field| field.read_only = true);
        }
        form
    }

    /// Every field, for errors.
    pub fn all(&mut self) -> Vec<&mut Field> {
        let mut all = vec![
            &mut self.version,
            &mut self.auto_repair,
            &mut self.folder,
            &mut self.environment,
            &mut self.json,
        ];
        all.extend(self.services.iter_mut().flat_map(ServiceForm::all));
        all
    }

    /// Puts back what was typed.
    pub fn keep(&mut self, fields: &Fields, is_json: bool) {
        for field in self.all() {
            let is_json_field = field.name == "settings";
            if is_json_field == is_json || matches!(field.name.as_str(), "version" | "folder" | "auto_repair")
            {
                let typed = fields.raw(&field.name).to_owned();
                *field = field.clone().value(typed);
            }
        }
        for service in &mut self.services {
            service.is_set = service.all().iter().any(|field| !field.value.is_empty());
        }
    }
}

impl ServiceForm {
    fn new(name: &ServiceName, service: Option<&Service>, own: Option<&ServiceSettings>) -> Self {
        let settings = own.cloned().unwrap_or_default();
        let field = |what: &str, label: &str| Field::text(&format!("s.{name}.{what}"), label);
        let said =
            |what: Option<String>| what.map_or_else(String::new, |what| format!("The bundle says {what}."));
        let replicas = service.map(|service| service.replicas.to_string());
        let ports = service.map(|service| match show_ports(&service.ports).replace('\n', ", ") {
            none if none.is_empty() => "nothing".to_owned(),
            ports => ports,
        });
        let is_built = service.is_some_and(|service| matches!(service.image, Image::Build(_)));
        Self {
            name: name.to_string(),
            is_test: false,
            image: service.map_or_else(
                || "not in this bundle".to_owned(),
                |service| match &service.image {
                    Image::Reference(reference) => reference.clone(),
                    Image::Build(build) => format!("built from ./{}", build.context),
                },
            ),
            replicas: Field::input("number", &format!("s.{name}.replicas"), "Replicas")
                .hint(said(replicas))
                .value(settings.replicas.map(|replicas| replicas.to_string()).unwrap_or_default()),
            image_tag: (!is_built).then(|| {
                field("image_tag", "Image tag")
                    .hint("Or a digest: sha256:…")
                    .value(settings.image_tag.clone().unwrap_or_default())
                    .mono()
            }),
            cpus: field("cpus", "CPUs at most")
                .hint("Such as 0.5.")
                .value(show_cpus(settings.resources.cpu_limit_milli)),
            memory: field("memory", "Memory at most, MiB")
                .value(show_mebibytes(settings.resources.memory_limit_bytes)),
            pids: field("pids", "Processes at most")
                .value(settings.resources.pids_limit.map(|pids| pids.to_string()).unwrap_or_default()),
            cpus_kept: field("cpus_kept", "CPUs kept free")
                .value(show_cpus(settings.resources.cpu_reservation_milli)),
            memory_kept: field("memory_kept", "Memory kept free, MiB")
                .value(show_mebibytes(settings.resources.memory_reservation_bytes)),
            ports: Field::area(&format!("s.{name}.ports"), "Published ports", 2)
                .hint(
                    format!("One a line, such as 8080:80. none publishes nothing. {}", said(ports))
                        .trim_end()
                        .to_owned(),
                )
                .value(match &settings.ports {
                    None => String::new(),
                    Some(ports) if ports.is_empty() => "none".to_owned(),
                    Some(ports) => show_ports(ports),
                })
                .mono(),
            environment: Field::area(&format!("s.{name}.environment"), "Environment", 3)
                .value(show_environment(&settings.environment))
                .mono(),
            is_set: own.is_some(),
        }
    }

    fn all(&mut self) -> Vec<&mut Field> {
        let mut all = vec![
            &mut self.replicas,
            &mut self.cpus,
            &mut self.memory,
            &mut self.pids,
            &mut self.cpus_kept,
            &mut self.memory_kept,
            &mut self.ports,
            &mut self.environment,
        ];
        all.extend(self.image_tag.as_mut());
        all
    }
}

/// The plan names places of the definition; the form has fields of its own.
pub fn beside_fields(mut error: Error, is_json: bool) -> Error {
    if is_json {
        return error;
    }
    let ends = [
        (".deploy.replicas", "replicas"),
        (".deploy.resources.limits.cpus", "cpus"),
        (".deploy.resources.limits.memory", "memory"),
        (".deploy.resources.limits.pids", "pids"),
        (".image_tag", "image_tag"),
    ];
    for problem in &mut error.problems {
        let place = problem.place.strip_prefix("settings.").unwrap_or(&problem.place);
        let Some(rest) = place.strip_prefix("services.") else {
            continue;
        };
        let found = ends.iter().find_map(|(end, field)| Some((rest.strip_suffix(end)?, *field)));
        if let Some((name, field)) = found {
            problem.place = format!("s.{name}.{field}");
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_form_and_the_json_say_the_same() {
        let typed = fields(&[
            ("version", "1.2.0"),
            ("auto_repair", "true"),
            ("environment", "MODE=fast"),
            ("service", "api"),
            ("s.api.replicas", "3"),
            ("s.api.cpus", "0.5"),
            ("s.api.memory", "512"),
            ("s.api.ports", "8080:80"),
            ("service", "redis"),
            ("s.redis.ports", "none"),
            ("service", "worker"),
        ]);
        let draft = Draft::from_form(&typed).unwrap();
        assert_eq!(draft.settings.services.len(), 2, "a service that nothing is set of has no entry");
        let json = draft.json();
        let again = fields(&[("version", "1.2.0"), ("auto_repair", "true"), ("settings", &json)]);
        assert_eq!(Draft::from_json_form(&again).unwrap(), draft);
    }

    #[test]
    fn everything_wrong_is_named_by_its_field() {
        let typed = fields(&[
            ("version", ""),
            ("service", "api"),
            ("s.api.replicas", "many"),
            ("s.api.cpus", "-1"),
            ("s.api.ports", "http"),
        ]);
        let error = Draft::from_form(&typed).unwrap_err();
        let places: Vec<&str> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(places, ["version", "s.api.cpus", "s.api.replicas", "s.api.ports"]);
    }

    #[test]
    fn the_plans_places_become_fields() {
        let error = Error::field("services.api.deploy.replicas", "too many");
        assert_eq!(beside_fields(error, false).problems[0].place, "s.api.replicas");
    }
}
