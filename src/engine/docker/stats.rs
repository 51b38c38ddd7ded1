//! What a container uses, and where it answers.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptions;
use futures_util::StreamExt;

use crate::engine::docker::Core;
use crate::engine::docker::client::ASK;
use crate::engine::{EngineError, EngineResult, SlotRef, Stats};

/// Between the two samples of a container that was never asked about.
const GAP: Duration = Duration::from_millis(150);

/// CPU time of a container and of the whole host, both in nanoseconds since their start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    container: u64,
    host: u64,
}

/// The last sample of each container, so that one call is enough from the second time on.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<HashMap<String, Sample>>);

impl Samples {
    fn swap(&self, id: &str, sample: Sample) -> Option<Sample> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Containers come and go; what is not asked for again is not kept for ever.
        if all.len() > 4_096 {
            all.clear();
        }
        all.insert(id.to_owned(), sample)
    }
}

impl Core {
    pub(super) async fn slot_stats(&self, slot: &SlotRef) -> EngineResult<Stats> {
        let id = self.found(slot).await?.state.engine_id;
        let mut answer = self.one_shot(&id).await?;
        let before = match sample(&answer).and_then(|now| self.samples.swap(&id, now)) {
            Some(before) => Some(before),
            None => {
                let first = sample(&answer);
                tokio::time::sleep(GAP).await;
                answer = self.one_shot(&id).await?;
                first
            }
        };
        let now = sample(&answer);
        if let Some(now) = now {
            self.samples.swap(&id, now);
        }
        let memory = answer.memory_stats.clone().unwrap_or_default();
        Ok(Stats {
            cpus: before.zip(now).map_or(0.0, |(before, now)| cpus(before, now, online(&answer))),
            memory_bytes: memory.usage.unwrap_or(0).saturating_sub(cache(&answer)),
            memory_limit_bytes: limit(memory.limit),
            pids: answer.pids_stats.and_then(|pids| pids.current).unwrap_or(0),
        })
    }

    async fn one_shot(&self, id: &str) -> EngineResult<ContainerStatsResponse> {
        let options = StatsOptions { stream: false, one_shot: true };
        let answer =
            self.client
                .call("stats", ASK, |docker| async move {
                    docker.stats(id, Some(options)).next().await.transpose()
                })
                .await?;
        answer.ok_or(EngineError::NoSuchSlot)
    }

    pub(super) async fn slot_address(&self, slot: &SlotRef, port: u16) -> EngineResult<SocketAddr> {
        let seen = self.found(slot).await?;
        if seen.expected.network.is_empty() {
            return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        let address: Option<IpAddr> = seen.address.and_then(|address| address.parse().ok());
        let no_address = || EngineError::Unreachable("the replica does not run, so it has no address".into());
        Ok(SocketAddr::new(address.ok_or_else(no_address)?, port))
    }
}

fn sample(answer: &ContainerStatsResponse) -> Option<Sample> {
    let stats = answer.cpu_stats.as_ref()?;
    Some(Sample { container: stats.cpu_usage.as_ref()?.total_usage?, host: stats.system_cpu_usage? })
}

fn online(answer: &ContainerStatsResponse) -> u32 {
    let stats = answer.cpu_stats.as_ref();
    stats.and_then(|stats| stats.online_cpus).filter(|cpus| *cpus > 0).unwrap_or(1)
}

/// The share of the host's time, times its CPUs.
fn cpus(before: Sample, now: Sample, online: u32) -> f64 {
    let container = now.container.saturating_sub(before.container);
    let host = now.host.saturating_sub(before.host);
    if host == 0 {
        return 0.0;
    }
    container as f64 / host as f64 * f64::from(online)
}

/// Page cache that the kernel gives back when asked: not what the container needs. The key differs by cgroup version.
fn cache(answer: &ContainerStatsResponse) -> u64 {
    let stats = answer.memory_stats.as_ref().and_then(|memory| memory.stats.as_ref());
    let get = |key: &str| stats.and_then(|stats| stats.get(key)).copied();
    get("total_inactive_file").or_else(|| get("inactive_file")).unwrap_or(0)
}

/// Version 1 of cgroups says “no limit” as a number near the largest.
fn limit(bytes: Option<u64>) -> u64 {
    bytes.filter(|bytes| *bytes < 1 << 60).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_host_s_time_on_two_cpus_is_one_cpu() {
        let before = Sample { container: 1_000, host: 10_000 };
        let now = Sample { container: 1_500, host: 11_000 };
        assert!((cpus(before, now, 2) - 1.0).abs() < 1e-9);
        assert_eq!(cpus(now, now, 2), 0.0);
        assert_eq!(cpus(now, before, 2), 0.0, "a restarted container counts anew");
    }
}
