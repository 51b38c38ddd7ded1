//! Deploying a pipeline, and changing what a deployment makes of it: each at once with its update.

use actix_web::web;
use askama::Template;

use super::form::{Choices, with_stored};
use super::page;
use crate::app::pipeline::{self, NewPipelineDeployment, PipelineChanges};
use crate::domain::deployment::Deployment;
use crate::domain::name::{InfrastructureId, Label};
use crate::domain::pipeline::definition::own_service;
use crate::domain::pipeline::{Pipeline, PipelineUse, StreamUse};
use crate::domain::{Error, Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::deployment::{held, page_below};
use crate::http::web::fields::Fields;
use crate::http::web::page::{Choice, Field, Page, Tone, Trouble, blame};
use crate::http::web::pipelines::{document, options_text, uuid_of};
use crate::http::web::visit::{Answer, Visit};

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/pipelines/{uuid}/deploy", ask);
    routes.post("/pipelines/{uuid}/deploy", deploy);
    routes.get("/deployments/{id}/pipeline", edit);
    routes.post("/deployments/{id}/pipeline", save);
}

#[derive(Template)]
#[template(path = "pipeline/deploy.html")]
struct Form {
    page: Page,
    trouble: Option<Trouble>,
    action: String,
    verb: &'static str,
    cancel: String,
    revision: Option<u32>,
    name: Field,
    /// Where it can be chosen: of a deployment that is there it never changes.
    infrastructure: Option<Field>,
    replicas: Field,
    streams: [Field; 2],
    options: [Field; 2],
    config: Field,
}

/// What the form begins with.
struct Was<'a> {
    pipeline: &'a Pipeline,
    deployment: Option<(&'a Deployment, &'a PipelineUse)>,
}

const WAYS: [(&str, &str, &str); 2] = [
    ("stream-in", "Another stream in", "Options of the stream in"),
    ("stream-out", "Another stream out", "Options of the stream out"),
];

impl Form {
    async fn new(visit: &Visit, was: &Was<'_>, fields: &Fields) -> Result<Self> {
        let choices = Choices::load(visit).await?;
        let sent = fields.iter().next().is_some();
        let or = |key: &str, stored: String| if sent { fields.get(key).to_owned() } else { stored };
        let of = was.deployment.map(|(_, of)| of);
        let uses = [of.map(|of| &of.stream_in_config), of.map(|of| &of.stream_out_config)];
        let stream = |at: usize| {
            let ((key, label, _), stored) = (WAYS[at], uses[at].and_then(|of| of.uuid));
            let stored = stored.map(|uuid| uuid.to_string()).unwrap_or_default();
            let value = or(key, stored);
            Field::select(key, label, with_stored(choices.streams.clone(), &value))
                .hint("In place of the pipeline's.")
                .value(value)
        };
        let options = |at: usize| {
            let (key, _, label) = WAYS[at];
            let field = format!("{key}-config");
            let stored = uses[at].map(|of| options_text(&of.options)).unwrap_or_default();
            Field::area(&field, label, 3)
                .hint("Win over the stream's own. YAML or JSON.")
                .value(or(&field, stored))
                .mono()
        };
        let (page, action, cancel) = places(visit, was);
        let replicas = was.deployment.and_then(|(deployment, _)| {
            deployment.settings.services.get(&own_service()).and_then(|service| service.replicas)
        });
        Ok(Self {
            page,
            trouble: None,
            action,
            cancel,
            verb: if was.deployment.is_some() { "Save and update" } else { "Deploy" },
            revision: was.deployment.map(|(deployment, _)| deployment.revision),
            name: Field::text("name", "Name")
                .hint("For people; need not be unique.")
                .value(or("name", of.map_or(was.pipeline.name.to_string(), |of| of.name.to_string())))
                .required(),
            infrastructure: was
                .deployment
                .is_none()
                .then(|| infrastructure(visit, was, choices.infrastructures, &or)),
            replicas: Field::input("number", "replicas", "Replicas")
                .hint("As many as the pipeline says where none are named.")
                .value(or("replicas", replicas.map(|count| count.to_string()).unwrap_or_default())),
            streams: [stream(0), stream(1)],
            options: [options(0), options(1)],
            config: Field::area("config", "Configuration", 3)
                .hint("Wins over the pipeline's. YAML or JSON.")
                .value(or("config", of.map(|of| options_text(&of.config)).unwrap_or_default()))
                .mono(),
        })
    }

    fn blamed(mut self, error: &Error) -> Self {
        let mut all = vec![&mut self.name, &mut self.replicas, &mut self.config];
        all.extend(self.infrastructure.as_mut());
        all.extend(self.streams.iter_mut().chain(&mut self.options));
        self.trouble = Some(blame(&mut all, error));
        self
    }
}

fn places(visit: &Visit, was: &Was<'_>) -> (Page, String, String) {
    match was.deployment {
        None => {
            let here = format!("/pipelines/{}", was.pipeline.uuid);
            let heading = format!("Deploy {}", was.pipeline.name);
            let page = page(visit, heading).below(was.pipeline.name.to_string(), &here);
            (page, visit.url(&format!("{here}/deploy")), visit.url(&here))
        }
        Some((deployment, _)) => {
            let here = format!("/deployments/{}", deployment.id);
            let page = page_below(visit, deployment, "Pipeline and options");
            (page, visit.url(&format!("{here}/pipeline")), visit.url(&here))
        }
    }
}

fn infrastructure(
    visit: &Visit,
    was: &Was<'_>,
    choices: Vec<Choice>,
    or: &dyn Fn(&str, String) -> String,
) -> Field {
    let usual = &visit.app.rules.datacater.infrastructure;
    let default = was.pipeline.spec.infrastructure.as_ref().unwrap_or(usual).to_string();
    Field::select("infrastructure", "Infrastructure", choices)
        .hint("It never changes afterwards.")
        .value(or("infrastructure", default))
        .required()
}

/// What the form asks for.
fn wanted(
    fields: &Fields,
    pipeline: uuid::Uuid,
    before: Option<&Deployment>,
) -> Result<NewPipelineDeployment> {
    let stream = |key: &str| -> Result<StreamUse> {
        let uuid = fields.optional(key).map(|text| uuid_of("stream", text)).transpose()?;
        Ok(StreamUse { uuid, options: document(fields, &format!("{key}-config"))? })
    };
    let replicas = fields.optional("replicas").map(str::parse).transpose();
    let mut settings = before.map(|deployment| deployment.settings.clone()).unwrap_or_default();
    if let Some(own) = settings.services.get_mut(&own_service()) {
        own.replicas = None;
    }
    Ok(NewPipelineDeployment {
        name: Some(Label::parse(fields.get("name"))?),
        pipeline,
        stream_in: stream("stream-in")?,
        stream_out: stream("stream-out")?,
        config: document(fields, "config")?,
        replicas: replicas.map_err(|_| Error::field("replicas", "it is a number"))?,
        infrastructure: fields.optional("infrastructure").map(InfrastructureId::parse).transpose()?,
        settings,
        secrets: Default::default(),
        auto_repair: before.is_some_and(|deployment| deployment.auto_repair),
        folder: before.map(|deployment| deployment.folder.clone()).unwrap_or_default(),
        ignore_warnings: fields.is_checked("ignore_warnings"),
    })
}

/// The problem's place as the form has it.
fn at_fields(mut error: Error) -> Error {
    for problem in &mut error.problems {
        let path = problem.place.strip_prefix("spec.").unwrap_or(&problem.place).to_owned();
        let (key, rest) = path.split_once('.').map_or((path.as_str(), ""), |(key, rest)| (key, rest));
        if rest == "uuid" {
            problem.place = key.trim_end_matches("-config").to_owned();
        } else {
            if !rest.is_empty() {
                problem.message = format!("option {rest}: {}", problem.message);
            }
            problem.place = key.to_owned();
        }
    }
    error
}

async fn again(visit: &Visit, was: &Was<'_>, fields: &Fields, error: Error) -> Answer {
    if error.kind == Kind::Internal {
        return Err(error.into());
    }
    let error = at_fields(error);
    visit.show_as(status(error.kind), &Form::new(visit, was, fields).await?.blamed(&error))
}

async fn ask(visit: Visit, path: web::Path<String>) -> Answer {
    let found = pipeline::get(&visit.app, &visit.caller, uuid_of("pipeline", &path)?).await?;
    let was = Was { pipeline: &found, deployment: None };
    let form = Form::new(&visit, &was, &Fields::default()).await?;
    visit.show(&form)
}

async fn deploy(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let found = pipeline::get(&visit.app, &visit.caller, uuid_of("pipeline", &path)?).await?;
    let made = match wanted(&fields, found.uuid, None) {
        Ok(new) => pipeline::deploy(&visit.app, &visit.caller, new, None).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => visit.go(
            &format!("/deployments/{}", made.id),
            Tone::Ok,
            "The deployment is made and being updated.",
        ),
        Err(error) => again(&visit, &Was { pipeline: &found, deployment: None }, &fields, error).await,
    }
}

/// A deployment of a pipeline that the visitor may change, with its pipeline.
async fn loaded(visit: &Visit, path: &str) -> Result<(Deployment, PipelineUse, Pipeline)> {
    let deployment = held(visit, path).await?.into_inner();
    let of = deployment.source.pipeline().cloned();
    let of = of.ok_or_else(|| Error::not_found("pipeline of deployment", &deployment.id))?;
    let found = pipeline::get(&visit.app, &visit.caller, of.pipeline).await?.into_inner();
    Ok((deployment, of, found))
}

async fn edit(visit: Visit, path: web::Path<String>) -> Answer {
    let (deployment, of, found) = loaded(&visit, &path).await?;
    let was = Was { pipeline: &found, deployment: Some((&deployment, &of)) };
    let form = Form::new(&visit, &was, &Fields::default()).await?;
    visit.show(&form)
}

async fn save(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let (deployment, of, found) = loaded(&visit, &path).await?;
    let saved = match wanted(&fields, found.uuid, Some(&deployment)) {
        Ok(wanted) => {
            let changes = PipelineChanges {
                wanted,
                // What is stopped stays so: resuming it is an action of its own.
                enabled: Some(deployment.enabled),
                revision: fields.get("revision").parse().ok(),
                reason: None,
            };
            pipeline::redeploy(&visit.app, &visit.caller, deployment.id.clone(), changes, None).await
        }
        Err(error) => Err(error),
    };
    match saved {
        Ok(_) => visit.go(&format!("/deployments/{}", deployment.id), Tone::Ok, "Saved, and being updated."),
        Err(error) => {
            let was = Was { pipeline: &found, deployment: Some((&deployment, &of)) };
            again(&visit, &was, &fields, error).await
        }
    }
}
