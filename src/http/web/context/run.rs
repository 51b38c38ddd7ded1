//! Running a context: where, and with what besides what it says itself.

use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::form::at_fields;
use super::page;
use crate::app;
use crate::app::execution::{self, Execution};
use crate::domain::context::{Context, Order};
use crate::domain::{Error, Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::deployment::settings::text::{parse_environment, show_environment};
use crate::http::web::fields::Fields;
use crate::http::web::infrastructures;
use crate::http::web::page::{Choice, Field, Page, Tone, Trouble, blame};
use crate::http::web::pipelines::uuid_of;
use crate::http::web::visit::{Answer, Visit};

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/contexts/{uuid}/run", ask);
    routes.post("/contexts/{uuid}/run", run);
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Like {
    /// The execution that is run again.
    like: String,
}

#[derive(Template)]
#[template(path = "context/run.html")]
struct Form {
    page: Page,
    trouble: Option<Trouble>,
    action: String,
    cancel: String,
    engine: Field,
    namespace: Field,
    environment: Field,
}

impl Form {
    async fn new(
        visit: &Visit,
        context: &Context,
        like: Option<&Execution>,
        fields: &Fields,
    ) -> Result<Self> {
        let here = format!("/contexts/{}", context.uuid);
        let sent = fields.iter().next().is_some();
        let or = |key: &str, stored: Option<String>| {
            if sent { fields.raw(key).to_owned() } else { stored.unwrap_or_default() }
        };
        let of = like.map(|like| &like.of);
        let places = infrastructures::choices(visit).await?;
        let engine =
            like.map(|like| like.deployment.infrastructure.to_string()).or_else(|| usual(visit, &places));
        Ok(Self {
            page: page(visit, format!("Run {}", context.name)).below(context.name.to_string(), &here),
            trouble: None,
            action: visit.url(&format!("{here}/run")),
            cancel: visit.url(&here),
            engine: Field::select("engine", "Infrastructure", places).value(or("engine", engine)).required(),
            namespace: Field::text("namespace", "Namespace")
                .hint("The infrastructure's own where none is named; others as the configuration allows.")
                .value(or("namespace", of.map(|of| of.namespace.clone()).filter(|own| own != "default")))
                .mono(),
            environment: Field::area("environment", "Environment", 4)
                .hint(
                    "One NAME=value a line; it wins over the context's. Secrets are sealed; ******** stands for the \
                     context's value.",
                )
                .value(or("environment", of.map(|of| show_environment(&of.environment))))
                .mono(),
        })
    }

    fn blamed(mut self, error: &Error) -> Self {
        let mut all = [&mut self.engine, &mut self.namespace, &mut self.environment];
        self.trouble = Some(blame(&mut all, error));
        self
    }
}

/// What the engine `docker` means, where it may be chosen; else the only choice.
fn usual(visit: &Visit, places: &[Choice]) -> Option<String> {
    let docker = visit.state().settings.renga.docker.as_str();
    let mut open = places.iter().filter(|choice| choice.refused.is_empty());
    let found = open.clone().find(|choice| choice.value == docker);
    found.or_else(|| open.next().filter(|_| open.next().is_none())).map(|choice| choice.value.clone())
}

/// What the form asks for.
fn order(fields: &Fields) -> Result<Order> {
    let environment = parse_environment(fields.raw("environment"), "environment")?;
    let mut order = serde_json::json!({ "environment": environment });
    for key in ["engine", "namespace"] {
        if let Some(value) = fields.optional(key) {
            order[key] = value.into();
        }
    }
    Order::parse(&order)
}

async fn ask(visit: Visit, path: web::Path<String>, asked: web::Query<Like>) -> Answer {
    let uuid = uuid_of("context", &path)?;
    let context = app::context::get(&visit.app, &visit.caller, uuid).await?;
    let like = match asked.like.as_str() {
        "" => None,
        like => {
            let like = uuid_of("execution", like)?;
            Some(execution::get(&visit.app, &visit.caller, Some(uuid), like).await?)
        }
    };
    let form = Form::new(&visit, &context, like.as_ref(), &Fields::default()).await?;
    visit.show(&form)
}

async fn run(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let uuid = uuid_of("context", &path)?;
    let context = app::context::get(&visit.app, &visit.caller, uuid).await?;
    let renga = &visit.state().settings.renga;
    let new =
        order(&fields).and_then(|order| renga.execution(uuid, order, fields.is_checked("ignore_warnings")));
    let made = match new {
        Ok(new) => execution::create(&visit.app, &visit.caller, new, None).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => visit.go(&format!("/executions/{}", made.uuid()), Tone::Ok, "It is being started."),
        Err(error) if error.kind == Kind::Internal => Err(error.into()),
        Err(error) => {
            let error = at_fields(error);
            let form = Form::new(&visit, &context, None, &fields).await?.blamed(&error);
            visit.show_as(status(error.kind), &form)
        }
    }
}
