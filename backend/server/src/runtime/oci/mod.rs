//! Containers without a daemon, made by an OCI engine: our own, or an installed one.
//!
//! A sandbox is a container of [`crate::oci`] with the agent as its first process. Its monitor is no
//! child that the server needs: a later server finds the sandbox by its directory.

mod images;
mod pull;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::Signal;
use shellport_wire::exit::Reason;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

pub use self::images::{Images, ImagesError};
use super::{
    Isolation, Limitation, ProgressSink, Runtime, RuntimeError, RuntimeInfo, SandboxState, Stream,
    socket,
};
use crate::agent::{AGENT, SOCKETS};
use crate::id::SessionId;
use crate::image::{ImageError, Pinned, Store};
use crate::oci::cgroup::{Cgroup, Parent};
use crate::oci::container::{Bind, Container, Limits, Program, Stdio, Tmpfs};
use crate::oci::directory::{Directory, State};
use crate::oci::engine::{Engine, EngineError};
use crate::oci::monitor::{self, Message};
use crate::oci::{container, disk, host, network, remains};
use crate::profile::{self, ImageDefaults, STRICT_ID, STRICT_TMPFS, STRICT_TMPFS_SIZE};
use crate::rootless;
use crate::session::{Network, Profile, Spec};

/// How long an engine may take to make a container.
const CREATE: Duration = Duration::from_secs(30);

/// How long a monitor may take to remove what there is of a container.
const REMOVAL: Duration = Duration::from_secs(20);

/// How long after a signal there is another one.
const AGAIN: Duration = Duration::from_millis(500);

/// Bytes that are kept of what the agent and the image's own command say.
const LOG: u64 = 1 << 20;

/// The first letters of a session's id that are its sandbox's name for itself.
const HOSTNAME: usize = 12;

/// Sandboxes as containers of an OCI engine.
pub struct OciRuntime {
    info: RuntimeInfo,
    engine: Engine,
    /// Of its sandboxes' cgroups; none where they have no limits.
    parent: Option<Parent>,
    instance: String,
    images: Images,
    /// This program.
    program: PathBuf,
    /// Where the agent's program is.
    agent: PathBuf,
    /// The directories of the agents' sockets, one a session.
    run: PathBuf,
    data_dir: PathBuf,
    disk: Option<u64>,
}

/// What the runtime is made from.
#[derive(Clone, Debug)]
pub struct OciConfig {
    /// The engine, as [`Engine::find`] takes it.
    pub engine: String,
    /// The server's own program.
    pub program: PathBuf,
    /// The instance of the server.
    pub instance: String,
    /// Where the server's files are.
    pub data_dir: PathBuf,
    /// Where the agent's program is.
    pub agent: PathBuf,
    /// The directory of the sockets' directories.
    pub run: PathBuf,
    /// Bytes that a layer of an image may have.
    pub max_layer: u64,
    /// Bytes that a sandbox may write to its own files.
    pub disk: Option<u64>,
}

/// Why there is no such runtime on this machine.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The images.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Sandboxes' files cannot be limited here.
    #[error("--disk: {0} is needed for that, and not here; leave it out")]
    Disk(&'static str),
    /// The machine's files.
    #[error("{0}: {1}")]
    Host(&'static str, #[source] std::io::Error),
}

impl OciRuntime {
    /// A runtime made from this.
    ///
    /// # Errors
    /// When the engine does not run, or the machine is none for it.
    pub async fn new(config: OciConfig) -> Result<Self, OciError> {
        let OciConfig {
            engine,
            program,
            instance,
            data_dir,
            agent,
            run,
            max_layer,
            disk,
        } = config;
        if let (Some(_), Some(missing)) = (disk, disk::missing()) {
            return Err(OciError::Disk(missing));
        }
        let mut engine = Engine::find(&engine, &program)?;
        let parent = Parent::take();
        if parent.is_none() {
            engine = engine.without_cgroups()?;
        }
        let store = Store::open(&data_dir.join("images"), program.clone(), max_layer)?;
        let sandboxes = data_dir.join("sandboxes");
        std::fs::create_dir_all(&sandboxes)
            .map_err(|error| OciError::Host("making the sandboxes' directory", error))?;
        let mut networks = vec![Network::Host, Network::None];
        if network::tool().is_some() {
            networks.push(Network::Bridge);
        }
        Ok(Self {
            info: RuntimeInfo {
                name: "oci",
                engine: engine.version().await?,
                endpoint: String::new(),
                isolation: Isolation::Container,
                networks,
                limitations: limitations(parent.as_ref()),
            },
            engine,
            parent,
            instance,
            images: Images::new(store, program.clone(), data_dir.clone(), max_layer),
            program,
            agent,
            run,
            data_dir,
            disk,
        })
    }

    fn path(&self, id: &SessionId) -> PathBuf {
        self.data_dir.join("sandboxes").join(id.as_str())
    }

    /// The cgroup above those of all sandboxes.
    fn cgroup(&self) -> Option<String> {
        let name = format!("shellport-{}", self.instance);
        self.parent.as_ref().map(|parent| parent.group(&name))
    }

    fn directory(&self, id: &SessionId) -> Result<Directory, RuntimeError> {
        Directory::open(&self.path(id)).ok_or(RuntimeError::Missing)
    }

    /// The image of a sandbox, and its layers.
    async fn image(
        &self,
        id: &SessionId,
        spec: &Spec,
    ) -> Result<(ImageDefaults, Vec<PathBuf>, Option<Pinned>), RuntimeError> {
        if spec.image == host::NAME {
            let layer = host::ensure(&self.data_dir.join("images"));
            let layer = layer.map_err(host_error("making the image \"host\""))?;
            return Ok((host::defaults(), vec![layer], None));
        }
        let pinned = self.images.store().pin(&spec.image, &self.path(id)).await;
        let pinned = pinned.map_err(|error| image_error(spec, &error))?;
        Ok(((&pinned.image).into(), pinned.layers.clone(), Some(pinned)))
    }

    fn container(
        &self,
        id: &SessionId,
        spec: &Spec,
        image: &ImageDefaults,
        layers: Vec<PathBuf>,
    ) -> Container {
        let strict = spec.profile == Profile::Strict;
        let mut env = image.variables();
        env.extend(profile::env(spec, image));
        let own_cwd = || match &*image.cwd {
            "" => "/".to_owned(),
            cwd => cwd.to_owned(),
        };
        let mut binds = vec![
            Bind {
                source: self.agent.clone(),
                target: AGENT.into(),
                read_only: true,
            },
            Bind {
                source: socket::directory(&self.run, id),
                target: SOCKETS.into(),
                read_only: false,
            },
        ];
        if spec.image == host::NAME {
            binds.extend(host::binds());
        }
        let tmpfs = STRICT_TMPFS.map(|target| Tmpfs {
            target: target.into(),
            size: STRICT_TMPFS_SIZE,
            owner: STRICT_ID,
        });
        let has_cpu = self.parent.as_ref().is_some_and(|parent| parent.has_cpu);
        Container {
            id: id.to_string(),
            image: spec.image.clone(),
            created: jiff::Timestamp::now(),
            engine: self.engine.name().to_owned(),
            layers,
            // The server removes it.
            pin: None,
            program: Program {
                argv: profile::argv(spec, image),
                env,
                cwd: profile::cwd(spec, image).unwrap_or_else(own_cwd),
                user: profile::user(spec).unwrap_or_else(|| image.user.clone()),
            },
            stdio: Stdio::Pipes { input: false },
            keep_output: LOG,
            remove: false,
            capabilities: profile::capabilities(spec.profile)
                .iter()
                .map(|&it| it.to_owned())
                .collect(),
            read_only: strict,
            hostname: id.as_str()[..HOSTNAME].to_owned(),
            cgroup: self.cgroup().map(|above| format!("{above}/{id}")),
            limits: Limits {
                cpus: has_cpu.then_some(spec.cpus),
                memory: Some(spec.memory),
                pids: Some(spec.pids),
                disk: self.disk,
            },
            network: match spec.network {
                Network::Host => container::Network::Host,
                Network::Bridge => container::Network::Bridge { ports: Vec::new() },
                Network::None => container::Network::None,
            },
            binds,
            tmpfs: if strict { tmpfs.into() } else { Vec::new() },
        }
    }

    async fn make(&self, id: &SessionId, spec: &Spec) -> Result<(), RuntimeError> {
        let (image, layers, pinned) = self.image(id, spec).await?;
        socket::make_directory(&self.run, id).await?;
        let container = self.container(id, spec, &image, layers);
        let directory = Directory::create(&self.path(id), &container)
            .map_err(host_error("making the sandbox's directory"))?;
        drop(pinned);
        self.launch(&directory).await
    }

    /// Starts the monitor, and returns when the container runs.
    async fn launch(&self, directory: &Directory) -> Result<(), RuntimeError> {
        let (child, mut reader, mut writer) = monitor::start(&self.program, directory)
            .await
            .map_err(host_error("starting the sandbox's monitor"))?;
        let work = async {
            expect(reader.message().await?, &Message::Created)?;
            writer.say(Message::Start).await?;
            expect(reader.message().await?, &Message::Started)?;
            writer.say(Message::Keep).await
        };
        let done = timeout(CREATE, work).await;
        // The end of the connection ends a container that is not to be kept.
        drop((reader, writer));
        let failure = match done {
            Ok(Ok(())) => {
                // So that no zombie is left; it may outlive this server.
                tokio::spawn(wait(child));
                return Ok(());
            }
            Ok(Err(error)) => RuntimeError::Engine {
                step: "making the sandbox",
                cause: match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => complaint(directory),
                    _ => error.to_string(),
                },
            },
            Err(_) => RuntimeError::Timeout {
                step: "making the sandbox",
                limit: CREATE,
            },
        };
        let _ = timeout(REMOVAL, wait(child)).await;
        Err(failure)
    }

    /// Removes what a monitor has left that was killed.
    async fn clear(&self, directory: &Directory) -> Result<(), RuntimeError> {
        remains::clear(directory, &self.engine, &self.program)
            .await
            .map_err(host_error("removing what is left of the sandbox"))
    }
}

#[async_trait]
impl Runtime for OciRuntime {
    fn info(&self) -> &RuntimeInfo {
        &self.info
    }

    async fn ping(&self) -> Result<(), RuntimeError> {
        Ok(())
    }

    fn images(&self) -> Option<&Images> {
        Some(&self.images)
    }

    async fn prepare(&self, spec: &Spec, progress: &ProgressSink) -> Result<(), RuntimeError> {
        if spec.image == host::NAME {
            return Ok(());
        }
        match self.images.store().find(&spec.image).await {
            Ok(_) => Ok(()),
            Err(ImageError::Missing(_)) => {
                let pulled = pull::pull(&self.program, &self.data_dir, &spec.image, progress);
                pulled.await.map_err(|cause| RuntimeError::Image {
                    image: spec.image.clone(),
                    cause,
                })
            }
            Err(error) => Err(image_error(spec, &error)),
        }
    }

    async fn create(&self, id: &SessionId, spec: &Spec) -> Result<(), RuntimeError> {
        let result = self.make(id, spec).await;
        if result.is_err()
            && let Err(error) = self.remove(id).await
        {
            tracing::error!(session.id = %id, %error, "what a failed create left cannot be removed");
        }
        result
    }

    async fn start(&self, id: &SessionId) -> Result<(), RuntimeError> {
        let directory = self.directory(id)?;
        self.clear_when_lost(&directory).await?;
        self.launch(&directory).await
    }

    async fn connect(&self, id: &SessionId) -> Result<Box<dyn Stream>, RuntimeError> {
        let stream = socket::connect(&self.run, id).await;
        Ok(Box::new(stream.map_err(RuntimeError::Agent)?))
    }

    async fn inspect(&self, id: &SessionId) -> Result<SandboxState, RuntimeError> {
        let directory = match self.directory(id) {
            Ok(directory) => directory,
            Err(RuntimeError::Missing) => return Ok(SandboxState::Missing),
            Err(error) => return Err(error),
        };
        let state = directory.state();
        Ok(match state.map_err(host_error("looking at the sandbox"))? {
            State::Running => SandboxState::Running,
            State::Ended(ended) => SandboxState::Exited {
                oom: ended.exit.reason == Reason::Oom,
                code: ended.exit.shell_code().map(i64::from),
            },
            State::Lost => {
                // Nobody would see its end, nor to what it leaves.
                self.clear(&directory).await?;
                SandboxState::Exited {
                    oom: false,
                    code: None,
                }
            }
        })
    }

    async fn kill(&self, id: &SessionId) -> Result<(), RuntimeError> {
        let directory = match self.directory(id) {
            Ok(directory) => directory,
            Err(RuntimeError::Missing) => return Ok(()),
            Err(error) => return Err(error),
        };
        let deadline = Instant::now() + REMOVAL;
        let mut next = Instant::now();
        loop {
            let state = directory.state();
            match state.map_err(host_error("looking at the sandbox"))? {
                State::Running if Instant::now() >= deadline => {
                    return Err(RuntimeError::Timeout {
                        step: "killing the sandbox",
                        limit: REMOVAL,
                    });
                }
                State::Running => {
                    // The monitor may be just at its end, or at its beginning.
                    if next <= Instant::now() {
                        let _ = monitor::signal(&directory, Signal::SIGKILL as i32).await;
                        next = Instant::now() + AGAIN;
                    }
                    sleep(Duration::from_millis(5)).await;
                }
                State::Ended(_) => return Ok(()),
                State::Lost => return self.clear(&directory).await,
            }
        }
    }

    async fn remove(&self, id: &SessionId) -> Result<(), RuntimeError> {
        self.kill(id).await?;
        if let Ok(directory) = self.directory(id) {
            let removed = tokio::task::spawn_blocking(move || directory.remove()).await;
            removed
                .unwrap_or_else(|error| Err(std::io::Error::other(error)))
                .map_err(host_error("removing the sandbox's directory"))?;
        }
        self.images
            .store()
            .unpin(&self.path(id))
            .map_err(|error| RuntimeError::Engine {
                step: "letting go of the image",
                cause: error.to_string(),
            })?;
        socket::remove_directory(&self.run, id).await
    }

    async fn list(&self) -> Result<Vec<SessionId>, RuntimeError> {
        let mut found = socket::sessions(&self.data_dir.join("sandboxes")).await?;
        found.extend(socket::sessions(&self.run).await?);
        found.sort();
        found.dedup();
        Ok(found)
    }

    async fn close(&self) -> Result<(), RuntimeError> {
        if let Some(cgroup) = self.cgroup()
            && self.list().await?.is_empty()
        {
            Cgroup::new(cgroup)
                .remove()
                .map_err(host_error("removing the sandboxes' cgroup"))?;
        }
        Ok(())
    }
}

impl OciRuntime {
    async fn clear_when_lost(&self, directory: &Directory) -> Result<(), RuntimeError> {
        match directory.state() {
            Ok(State::Lost) => self.clear(directory).await,
            _ => Ok(()),
        }
    }
}

/// What cannot be on this machine, for this user.
fn limitations(parent: Option<&Parent>) -> Vec<Limitation> {
    let mut found = match parent {
        Some(parent) if parent.has_cpu => Vec::new(),
        Some(_) => vec![Limitation::NoCpuLimit],
        None => vec![Limitation::NoLimits],
    };
    found.extend(rootless::is_single().then_some(Limitation::OneUser));
    found
}

fn expect(message: Message, expected: &Message) -> std::io::Result<()> {
    match message {
        Message::Failed { cause } => Err(std::io::Error::other(cause)),
        message if message == *expected => Ok(()),
        message => Err(std::io::Error::other(format!(
            "the monitor says {message:?}"
        ))),
    }
}

/// What a monitor said that could not even begin.
fn complaint(directory: &Directory) -> String {
    let said = std::fs::read_to_string(directory.path().join("monitor.log")).unwrap_or_default();
    let said = said.trim().trim_start_matches("shellport: ");
    if said.is_empty() {
        "its monitor has ended".to_owned()
    } else {
        said.to_owned()
    }
}

async fn wait(mut child: Child) {
    let _ = child.wait().await;
}

fn host_error(step: &'static str) -> impl FnOnce(std::io::Error) -> RuntimeError {
    move |cause| RuntimeError::Host { step, cause }
}

fn image_error(spec: &Spec, error: &ImageError) -> RuntimeError {
    RuntimeError::Image {
        image: spec.image.clone(),
        cause: error.to_string(),
    }
}
