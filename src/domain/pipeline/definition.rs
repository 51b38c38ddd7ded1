//! What a pipeline's deployment runs: pipeline, streams and the deployment's own options made into a workload, as
//! DataCater's images expect to be told: by environment, and by files under `/usr/app/mounts`.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Pipeline, PipelineUse};
use crate::domain::name::{SecretName, ServiceName};
use crate::domain::stream::{self, MASK, Options, Stream};
use crate::domain::template::Template;
use crate::domain::workload::{EnvValue, Image, MetricsEndpoint, SecretMount, Service, Source, Workload};
use crate::domain::{Error, Problem, Result};

/// The pipeline's own service, which names the object on Kubernetes: `datacater-deployment-<uuid>`.
pub const SERVICE: &str = "datacater-deployment";

/// The prefix of variables that tell how records are read or written.
const SERDE: &str = "DATACATER_SERDE_";

/// Where files lie in the containers.
const MOUNTS: &str = "/usr/app/mounts";

/// DataCater's own (de)serializers, used where a Kafka stream names none.
const JSON_DESERIALIZER: &str = "io.datacater.core.serde.JsonDeserializer";
const JSON_SERIALIZER: &str = "io.datacater.core.serde.JsonSerializer";

/// What the configuration says where a pipeline says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    pub image: String,
    /// Of the pipeline's own service.
    pub port: u16,
    pub health_path: String,
    pub metrics_path: String,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            image: "datacater/pipeline:2023.1".into(),
            port: 8080,
            health_path: "/q/health".into(),
            metrics_path: "/q/metrics".into(),
        }
    }
}

/// Values of secret options, by their names.
pub type Secrets = BTreeMap<String, SecretString>;

/// What a definition is made from; secret options stand as [`MASK`], their values beside them.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The deployment's.
    pub uuid: Uuid,
    /// Counts the deployment's definitions.
    pub revision: u32,
    pub of: &'a PipelineUse,
    pub pipeline: (&'a Pipeline, &'a Secrets),
    pub stream_in: (&'a Stream, &'a Secrets),
    pub stream_out: (&'a Stream, &'a Secrets),
    /// The deployment's own secret options: of `stream-in-config`, `stream-out-config` and `config`.
    pub own: [&'a Secrets; 3],
    pub defaults: &'a Defaults,
}

/// A workload, and the secrets that it has of its deployment.
#[derive(Debug)]
pub struct Definition {
    pub workload: Workload,
    pub secrets: BTreeMap<SecretName, SecretString>,
}

/// Which way a stream goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Way {
    fn prefix(self) -> &'static str {
        match self {
            Self::In => "MP_MESSAGING_INCOMING_STREAMIN_",
            Self::Out => "MP_MESSAGING_OUTGOING_STREAMOUT_",
        }
    }

    fn whole(self) -> &'static str {
        match self {
            Self::In => "DATACATER_STREAMIN_CONFIG",
            Self::Out => "DATACATER_STREAMOUT_CONFIG",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::In => "stream-in",
            Self::Out => "stream-out",
        }
    }

    /// Options that tell how records are read or written, with what they are where nobody says; they travel apart.
    fn serde(self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::In => [("key.deserializer", JSON_DESERIALIZER), ("value.deserializer", JSON_DESERIALIZER)],
            Self::Out => [("key.serializer", JSON_SERIALIZER), ("value.serializer", JSON_SERIALIZER)],
        }
    }
}

/// Makes the definition.
///
/// # Errors
/// Names every option that has no value, or whose name in the environment another one has too.
pub fn derive(parts: &Parts<'_>) -> Result<Definition> {
    let mut made = Made::default();
    made.stream(Way::In, parts, parts.stream_in, (&parts.of.stream_in_config.options, parts.own[0]));
    made.stream(Way::Out, parts, parts.stream_out, (&parts.of.stream_out_config.options, parts.own[1]));
    let config = made.overlaid(
        "config",
        (&parts.pipeline.0.spec.config, parts.pipeline.1),
        (&parts.of.config, parts.own[2]),
    );
    made.environment("DATACATER_CONFIG_", &config);
    let whole = template("DATACATER_CONFIG_", &config);
    made.variable("DATACATER_CONFIG", &whole);
    made.file("config", whole);
    let spec = shown_spec(parts.pipeline.0, &config);
    made.workload.configs.insert(name("spec"), Source::Inline(spec));
    if !made.problems.is_empty() {
        return Err(Error::problems("invalid_input", made.problems));
    }
    Ok(made.finish(parts))
}

/// An option's value as it reaches a container.
#[derive(Debug, Clone)]
enum Setting {
    Plain(Value),
    Secret(SecretString),
}

type Settings = BTreeMap<String, Setting>;

#[derive(Default)]
struct Made {
    workload: Workload,
    environment: BTreeMap<String, EnvValue>,
    /// Which option a variable comes from.
    from: BTreeMap<String, String>,
    secrets: BTreeMap<SecretName, SecretString>,
    problems: Vec<Problem>,
}

impl Made {
    fn stream(
        &mut self,
        way: Way,
        parts: &Parts<'_>,
        stream: (&Stream, &Secrets),
        own: (&Options, &Secrets),
    ) {
        let place = format!("{}-config", way.file());
        let spec = &stream.0.spec;
        let mut settings = self.overlaid(&place, (&spec.options, stream.1), own);
        let topic = settings.remove("topic");
        let is_kafka = spec.kind == "KAFKA";
        let plain = |text: &str| Setting::Plain(Value::String(text.to_owned()));
        let mut serde = Settings::new();
        for (option, default) in way.serde() {
            let said = settings.remove(option).or_else(|| is_kafka.then(|| plain(default)));
            serde.extend(said.map(|said| (option.to_owned(), said)));
        }
        if is_kafka {
            settings.entry("bootstrap.servers".to_owned()).or_insert_with(|| plain("localhost:9092"));
        }
        if is_kafka && way == Way::In {
            settings.entry("group.id".to_owned()).or_insert_with(|| plain(&parts.uuid.to_string()));
        }
        self.environment(SERDE, &serde);
        self.environment(way.prefix(), &settings);
        let options = template(way.prefix(), &settings);
        self.variable(way.whole(), &options);
        let topic = topic_of(topic.as_ref(), stream.0);
        let name = topic.get("name").and_then(stream::text).unwrap_or_default();
        let mut whole = template(SERDE, &serde);
        whole.plain.extend(options.plain);
        whole.secret.extend(options.secret);
        whole.plain.insert("topic".to_owned(), Value::Object(topic));
        self.file(way.file(), whole);
        self.environment.insert(format!("{}TOPIC", way.prefix()), EnvValue::Plain(name));
    }

    /// Options with the deployment's own over them, secrets in their places.
    fn overlaid(&mut self, place: &str, base: (&Options, &Secrets), own: (&Options, &Secrets)) -> Settings {
        let mut settings = Settings::new();
        for (options, secrets) in [base, own] {
            for (key, value) in options {
                match value {
                    Value::Null => {
                        settings.remove(key);
                    }
                    Value::String(text) if text == MASK => match secrets.get(key) {
                        Some(secret) => {
                            settings.insert(key.clone(), Setting::Secret(secret.clone()));
                        }
                        None => self.problems.push(
                            Problem::new(format!("{place}.{key}"), "its value is not known").hint(format!(
                                "{MASK} stands for a value that was given before; give it once more."
                            )),
                        ),
                    },
                    value => {
                        settings.insert(key.clone(), Setting::Plain(value.clone()));
                    }
                }
            }
        }
        settings
    }

    fn environment(&mut self, prefix: &str, settings: &Settings) {
        for (option, setting) in settings {
            let variable = variable(prefix, option);
            if let Some(other) =
                self.from.insert(variable.clone(), option.clone()).filter(|other| other != option)
            {
                let message = format!("{option} and {other} would both be {variable}");
                self.problems.push(Problem::new(option.clone(), message).hint("Remove one of the two."));
            }
            match setting {
                Setting::Plain(value) => {
                    if let Some(text) = stream::text(value) {
                        self.environment.insert(variable, EnvValue::Plain(text));
                    }
                }
                Setting::Secret(secret) => {
                    self.environment.remove(&variable);
                    self.secrets.insert(name(&variable), secret.clone());
                }
            }
        }
    }

    /// All options as one variable, which is a secret where one of them is.
    fn variable(&mut self, variable: &str, options: &Template) {
        let value = if options.secret.is_empty() {
            EnvValue::Plain(options.masked())
        } else {
            EnvValue::Json(options.clone())
        };
        self.environment.insert(variable.to_owned(), value);
    }

    /// The same as a file.
    fn file(&mut self, file: &str, options: Template) {
        let source =
            if options.secret.is_empty() { Source::Inline(options.masked()) } else { Source::Json(options) };
        self.workload.configs.insert(name(file), source);
    }

    fn finish(mut self, parts: &Parts<'_>) -> Definition {
        let (spec, defaults) = (&parts.pipeline.0.spec, parts.defaults);
        let files = self.workload.configs.keys();
        let mounts = files.map(|file| SecretMount {
            source: file.clone(),
            target: format!("{MOUNTS}/{file}"),
            mode: 0o444,
        });
        let mounts: Vec<SecretMount> = mounts.collect();
        let labels = labels(parts);
        let service = |image: &str| Service {
            environment: self.environment.clone(),
            configs: mounts.clone(),
            object_labels: labels.clone(),
            user: spec.user.clone(),
            ..Service::new(Image::Reference(image.to_owned()))
        };
        let at = |path: &str| Some(MetricsEndpoint { port: defaults.port, path: path.to_owned() });
        let (health, metrics) = (spec.health.clone(), spec.metrics.clone());
        let health = health.or_else(|| at(&defaults.health_path));
        let metrics = metrics.or_else(|| at(&defaults.metrics_path));
        let own = Service {
            command: spec.command.clone(),
            replicas: spec.replicas.unwrap_or(1),
            expose: health.iter().chain(&metrics).map(|place| place.port).collect(),
            health,
            metrics,
            ..service(spec.image.as_deref().unwrap_or(&defaults.image))
        };
        let beside = spec.images.iter().map(|(name, image)| (name.clone(), service(image)));
        let services: BTreeMap<ServiceName, Service> = beside.chain([(own_service(), own)]).collect();
        self.workload.services = services;
        Definition { workload: self.workload, secrets: self.secrets }
    }
}

/// All options as one JSON object, whose secrets are the deployment's under the names of their variables.
fn template(prefix: &str, settings: &Settings) -> Template {
    let mut made = Template::default();
    for (option, setting) in settings {
        match setting {
            Setting::Plain(value) => {
                made.plain.insert(option.clone(), value.clone());
            }
            Setting::Secret(_) => {
                made.secret.insert(option.clone(), name(&variable(prefix, option)));
            }
        }
    }
    made
}

/// What is known of the topic, with its name: the stream's, unless it says otherwise.
fn topic_of(said: Option<&Setting>, stream: &Stream) -> Map<String, Value> {
    let mut topic = match said {
        Some(Setting::Plain(Value::Object(topic))) => topic.clone(),
        Some(Setting::Plain(name)) => Map::from_iter([("name".to_owned(), name.clone())]),
        _ => Map::new(),
    };
    let named = topic.get("name").and_then(stream::text).filter(|name| !name.is_empty());
    topic.insert("name".to_owned(), Value::String(named.unwrap_or_else(|| stream.name.to_string())));
    topic
}

/// The name of the pipeline's own service.
pub fn own_service() -> ServiceName {
    SERVICE.parse().expect("the name written here is a name")
}

fn name(text: &str) -> SecretName {
    text.parse().expect("names of variables and files are names of secrets")
}

/// An option's name in the environment, by MicroProfile Config's rule: what is neither letter nor digit becomes `_`.
pub fn variable(prefix: &str, option: &str) -> String {
    let clean = option.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    prefix.chars().chain(clean).collect()
}

/// The three places of a deployment's own options with the prefixes of their variables: where its own secrets are found.
pub const OWN: [&str; 3] =
    ["MP_MESSAGING_INCOMING_STREAMIN_", "MP_MESSAGING_OUTGOING_STREAMOUT_", "DATACATER_CONFIG_"];

/// Whether a deployment's secret of that name is the definition's to set and to remove.
pub fn is_own(secret: &str) -> bool {
    OWN.iter().any(|prefix| secret.starts_with(prefix)) || secret.starts_with("DATACATER_")
}

/// The labels of DataCater's objects.
fn labels(parts: &Parts<'_>) -> BTreeMap<String, String> {
    let pairs = [
        ("app", "datacater-pipeline".to_owned()),
        ("pipeline", parts.of.pipeline.to_string()),
        ("revision", parts.revision.to_string()),
        ("uuid", parts.uuid.to_string()),
    ];
    pairs.into_iter().map(|(key, value)| (format!("datacater.io/{key}"), value)).collect()
}

/// The specification as its images read it: with the options that hold here, secrets left out.
fn shown_spec(pipeline: &Pipeline, config: &Settings) -> String {
    let mut spec = pipeline.spec.clone();
    spec.metadata = Map::new();
    spec.config = config
        .iter()
        .filter_map(|(key, setting)| match setting {
            Setting::Plain(value) => Some((key.clone(), value.clone())),
            Setting::Secret(_) => None,
        })
        .collect();
    serde_json::to_string(&spec).expect("a specification holds only maps with text keys")
}

#[cfg(test)]
mod tests;
