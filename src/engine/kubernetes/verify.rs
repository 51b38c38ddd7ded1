//! Whether a cluster would make what was asked: its admission may write into a template, and what it writes must not open
//! what policy closed.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::engine::{EngineError, EngineResult};

/// Compares a Deployment with what a dry run made of it.
///
/// # Errors
/// `Refused`, naming what came in.
pub(super) fn template(asked: &Deployment, shown: &Deployment) -> EngineResult<()> {
    let spec = |deployment: &Deployment| deployment.spec.template.spec.clone();
    pod(spec(asked), spec(shown))
}

/// The same of a Job.
///
/// # Errors
/// `Refused`, naming what came in.
pub(super) fn job(asked: &Job, shown: &Job) -> EngineResult<()> {
    let spec = |job: &Job| job.spec.as_ref().and_then(|spec| spec.template.spec.clone());
    pod(spec(asked), spec(shown))
}

fn pod(asked: Option<PodSpec>, shown: Option<PodSpec>) -> EngineResult<()> {
    let (Some(asked), Some(shown)) = (asked, shown) else {
        return Err(changed("a template without a pod"));
    };
    let on = |flag: Option<bool>| flag.unwrap_or(false);
    let flags = [
        ("host network", asked.host_network, shown.host_network),
        ("host PID namespace", asked.host_pid, shown.host_pid),
        ("host IPC namespace", asked.host_ipc, shown.host_ipc),
        (
            "a service account's token",
            asked.automount_service_account_token,
            shown.automount_service_account_token,
        ),
    ];
    if let Some((what, ..)) = flags.iter().find(|(_, asked, shown)| on(*shown) && !on(*asked)) {
        return Err(changed(what));
    }
    let hosts = |spec: &PodSpec| {
        let paths = spec.volumes.iter().flatten().filter_map(|volume| volume.host_path.as_ref());
        paths.map(|host| host.path.clone()).collect::<Vec<_>>()
    };
    let known = hosts(&asked);
    if let Some(path) = hosts(&shown).into_iter().find(|path| !known.contains(path)) {
        return Err(changed(&format!("the host path {path}")));
    }
    let (Some(before), Some(after)) = (asked.containers.first(), shown.containers.first()) else {
        return Err(changed("no container"));
    };
    let same = (&before.image, &before.command, &before.args) == (&after.image, &after.command, &after.args);
    if !same {
        return Err(changed("another image or command"));
    }
    container(before, after)?;
    // Sidecars may come in, and none that is privileged.
    let mut others = shown.containers.iter().skip(1).chain(shown.init_containers.iter().flatten());
    others.try_for_each(|other| container(&Container::default(), other))
}

fn container(asked: &Container, shown: &Container) -> EngineResult<()> {
    let security = |container: &Container| container.security_context.clone().unwrap_or_default();
    let (asked, shown) = (security(asked), security(shown));
    let on = |flag: Option<bool>| flag.unwrap_or(false);
    if on(shown.privileged) && !on(asked.privileged) {
        return Err(changed("a privileged container"));
    }
    let added = |security: &k8s_openapi::api::core::v1::SecurityContext| {
        security.capabilities.as_ref().and_then(|capabilities| capabilities.add.clone()).unwrap_or_default()
    };
    let known = added(&asked);
    match added(&shown).into_iter().find(|capability| !known.contains(capability)) {
        Some(capability) => Err(changed(&format!("the capability {capability}"))),
        None => Ok(()),
    }
}

fn changed(what: &str) -> EngineError {
    EngineError::Refused(format!(
        "the cluster's own admission would bring in {what}, which nobody asked for and no policy allowed; nothing was started"
    ))
}
