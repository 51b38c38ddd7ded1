//! What the engine is, and whether it lets us do our work.

use bollard::models::SystemInfo;

use crate::engine::docker::Core;
use crate::engine::docker::client::{ASK, OLDEST_API};
use crate::engine::{EngineReport, EngineResult};

impl Core {
    pub(super) async fn report(&self) -> EngineResult<EngineReport> {
        let docker = self.client.negotiate().await?;
        let api = docker.client_version();
        let info = self
            .client
            .call("the engine's description", ASK, |docker| async move { docker.info().await })
            .await?;
        let mut missing = Vec::new();
        if api < OLDEST_API {
            missing.push(format!("its API is {api}, and {OLDEST_API} is the oldest that Slipway works with; install Docker 20.10 or newer"));
        }
        if info.os_type.as_deref().is_some_and(|os| os != "linux") {
            missing.push("it runs no Linux containers".to_owned());
        }
        Ok(EngineReport {
            version: format!("Docker {}", info.server_version.as_deref().unwrap_or("unknown")),
            api_version: api.to_string(),
            cpus: info.ncpu.and_then(|cpus| cpus.try_into().ok()).unwrap_or(0),
            memory_bytes: info.mem_total.and_then(|bytes| bytes.try_into().ok()).unwrap_or(0),
            missing,
            warnings: warnings(&info),
        })
    }
}

/// What the host's kernel or daemon can't do of what Slipway imposes, then what the engine itself warns of.
fn warnings(info: &SystemInfo) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut unless = |works: Option<bool>, text: &str| {
        if works == Some(false) {
            warnings.push(text.to_owned());
        }
    };
    unless(info.memory_limit, "the kernel has no memory limits, so that limits of services are not kept");
    unless(
        info.swap_limit,
        "the kernel does not count swap, so that a service may swap beyond its memory limit",
    );
    unless(info.cpu_cfs_quota, "the kernel has no CPU limits, so that limits of services are not kept");
    unless(info.pids_limit, "the kernel has no limits on processes, so that limits of services are not kept");
    unless(info.ipv4_forwarding, "IPv4 forwarding is off, so that containers reach nothing outside");
    if info.init_binary.as_deref() == Some("") {
        warnings.push(
            "the engine has no init program (docker-init), which every container starts with".to_owned(),
        );
    }
    let own = info.warnings.iter().flatten();
    warnings.extend(
        own.filter(|text| !text.contains("limit"))
            .map(|text| super::error::plain(text.trim_start_matches("WARNING: "))),
    );
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_lacks_is_said_once() {
        let info = SystemInfo {
            swap_limit: Some(false),
            memory_limit: Some(true),
            warnings: Some(vec![
                "WARNING: No swap limit support".into(),
                "WARNING: bridge-nf-call-iptables is disabled".into(),
            ]),
            ..Default::default()
        };
        let warnings = warnings(&info);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("swap") && warnings[1] == "bridge-nf-call-iptables is disabled");
    }
}
