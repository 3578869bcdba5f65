//! `shellport run`: what `docker run` is.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueEnum};
use tokio::sync::watch;

use super::relay::{Outcome, Streams, relay};
use super::terminal::{self, Raw};
use super::{CommandError, FAILURE, Place, code, options, program};
use crate::agent::{self, AGENT};
use crate::cli::progress::{Show, show};
use crate::cli::say;
use crate::id::random_tag;
use crate::image::pull::{Progress, pull};
use crate::image::{ImageError, Pinned, Store, familiar};
use crate::oci::container::{Bind, Container, Limits, Network, Port, Program, Stdio};
use crate::oci::directory::Directory;
use crate::oci::engine::{EMBEDDED, Engine};
use crate::oci::monitor::{self, Message, Reader, Writer};
use crate::oci::{cgroup, host, network};
use crate::runtime::oci::{defaults, variables};
use crate::runtime::profile::{ImageDefaults, capabilities};
use crate::session::Profile;

/// Bytes that are kept of what a container says that runs in the background.
const LOG: u64 = 16 << 20;

/// Run a program in a container of its own.
///
/// In the foreground nothing is left of the container when it has ended. In the background (--detach)
/// it stays, with its files and its output, until `shellport rm`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct RunCommand {
    #[command(flatten)]
    place: Place,

    /// Pass standard input on.
    #[arg(long, short)]
    interactive: bool,

    /// Give the program a terminal.
    #[arg(long, short)]
    tty: bool,

    /// Leave it running in the background, and print its name.
    #[arg(long, short)]
    detach: bool,

    /// Remove it when it ends, also in the background.
    #[arg(long)]
    rm: bool,

    /// Set a variable (NAME=VALUE), or copy it (NAME).
    #[arg(long, short, value_name = "VARIABLE")]
    env: Vec<String>,

    /// Set the variables in a file, a line each.
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,

    /// Mount a file or directory of this machine (SOURCE:TARGET, and :ro).
    #[arg(long, short, value_parser = options::volume, value_name = "VOLUME")]
    volume: Vec<Bind>,

    /// Run as this user of the image, or this number, and :group.
    #[arg(long, short, value_parser = options::user, value_name = "USER")]
    user: Option<String>,

    /// How many CPUs' worth of time it may use, such as 1.5.
    #[arg(long, value_parser = options::cpus, value_name = "CPUS", allow_negative_numbers = true)]
    cpus: Option<f64>,

    /// How much memory it may use, such as 512m.
    #[arg(long, short, value_parser = options::memory, value_name = "SIZE")]
    memory: Option<u64>,

    /// How many processes and threads it may have; -1 for any number.
    #[arg(long, value_parser = options::pids, value_name = "COUNT", allow_negative_numbers = true)]
    pids_limit: Option<i32>,

    /// What it is called.
    #[arg(long, value_parser = options::name, value_name = "NAME")]
    name: Option<String>,

    /// Where the program begins.
    #[arg(long, short, value_parser = options::absolute, value_name = "DIRECTORY")]
    workdir: Option<String>,

    /// Run this instead of the image's entrypoint and command.
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,

    /// What it can reach; a network of its own, where the machine can give one.
    #[arg(long, visible_alias = "network", value_name = "NETWORK")]
    net: Option<Net>,

    /// Lead a port of this machine into it ([ADDRESS:]PORT:PORT, and /udp).
    #[arg(long, short, value_parser = options::port, value_name = "PORT")]
    publish: Vec<Port>,

    /// Its name for itself.
    #[arg(long, value_parser = options::hostname, value_name = "NAME")]
    hostname: Option<String>,

    /// What makes it: embedded, crun, runc, youki, runsc, or a path.
    #[arg(long, env = "SHELLPORT_OCI_ENGINE", default_value = EMBEDDED, value_name = "ENGINE")]
    runtime: String,

    /// Let it write to nothing but its volumes.
    #[arg(long)]
    read_only: bool,

    /// Run the program as the first process, which gets no signal that it does not handle, and has to
    /// wait for orphans.
    #[arg(long)]
    no_init: bool,

    /// Say on standard error what is done, and how long it takes.
    #[arg(long)]
    debug: bool,

    /// An image's name, or `host`: this machine's own programs.
    image: String,

    /// The program and its arguments; the image's own when absent.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<String>,
}

/// What a container can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Net {
    /// Nothing but itself.
    None,
    /// The machine's own network.
    Host,
    /// A network of its own.
    Bridge,
}

impl RunCommand {
    /// Runs it; the program's code.
    ///
    /// # Errors
    /// Whatever keeps it from running. Nothing is left then.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        let started = Instant::now();
        self.check()?;
        let env = options::variables(&self.env_file, &self.env)?;
        let network = self.network()?;
        Engine::find(&self.runtime, &program()?)?;
        let containers = self.place.containers()?;
        let id = random_tag();
        let name = self.name.clone().unwrap_or_else(|| id.clone());
        let path = containers.join(&name);
        if path.exists() {
            let what = format!("there is a container {name:?} already");
            return Err(CommandError::flag("--name", what));
        }
        let store = self.place.store()?;
        let (image, layers, pinned) = self.find_image(&store, &path).await?;
        self.tell(
            started,
            &format!("image {}: {} layers", self.image, layers.len()),
        );
        let mut container = self.container(&id, &name, &image, layers, env, network)?;
        container.pin = pinned.as_ref().map(|it| it.pin.clone());
        let directory = Directory::create(&path, &container)
            .map_err(CommandError::host("making the container's directory"))?;
        drop(pinned);
        let (mut child, mut reader, mut writer) = monitor::start(&program()?, &directory)
            .map_err(CommandError::host("starting the container's monitor"))?;
        let result = self.watch(&mut reader, &mut writer, started).await;
        // Without the connection a container ends that is not to go on.
        drop((reader, writer));
        if self.detach && result.is_ok() {
            say(&name);
            return Ok(ExitCode::SUCCESS);
        }
        if !matches!(result, Ok(Some(Outcome::Detached))) {
            let _ = child.wait().await;
            directory
                .remove()
                .map_err(CommandError::host("removing the container's directory"))?;
            store.unpin(&path)?;
        }
        self.tell(started, &format!("{result:?}"));
        Ok(match result? {
            None | Some(Outcome::Detached) => ExitCode::SUCCESS,
            Some(Outcome::Exited(exit)) => code(&exit),
            Some(Outcome::Left(signal)) => {
                ExitCode::from(u8::try_from(128 + signal as i32).unwrap_or(FAILURE))
            }
        })
    }

    /// What can be said before anything is made.
    fn check(&self) -> Result<(), CommandError> {
        for (flag, is_given) in [
            ("--cpus", self.cpus.is_some()),
            ("--memory", self.memory.is_some()),
            (
                "--pids-limit",
                self.pids_limit.is_some_and(|most| most >= 0),
            ),
        ] {
            if is_given && !cgroup::can_make() {
                let what = "this user can make no cgroups, so nothing can be limited; leave it out, or \
                            be root";
                return Err(CommandError::flag(flag, what));
            }
        }
        if self.tty && !self.detach {
            let input = io::stdin().is_terminal();
            if !input && (self.interactive || !io::stdout().is_terminal()) {
                let what = "there is no terminal here that the program could have; leave it out";
                return Err(CommandError::flag("--tty", what));
            }
        }
        for port in &self.publish {
            let address = port.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let address = SocketAddr::new(address, port.host);
            let free = match &*port.protocol {
                "udp" => UdpSocket::bind(address).map(drop),
                _ => TcpListener::bind(address).map(drop),
            };
            free.map_err(|error| CommandError::flag("--publish", format!("{address}: {error}")))?;
        }
        Ok(())
    }

    fn network(&self) -> Result<Network, CommandError> {
        let bridge = || Network::Bridge {
            ports: self.publish.clone(),
        };
        let installed = network::tool().is_some();
        let network = match self.net {
            Some(Net::Bridge) if !installed => {
                let tool = network::missing();
                let what = format!(
                    "a bridge needs {tool}, which is not installed; it takes none and host"
                );
                return Err(CommandError::flag("--net", what));
            }
            Some(Net::Host) => Network::Host,
            Some(Net::Bridge) => bridge(),
            None if installed => bridge(),
            Some(Net::None) | None => Network::None,
        };
        if !self.publish.is_empty() && !matches!(network, Network::Bridge { .. }) {
            let what = "ports lead into a network of the container's own; it takes --net bridge";
            return Err(CommandError::flag("--publish", what));
        }
        Ok(network)
    }

    async fn find_image(
        &self,
        store: &Store,
        user: &std::path::Path,
    ) -> Result<(ImageDefaults, Vec<PathBuf>, Option<Pinned>), CommandError> {
        if self.image == host::NAME {
            let layer = host::ensure(&self.place.images()?);
            let layer = layer.map_err(CommandError::host("making the image \"host\""))?;
            return Ok((host::defaults(), vec![layer], None));
        }
        let pinned = match store.pin(&self.image, user).await {
            Err(ImageError::Missing(_)) => {
                let (progress, shown) = watch::channel(Progress::default());
                let work = async {
                    let pulled = pull(store, &self.image, &progress).await;
                    drop(progress);
                    pulled
                };
                let (pulled, ()) = tokio::join!(work, show(Show::Bars, shown));
                store.pin(familiar(&pulled?.reference), user).await?
            }
            pinned => pinned?,
        };
        let layers = pinned.layers.clone();
        Ok((defaults(&pinned.image), layers, Some(pinned)))
    }

    fn container(
        &self,
        id: &str,
        name: &str,
        image: &ImageDefaults,
        layers: Vec<PathBuf>,
        given: BTreeMap<String, String>,
        network: Network,
    ) -> Result<Container, CommandError> {
        let command = command(image, self.entrypoint.as_deref(), &self.command);
        if command.is_empty() {
            let what = "the image has no command of its own; say one behind it";
            return Err(CommandError::flag("COMMAND", what));
        }
        let hostname = self.hostname.clone().unwrap_or_else(|| {
            let own = options::hostname(name);
            own.unwrap_or_else(|_| id.to_owned())
        });
        let mut env = variables(&image.env);
        if self.tty {
            env.insert("TERM".to_owned(), "xterm-256color".to_owned());
        }
        env.insert("HOSTNAME".to_owned(), hostname.clone());
        env.extend(given);
        let how: &[&str] = if self.no_init {
            &[AGENT, "launch", "--"]
        } else {
            &[AGENT, "supervise", "--"]
        };
        let argv = how.iter().map(|&it| it.to_owned()).chain(command).collect();
        let agent = agent::install(&self.place.containers()?.with_file_name("agent"));
        let mut binds = vec![Bind {
            source: agent.map_err(CommandError::host("putting the agent's program down"))?,
            target: AGENT.into(),
            read_only: true,
        }];
        if self.image == host::NAME {
            binds.extend(host::binds());
        }
        binds.extend(self.volume.iter().cloned());
        let cwd = self.workdir.clone().unwrap_or_else(|| match &*image.cwd {
            "" => "/".to_owned(),
            cwd => cwd.to_owned(),
        });
        Ok(Container {
            id: id.to_owned(),
            image: self.image.clone(),
            created: jiff::Timestamp::now(),
            engine: self.runtime.clone(),
            layers,
            pin: None,
            program: Program {
                argv,
                env,
                cwd,
                user: self.user.clone().unwrap_or_else(|| image.user.clone()),
            },
            stdio: if self.tty {
                Stdio::Terminal
            } else {
                Stdio::Pipes {
                    input: self.interactive,
                }
            },
            keep_output: if self.detach { LOG } else { 0 },
            remove: self.rm || !self.detach,
            capabilities: capabilities(Profile::Standard)
                .iter()
                .map(|&it| it.to_owned())
                .collect(),
            read_only: self.read_only,
            hostname,
            cgroup: cgroup::can_make().then(|| format!("/shellport-{id}")),
            limits: Limits {
                cpus: self.cpus,
                memory: self.memory,
                pids: self.pids_limit.and_then(|pids| u32::try_from(pids).ok()),
            },
            network,
            binds,
            tmpfs: Vec::new(),
        })
    }

    /// Lets the container begin, and relays until it ends, unless it is to go on by itself.
    async fn watch(
        &self,
        reader: &mut Reader,
        writer: &mut Writer,
        started: Instant,
    ) -> Result<Option<Outcome>, CommandError> {
        let broken = CommandError::host("talking to the container's monitor");
        let work = async {
            expect(reader, &Message::Created).await?;
            self.tell(started, "made");
            let (cols, rows) = terminal::size();
            if !self.detach {
                writer.say(Message::Attach).await?;
                expect(reader, &Message::Done).await?;
            }
            if self.tty {
                writer.say(Message::Resize { cols, rows }).await?;
            }
            let raw = if self.tty && !self.detach {
                Raw::enter(self.interactive)?
            } else {
                None
            };
            writer.say(Message::Start).await?;
            if self.detach {
                expect(reader, &Message::Started).await?;
                writer.say(Message::Keep).await?;
                return Ok(Ok(None));
            }
            let streams = Streams {
                terminal: self.tty,
                input: self.interactive,
            };
            let outcome = relay(reader, writer, streams).await;
            drop(raw);
            if matches!(outcome, Ok(Outcome::Detached)) {
                writer.say(Message::Keep).await?;
            }
            outcome.map(|outcome| Ok(Some(outcome)))
        };
        let done: io::Result<Result<Option<Outcome>, CommandError>> = work.await;
        done.map_err(|error| match error.kind() {
            io::ErrorKind::Other => CommandError::Monitor(error.to_string()),
            _ => broken(error),
        })?
    }

    #[expect(clippy::print_stderr, reason = "asked for")]
    fn tell(&self, started: Instant, what: &str) {
        if self.debug {
            let time = started.elapsed().as_millis();
            eprintln!("shellport: {time} ms: {what}");
        }
    }
}

/// The image's entrypoint with the command that was given, or else the image's own; another entrypoint
/// drops both.
fn command(image: &ImageDefaults, entrypoint: Option<&str>, given: &[String]) -> Vec<String> {
    let own = if given.is_empty() && entrypoint.is_none() {
        &image.command
    } else {
        given
    };
    let before = match entrypoint {
        None => image.entrypoint.clone(),
        Some("") => Vec::new(),
        Some(program) => vec![program.to_owned()],
    };
    [before.as_slice(), own].concat()
}

async fn expect(reader: &mut Reader, expected: &Message) -> io::Result<()> {
    match reader.message().await? {
        Message::Failed { cause } => Err(io::Error::other(cause)),
        message if message == *expected => Ok(()),
        message => Err(io::Error::other(format!("the monitor says {message:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_merge_as_docker_does_it() {
        let strings = |list: &[&str]| list.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let image = ImageDefaults {
            entrypoint: strings(&["e", "f"]),
            command: strings(&["c"]),
            ..ImageDefaults::default()
        };
        let merged = |entrypoint, given: &[&str]| command(&image, entrypoint, &strings(given));
        assert_eq!(merged(None, &[]), ["e", "f", "c"]);
        assert_eq!(merged(None, &["x"]), ["e", "f", "x"]);
        assert_eq!(merged(Some("o"), &[]), ["o"]);
        assert_eq!(merged(Some("o"), &["x"]), ["o", "x"]);
        assert_eq!(merged(Some(""), &["x"]), ["x"]);
    }
}
