//! What the conformance suite runs on, and the macro that makes a test of a case for each.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use super::engine::Engine;
use super::server::TestServer;
use super::{oci, rootless};

/// Something that makes sandboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// Docker Engine; agents are reached over a mounted socket.
    Docker,
    /// Podman's compatible socket.
    Podman,
    /// Docker Engine as if it were remote: the agent is copied in and reached over an exec.
    Exec,
    /// Processes of this machine.
    Process,
    /// Containers of the engine in our own program.
    Embedded,
    /// Containers of crun.
    Crun,
    /// Containers of runc.
    Runc,
    /// Containers of youki, which is libcontainer as a program.
    Youki,
    /// Containers of gVisor.
    Runsc,
}

impl Backend {
    /// The one with this name in [`on_backends`].
    pub fn named(name: &str) -> Self {
        match name {
            "docker" => Self::Docker,
            "podman" => Self::Podman,
            "exec" => Self::Exec,
            "process" => Self::Process,
            "embedded" | "rootless" | "rootless_single" => Self::Embedded,
            "crun" | "rootless_crun" => Self::Crun,
            "runc" | "rootless_runc" => Self::Runc,
            "youki" => Self::Youki,
            "runsc" => Self::Runsc,
            _ => panic!("no backend is called {name}"),
        }
    }

    /// The variable with the address of its engine, and the engine's name.
    fn variable(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Docker | Self::Exec => Some(("SHELLPORT_TEST_DOCKER", "docker")),
            Self::Podman => Some(("SHELLPORT_TEST_PODMAN", "podman")),
            Self::Process
            | Self::Embedded
            | Self::Crun
            | Self::Runc
            | Self::Youki
            | Self::Runsc => None,
        }
    }

    /// Its OCI engine, when it has one.
    pub fn oci_engine(self) -> Option<&'static str> {
        match self {
            Self::Embedded => Some("embedded"),
            Self::Crun => Some("crun"),
            Self::Runc => Some("runc"),
            Self::Youki => Some("youki"),
            Self::Runsc => Some("runsc"),
            Self::Docker | Self::Podman | Self::Exec | Self::Process => None,
        }
    }

    /// Puts into a server's data directory what its sandboxes are made from.
    pub fn prepare(self, data_dir: &Path) {
        if self.oci_engine().is_some()
            && let Some(images) = oci::images()
            && !data_dir.join("images").exists()
        {
            std::os::unix::fs::symlink(images, data_dir.join("images")).unwrap();
        }
    }

    /// The address of its engine, when it needs one and that is there.
    pub fn address(self) -> Option<String> {
        std::env::var(self.variable()?.0).ok()
    }

    /// Its engine, seen from outside.
    pub fn engine(self) -> Option<Engine> {
        self.address().map(|address| Engine::connect(&address))
    }

    /// The flags of a server that uses it; none, and a line that says so, when its engine is absent.
    pub fn flags(self) -> Option<Vec<String>> {
        if let Some(engine) = self.oci_engine() {
            return oci::flags(engine);
        }
        let Some((variable, name)) = self.variable() else {
            return Some(vec!["--runtime=process".to_owned()]);
        };
        let Some(address) = self.address() else {
            skip(&format!("no {name} engine ({variable} is not set)"));
            return None;
        };
        let mut flags = vec!["--runtime=docker".to_owned(), format!("--engine={address}")];
        if self == Self::Exec {
            flags.push("--agent-transport=exec".to_owned());
        }
        Some(flags)
    }
}

/// Says once, past the capture of a test's output, what is not tested and why.
pub fn skip(why: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap().insert(why.to_owned()) {
        let line = format!("skip: {why}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

/// The tests' registry, without a password.
pub fn registry() -> Option<String> {
    let address = std::env::var("SHELLPORT_TEST_REGISTRY").ok();
    if address.is_none() {
        skip("no registry (SHELLPORT_TEST_REGISTRY is not set)");
    }
    address
}

/// Runs `case` of the test of this name against a server on the backend of this name, and sees to it that
/// nothing is left.
pub async fn run(backend: &str, test: &str, flags: &[&str], case: impl AsyncFnOnce(&TestServer)) {
    if rootless::is_outside(backend) {
        return rootless::rerun(backend, test, true);
    }
    if let Some(server) = TestServer::start(Backend::named(backend), flags).await {
        server.run(case).await;
    }
}

/// Makes a test of a case for each of the backends named: `on_backends!(case: docker, podman)`.
/// Flags of the server may follow: `on_backends!(case: docker => ["--stop-grace=1s"])`.
macro_rules! on_backends {
    ($case:ident: $($backend:ident),+) => {
        $crate::support::backend::on_backends!($case: $($backend),+ => []);
    };
    ($case:ident: $($backend:ident),+ => $flags:expr) => {
        mod $case {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $backend() {
                    use crate::support::backend::run;
                    let test = concat!(module_path!(), "::", stringify!($backend));
                    run(stringify!($backend), test, &$flags, super::$case).await;
                }
            )+
        }
    };
}

/// Makes a test of a case for each of the OCI engines, and for ordinary users: `on_engines!(case)`.
macro_rules! on_engines {
    ($case:ident) => {
        $crate::support::backend::on_engines!($case: embedded, crun, runc, rootless);
    };
    ($case:ident: $($backend:ident),+) => {
        mod $case {
            $(
                #[test]
                fn $backend() {
                    let test = concat!(module_path!(), "::", stringify!($backend));
                    $crate::support::run::run(stringify!($backend), test, super::$case);
                }
            )+
        }
    };
}

pub(crate) use {on_backends, on_engines};
