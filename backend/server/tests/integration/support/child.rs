//! The real program as a child, for what cannot be done to a server in the test's own process.

use std::fs::File;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures_util::FutureExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shellport::server::StartError;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::api::IMAGE;
use super::backend::Backend;
use super::http::Client;
use super::leftovers::instance;
use super::oci::program;
use super::server::{TestServer, directory};
use super::wait::{LONG, ok, until, within};

/// A server in a process of its own.
pub struct ChildServer {
    /// A client with the token.
    pub client: Client,
    child: Child,
    /// Kept, because a program may mind when nobody takes what it prints.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl ChildServer {
    /// Starts one on `backend` in `path`; none when the backend is not there.
    pub async fn start(path: &Path, backend: Backend, flags: &[&str]) -> Option<Self> {
        let mut command = command(path, backend, flags)?;
        let mut child = ok("starting", command.spawn());
        let stdout = child.stdout.take().unwrap();
        let mut lines = BufReader::new(stdout).lines();
        let found = async {
            loop {
                let line = lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("it ended: {}", log(path)));
                if let Some((_, rest)) = line.split_once("http://") {
                    return rest.to_owned();
                }
            }
        };
        let address = within("the address", LONG, found).await;
        let (address, token) = address.trim().split_once("/#token=").unwrap();
        let client = Client {
            address: address.parse().unwrap(),
            token: Some(token.to_owned()),
        };
        Some(Self {
            client,
            child,
            _stdout: lines,
        })
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        ok("killing", self.child.kill().await);
    }

    /// SIGTERM; waits for its end, which has to be a success.
    pub async fn terminate(mut self) {
        let pid = i32::try_from(self.pid()).unwrap();
        ok("SIGTERM", kill(Pid::from_raw(pid), Signal::SIGTERM));
        let status = within("its end", LONG, self.child.wait()).await.unwrap();
        assert!(status.success(), "{status}");
    }
}

/// The program with these flags; its log goes to a file in `path`.
pub fn command(path: &Path, backend: Backend, flags: &[&str]) -> Option<Command> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_file(path));
    let backend_flags = backend.flags()?;
    backend.prepare(path);
    let mut command = Command::new(program());
    command
        .args(["serve", "--listen=127.0.0.1:0"])
        .arg(format!("--data-dir={}", path.display()))
        .arg(format!("--default-image={IMAGE}"))
        .args(backend_flags)
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(ok("a log file", log))
        .kill_on_drop(true);
    Some(command)
}

fn log_file(path: &Path) -> PathBuf {
    path.join("stderr.log")
}

/// What the servers in `path` have logged.
pub fn log(path: &Path) -> String {
    std::fs::read_to_string(log_file(path)).unwrap_or_default()
}

/// Runs a case with a data directory for servers on `backend`. A server of the test's own process
/// then deletes what sessions there are, and nothing may be left.
pub async fn run(backend: Backend, case: impl AsyncFnOnce(&Path)) {
    if backend.flags().is_none() {
        return;
    }
    let directory = directory();
    let path = directory.path();
    let result = AssertUnwindSafe(case(path)).catch_unwind().await;
    // A server of a case that has failed may still hold the directory for a moment.
    let server = until(
        "the directory is free",
        LONG,
        async || match TestServer::start_in(path, backend, &[]).await.unwrap() {
            Err(StartError::DataDir(_)) => None,
            started => Some(ok("starting", started)),
        },
    )
    .await;
    let Err(panic) = result else {
        return server.finish().await;
    };
    eprintln!("the log, without traces:");
    let log = log(path);
    for line in log.lines().filter(|line| !line.contains(" TRACE ")) {
        eprintln!("{line}");
    }
    for session in server.client.sessions().await {
        server.client.delete(&Client::path(&session, "")).await;
    }
    server.shut_down().await;
    if let Some(engine) = backend.engine() {
        engine.purge(&instance(path)).await;
    }
    resume_unwind(panic)
}

/// Makes a test of a case for each of the backends named, as [`super::backend::on_backends`] does.
macro_rules! on_children {
    ($case:ident: $($backend:ident),+) => {
        mod $case {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $backend() {
                    let backend = $crate::support::backend::Backend::named(stringify!($backend));
                    let case = async |path: &std::path::Path| super::$case(path, backend).await;
                    $crate::support::child::run(backend, case).await;
                }
            )+
        }
    };
}

pub(crate) use on_children;
