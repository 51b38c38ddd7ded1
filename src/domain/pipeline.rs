//! A pipeline: images that read one stream and write another, with a configuration of their own (DataCater).

pub mod definition;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::name::{InfrastructureId, Label, ServiceName};
use crate::domain::resource::{Noun, Resource};
use crate::domain::stream::{Options, masked, take_secrets, wrong_options};
use crate::domain::workload::MetricsEndpoint;
use crate::domain::{Error, Problem, Result, notation};

/// A pipeline as it is stored.
pub type Pipeline = Resource<PipelineSpec>;

/// What a pipeline is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct PipelineSpec {
    /// The image that runs it; the configured one where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Replaces the image's command, as argv.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Whom its containers run as, e.g. `1000:1000`; the image's own user where nobody is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Images that run beside it, by the names that it reaches them by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<ServiceName, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_in: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_out: Option<Uuid>,
    /// Where its deployments run unless they say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infrastructure: Option<InfrastructureId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Its own configuration: environment and a file of its containers.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub config: Options,
    /// Where its image answers for its health; the configured place where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<MetricsEndpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsEndpoint>,
    /// What its images make of it (`steps`, `filters`, …): handed to them as it is, in a file.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
    /// DataCater's `metadata`, the two streams apart; it stands beside `spec` there.
    #[serde(rename = "(metadata)", skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl Noun for PipelineSpec {
    const NOUN: &'static str = "pipeline";

    fn take_secrets(&mut self) -> BTreeMap<String, String> {
        take_secrets(&mut self.config)
    }

    fn secrets(&self) -> BTreeMap<String, String> {
        masked(&self.config, "spec.config")
    }
}

impl PipelineSpec {
    /// Reads `spec`, and `metadata` as DataCater's clients send it: there it names the streams.
    ///
    /// # Errors
    /// Names each wrong place.
    pub fn parse(spec: &Value, metadata: Option<&Value>) -> Result<Self> {
        if !spec.is_object() {
            return Err(Error::field("spec", "a pipeline's spec is a mapping")
                .hint("Write e.g. {\"image\": \"team/pipeline:1\", \"stream-in\": \"<uuid>\", \"stream-out\": \"<uuid>\"}."));
        }
        let mut parsed: Self = serde_path_to_error::deserialize(spec).map_err(|failure| {
            let path = failure.path().to_string();
            let place = if path == "." || path == "?" { "spec".to_owned() } else { format!("spec.{path}") };
            Error::field(place, failure.into_inner().to_string())
        })?;
        let mut problems = Vec::new();
        if !parsed.metadata.is_empty() {
            problems.push(Problem::new("spec.(metadata)", "metadata stands beside spec"));
        }
        match metadata {
            None | Some(Value::Null) => {}
            Some(Value::Object(fields)) => problems.extend(parsed.take_metadata(fields.clone())),
            Some(_) => problems.push(Problem::new("metadata", "it is a mapping")),
        }
        problems.extend(wrong_options(&parsed.config, "spec.config"));
        problems.extend(parsed.wrong_images());
        problems.extend(parsed.wrong_endpoints());
        if problems.is_empty() { Ok(parsed) } else { Err(Error::problems("invalid_input", problems)) }
    }

    fn take_metadata(&mut self, mut fields: Map<String, Value>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, stream) in [("stream-in", &mut self.stream_in), ("stream-out", &mut self.stream_out)] {
            let place = format!("metadata.{key}");
            match fields.remove(key) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if text.is_empty() => {}
                Some(Value::String(text)) => match Uuid::try_parse(&text) {
                    Ok(uuid) if stream.is_none_or(|named| named == uuid) => *stream = Some(uuid),
                    Ok(_) => problems.push(Problem::new(place, format!("spec.{key} names another stream"))),
                    Err(_) => problems.push(Problem::new(place, format!("{text:?} is no uuid"))),
                },
                Some(_) => problems.push(Problem::new(place, "it is the uuid of a stream")),
            }
        }
        self.metadata = fields;
        problems
    }

    fn wrong_images(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let named = self.images.iter().map(|(name, image)| (format!("spec.images.{name}"), image));
        for (place, image) in self.image.iter().map(|image| ("spec.image".to_owned(), image)).chain(named) {
            if let Some(fault) = notation::image_fault(image) {
                problems.push(
                    Problem::new(place, format!("{image:?} is no image: {fault}"))
                        .hint("Write e.g. team/pipeline:1."),
                );
            }
        }
        if let Some(user) = self.user.as_ref().filter(|user| !notation::is_user(user)) {
            problems.push(Problem::new("spec.user", format!("{user:?} is no user")).hint(notation::USER));
        }
        if self.command.iter().flatten().any(|word| word.contains('\0')) {
            problems.push(Problem::new("spec.command", "it holds a NUL, which no program can be given"));
        }
        if self.images.contains_key(definition::SERVICE) {
            let place = format!("spec.images.{}", definition::SERVICE);
            problems
                .push(Problem::new(place, "that name is the pipeline's own").hint("Name it in spec.image."));
        }
        problems
    }

    fn wrong_endpoints(&self) -> Vec<Problem> {
        let named = [("health", &self.health), ("metrics", &self.metrics)];
        let wrong = |(key, place): (&str, &Option<MetricsEndpoint>)| {
            let bad = |place: &MetricsEndpoint| place.port == 0 || !place.path.starts_with('/');
            let problem =
                || Problem::new(format!("spec.{key}"), "it is a port and a path that begins with '/'");
            place.as_ref().is_some_and(bad).then(problem)
        };
        named.into_iter().filter_map(wrong).collect()
    }

    /// `metadata` as DataCater's clients read it.
    pub fn shown_metadata(&self) -> Map<String, Value> {
        let mut shown = self.metadata.clone();
        for (key, stream) in [("stream-in", self.stream_in), ("stream-out", self.stream_out)] {
            if let Some(stream) = stream {
                shown.insert(key.to_owned(), Value::String(stream.to_string()));
            }
        }
        shown
    }
}

/// What a deployment makes of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PipelineUse {
    pub pipeline: Uuid,
    /// The pipeline's name, as it was at the last save.
    pub pipeline_name: Label,
    /// The deployment's own name; need not be unique.
    pub name: Label,
    /// Another stream than the pipeline's (`uuid`), and options that win over the stream's.
    pub stream_in_config: StreamUse,
    pub stream_out_config: StreamUse,
    /// Wins over the pipeline's.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub config: Options,
}

/// Which stream, and with what options.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StreamUse {
    /// Empty is as good as not named, as DataCater has it.
    #[serde(default, deserialize_with = "unless_empty", skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    #[serde(flatten)]
    pub options: Options,
}

fn unless_empty<'de, D: Deserializer<'de>>(read: D) -> Result<Option<Uuid>, D::Error> {
    let text = Option::<String>::deserialize(read)?.filter(|text| !text.is_empty());
    text.map(|text| Uuid::try_parse(&text).map_err(serde::de::Error::custom)).transpose()
}

impl StreamUse {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.uuid.is_none() && self.options.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const IN: &str = "dc161a69-fa49-4b1a-b1b1-6d8246d50d72";

    #[test]
    fn streams_come_from_spec_or_metadata_and_the_rest_is_kept() {
        let spec = json!({ "image": "team/p:1", "steps": [{ "kind": "Map" }], "config": { "batch": 5 } });
        let parsed = PipelineSpec::parse(&spec, Some(&json!({ "stream-in": IN, "owner": "ml" }))).unwrap();
        assert_eq!(parsed.stream_in.unwrap().to_string(), IN);
        assert_eq!(parsed.rest["steps"], json!([{ "kind": "Map" }]));
        assert_eq!(Value::Object(parsed.shown_metadata()), json!({ "stream-in": IN, "owner": "ml" }));
        let stored = serde_json::to_value(&parsed).unwrap();
        assert_eq!(serde_json::from_value::<PipelineSpec>(stored).unwrap(), parsed);
    }

    #[test]
    fn every_wrong_place_is_named() {
        let spec = json!({ "stream-in": IN, "image": "a b", "images": { "datacater-deployment": "x" }, "config": { "a": [] } });
        let other = "dc161a69-fa49-4b1a-b1b1-6d8246d50d73";
        let error =
            PipelineSpec::parse(&spec, Some(&json!({ "stream-in": other, "stream-out": "x" }))).unwrap_err();
        let places: Vec<&str> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
        let wanted = [
            "metadata.stream-in",
            "metadata.stream-out",
            "spec.config.a",
            "spec.image",
            "spec.images.datacater-deployment",
        ];
        assert_eq!(places, wanted);
        let error = PipelineSpec::parse(&json!({ "stream-in": "x" }), None).unwrap_err();
        assert!(error.problems[0].place.starts_with("spec"), "{}", error.problems[0].place);
    }
}
