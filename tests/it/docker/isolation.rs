//! What a container may do and use, seen from inside.

use std::sync::Arc;

use slipway::domain::policy::{Exception, Profile};
use slipway::domain::workload::{HostMount, SecretMount, ServiceKind, Tmpfs, Ulimit};
use slipway::engine::{EngineError, FileContent, ServiceRequest};

use super::Docker;
use crate::conformance::{Bed, contents, sh};

async fn ask(
    bed: &Bed<Docker>,
    script: &str,
    change: impl FnOnce(&mut slipway::domain::workload::Service),
) -> Vec<String> {
    let mut service = sh(script);
    service.kind = ServiceKind::Task;
    change(&mut service);
    let up = bed.up(service, 1).await;
    bed.output(&up.ensured.slots[0]).await
}

/// The line of `/proc/self/status` that starts with `key`, as a number.
fn status(lines: &[String], key: &str) -> u64 {
    let line = lines.iter().find(|line| line.starts_with(key)).unwrap();
    u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_inside() {
    let bed = Bed::new(Docker::new());
    let script = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; \
                  cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null; \
                  cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null | tr '\\n' ' '; echo";
    let lines = ask(&bed, script, |_| {}).await;
    assert_eq!(lines[0], (64 << 20).to_string());
    assert_eq!(lines[1], "64");
    assert_eq!(lines[2].trim(), "50000 100000", "half a CPU");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_takes_too_much_memory_is_killed_and_says_so() {
    let bed = Bed::new(Docker::new());
    let mut service = sh("x=x; while true; do x=$x$x; done");
    service.kind = ServiceKind::Task;
    let up = bed.up(service, 1).await;
    let state = bed.exited(&up.ensured.slots[0]).await;
    assert!(state.detail.contains("memory limit"), "{state:?}");
    assert!(!state.phase.is_ready(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_baseline_leaves_what_stepping_down_from_root_needs() {
    let bed = Bed::new(Docker::new());
    let lines = ask(&bed, "cat /proc/self/status; touch /tmp/x && chown 1000 /tmp/x && echo chowned; hostname x 2>/dev/null || echo no SYS_ADMIN", |_| {}).await;
    // CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, FSETID 4, KILL 5, SETGID 6, SETUID 7, NET_BIND_SERVICE 10
    assert_eq!(status(&lines, "CapBnd"), 0b100_1111_1011);
    assert_eq!(status(&lines, "NoNewPrivs"), 1);
    assert!(lines.contains(&"chowned".to_owned()) && lines.contains(&"no SYS_ADMIN".to_owned()), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn granted_exceptions_and_no_others_take_effect() {
    let bed = Bed::new(Docker::new());
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::write(folder.path().join("a"), "of the host\n").unwrap();
    let source = folder.path().to_str().unwrap().to_owned();
    let lines = ask(&bed, "cat /host/a; touch /host/b 2>/dev/null || echo read-only; grep CapBnd /proc/self/status; cat /proc/1/comm", |service| {
        service.exceptions.insert(Exception::HostPath(source.clone()));
        service.exceptions.insert(Exception::Capability("NET_ADMIN".into()));
        service.exceptions.insert(Exception::HostPid);
        let target = "/host".into();
        service.host_mounts.push(HostMount { source, target, read_only: true });
    })
    .await;
    assert_eq!(&lines[..2], ["of the host", "read-only"]);
    assert_eq!(status(&lines, "CapBnd"), 0b1_0100_1111_1011);
    assert_ne!(lines[3], "docker-init", "process 1 is the host's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_path_that_was_not_granted_is_refused_by_the_engine_too() {
    let bed = Bed::new(Docker::new());
    let mut service = sh("sleep 600");
    service.host_mounts.push(HostMount {
        source: "/var/run/docker.sock".into(),
        target: "/docker.sock".into(),
        read_only: true,
    });
    let plan = bed.plan(service);
    let (resolution, _) = bed.prepare(&plan, None).await;
    let error = bed.engine.ensure(&bed.request(&plan, &resolution, 1)).await.unwrap_err();
    assert!(matches!(&error, EngineError::Refused(what) if what.contains("was not granted")), "{error}");
    assert_eq!(bed.states().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_that_a_service_asks_for_is_as_large_as_it_said_and_nothing_else_can_be_written() {
    let bed = Bed::new(Docker::new());
    let script = "df -k /dev/shm | tail -1 | awk '{print $2}'; df -k /scratch | tail -1 | awk '{print $2}'; \
                  grep ' /scratch ' /proc/mounts; ls -ld /scratch | cut -c1-10; \
                  dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2>/dev/null && echo shm holds 20M; \
                  touch /x 2>/dev/null || echo root is read-only; touch /tmp/x 2>/dev/null || echo tmp is too; \
                  cat /run/secrets/one; ulimit -n; ulimit -Hn";
    let mut service = sh(script);
    service.kind = ServiceKind::Task;
    service.shm_bytes = Some(24 << 20);
    service.read_only = true;
    service.tmpfs = vec![Tmpfs {
        target: "/scratch".into(),
        size_bytes: Some(8 << 20),
        mode: Some(0o700),
        executable: false,
    }];
    service.ulimits = [("nofile".to_owned(), Ulimit { soft: 1_000, hard: 2_000 })].into();
    service.secrets = vec![secret("one", "/run/secrets/one")];
    let plan = bed.plan(service);
    let (resolution, _) = bed.prepare(&plan, None).await;
    let mut request = bed.request(&plan, &resolution, 1);
    request.contents = contents(&[("one", FileContent::Secret("s3cret\n".into()))], &[]);
    let ensured = bed.engine.ensure(&request).await.unwrap();
    let lines = bed.output(&ensured.slots[0]).await;
    assert_eq!((lines[0].as_str(), lines[1].as_str()), ("24576", "8192"), "{lines:?}");
    assert!(lines[2].starts_with("tmpfs /scratch tmpfs rw,nosuid,nodev,noexec"), "{}", lines[2]);
    assert_eq!(
        lines[3..],
        ["drwx------", "shm holds 20M", "root is read-only", "tmp is too", "s3cret", "1000", "2000"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn capabilities_of_the_baseline_can_be_given_up() {
    let bed = Bed::new(Docker::new());
    let lines = ask(&bed, "cat /proc/self/status; chown 1000 /tmp 2>/dev/null || echo no CHOWN", |service| {
        service.dropped_capabilities = ["CHOWN".to_owned(), "KILL".to_owned()].into();
    })
    .await;
    assert_eq!(status(&lines, "CapBnd"), 0b100_1101_1010);
    assert_eq!(lines.last().unwrap(), "no CHOWN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_stopped_by_the_signal_that_it_names() {
    let bed = Bed::new(Docker::new());
    let mut service = sh(
        "trap 'echo interrupted; exit 0' INT; trap 'echo terminated; exit 1' TERM; echo up; while true; do sleep 0.1; done",
    );
    service.stop_signal = Some("SIGINT".into());
    service.restart = slipway::domain::workload::Restart::No;
    let up = bed.up(service, 1).await;
    let slot = &up.ensured.slots[0];
    let running = bed.running(slot).await;
    while !bed.printed(slot).await.contains(&"up".to_owned()) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let options = bollard::query_parameters::StopContainerOptions { t: Some(20), ..Default::default() };
    Docker::by_hand().stop_container(&running.engine_id, Some(options)).await.unwrap();
    assert_eq!(bed.output(slot).await, ["up", "interrupted"]);
}

fn secret(source: &str, target: &str) -> SecretMount {
    SecretMount { source: source.parse().unwrap(), target: target.into(), mode: 0o444 }
}

async fn restricted(bed: &Bed<Docker>, script: &str, mounts: Vec<SecretMount>) -> ServiceRequest {
    let mut service = sh(script);
    service.kind = ServiceKind::Task;
    service.user = Some("1000:1000".into());
    service.secrets = mounts;
    let mut plan = bed.plan(service);
    plan.profile = Profile::Restricted;
    let (resolution, _) = bed.prepare(&plan, None).await;
    let mut request = bed.request(&plan, &resolution, 1);
    let files =
        [("one", FileContent::Secret("s3cret\n".into())), ("two", FileContent::Plain("plain\n".into()))];
    request.contents = contents(&files, &[]);
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restricted_containers_read_their_secrets_and_write_only_to_tmp() {
    let bed = Bed::new(Docker::new());
    let script = "id -u; cat /run/secrets/one; cat /run/configs/two; ls -ln /run/secrets/one | cut -c1-10; \
                  touch /x 2>/dev/null || echo root is read-only; touch /tmp/x && echo tmp is not; \
                  echo 2>/dev/null > /run/secrets/one || echo secrets stay; cat /proc/self/status";
    let mounts = vec![secret("one", "/run/secrets/one"), secret("two", "/run/configs/two")];
    let request = restricted(&bed, script, mounts).await;
    let ensured = bed.engine.ensure(&request).await.unwrap();
    let lines = bed.output(&ensured.slots[0]).await;
    assert_eq!(
        lines[..7],
        ["1000", "s3cret", "plain", "-r--r--r--", "root is read-only", "tmp is not", "secrets stay"]
    );
    assert_eq!((status(&lines, "CapBnd"), status(&lines, "CapEff"), status(&lines, "NoNewPrivs")), (0, 0, 1));
    let slot = bed.exited(&ensured.slots[0]).await;
    let folders = super::harness::volumes_of(&slot.engine_id).await;
    assert_eq!(folders.len(), 2, "one folder each of secrets and of configs: {folders:?}");
    bed.engine.retire(&slot.slot).await.unwrap();
    for folder in folders {
        let gone = Docker::by_hand().inspect_volume(&folder).await;
        assert!(gone.is_err(), "the folders of its secrets go with it: {gone:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_in_the_root_of_a_restricted_container_is_refused_with_a_way_out() {
    let bed = Bed::new(Docker::new());
    let request = restricted(&bed, "true", vec![secret("one", "/one")]).await;
    let error = bed.engine.ensure(&request).await.unwrap_err();
    assert!(matches!(&error, EngineError::Refused(what) if what.contains("target")), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_of_the_image_keep_their_rights_beside_a_config() {
    let bed = Bed::new(Docker::new());
    let mut service = sh("ls -ld /tmp | cut -c1-10; cat /tmp/app.conf; ls -ld /new /new/deep | cut -c1-10");
    service.kind = ServiceKind::Task;
    service.configs = vec![secret("one", "/tmp/app.conf"), secret("two", "/new/deep/two")];
    let plan = bed.plan(service);
    let (resolution, _) = bed.prepare(&plan, None).await;
    let mut request = bed.request(&plan, &resolution, 1);
    let files = [("one", FileContent::Plain("1\n".into())), ("two", FileContent::Plain("2\n".into()))];
    request.contents = contents(&[], &files);
    let ensured = bed.engine.ensure(&request).await.unwrap();
    assert_eq!(bed.output(&ensured.slots[0]).await, ["drwxrwxrwt", "1", "drwxr-xr-x", "drwxr-xr-x"]);
    let missing = ServiceRequest { contents: Arc::default(), hash: "other".into(), ..request };
    let error = bed.engine.ensure(&missing).await.unwrap_err();
    assert!(error.to_string().contains("has no content"), "{error}");
}
