//! A second Docker engine, for tests that stop or silence one: nothing of it is shared with the lab's.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::query_parameters::ImportImageOptions;
use futures_util::TryStreamExt as _;
use rustix::process::{Pid, Signal, kill_process};

/// An engine of the test's own, gone with the test.
pub struct Second {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Second {
    /// Starts one that has the image `busybox:lab`.
    pub async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("slwtest-engine-").tempdir_in("/var/tmp").unwrap();
        let mut second = Self { folder, child: None };
        second.start().await;
        let exported = super::Docker::by_hand().export_image("busybox:lab").try_collect::<Vec<_>>().await;
        let pieces = futures_util::stream::iter(exported.unwrap().into_iter().map(Ok::<_, std::io::Error>));
        let loading = second.docker().import_image_stream(ImportImageOptions::default(), pieces, None);
        loading.try_collect::<Vec<_>>().await.unwrap();
        second
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As an infrastructure names it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.path("engine.sock").display())
    }

    /// A client that is not Slipway's.
    pub fn docker(&self) -> Docker {
        let socket = self.path("engine.sock");
        Docker::connect_with_unix(socket.to_str().unwrap(), 120, bollard::API_DEFAULT_VERSION).unwrap()
    }

    /// Starts it and waits until it answers.
    pub async fn start(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        // In a network of its own: an engine that starts takes the host's bridge and firewall for its own.
        let mut command = Command::new("unshare");
        command.args(["--net", "dockerd", "--host"]).arg(self.host());
        for (flag, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            command.arg(flag).arg(self.path(name));
        }
        command.args(["--bridge=none", "--iptables=false", "--ip-masq=false", "--ip-forward=false"]);
        let lab = std::env::var("SLIPWAY_LAB").unwrap_or_else(|_| "/var/tmp/slipway-lab".to_owned());
        let runtime = Path::new(&lab).join("bin/runc-lab");
        if runtime.exists() {
            command.arg("--add-runtime").arg(format!("lab={}", runtime.display()));
            command.args(["--default-runtime", "lab"]);
        }
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().expect("unshare is part of Debian's base"));
        let began = Instant::now();
        while !self.path("engine.sock").exists() || self.docker().ping().await.is_err() {
            if began.elapsed() > Duration::from_secs(30) {
                panic!("it does not answer: {}", std::fs::read_to_string(self.path("log")).unwrap());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn tell(&self, signal: Signal) {
        if let Some(child) = &self.child {
            kill_process(Pid::from_child(child), signal).unwrap();
        }
    }

    /// Silences it: it neither answers nor hangs up.
    pub fn freeze(&self) {
        self.tell(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.tell(Signal::CONT);
    }

    /// Stops it, its containers too.
    pub fn stop(&mut self) {
        self.thaw();
        self.tell(Signal::TERM);
        let Some(mut child) = self.child.take() else { return };
        let began = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if began.elapsed() > Duration::from_secs(40) {
                child.kill().unwrap();
                child.wait().unwrap();
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        self.stop();
        // One that was stopped while it started leaves this mounted, and the folder could not be removed.
        let mut unmount = Command::new("umount");
        let _ = unmount.args(["--lazy", "--quiet"]).arg(self.path("data")).stderr(Stdio::null()).status();
    }
}
