//! Bundles: an uploaded archive becomes an immutable version of a project.

use std::collections::BTreeMap;

use serde_json::json;

use super::{App, Idempotency, Note, load, remember, replayed, told};
use crate::blob::{Inspected, Staged};
use crate::bus::Topic;
use crate::compose;
use crate::domain::access::{Caller, ProjectRight, Subject};
use crate::domain::bundle::{Bundle, BundleFile, Digest, Manifest};
use crate::domain::diff::Change;
use crate::domain::name::{ProjectKey, Version};
use crate::domain::page::{Page, PageRequest};
use crate::domain::{Error, Kind, Result, policy};
use crate::store;
use crate::store::Tx;
pub use crate::store::bundle::Summary;

/// What the sender of an archive says of it.
#[derive(Debug, Clone, Default)]
pub struct NewBundle {
    /// Wins over the compose file's `name:`.
    pub project: Option<ProjectKey>,
    /// Used where the compose file has no `x-slipway.version`.
    pub version: Option<Version>,
    /// The archive's name: gives the version where nothing else does.
    pub file_name: Option<String>,
}

/// What an upload made.
#[derive(Debug)]
pub struct Uploaded {
    pub bundle: Bundle,
    /// Whether the project had to be made.
    pub project_created: bool,
}

/// Publishes an archive. The project is made when it is missing and the caller may make one.
///
/// # Errors
/// Without `publish` on the project; whatever is wrong with the archive or its compose file, by place;
/// `bundle_exists` when the version is there with another content (the same content again is no error).
pub async fn upload(
    app: &App,
    caller: &Caller,
    staged: Staged,
    new: NewBundle,
    once: Option<Idempotency>,
) -> Result<Uploaded> {
    let inspected = staged.inspect(app.archive_limits).await?;
    let manifest = read_manifest(&inspected).await?;
    let project = project_of(&manifest, &new)?;
    let version = version_of(&manifest, &new)?;
    let bundle = Bundle {
        project,
        version,
        digest: staged.digest().clone(),
        size: staged.size(),
        manifest,
        files: inspected.files().to_vec(),
        uploader: caller.subject.name.clone(),
        created_at: app.now(),
    };
    // Kept before the row that names it, so that a row never names a missing archive; an archive without a row
    // is swept.
    app.blobs.commit(staged).await?;
    let (app_, caller) = (app.clone(), caller.clone());
    app.store.write(move |tx| publish(&app_, tx, &caller, bundle, once.as_ref())).await
}

async fn read_manifest(inspected: &Inspected) -> Result<Manifest> {
    let inspected = inspected.clone();
    let read = move || {
        let contents = &inspected.contents;
        compose::parse(&compose::Input {
            path: &contents.compose.path,
            text: &contents.compose.text,
            env: contents.env.as_deref(),
            files: &contents.files,
            read: &|path| inspected.read_text(path),
        })
    };
    tokio::task::spawn_blocking(read).await.map_err(Error::internal)?
}

fn project_of(manifest: &Manifest, new: &NewBundle) -> Result<ProjectKey> {
    match (&new.project, &manifest.name) {
        (Some(project), _) => Ok(project.clone()),
        (None, Some(name)) => ProjectKey::parse(name.clone()),
        (None, None) => {
            Err(Error::field("project", "the upload names no project, and the compose file has no `name:`")
                .hint("Name the project with the upload, or write `name:` into the compose file."))
        }
    }
}

fn version_of(manifest: &Manifest, new: &NewBundle) -> Result<Version> {
    if let Some(version) = &manifest.version {
        return Version::parse(version.clone());
    }
    if let Some(version) = &new.version {
        return Ok(version.clone());
    }
    let name =
        new.file_name.as_deref().and_then(|name| name.strip_suffix(".zip")).filter(|name| !name.is_empty());
    match name {
        Some(name) => Version::parse(name),
        None => Err(Error::field("version", "the bundle has no version")
            .hint("Write `x-slipway: {version: …}` into the compose file, send a version, or name the file VERSION.zip.")),
    }
}

fn publish(
    app: &App,
    tx: &Tx<'_>,
    caller: &Caller,
    bundle: Bundle,
    once: Option<&Idempotency>,
) -> Result<Uploaded> {
    let (project, version) = (bundle.project.clone(), bundle.version.clone());
    if replayed(tx, caller, once)?.is_some() {
        load::project(tx, &project, &caller.subject, ProjectRight::View)?;
        let bundle = found(tx, &project, &version)?;
        return Ok(Uploaded { bundle, project_created: false });
    }
    let project_created = store::project::find(tx, &project, &Subject::system())?.is_none();
    let refusal = super::project::maker_group(app, &caller.subject, None).err();
    if project_created {
        if let Some(refusal) = refusal {
            return Err(no_project(&project, &refusal));
        }
        let new = super::project::NewProject {
            key: project.clone(),
            description: String::new(),
            tags: Vec::new(),
            group: None,
        };
        super::project::insert(app, tx, caller, &new)?;
    }
    match load::project(tx, &project, &caller.subject, ProjectRight::Publish) {
        Ok(_) => {}
        Err(error) => match refusal.filter(|_| error.kind == Kind::NotFound) {
            Some(refusal) => return Err(no_project(&project, &refusal)),
            None => return Err(error),
        },
    }
    let refused =
        policy::refused_everywhere(&bundle.manifest.workload, &store::infrastructure::policies(tx)?);
    if !refused.is_empty() {
        return Err(Error::problems("bundle_refused", refused));
    }
    if let Some(there) = store::bundle::find(tx, &project, &version)? {
        return same_again(there, &bundle.digest);
    }
    store::bundle::insert(tx, &bundle)?;
    remember(tx, caller, once, version.as_str(), app.now())?;
    let detail = json!({ "version": version, "sha256": bundle.digest, "size": bundle.size,
        "services": bundle.manifest.workload.services.keys().collect::<Vec<_>>() });
    app.journal(tx, caller, "bundle.published", ("project", project.as_str()), Note::detail(detail))?;
    tx.publish(Topic::Project(project));
    Ok(Uploaded { bundle, project_created })
}

/// To somebody who may make no project, one that is absent and one that may not be seen are the same.
fn no_project(key: &ProjectKey, refusal: &Error) -> Error {
    let way_out = refusal.hint.as_deref().unwrap_or_default();
    Error::not_found("project", key).hint(format!("It is not made either: {}. {way_out}", refusal.message))
}

fn same_again(there: Bundle, digest: &Digest) -> Result<Uploaded> {
    if there.digest == *digest {
        return Ok(Uploaded { bundle: there, project_created: false });
    }
    Err(Error::conflict(
        "bundle_exists",
        format!("{} {} is published already, with another content", there.project, there.version),
    )
    .hint("A bundle never changes: publish this one under another version."))
}

fn found(db: &rusqlite::Connection, project: &ProjectKey, version: &Version) -> Result<Bundle> {
    store::bundle::find(db, project, version)?
        .ok_or_else(|| Error::not_found("bundle", format!("{version} of project {project}")))
}

/// One bundle.
///
/// # Errors
/// Without `view` on its project.
pub async fn get(app: &App, caller: &Caller, project: ProjectKey, version: Version) -> Result<Bundle> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            load::project(db, &project, &subject, ProjectRight::View)?;
            found(db, &project, &version)
        })
        .await
}

/// A project's bundles, newest first.
///
/// # Errors
/// Without `view` on it; a cursor that is none of this list.
pub async fn list(
    app: &App,
    caller: &Caller,
    project: ProjectKey,
    page: PageRequest,
) -> Result<Page<Summary>> {
    let subject = caller.subject.clone();
    let after = page.after.as_deref().map(cursor).transpose()?;
    app.store
        .read(move |db| {
            load::project(db, &project, &subject, ProjectRight::View)?;
            let after = after.as_ref().map(|(at, version)| (*at, version.as_str()));
            let mut items = store::bundle::list(db, &project, after, page.limit + 1)?;
            let more = items.len() > page.limit as usize;
            items.truncate(page.limit as usize);
            let next = items.last().filter(|_| more);
            let next = next.map(|last| format!("{}_{}", last.created_at.timestamp_millis(), last.version));
            Ok(Page { items, next })
        })
        .await
}

fn cursor(text: &str) -> Result<(i64, String)> {
    let parts = text.split_once('_').and_then(|(at, version)| Some((at.parse().ok()?, version.to_owned())));
    parts.ok_or_else(|| {
        Error::field("after", "this is no cursor of this list").hint("Start from the first page.")
    })
}

/// Deletes a bundle that no deployment wants or runs.
///
/// # Errors
/// Without `admin` on its project; `bundle_in_use`, naming deployments.
pub async fn delete(app: &App, caller: &Caller, project: ProjectKey, version: Version) -> Result<()> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            load::project(tx, &project, &caller.subject, ProjectRight::Admin)?;
            found(tx, &project, &version)?;
            let users = store::bundle::used_by(tx, &project, &version)?;
            if !users.is_empty() {
                return Err(Error::conflict(
                    "bundle_in_use",
                    format!("bundle {version} is used by {}", told(tx, &caller.subject, users)?),
                )
                .hint("Move them to another bundle, or delete them, first."));
            }
            store::bundle::delete(tx, &project, &version)?;
            let detail = json!({ "version": version });
            app_.journal(tx, &caller, "bundle.deleted", ("project", project.as_str()), Note::detail(detail))?;
            tx.publish(Topic::Project(project));
            Ok(())
        })
        .await
}

/// The archive of a bundle, open for reading.
///
/// # Errors
/// Without `view` on its project.
pub async fn download(
    app: &App,
    caller: &Caller,
    project: ProjectKey,
    version: Version,
) -> Result<(Bundle, tokio::fs::File)> {
    let bundle = get(app, caller, project, version).await?;
    let file = app.blobs.open_blob(&bundle.digest).await?;
    Ok((bundle, file))
}

/// One file of a bundle, whole.
///
/// # Errors
/// Without `view` on its project; not in the bundle; `file_too_large` beyond 1 MiB.
pub async fn file(
    app: &App,
    caller: &Caller,
    project: ProjectKey,
    version: Version,
    path: String,
) -> Result<(BundleFile, Vec<u8>)> {
    const MOST: u64 = 1 << 20;
    let bundle = get(app, caller, project, version).await?;
    let entry = bundle.files.iter().find(|file| file.path == path);
    let entry = entry.ok_or_else(|| Error::not_found("file", &path))?.clone();
    if entry.size > MOST {
        return Err(Error::new(Kind::TooLarge, "file_too_large", format!("{path} is larger than 1 MiB"))
            .hint("Download the bundle instead."));
    }
    let content = app.blobs.read_file(&bundle.digest, &path, app.archive_limits).await?;
    Ok((entry, content))
}

/// What differs between two bundles of a project.
#[derive(Debug)]
pub struct BundleDiff {
    pub from: Version,
    pub to: Version,
    /// The compose files' meaning, place by place.
    pub definition: Vec<Change>,
    /// Files by path; before and after are short digests.
    pub files: Vec<Change>,
    /// A unified text diff of the compose files.
    pub compose: String,
}

/// Compares two bundles.
///
/// # Errors
/// Without `view` on the project.
pub async fn diff(
    app: &App,
    caller: &Caller,
    project: ProjectKey,
    from: Version,
    to: Version,
) -> Result<BundleDiff> {
    let one = get(app, caller, project.clone(), from).await?;
    let other = get(app, caller, project, to).await?;
    let (before, after) = (compose_text(app, &one).await?, compose_text(app, &other).await?);
    let compose = similar::TextDiff::from_lines(&before, &after)
        .unified_diff()
        .context_radius(3)
        .header(one.version.as_str(), other.version.as_str())
        .to_string();
    let definition = crate::domain::diff::workloads(&one.manifest.workload, &other.manifest.workload);
    Ok(BundleDiff {
        definition,
        files: file_changes(&one.files, &other.files),
        compose,
        from: one.version,
        to: other.version,
    })
}

/// The text of a bundle's compose file.
async fn compose_text(app: &App, bundle: &Bundle) -> Result<String> {
    let names = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
    let name = names.into_iter().find(|name| bundle.files.iter().any(|file| file.path == *name));
    let Some(name) = name else {
        return Ok(String::new());
    };
    let bytes = app.blobs.read_file(&bundle.digest, name, app.archive_limits).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn file_changes(before: &[BundleFile], after: &[BundleFile]) -> Vec<Change> {
    let digests = |files: &[BundleFile]| -> BTreeMap<String, String> {
        files.iter().map(|file| (file.path.clone(), file.sha256.short().to_owned())).collect()
    };
    crate::domain::diff::maps(&digests(before), &digests(after))
}

/// The compose file as it was published, for the bundle's page.
///
/// # Errors
/// Without `view` on the project.
pub async fn compose(app: &App, caller: &Caller, project: ProjectKey, version: Version) -> Result<String> {
    let bundle = get(app, caller, project, version).await?;
    compose_text(app, &bundle).await
}
