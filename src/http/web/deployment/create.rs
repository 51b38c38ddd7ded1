//! A new deployment: project, bundle, infrastructure, and what the bundle leaves to its settings.

use std::collections::BTreeMap;

use actix_web::web;
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

use super::renamed;
use super::settings::text::parse_environment;
use crate::app::deployment::{self, NewDeployment};
use crate::app::{bundle, project};
use crate::domain::access::ProjectRight;
use crate::domain::bundle::Bundle;
use crate::domain::deployment::Settings;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, SecretName, Version};
use crate::domain::page::PageRequest;
use crate::domain::secret::SecretChange;
use crate::domain::workload::{EnvValue, Source};
use crate::domain::{Error, Kind, Problem, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::fields::Fields;
use crate::http::web::infrastructures;
use crate::http::web::page::{Choice, Field, Page, Section, Tone, Trouble, blame};
use crate::http::web::visit::{Answer, Visit};

/// How many projects and bundles may be chosen from.
const CHOICES: u32 = 200;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/deployments/new", ask);
    routes.post("/deployments/new", create);
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    project: String,
    version: String,
    infrastructure: String,
}

#[derive(Template)]
#[template(path = "deployment/new.html")]
struct New {
    page: Page,
    trouble: Option<Trouble>,
    /// The first step: which project.
    project: Field,
    chosen: Option<Chosen>,
    nothing_to_deploy: bool,
}

/// The second step, once the project is known.
struct Chosen {
    project: String,
    version: Field,
    infrastructure: Field,
    id: Field,
    /// What the bundle names without a value.
    required: Vec<Required>,
    environment: Field,
    auto_repair: Field,
    has_bundles: bool,
}

/// One name that the settings must give a value for.
struct Required {
    value: Field,
    /// Whether it may be an ordinary variable, and if so, the switch that makes it a secret.
    as_secret: Option<Field>,
}

async fn ask(visit: Visit, asked: web::Query<Asked>) -> Answer {
    let given =
        [("project", &asked.project), ("version", &asked.version), ("infrastructure", &asked.infrastructure)];
    let fields = Fields::of(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone())));
    let page = form(&visit, &fields).await?;
    visit.show(&page)
}

async fn form(visit: &Visit, fields: &Fields) -> Result<New> {
    let projects =
        project::list(&visit.app, &visit.caller, project::Filter::default(), PageRequest::first(CHOICES))
            .await?;
    let choices: Vec<Choice> = projects
        .items
        .iter()
        .map(|(project, right)| {
            let choice = Choice::new(project.key.as_str(), project.key.as_str());
            if *right >= ProjectRight::Deploy { choice } else { choice.refused("takes deploy on it") }
        })
        .collect();
    let nothing_to_deploy = choices.iter().all(|choice| !choice.refused.is_empty());
    let project = Field::select("project", "Project", choices).value(fields.get("project")).required();
    let chosen = match fields.optional("project") {
        Some(key) => Some(
            Chosen::load(
                visit,
                ProjectKey::parse(key).map_err(|error| renamed(error, "project", "project"))?,
                fields,
            )
            .await?,
        ),
        None => None,
    };
    Ok(New {
        page: visit.page("New deployment", Section::Deployments).below("Deployments", "/deployments"),
        trouble: None,
        project,
        chosen,
        nothing_to_deploy,
    })
}

impl Chosen {
    async fn load(visit: &Visit, key: ProjectKey, fields: &Fields) -> Result<Self> {
        let (app, caller) = (&visit.app, &visit.caller);
        let bundles = bundle::list(app, caller, key.clone(), PageRequest::first(CHOICES)).await?.items;
        let version = fields.optional("version").map(ToOwned::to_owned);
        let version =
            version.or_else(|| bundles.first().map(|newest| newest.version.to_string())).unwrap_or_default();
        let versions =
            bundles.iter().map(|each| Choice::new(each.version.as_str(), each.version.as_str())).collect();
        let choices = infrastructures::choices(visit).await?;
        let only = choices.iter().find(|choice| choice.refused.is_empty()).map(|choice| choice.value.clone());
        let place = fields.optional("infrastructure").map(ToOwned::to_owned).or(only).unwrap_or_default();
        let named = match Version::parse(version.clone()) {
            Ok(version) => bundle::get(app, caller, key.clone(), version).await.ok(),
            Err(_) => None,
        };
        Ok(Self {
            version: Field::select("version", "Bundle", versions).value(version).required(),
            infrastructure: Field::select("infrastructure", "Infrastructure", choices)
                .value(place)
                .required(),
            id: Field::text("id", "Id")
                .hint(format!("Left empty, it is {key}-on- and the infrastructure."))
                .value(fields.get("id"))
                .mono(),
            required: named.as_ref().map(|bundle| required(bundle, fields)).unwrap_or_default(),
            environment: Field::area("environment", "Environment", 4)
                .hint("For every service, one NAME=value a line; it wins over the bundle's.")
                .value(fields.raw("environment"))
                .mono(),
            auto_repair: Field::check(
                "auto_repair",
                "Repair what drifts by itself",
                fields.is_checked("auto_repair"),
            ),
            has_bundles: !bundles.is_empty(),
            project: key.to_string(),
        })
    }

    fn fields(&mut self) -> Vec<&mut Field> {
        let mut all = vec![&mut self.version, &mut self.infrastructure, &mut self.id, &mut self.environment];
        all.extend(self.required.iter_mut().map(|required| &mut required.value));
        all
    }
}

fn required(bundle: &Bundle, fields: &Fields) -> Vec<Required> {
    let workload = &bundle.manifest.workload;
    let mut variables: Vec<&String> = workload
        .all()
        .flat_map(|(_, service)| &service.environment)
        .filter(|(_, value)| **value == EnvValue::Required)
        .map(|(name, _)| name)
        .collect();
    variables.sort();
    variables.dedup();
    let secrets = workload.secrets.values().chain(workload.configs.values());
    let mut settings: Vec<&str> = secrets
        .filter_map(|source| match source {
            Source::Setting(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    settings.sort_unstable();
    settings.dedup();
    let variables = variables.into_iter().map(|name| {
        let value =
            Field::text(&format!("env.{name}"), name).value(fields.raw(&format!("env.{name}"))).mono();
        let switch = format!("is-secret.{name}");
        let checked = fields.is_checked(&switch);
        Required { value, as_secret: Some(Field::check(&switch, "Keep it as a secret", checked)) }
    });
    // A secret that was typed is not sent back: it has to be typed again.
    let secrets = settings.into_iter().map(|name| {
        let value = Field::input("password", &format!("secret.{name}"), name).hint("A secret of the bundle.");
        Required { value: value.autocomplete("new-password").mono(), as_secret: None }
    });
    variables.chain(secrets).collect()
}

async fn create(visit: Visit, fields: Fields) -> Answer {
    let made = match parse(&fields) {
        Ok(new) => deployment::create(&visit.app, &visit.caller, new, None).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => visit.go(
            &format!("/deployments/{}/update", made.id),
            Tone::Ok,
            "The deployment is made. Nothing runs before its first update.",
        ),
        Err(error) if error.kind == Kind::Internal => Err(error.into()),
        Err(error) => {
            let mut page = form(&visit, &fields).await?;
            let error = beside_fields(error);
            let mut all: Vec<&mut Field> = page.chosen.as_mut().map(Chosen::fields).unwrap_or_default();
            all.push(&mut page.project);
            let trouble = blame(&mut all, &error);
            page.trouble = Some(trouble);
            visit.show_as(status(error.kind), &page)
        }
    }
}

/// The plan names places of the bundle; the form has a field for each that it can give.
fn beside_fields(mut error: Error) -> Error {
    for problem in &mut error.problems {
        let place = problem.place.as_str();
        let renamed = match place.split_once(".environment.") {
            Some((service, name)) if service.starts_with("services.") => Some(format!("env.{name}")),
            _ => place.strip_prefix("secrets.").map(|name| format!("secret.{name}")),
        };
        if let Some(renamed) = renamed {
            problem.place = renamed;
        } else if place == "deployment" {
            problem.place = "id".to_owned();
        }
    }
    error
}

fn parse(fields: &Fields) -> Result<NewDeployment> {
    let mut problems: Vec<Problem> = Vec::new();
    let mut note = |error: Error| problems.extend(error.problems);
    let project = ProjectKey::parse(fields.get("project")).map_err(&mut note).ok();
    let version = Version::parse(fields.get("version")).map_err(&mut note).ok();
    let infrastructure = InfrastructureId::parse(fields.get("infrastructure")).map_err(&mut note).ok();
    let id = fields.optional("id").map(DeploymentId::parse).transpose();
    let id = id.map_err(|error| note(renamed(error, "deployment", "id"))).unwrap_or_default();
    let environment = parse_environment(fields.raw("environment"), "environment").map_err(&mut note);
    let mut environment = environment.unwrap_or_default();
    let mut secrets = BTreeMap::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        if let Some(variable) = name.strip_prefix("env.") {
            if fields.is_checked(&format!("is-secret.{variable}")) {
                put_secret(&mut secrets, variable, value).map_err(&mut note).ok();
            } else {
                environment.insert(variable.to_owned(), value.to_owned());
            }
        } else if let Some(secret) = name.strip_prefix("secret.") {
            put_secret(&mut secrets, secret, value).map_err(&mut note).ok();
        }
    }
    let (Some(project), Some(version), Some(infrastructure), true) =
        (project, version, infrastructure, problems.is_empty())
    else {
        return Err(Error::problems("invalid_input", problems));
    };
    Ok(NewDeployment {
        id,
        project,
        version,
        infrastructure,
        settings: Settings { environment, ..Settings::default() },
        secrets,
        auto_repair: fields.is_checked("auto_repair"),
        folder: String::new(),
        deployed_project: None,
        ignore_warnings: fields.is_checked("ignore_warnings"),
    })
}

fn put_secret(secrets: &mut BTreeMap<SecretName, SecretChange>, name: &str, value: &str) -> Result<()> {
    let name = SecretName::parse(name)?;
    secrets.insert(name, SecretChange::Set(SecretString::from(value.to_owned())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::web::deployment::settings::text::show_environment;

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let given =
            [("project", "a b"), ("version", ""), ("infrastructure", "local"), ("environment", "1X=2\nOK=1")];
        let fields = Fields::of(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let error = parse(&fields).unwrap_err();
        let places: Vec<&str> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(places, ["project", "version", "environment"]);
    }

    #[test]
    fn a_required_variable_can_be_kept_as_a_secret() {
        let given = [
            ("project", "iris"),
            ("version", "1"),
            ("infrastructure", "local"),
            ("env.TOKEN", "t0p"),
            ("is-secret.TOKEN", "true"),
            ("env.MODE", "fast"),
        ];
        let fields = Fields::of(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let new = parse(&fields).unwrap();
        assert_eq!(new.settings.environment, BTreeMap::from([("MODE".to_owned(), "fast".to_owned())]));
        assert_eq!(new.secrets.keys().map(SecretName::as_str).collect::<Vec<_>>(), ["TOKEN"]);
        assert_eq!(show_environment(&new.settings.environment), "MODE=fast");
    }
}
