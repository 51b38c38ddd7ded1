//! Files of secrets and configs, and the rights of folders that go with the container: put into it after it is made and
//! before it is started.
//!
//! They never become part of an image. Where the root is read-only (asked for, or by the profile) the engine takes files only into volumes, so each
//! folder that holds one is an anonymous volume of that container, gone with it; a folder is then root's, and the
//! service's own user can read but not change it.

use std::collections::BTreeSet;

use bollard::query_parameters::UploadToContainerOptions;
use bytes::Bytes;
use secrecy::ExposeSecret;

use crate::domain::workload::{SecretMount, Service};
use crate::engine::docker::Core;
use crate::engine::docker::client::CHANGE;
use crate::engine::{EngineError, EngineResult, FileContent, ServiceRequest};

impl Core {
    /// Puts the service's secrets and configs into a container that does not run yet, and opens its scratch folders; no call
    /// where it has none.
    pub(super) async fn put_files(&self, container: &str, request: &ServiceRequest) -> EngineResult<()> {
        for mount in request.service.volumes.iter().filter(|mount| mount.scratch && !mount.read_only) {
            self.put(container, &mount.target, open_folder()?).await?;
        }
        if mounts(&request.service).next().is_none() {
            return Ok(());
        }
        if !super::spec::root_is_read_only(request) {
            return self.put(container, "/", archive(request, "/")?).await;
        }
        for folder in folders(&request.service)? {
            self.put(container, &folder, archive(request, &folder)?).await?;
        }
        Ok(())
    }

    async fn put(&self, container: &str, folder: &str, archive: Bytes) -> EngineResult<()> {
        let options = UploadToContainerOptions { path: folder.to_owned(), ..Default::default() };
        self.client
            .call("putting files into a container", CHANGE, |docker| async move {
                docker.upload_to_container(container, Some(options), bollard::body_full(archive)).await
            })
            .await
    }
}

fn mounts(service: &Service) -> impl Iterator<Item = &SecretMount> {
    service.secrets.iter().chain(&service.configs)
}

/// The folders that hold files of secrets and configs.
///
/// # Errors
/// `Refused` where a file lies in `/`: no volume can be there.
pub(super) fn folders(service: &Service) -> EngineResult<BTreeSet<String>> {
    mounts(service)
        .map(|mount| match parent(&mount.target) {
            Some(folder) if folder != "/" => Ok(folder.to_owned()),
            _ => Err(EngineError::Refused(format!(
                "{} can't be placed at {}: the root is read-only here; give it a `target` in a folder, e.g. /run/configs/{}",
                mount.source, mount.target, mount.source
            ))),
        })
        .collect()
}

fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/')? {
        ("", _) => Some("/"),
        (folder, _) => Some(folder),
    }
}

/// A tar archive that opens the folder it is put into to any user, as a cluster's node does with an `emptyDir`. The engine
/// leaves the rights of its target alone where an archive calls it `.`, and takes them where it is called `/`.
fn open_folder() -> EngineResult<Bytes> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[0] = b'/';
    header.set_mode(0o777);
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Directory);
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    let appended = builder.append(&header, std::io::empty());
    finished(appended.and_then(|()| builder.into_inner()))
}

fn finished(archive: std::io::Result<Vec<u8>>) -> EngineResult<Bytes> {
    archive.map(Bytes::from).map_err(|error| EngineError::Refused(error.to_string()))
}

/// A tar archive of the files below `root`: of all of them for `/`, else of those that lie in that very folder.
fn archive(request: &ServiceRequest, root: &str) -> EngineResult<Bytes> {
    let mut builder = tar::Builder::new(Vec::new());
    let inside = |mount: &SecretMount| root == "/" || parent(&mount.target) == Some(root);
    for (mount, content) in request.contents.of(&request.service).filter(|(mount, _)| inside(mount)) {
        let content = match content {
            Some(FileContent::Plain(bytes)) => bytes.as_ref(),
            Some(FileContent::Secret(text)) => text.expose_secret().as_bytes(),
            None => {
                let what = format!("{} of service {} has no content", mount.source, request.name);
                return Err(EngineError::Refused(what));
            }
        };
        let path = mount.target.strip_prefix(root).unwrap_or(&mount.target).trim_start_matches('/');
        let mut header = tar::Header::new_gnu();
        header.set_mode(mount.mode);
        header.set_size(content.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        let placed = builder.append_data(&mut header, path, content);
        placed.map_err(|error| EngineError::Refused(format!("{} can't be a path: {error}", mount.target)))?;
    }
    finished(builder.into_inner())
}
