//! What an engine is asked for one service: secrets opened and files read just before, and held no longer than the call.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use secrecy::SecretString;

use super::load::Work;
use super::run::{Halt, Run};
use super::words;
use crate::crypto::Context;
use crate::domain::Error;
use crate::domain::name::{SecretName, ServiceName};

use crate::domain::update::Failure;
use crate::domain::workload::{EnvValue, Service, Source};
use crate::engine::{Contents, FileContent, ServiceRequest};
use crate::reconcile::definition::Definition;

impl Run {
    /// The request for a service of `definition`.
    pub(super) async fn request(
        &self,
        work: &Work,
        definition: &Definition,
        name: &ServiceName,
    ) -> Result<ServiceRequest, Halt> {
        let mut request = self.bare_request(definition, name)?;
        request.secrets = Arc::new(self.secrets(work, definition, name)?);
        request.contents = Arc::new(self.contents(work, definition, &request.service, name).await?);
        Ok(request)
    }

    /// The request without secrets and files: enough to move traffic.
    pub(super) fn bare_request(
        &self,
        definition: &Definition,
        name: &ServiceName,
    ) -> Result<ServiceRequest, Halt> {
        let plan = &definition.plan;
        let image = definition.resolution.images.get(name);
        let (Some(service), Some(image), Some(hash)) =
            (plan.workload.services.get(name), image, definition.hash(name))
        else {
            let message = format!("service {name} was not prepared");
            let failure = words::failure("internal", self.journal.step(), message, "Retry.");
            return Err(Halt::Failed(words::of_service(failure, name)));
        };
        let mut service = service.clone();
        for (key, value) in &mut service.environment {
            // To an engine a text with a secret in it is a secret of the variable's own name.
            if matches!(value, EnvValue::Json(_)) {
                *value = EnvValue::Secret { name: SecretName::parse(key.as_str())?, version: 0 };
            }
        }
        Ok(ServiceRequest {
            workload: plan.deployment.clone(),
            name: name.clone(),
            revision: definition.number,
            hash: hash.to_owned(),
            service: Arc::new(service),
            profile: plan.profile,
            image: image.clone(),
            network: definition.resolution.network.clone(),
            has_peers: plan.workload.services.len() > 1,
            secrets: Arc::default(),
            contents: Arc::default(),
        })
    }

    /// The values of a service's secret variables.
    fn secrets(
        &self,
        work: &Work,
        definition: &Definition,
        of: &ServiceName,
    ) -> Result<BTreeMap<SecretName, SecretString>, Halt> {
        let service = definition.plan.workload.services.get(of);
        let mut secrets = BTreeMap::new();
        for (key, value) in service.into_iter().flat_map(|service| &service.environment) {
            match value {
                EnvValue::Secret { name, .. } => {
                    secrets.insert(name.clone(), self.open(work, name, of)?);
                }
                EnvValue::Json(template) => {
                    let filled = template.fill(|name| self.open(work, name, of))?;
                    secrets.insert(SecretName::parse(key.as_str())?, filled);
                }
                EnvValue::Plain(_) | EnvValue::Required => {}
            }
        }
        Ok(secrets)
    }

    /// Opens a secret as it is now; a roll back gets today's value as well.
    fn open(&self, work: &Work, name: &SecretName, of: &ServiceName) -> Result<SecretString, Halt> {
        let Some((version, sealed)) = work.sealed.get(name) else {
            let failure = self.secret_failure(format!("the secret {name} was removed"), of);
            return Err(Halt::Failed(failure));
        };
        let context = Context {
            table: "secret",
            row: work.deployment.id.as_str(),
            name: name.as_str(),
            version: *version,
        };
        let opened = self.shared.keys.open(&context, sealed).and_then(|clear| {
            let text = std::str::from_utf8(&clear).map_err(Error::internal)?;
            Ok(SecretString::from(text))
        });
        opened.map_err(|error| {
            tracing::error!(deployment = %work.deployment.id, secret = %name, %error, "a secret can't be opened");
            Halt::Failed(self.secret_failure(format!("the secret {name} can't be opened"), of))
        })
    }

    fn secret_failure(&self, message: String, of: &ServiceName) -> Failure {
        let hint = "Set it again in the deployment's settings, then update.";
        words::of_service(words::failure("secret_missing", self.journal.step(), message, hint), of)
    }

    async fn contents(
        &self,
        work: &Work,
        definition: &Definition,
        service: &Service,
        of: &ServiceName,
    ) -> Result<Contents, Halt> {
        let (workload, mut contents) = (&definition.plan.workload, Contents::default());
        for mount in &service.secrets {
            if let Some(source) = workload.secrets.get(&mount.source) {
                let content = self.content(work, definition, source, of).await?;
                contents.secrets.insert(mount.source.clone(), content);
            }
        }
        for mount in &service.configs {
            if let Some(source) = workload.configs.get(&mount.source) {
                let content = self.content(work, definition, source, of).await?;
                contents.configs.insert(mount.source.clone(), content);
            }
        }
        Ok(contents)
    }

    async fn content(
        &self,
        work: &Work,
        definition: &Definition,
        source: &Source,
        of: &ServiceName,
    ) -> Result<FileContent, Halt> {
        match source {
            Source::Inline(text) => Ok(FileContent::Plain(Bytes::from(text.clone()))),
            Source::Setting(setting) => Ok(FileContent::Secret(self.open(work, setting, of)?)),
            Source::Json(template) => {
                Ok(FileContent::Secret(template.fill(|name| self.open(work, name, of))?))
            }
            Source::BundleFile(path) => {
                let limits = self.shared.settings.archive_limits;
                let bytes = self.shared.blobs.read_file(&definition.plan.bundle, path, limits).await;
                let bytes = bytes.map_err(|error| self.bundle_halt(&definition.plan, error))?;
                Ok(FileContent::Plain(bytes.into()))
            }
        }
    }
}
