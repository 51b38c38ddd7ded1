//! Making a context, from nothing or like another one.

use actix_web::web;
use askama::Template;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{OWN, page, rest_text};
use crate::app;
use crate::domain::context::{Context, ContextSpec, Specification};
use crate::domain::name::{GroupName, Label};
use crate::domain::workload::Protocol;
use crate::domain::{Error, Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::deployment::settings::text::{parse_environment, show_environment};
use crate::http::web::fields::Fields;
use crate::http::web::page::{Field, Page, Tone, Trouble, blame};
use crate::http::web::pipelines::{document, group_field, uuid_of};
use crate::http::web::visit::{Answer, Visit};

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/contexts/new", ask);
    routes.post("/contexts/new", create);
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Like {
    /// The context whose values the form begins with.
    like: String,
}

#[derive(Template)]
#[template(path = "context/form.html")]
struct Form {
    page: Page,
    trouble: Option<Trouble>,
    action: String,
    cancel: String,
    image: Field,
    command: Field,
    ports: Field,
    environment: Field,
    rest: Field,
    project: Field,
    group: Option<Field>,
}

/// Ports as they are edited: `8888, 53/udp`.
pub(super) fn ports_text(context: &Context) -> String {
    let ports = context.spec.specification.ports().iter().map(|port| match port.protocol {
        Protocol::Tcp => port.port.to_string(),
        Protocol::Udp => format!("{}/udp", port.port),
    });
    ports.collect::<Vec<_>>().join(", ")
}

impl Form {
    fn new(visit: &Visit, like: Option<&Context>, fields: &Fields) -> Self {
        let sent = fields.iter().next().is_some();
        let or = |key: &str, stored: &dyn Fn(&Context) -> String| {
            if sent { fields.raw(key).to_owned() } else { like.map(stored).unwrap_or_default() }
        };
        let specification = |of: &Context| of.spec.specification.clone();
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self {
            page: page(visit, "New context"),
            trouble: None,
            action: visit.url("/contexts/new"),
            cancel: visit.url("/contexts"),
            image: Field::text("image", "Image")
                .hint("name:tag; latest where it has no tag.")
                .value(or("image", &|of| specification(of).image().to_owned()))
                .required()
                .mono(),
            command: Field::text("command", "Command")
                .hint("In place of the image's own. Words, quoted as in a shell; no shell runs them.")
                .value(or("command", &|of| text(specification(of).command())))
                .mono(),
            ports: Field::text("ports", "Ports")
                .hint("Those that are reached from outside, with commas between them, e.g. 8888, 53/udp.")
                .value(or("ports", &ports_text))
                .mono(),
            environment: Field::area("environment", "Environment", 4)
                .hint(
                    "One NAME=value a line. What is called a password, secret, token or the like is sealed and shown \
                     as ********.",
                )
                .value(or("environment", &|of| show_environment(specification(of).environment())))
                .mono(),
            rest: Field::area("rest", "Resources, volumes and labels", 5)
                .hint(
                    "YAML or JSON, as in a pod: resources: {limits: {cpu: 500m, memory: 512Mi}}, volumes and \
                     volumeMounts; labels: [name=value].",
                )
                .value(or("rest", &rest_text))
                .mono(),
            project: Field::text("project", "Renga project")
                .hint("Kept with it, for those who look for it.")
                .value(or("project", &|of| text(of.spec.project.as_ref().map(Label::as_str)))),
            group: group_field(visit, like.and_then(|of| of.group.clone()), fields),
        }
    }

    fn blamed(mut self, error: &Error) -> Self {
        let mut all = vec![
            &mut self.image,
            &mut self.command,
            &mut self.ports,
            &mut self.environment,
            &mut self.rest,
            &mut self.project,
        ];
        all.extend(self.group.as_mut());
        self.trouble = Some(blame(&mut all, error));
        self
    }
}

/// What the form asks for.
fn draft(fields: &Fields) -> Result<(ContextSpec, Option<GroupName>)> {
    let mut sent = document(fields, "rest")?;
    if let Some(key) = sent.keys().find(|key| OWN.contains(&key.as_str())) {
        return Err(Error::field("rest", format!("{key} has a field of its own")).hint("Take it out here."));
    }
    let environment = parse_environment(fields.raw("environment"), "environment")?;
    let ports = fields.get("ports").split([',', ' ']).map(str::trim).filter(|port| !port.is_empty());
    for (key, value) in [
        ("image", fields.optional("image").map(Value::from)),
        ("command", fields.optional("command").map(Value::from)),
        ("ports", Some(ports.collect::<Vec<_>>().into())),
    ] {
        sent.extend(value.map(|value| (key.to_owned(), value)));
    }
    let pair = |(name, value): (&String, &String)| json!({ "name": name, "value": value });
    sent.insert("env".to_owned(), environment.iter().map(pair).collect());
    // What is empty is not said at all.
    sent.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
    let project = fields.optional("project").map(Label::parse).transpose();
    Ok((
        ContextSpec {
            specification: Specification::parse(Value::Object(sent))?,
            project: project.map_err(|error| Error::field("project", error.message))?,
        },
        fields.optional("group").map(GroupName::parse).transpose()?,
    ))
}

/// The problem's place as the form has it.
pub(super) fn at_fields(mut error: Error) -> Error {
    for problem in &mut error.problems {
        let end = problem.place.find(['.', '[']).unwrap_or(problem.place.len());
        let (key, rest) = problem.place.split_at(end);
        let field = match key {
            "image" | "command" | "ports" | "project" | "group" | "environment" | "rest" | "engine"
            | "namespace" => key,
            "env" => "environment",
            _ => "rest",
        };
        if field == "rest" && key != "rest" {
            problem.message = format!("{}: {}", problem.place, problem.message);
        } else if let Some(name) = rest.strip_prefix('.').filter(|_| field == "environment") {
            problem.message = format!("{name}: {}", problem.message);
        }
        problem.place = field.to_owned();
    }
    error
}

async fn ask(visit: Visit, asked: web::Query<Like>) -> Answer {
    let like = match asked.like.as_str() {
        "" => None,
        like => Some(app::context::get(&visit.app, &visit.caller, uuid_of("context", like)?).await?),
    };
    visit.show(&Form::new(&visit, like.as_deref(), &Fields::default()))
}

async fn create(visit: Visit, fields: Fields) -> Answer {
    let made = match draft(&fields) {
        Ok((spec, group)) => app::context::create(&visit.app, &visit.caller, spec, group, None).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => {
            visit.go(&format!("/contexts/{}", made.uuid), Tone::Ok, "The context is made. Run it next.")
        }
        Err(error) if error.kind == Kind::Internal => Err(error.into()),
        Err(error) => {
            let error = at_fields(error);
            visit.show_as(status(error.kind), &Form::new(&visit, None, &fields).blamed(&error))
        }
    }
}
