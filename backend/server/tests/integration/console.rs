//! The console socket with real OCI runtimes: whatever they send beside the terminal.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use nix::unistd::geteuid;
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;
use shellport::console::ConsoleSocket;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::{JoinSet, spawn_blocking};

use crate::support::backend::skip;
use crate::support::wait::LONG;

/// How many start at once.
const MANY: usize = 20;

/// Where the empty second hierarchy is on a machine with both versions of cgroups. crun takes no
/// such machine, so it does not get to see that.
const UNIFIED: &str = "/sys/fs/cgroup/unified";

fn command(runtime: &str) -> Command {
    let mut command = if runtime == "crun" && Path::new(UNIFIED).exists() {
        let mut command = Command::new("unshare");
        let hide = format!("umount {UNIFIED}; exec \"$@\"");
        command.args(["--mount", "sh", "-c", &hide, "sh", runtime]);
        command
    } else {
        Command::new(runtime)
    };
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A bundle with nothing but busybox in it.
fn bundle() -> TempDir {
    let bundle = tempfile::tempdir().unwrap();
    let root = bundle.path().join("rootfs");
    for directory in ["bin", "dev", "proc"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    let line = "busybox stty size; busybox echo hi";
    let namespaces = ["pid", "mount", "ipc", "uts", "network"];
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/busybox", "sh", "-c", line],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
            {
                "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["newinstance", "ptmxmode=0666"],
            },
        ],
        "linux": {"namespaces": namespaces.map(|kind| json!({"type": kind}))},
    });
    std::fs::write(bundle.path().join("config.json"), config.to_string()).unwrap();
    bundle
}

async fn succeed(mut command: Command) {
    let Output { status, stderr, .. } = command.output().await.unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}: {stderr}");
}

/// Removes a container, however the test ends.
struct Container {
    runtime: &'static str,
    state: PathBuf,
    name: String,
}

impl Container {
    fn verb(&self, verb: &str) -> Command {
        let mut command = command(self.runtime);
        command.arg("--root").arg(&self.state).arg(verb);
        command
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut delete = self.verb("delete");
        delete.arg("--force").arg(&self.name);
        // What was deleted already is no longer there.
        let _ = delete.into_std().output();
    }
}

/// What a container prints on a terminal whose size is set before its program starts.
async fn run(runtime: &'static str, bundle: &Path, name: &str) -> String {
    let container = Container {
        runtime,
        state: bundle.join("state"),
        name: name.to_owned(),
    };
    let socket = ConsoleSocket::new(bundle).unwrap();
    let mut create = container.verb("create");
    create.arg("--bundle").arg(bundle);
    create.arg("--console-socket").arg(socket.path()).arg(name);
    // The container keeps what it inherits, so a pipe would not end.
    create.stdout(Stdio::null());
    let log = File::create(bundle.join(format!("{name}.log"))).unwrap();
    let status = create.stderr(log).status();
    let (created, master) = tokio::join!(status, socket.receive(LONG));
    let log = std::fs::read_to_string(bundle.join(format!("{name}.log"))).unwrap();
    assert!(created.unwrap().success(), "{log}");
    let master = master.unwrap();
    let size = Winsize {
        ws_row: 37,
        ws_col: 101,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&master, size).unwrap();
    let mut start = container.verb("start");
    start.arg(name);
    succeed(start).await;
    let output = spawn_blocking(move || {
        let (mut output, mut master) = (Vec::new(), File::from(master));
        // The end of a terminal is an error.
        let _ = master.read_to_end(&mut output);
        output
    });
    let output = output.await.unwrap();
    let mut delete = container.verb("delete");
    delete.args(["--force", name]);
    succeed(delete).await;
    String::from_utf8(output).unwrap()
}

async fn many(runtime: &'static str) {
    if !geteuid().is_root() {
        return skip(&format!("{runtime} without root"));
    }
    let version = command(runtime).arg("--version").output().await;
    if !version.is_ok_and(|version| version.status.success()) {
        return skip(&format!("no {runtime}"));
    }
    let bundle = bundle();
    let mut runs = JoinSet::new();
    for number in 0..MANY {
        let path = bundle.path().to_owned();
        let name = format!("shellport-test-{runtime}-{}-{number}", std::process::id());
        runs.spawn(async move { run(runtime, &path, &name).await });
    }
    while let Some(output) = runs.join_next().await {
        assert_eq!(output.unwrap(), "37 101\r\nhi\r\n");
    }
    let entries = bundle.path().read_dir().unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let sockets: Vec<String> = names.filter(|name| name.starts_with("console-")).collect();
    assert!(sockets.is_empty(), "{sockets:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn terminals_come_from_runc() {
    many("runc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terminals_come_from_crun() {
    many("crun").await;
}
