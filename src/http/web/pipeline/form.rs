//! Making and editing a pipeline.

use actix_web::web;
use askama::Template;
use serde_json::{Map, Value, json};

use super::page;
use crate::app::resource::Draft;
use crate::app::{pipeline, stream};
use crate::domain::name::{GroupName, Label};
use crate::domain::page::PageRequest;
use crate::domain::pipeline::{Pipeline, PipelineSpec};
use crate::domain::{Error, Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::fields::Fields;
use crate::http::web::infrastructures;
use crate::http::web::page::{Choice, Field, Page, Tone, Trouble, blame};
use crate::http::web::pipelines::{document, group_field, options_text, uuid_of};
use crate::http::web::visit::{Answer, Visit};

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/pipelines/new", ask);
    routes.post("/pipelines/new", create);
    routes.get("/pipelines/{uuid}/edit", edit);
    routes.post("/pipelines/{uuid}/edit", save);
}

/// Keys of `spec` that have a field of their own; everything else is edited as one text.
const OWN: [&str; 6] = ["image", "stream-in", "stream-out", "infrastructure", "replicas", "config"];

#[derive(Template)]
#[template(path = "pipeline/form.html")]
struct Form {
    page: Page,
    trouble: Option<Trouble>,
    action: String,
    verb: &'static str,
    cancel: String,
    revision: Option<u32>,
    name: Field,
    image: Field,
    stream_in: Field,
    stream_out: Field,
    infrastructure: Field,
    replicas: Field,
    config: Field,
    rest: Field,
    group: Option<Field>,
}

/// What a form offers to choose from.
pub(super) struct Choices {
    pub streams: Vec<Choice>,
    pub infrastructures: Vec<Choice>,
}

impl Choices {
    pub async fn load(visit: &Visit) -> Result<Self> {
        let most = PageRequest::first(PageRequest::MOST);
        let streams = stream::list(&visit.app, &visit.caller, None, most).await?;
        let of_stream = |(stream, _): &(crate::domain::stream::Stream, u32)| {
            Choice::new(stream.uuid.to_string(), stream.name.to_string())
        };
        Ok(Self {
            streams: streams.items.iter().map(of_stream).collect(),
            infrastructures: infrastructures::choices(visit).await?,
        })
    }
}

/// The choices with what is stored among them, also where the visitor could not choose it anew: a form that leaves it
/// alone sends it back.
pub(super) fn with_stored(mut choices: Vec<Choice>, stored: &str) -> Vec<Choice> {
    match choices.iter_mut().find(|choice| choice.value == stored) {
        Some(known) => known.refused.clear(),
        None if !stored.is_empty() => choices.push(Choice::new(stored, stored)),
        None => {}
    }
    choices
}

/// What of a specification has no field of its own, as it is edited.
pub(super) fn rest_text(spec: &PipelineSpec) -> String {
    let mut bare = spec.clone();
    bare.metadata = Map::new();
    let Ok(Value::Object(mut rest)) = serde_json::to_value(&bare) else { return String::new() };
    rest.retain(|key, _| !OWN.contains(&key.as_str()));
    options_text(&rest)
}

impl Form {
    async fn new(visit: &Visit, of: Option<&Pipeline>, fields: &Fields) -> Result<Self> {
        let choices = Choices::load(visit).await?;
        let spec = of.map(|pipeline| pipeline.spec.clone()).unwrap_or_default();
        let sent = fields.iter().next().is_some();
        let was = |key: &str, stored: String| if sent { fields.get(key).to_owned() } else { stored };
        let shown = |uuid: Option<uuid::Uuid>| uuid.map(|uuid| uuid.to_string()).unwrap_or_default();
        let (page, here) = match of {
            None => (page(visit, "New pipeline"), "/pipelines".to_owned()),
            Some(pipeline) => {
                let here = format!("/pipelines/{}", pipeline.uuid);
                (page(visit, format!("Edit {}", pipeline.name)).below(pipeline.name.to_string(), &here), here)
            }
        };
        let place = spec.infrastructure.as_ref().map(ToString::to_string).unwrap_or_default();
        let chosen = |name: &str, label: &str, choices: &[Choice], value: String| {
            Field::select(name, label, with_stored(choices.to_vec(), &value)).value(value)
        };
        let action = if of.is_some() { format!("{here}/edit") } else { "/pipelines/new".to_owned() };
        Ok(Self {
            page,
            trouble: None,
            action: visit.url(&action),
            verb: if of.is_some() { "Save" } else { "Make the pipeline" },
            cancel: visit.url(&here),
            revision: of.map(|pipeline| pipeline.revision),
            name: Field::text("name", "Name")
                .value(was("name", of.map(|pipeline| pipeline.name.to_string()).unwrap_or_default()))
                .required(),
            image: Field::text("image", "Image")
                .hint(format!("Runs the pipeline; {} where none is named.", visit.app.rules.datacater.defaults.image))
                .value(was("image", spec.image.clone().unwrap_or_default()))
                .mono(),
            stream_in: chosen("stream-in", "Stream in", &choices.streams, was("stream-in", shown(spec.stream_in))).hint("What it reads."),
            stream_out: chosen("stream-out", "Stream out", &choices.streams, was("stream-out", shown(spec.stream_out))).hint("What it writes."),
            infrastructure: chosen("infrastructure", "Infrastructure", &choices.infrastructures, was("infrastructure", place))
                .hint("Where its deployments run unless they say otherwise."),
            replicas: Field::input("number", "replicas", "Replicas")
                .hint("Unless a deployment says otherwise.")
                .value(was("replicas", spec.replicas.map(|count| count.to_string()).unwrap_or_default())),
            config: Field::area("config", "Configuration", 5)
                .hint("Its own options, as YAML or JSON: environment and a file of its containers. Secrets are shown as ********.")
                .value(was("config", options_text(&spec.config)))
                .mono(),
            rest: Field::area("rest", "Everything else", 6)
                .hint("images that run beside it, health and metrics ({port, path}); steps and whatever else its images read.")
                .value(was("rest", rest_text(&spec)))
                .mono(),
            group: group_field(visit, of.and_then(|pipeline| pipeline.group.clone()), fields),
        })
    }

    fn blamed(mut self, error: &Error) -> Self {
        let mut all = vec![
            &mut self.name,
            &mut self.image,
            &mut self.stream_in,
            &mut self.stream_out,
            &mut self.infrastructure,
            &mut self.replicas,
            &mut self.config,
            &mut self.rest,
        ];
        all.extend(self.group.as_mut());
        self.trouble = Some(blame(&mut all, error));
        self
    }
}

fn draft(fields: &Fields, before: Option<&Pipeline>) -> Result<Draft<PipelineSpec>> {
    let mut spec = document(fields, "rest")?;
    if let Some(key) = spec.keys().find(|key| OWN.contains(&key.as_str())) {
        return Err(Error::field("rest", format!("{key} has a field of its own")).hint("Take it out here."));
    }
    for key in ["image", "stream-in", "stream-out", "infrastructure"] {
        if let Some(value) = fields.optional(key) {
            spec.insert(key.to_owned(), json!(value));
        }
    }
    if let Some(replicas) = fields.optional("replicas") {
        let number: u32 = replicas.parse().map_err(|_| Error::field("replicas", "it is a number"))?;
        spec.insert("replicas".to_owned(), json!(number));
    }
    spec.insert("config".to_owned(), Value::Object(document(fields, "config")?));
    let mut spec = PipelineSpec::parse(&Value::Object(spec), None)?;
    if let Some(before) = before {
        spec.metadata.clone_from(&before.spec.metadata);
    }
    Ok(Draft {
        name: Label::parse(fields.get("name"))?,
        group: fields.optional("group").map(GroupName::parse).transpose()?,
        spec,
    })
}

/// The problem's place as the form has it.
fn at_fields(mut error: Error) -> Error {
    for problem in &mut error.problems {
        let Some(path) = problem.place.strip_prefix("spec.").map(ToOwned::to_owned) else { continue };
        let (key, rest) = path.split_once('.').map_or((path.as_str(), None), |(key, rest)| (key, Some(rest)));
        if let Some(rest) = rest {
            problem.message = format!("option {rest}: {}", problem.message);
        }
        problem.place = if OWN.contains(&key) { key.to_owned() } else { "rest".to_owned() };
    }
    error
}

async fn ask(visit: Visit) -> Answer {
    let form = Form::new(&visit, None, &Fields::default()).await?;
    visit.show(&form)
}

async fn create(visit: Visit, fields: Fields) -> Answer {
    let made = match draft(&fields, None) {
        Ok(draft) => pipeline::create(&visit.app, &visit.caller, draft, None).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => {
            visit.go(&format!("/pipelines/{}", made.uuid), Tone::Ok, "The pipeline is made. Deploy it next.")
        }
        Err(error) => again(&visit, None, &fields, error).await,
    }
}

async fn again(visit: &Visit, of: Option<&Pipeline>, fields: &Fields, error: Error) -> Answer {
    if error.kind == Kind::Internal {
        return Err(error.into());
    }
    let error = at_fields(error);
    visit.show_as(status(error.kind), &Form::new(visit, of, fields).await?.blamed(&error))
}

async fn edit(visit: Visit, path: web::Path<String>) -> Answer {
    let found = pipeline::get(&visit.app, &visit.caller, uuid_of("pipeline", &path)?).await?;
    let form = Form::new(&visit, Some(&found), &Fields::default()).await?;
    visit.show(&form)
}

async fn save(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let uuid = uuid_of("pipeline", &path)?;
    let before = pipeline::get(&visit.app, &visit.caller, uuid).await?;
    let saved = match draft(&fields, Some(&before)) {
        Ok(draft) => {
            let revision = fields.get("revision").parse().ok();
            pipeline::save(&visit.app, &visit.caller, uuid, draft, revision).await
        }
        Err(error) => Err(error),
    };
    match saved {
        Ok(_) => visit.go(
            &format!("/pipelines/{uuid}"),
            Tone::Ok,
            "Saved. Deployments made from it are out of sync until they are updated.",
        ),
        Err(error) => again(&visit, Some(&before), &fields, error).await,
    }
}
