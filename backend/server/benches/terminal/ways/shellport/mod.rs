//! Shellport: a server on one runtime, and sessions with terminals in it.

mod session;
mod viewer;

use std::path::Path;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::super::connection::{Terminal, end};
use super::super::http::Client;
use super::super::processes::{Processes, find};
use super::super::server::Server;
use super::super::wait::{Result, STEP, within};
use super::{Place, Way, absent, docker_address};

use self::session::Session;
pub use self::viewer::{Step, Viewer};

/// The image of every container here.
pub const IMAGE: &str = "shellport-test/debian:1";

/// What a container may use, whoever makes it: CPUs.
pub const CPUS: i64 = 2;

/// As [`CPUS`]: bytes of memory.
pub const MEMORY: i64 = 1 << 30;

/// Where the files are in a container.
pub const DIRECTORY: &str = "/var/tmp";

/// A server and its sessions.
pub struct Shellport {
    name: &'static str,
    key: &'static str,
    directory: String,
    server: Mutex<Server>,
    sessions: Mutex<Vec<Session>>,
}

impl Shellport {
    /// On the Docker Engine of the tests.
    pub async fn on_docker(directory: &Path) -> Result<Self> {
        let engine = docker_address()?;
        let flags = ["--runtime=docker".to_owned(), format!("--engine={engine}")];
        let names = ("Shellport, docker", "shellport-docker");
        Self::start(names, directory, &flags, DIRECTORY.to_owned()).await
    }

    /// On the engine in the program itself.
    pub async fn on_oci(directory: &Path) -> Result<Self> {
        let images = std::env::var("SHELLPORT_TEST_DIR");
        images.map_err(|_| absent("there are no test images (SHELLPORT_TEST_DIR is not set)"))?;
        let flags = ["--runtime=oci", "--oci-engine=embedded"].map(str::to_owned);
        let names = ("Shellport, oci", "shellport-oci");
        Self::start(names, directory, &flags, DIRECTORY.to_owned()).await
    }

    /// On no engine.
    pub async fn on_process(directory: &Path) -> Result<Self> {
        Self::fresh(directory, "shellport-process").await
    }

    /// On no engine, with a data directory of this name: what others have done shows nowhere.
    pub async fn fresh(directory: &Path, name: &'static str) -> Result<Self> {
        let names = ("Shellport, process", name);
        let files = directory.display().to_string();
        let flags = [
            "--runtime=process".to_owned(),
            "--max-sessions=2000".to_owned(),
        ];
        Self::start(names, directory, &flags, files).await
    }

    /// Connects as one more viewer, when there are some.
    pub async fn join(&self, place: &Place) -> Result<Viewer> {
        let client = self.client().await;
        within("joining", STEP, Viewer::join(&client, &place.0)).await?
    }

    /// Who asks the server.
    pub async fn client(&self) -> Client {
        self.server.lock().await.client.clone()
    }

    /// The server's process.
    pub async fn pid(&self) -> Result<u32> {
        self.server.lock().await.pid()
    }

    /// The agents of all its sessions, where it has no engine: each is told where its socket is.
    pub fn agents(&self) -> Vec<u32> {
        let data_dir = format!("{}/{}/", self.directory, self.key);
        find(|_, arguments| {
            arguments.get(1) == Some(&"init")
                && arguments.iter().any(|it| it.starts_with(&data_dir))
        })
    }

    async fn start(
        (name, key): (&'static str, &'static str),
        directory: &Path,
        flags: &[String],
        files: String,
    ) -> Result<Self> {
        let server = Server::start(&directory.join(key), flags).await?;
        Ok(Self {
            name,
            key,
            directory: files,
            server: Mutex::new(server),
            sessions: Mutex::default(),
        })
    }
}

#[async_trait]
impl Way for Shellport {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key(&self) -> &'static str {
        self.key
    }

    fn directory(&self) -> &str {
        &self.directory
    }

    /// A terminal whose shell has been there: to connect is what the first viewer of a session does.
    async fn place(&self) -> Result<Place> {
        let client = self.client().await;
        let mut sessions = self.sessions.lock().await;
        if sessions.last().is_none_or(Session::is_full) {
            let session = Session::create(&client).await?;
            if self.directory == DIRECTORY {
                session.upload(&client).await?;
            }
            sessions.push(session);
        }
        let session = sessions.last_mut().ok_or("there is no session")?;
        let path = session.open_terminal(&client).await?;
        let place = Place(path);
        end(self.connect(&place).await?).await?;
        Ok(place)
    }

    async fn connect(&self, place: &Place) -> Result<Terminal> {
        Ok(Box::new(self.join(place).await?))
    }

    async fn serving(&self) -> Result<Processes> {
        let mut processes = Processes::default();
        processes.add("server", self.pid().await?)?;
        for session in &*self.sessions.lock().await {
            processes.add("agent", session.agent)?;
        }
        Ok(processes)
    }

    async fn clear(&self) {
        let mut server = self.server.lock().await;
        for session in std::mem::take(&mut *self.sessions.lock().await) {
            if let Err(error) = session.delete(&server.client).await {
                println!("bench: {error}\n{}", server.log());
            }
        }
        if let Err(error) = server.end().await {
            println!("bench: {error}");
        }
    }
}
