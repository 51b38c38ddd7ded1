//! Removing what a workload leaves behind: its network, our image tags, and on request its volumes.

use std::collections::{BTreeSet, HashMap};

use bollard::query_parameters::{
    ListImagesOptions, ListVolumesOptions, RemoveImageOptions, RemoveVolumeOptions,
};

use crate::domain::name::DeploymentId;
use crate::engine::docker::client::{ASK, CHANGE};
use crate::engine::docker::{Core, error};
use crate::engine::{EngineError, EngineResult, label};

impl Core {
    pub(super) async fn release_workload(&self, workload: &DeploymentId, volumes: bool) -> EngineResult<()> {
        let left = self.list(&[(label::WORKLOAD, workload.as_str())]).await?.len();
        if left > 0 {
            return Err(EngineError::Refused(format!("{left} replicas of {workload} are left")));
        }
        self.remove_network(workload).await?;
        self.untag(workload, &BTreeSet::new()).await?;
        if volumes {
            self.remove_volumes(workload).await?;
        }
        Ok(())
    }

    /// Takes our tags off the workload's images, save those with an id in `keep`. The engine removes an image with its
    /// last tag, unless a container still needs it.
    pub(super) async fn untag(&self, workload: &DeploymentId, keep: &BTreeSet<String>) -> EngineResult<()> {
        let tags = self.tags_in(&self.names.repository(workload)).await?;
        for (_, tag) in tags.into_iter().filter(|(id, _)| !keep.contains(id)) {
            self.remove_tag(&tag).await?;
        }
        Ok(())
    }

    /// Takes the tags that begin with `prefix` off a repository's images, except `keep`.
    pub(super) async fn untag_others(&self, repository: &str, prefix: &str, keep: &str) -> EngineResult<()> {
        let begins = format!("{repository}:{prefix}");
        let tags = self.tags_in(repository).await?;
        for (_, tag) in tags.into_iter().filter(|(_, tag)| tag.starts_with(&begins) && tag != keep) {
            self.remove_tag(&tag).await?;
        }
        Ok(())
    }

    /// Ids and tags of a repository's images.
    async fn tags_in(&self, repository: &str) -> EngineResult<Vec<(String, String)>> {
        let options = ListImagesOptions {
            filters: Some(HashMap::from([("reference".to_owned(), vec![repository.to_owned()])])),
            ..Default::default()
        };
        let images = self
            .client
            .call("the list of images", ASK, |docker| async move { docker.list_images(Some(options)).await })
            .await?;
        let ours = |tag: &String| tag.strip_prefix(repository).is_some_and(|rest| rest.starts_with(':'));
        let tags = images.into_iter().flat_map(|image| {
            let tags: Vec<String> = image.repo_tags.into_iter().filter(ours).collect();
            tags.into_iter().map(move |tag| (image.id.clone(), tag))
        });
        Ok(tags.collect())
    }

    pub(super) async fn remove_tag(&self, tag: &str) -> EngineResult<()> {
        let docker = self.client.docker().await?;
        match tokio::time::timeout(CHANGE, docker.remove_image(tag, None::<RemoveImageOptions>, None)).await {
            Ok(Ok(_)) => Ok(()),
            // Gone already, or a container that is not ours runs from it.
            Ok(Err(fine)) if error::is_missing(&fine) || error::is_conflict(&fine) => Ok(()),
            Ok(Err(other)) => Err(self.client.failure(other)),
            Err(_) => Err(super::client::timeout("removing an image's tag", CHANGE)),
        }
    }

    async fn remove_volumes(&self, workload: &DeploymentId) -> EngineResult<()> {
        let labels = self.names.labels(workload);
        let labels = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let options = ListVolumesOptions { filters: Some(HashMap::from([("label".to_owned(), labels)])) };
        let listed = self
            .client
            .call(
                "the list of volumes",
                ASK,
                |docker| async move { docker.list_volumes(Some(options)).await },
            )
            .await?;
        for volume in listed.volumes.unwrap_or_default() {
            let docker = self.client.docker().await?;
            let removing = docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>);
            match tokio::time::timeout(CHANGE, removing).await {
                Ok(Err(missing)) if error::is_missing(&missing) => {}
                Ok(done) => done.map_err(|error| self.client.failure(error))?,
                Err(_) => return Err(super::client::timeout("removing a volume", CHANGE)),
            }
        }
        Ok(())
    }
}
