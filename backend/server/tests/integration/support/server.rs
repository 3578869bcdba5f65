//! The library's own server in the test's process, with a data directory of its own.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};

use clap::{Args, Command, FromArgMatches};
use futures_util::FutureExt;
use shellport::config::Config;
use shellport::server::{Server, StartError};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::api::IMAGE;
use super::backend::Backend;
use super::engine::Engine;
use super::http::Client;
use super::leftovers::{assert_nothing_left, instance};
use super::wait::{LONG, ok, within};

/// A server that runs.
pub struct TestServer {
    /// A client with the token.
    pub client: Client,
    /// What makes its sandboxes.
    pub backend: Backend,
    directory: Option<TempDir>,
    path: PathBuf,
    shutdown: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// A directory for the files of one server.
pub fn directory() -> TempDir {
    let directory = tempfile::Builder::new().prefix("shellport-test-").tempdir();
    ok("a directory", directory)
}

/// The configuration that these flags make.
pub fn config(data_dir: &Path, flags: &[&str]) -> Config {
    let command = Config::augment_args(Command::new("test").no_binary_name(true));
    let listen = "--listen=127.0.0.1:0".to_owned();
    let data_dir = format!("--data-dir={}", data_dir.display());
    let image = format!("--default-image={IMAGE}");
    let all = [listen, data_dir, image];
    let all = all.into_iter().chain(flags.iter().map(|&it| it.to_owned()));
    let matches = ok("flags", command.try_get_matches_from(all));
    ok("flags", Config::from_arg_matches(&matches))
}

impl TestServer {
    /// Starts one on `backend`, when that is there.
    pub async fn start(backend: Backend, flags: &[&str]) -> Option<Self> {
        let directory = directory();
        let path = directory.path().to_owned();
        let started = Self::start_in(&path, backend, flags).await?;
        let mut server = ok("starting", started);
        server.directory = Some(directory);
        Some(server)
    }

    /// Starts one on `backend`, when that is there, in a directory that is somebody else's.
    pub async fn start_in(
        path: &Path,
        backend: Backend,
        flags: &[&str],
    ) -> Option<Result<Self, StartError>> {
        let mut all = backend.flags()?;
        backend.prepare(path);
        all.extend(flags.iter().map(|&flag| flag.to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        Some(Self::serve(path, backend, &all).await)
    }

    /// Starts one with these flags alone, which are like those of `backend`.
    pub async fn start_with(backend: Backend, flags: &[&str]) -> Self {
        let directory = directory();
        let started = Self::serve(directory.path(), backend, flags).await;
        let mut server = ok("starting", started);
        server.directory = Some(directory);
        server
    }

    async fn serve(path: &Path, backend: Backend, flags: &[&str]) -> Result<Self, StartError> {
        let config = config(path, flags);
        let server = within("starting", LONG, Server::new(config)).await?;
        let client = Client {
            address: server.address().unwrap(),
            token: Some(server.token().reveal().to_owned()),
        };
        let (shutdown, ended) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(async { drop(ended.await) }));
        Ok(Self {
            client,
            backend,
            directory: None,
            path: path.to_owned(),
            shutdown,
            serving,
        })
    }

    /// Where its files are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name that marks what belongs to it.
    pub fn instance(&self) -> String {
        instance(&self.path)
    }

    /// Its engine, from outside; only on backends that have one.
    pub fn engine(&self) -> Engine {
        self.backend.engine().expect("a backend with an engine")
    }

    /// Ends it, as SIGTERM would.
    pub async fn shut_down(self) {
        drop(self.shutdown);
        let ended = within("shutting down", LONG, self.serving).await;
        ok("serving", ended);
    }

    /// Deletes every session, ends the server, and fails when anything is left.
    pub async fn finish(mut self) {
        for session in self.client.sessions().await {
            self.client.remove(&session).await;
        }
        let (path, backend) = (self.path.clone(), self.backend);
        let _directory = self.directory.take();
        self.shut_down().await;
        assert_nothing_left(backend, &path).await;
    }

    /// Runs a case, then [`Self::finish`]. After a failure what is there is removed, so that other
    /// tests do not suffer.
    pub async fn run(self, case: impl AsyncFnOnce(&Self)) {
        let result = AssertUnwindSafe(case(&self)).catch_unwind().await;
        let Err(panic) = result else {
            return self.finish().await;
        };
        let (backend, instance) = (self.backend, self.instance());
        let mut server = self;
        let _directory = server.directory.take();
        for session in server.client.sessions().await {
            server.client.delete(&Client::path(&session, "")).await;
        }
        server.shut_down().await;
        if let Some(engine) = backend.engine() {
            engine.purge(&instance).await;
        }
        resume_unwind(panic)
    }
}
