//! A Docker Engine of a test's own, which may be ended and started again while containers run.
//!
//! It is beside the tests' common one, in namespaces of its own: two daemons in one network would write over
//! each other's firewall, and a containerd that nobody has waited for yet is taken for one that runs. With the
//! first process of the namespaces everything in them ends.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use bollard::query_parameters::ImportImageOptions;
use bollard::{Docker, body_full};
use futures_util::TryStreamExt;
use nix::sys::signal::Signal;
use shellport::oci::cgroup::hierarchies;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::api::IMAGE;
use super::backend::{Backend, skip};
use super::engine::Engine;
use super::wait::{LONG, ok, until, within};

/// The first process says that it is there, and waits for every other one.
const FIRST: &str = "ip link set lo up; sleep infinity & : >\"$0/ready\"; while :; do wait; done";

/// A daemon, and what its containers live in.
pub struct Dockerd {
    directory: TempDir,
    /// Holds the namespaces.
    namespaces: Child,
    /// What has entered them and waits for the daemon.
    daemon: Option<Child>,
}

impl Dockerd {
    /// Starts one that has the image of most sessions; none where the common one is absent.
    pub async fn start() -> Option<Self> {
        let common = Backend::Docker.engine();
        let place = std::env::var_os("SHELLPORT_TEST_DIR");
        let (Some(common), Some(place)) = (common, place) else {
            skip("no docker engine to restart (SHELLPORT_TEST_DOCKER is not set)");
            return None;
        };
        let directory = tempfile::Builder::new()
            .prefix("dockerd-")
            .tempdir_in(place);
        let directory = ok("a directory", directory);
        let namespaces = Command::new("unshare")
            .args([
                "--net",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["sh", "-c", FIRST])
            .arg(directory.path())
            .kill_on_drop(true)
            .spawn();
        let mut dockerd = Self {
            directory,
            namespaces: ok("unshare", namespaces),
            daemon: None,
        };
        fs::write(dockerd.path().join("daemon.json"), "{}").unwrap();
        let ready = dockerd.path().join("ready");
        until("namespaces", LONG, async || ready.exists().then_some(())).await;
        dockerd.resume().await;
        let archive = common.docker.export_image(IMAGE).map_ok(|it| it.to_vec());
        let archive = ok("exporting", archive.try_concat().await);
        let engine = dockerd.engine();
        let options = ImportImageOptions::default();
        let loading = engine
            .docker
            .import_image(options, body_full(archive.into()), None);
        ok("loading", loading.try_collect::<Vec<_>>().await);
        Some(dockerd)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("unix://{}", self.path().join("docker.sock").display())
    }

    /// The engine, seen from outside.
    pub fn engine(&self) -> Engine {
        Engine::connect(&self.address())
    }

    /// A name for the parent of its containers' cgroups.
    fn cgroup(&self) -> String {
        let name = self.path().file_name().unwrap();
        format!("shellport-test-{}", name.to_str().unwrap())
    }

    /// Starts the daemon, again if need be, and waits until it answers.
    pub async fn resume(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path().join("log"));
        let log = ok("a log", log);
        let option =
            |name: &str, file: &str| format!("--{name}={}", self.path().join(file).display());
        let daemon = self
            .inside()
            .args(["dockerd", "--live-restore", "--log-level=warn"])
            .args([
                option("config-file", "daemon.json"),
                option("data-root", "data"),
            ])
            .args([option("exec-root", "exec"), option("pidfile", "pid")])
            .arg(format!("--host={}", self.address()))
            .arg("--exec-opt=native.cgroupdriver=cgroupfs")
            .arg(format!("--cgroup-parent=/{}", self.cgroup()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.daemon = Some(ok("dockerd", daemon));
        until("dockerd answers", LONG, async || {
            let ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{}", self.log());
            let docker = Docker::connect_with_host(&self.address()).ok()?;
            docker.ping().await.ok()
        })
        .await;
    }

    /// The begin of a command in the namespaces.
    fn inside(&self) -> Command {
        let of = format!("/proc/{}/ns", self.namespaces.id().unwrap());
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={of}/net"))
            .arg(format!("--mount={of}/mnt"))
            .arg(format!("--pid={of}/pid_for_children"))
            .kill_on_drop(true);
        command
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// Ends the daemon alone; containers go on.
    pub async fn end(&mut self, signal: Signal) {
        let mut daemon = self.daemon.take().expect("it runs");
        let kill = format!(
            "kill -{} $(cat {}/pid)",
            signal as i32,
            self.path().display()
        );
        let told = self.inside().args(["sh", "-c", &kill]).status().await;
        assert!(ok("a signal", told).success());
        ok("its end", within("its end", LONG, daemon.wait()).await);
    }

    /// Ends it; no process may be left by it.
    pub async fn finish(mut self) {
        self.end(Signal::SIGTERM).await;
        for hierarchy in hierarchies() {
            let cgroup = hierarchy.join(self.cgroup());
            if cgroup.exists() {
                ok("an empty cgroup", fs::remove_dir(&cgroup));
            }
        }
        ok("the namespaces' end", self.namespaces.kill().await);
    }
}
