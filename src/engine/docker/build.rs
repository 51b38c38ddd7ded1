//! Building images with the engine's own builder: a service's `build:`, and the one layer that carries its files.
//!
//! What is built bears a tag derived from everything that went in, so that it is built once.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};

use bollard::query_parameters::BuildImageOptions;
use futures_util::StreamExt;

use crate::domain::name::DeploymentId;
use crate::domain::workload::{Build, FileMount};
use crate::engine::docker::Core;
use crate::engine::docker::client::{SILENCE, timeout};
use crate::engine::docker::context::{self, Entry};
use crate::engine::docker::error::{self, plain};
use crate::engine::docker::ignore::Ignore;
use crate::engine::docker::pull::{Registries, all_credentials};
use crate::engine::{EngineError, EngineResult, Progress};

/// Lines of output that a failure keeps.
const TAIL: usize = 30;

/// One build.
pub(super) struct Job<'a> {
    pub(super) workload: &'a DeploymentId,
    /// For people: the service, or the first of several.
    pub(super) service: &'a str,
    pub(super) tag: String,
    pub(super) dockerfile: String,
    pub(super) target: String,
    pub(super) args: HashMap<String, String>,
    pub(super) entries: Vec<Entry>,
}

/// The job of a `build:`, whose bundle lies unpacked in `files`.
pub(super) fn job<'a>(
    workload: &'a DeploymentId,
    service: &'a str,
    tag: String,
    build: &Build,
    files: &Path,
) -> EngineResult<Job<'a>> {
    let source = if build.context.is_empty() { files.to_owned() } else { files.join(&build.context) };
    if !source.join(&build.dockerfile).is_file() {
        let folder = if build.context.is_empty() { "the bundle" } else { &build.context };
        return Err(EngineError::BuildFailed {
            service: service.to_owned(),
            detail: format!("there is no {} in {folder}", build.dockerfile),
            tail: Vec::new(),
        });
    }
    let ignore = ignore(&source, &build.dockerfile);
    Ok(Job {
        workload,
        service,
        tag,
        dockerfile: build.dockerfile.clone(),
        target: build.target.clone().unwrap_or_default(),
        args: build.args.clone().into_iter().collect(),
        entries: vec![Entry::Path { name: String::new(), source, ignore }],
    })
}

/// What the context's `.dockerignore` says, or the one beside its Dockerfile; the Dockerfile itself always goes along.
fn ignore(context: &Path, dockerfile: &str) -> Ignore {
    let own = context.join(format!("{dockerfile}.dockerignore"));
    let text =
        std::fs::read_to_string(own).or_else(|_| std::fs::read_to_string(context.join(".dockerignore")));
    Ignore::parse(&format!("{}\n!{dockerfile}\n", text.unwrap_or_default()))
}

/// The job of the layer that puts files of the bundle over `base`.
pub(super) fn layer<'a>(
    workload: &'a DeploymentId,
    service: &'a str,
    tag: String,
    base: &str,
    mounts: &[FileMount],
    files: &Path,
) -> Job<'a> {
    let mut dockerfile = format!("FROM {base}\n");
    let mut entries = Vec::new();
    for (number, mount) in mounts.iter().enumerate() {
        let name = format!("f/{number}");
        // A `$` would be taken for a variable, a `\` for the mark that prevents it.
        let target = mount.target.replace('\\', "\\\\").replace('$', "\\$");
        let pair = serde_json::json!([name, target]);
        dockerfile.push_str(&format!("COPY {pair}\n"));
        let source: PathBuf =
            if mount.source.is_empty() { files.to_owned() } else { files.join(&mount.source) };
        entries.push(Entry::Path { name, source, ignore: Ignore::default() });
    }
    entries.insert(0, Entry::Text { name: "Dockerfile".into(), content: dockerfile });
    Job {
        workload,
        service,
        tag,
        dockerfile: "Dockerfile".into(),
        target: String::new(),
        args: HashMap::new(),
        entries,
    }
}

impl Core {
    /// Builds, with every line of output told to `progress`.
    pub(super) async fn build(
        &self,
        job: Job<'_>,
        registries: &Registries,
        progress: &dyn Progress,
    ) -> EngineResult<()> {
        let options = BuildImageOptions {
            dockerfile: job.dockerfile,
            t: Some(format!("{}:{}", self.names.repository(job.workload), job.tag)),
            target: job.target,
            buildargs: Some(job.args),
            labels: Some(self.names.labels(job.workload)),
            rm: true,
            forcerm: true,
            ..Default::default()
        };
        let docker = self.client.docker().await?;
        let body = bollard::body_try_stream(context::stream(job.entries));
        let mut stream = Box::pin(docker.build_image(options, all_credentials(registries), Some(body)));
        let mut tail = VecDeque::new();
        loop {
            match tokio::time::timeout(SILENCE, stream.next()).await {
                Ok(Some(Ok(info))) => {
                    let text = info.stream.or(info.status).unwrap_or_default();
                    for line in text.lines().map(plain).filter(|line| !line.is_empty()) {
                        progress.line(&format!("{}: {line}", job.service));
                        tail.push_back(line);
                        if tail.len() > TAIL {
                            tail.pop_front();
                        }
                    }
                }
                Ok(Some(Err(failed))) => return Err(self.build_failed(job.service, failed, tail.into())),
                Ok(None) => return Ok(()),
                Err(_) => {
                    return Err(timeout(&format!("building the image of {}", job.service), SILENCE));
                }
            }
        }
    }

    fn build_failed(&self, service: &str, failed: bollard::errors::Error, tail: Vec<String>) -> EngineError {
        let detail = match self.client.failure(failed) {
            EngineError::Refused(detail) => detail,
            other => return other,
        };
        // The image that the build starts from may be what is missing or unreachable.
        match error::pull_failed("that the build starts from", EngineError::Refused(detail.clone())) {
            transient if transient.is_transient() => transient,
            _ => EngineError::BuildFailed { service: service.to_owned(), detail, tail },
        }
    }
}
