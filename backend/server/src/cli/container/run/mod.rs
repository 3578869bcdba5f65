//! `shellport run`: what `docker run` is.

mod check;
mod container;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::relay::{Outcome, relay};
use super::{CommandError, Place, code, left, options, program};
use crate::cli::remote::{self, ServerPlace};
use crate::cli::say;
use crate::cli::streams::Streams;
use crate::cli::terminal::{self, Raw};
use crate::id::random_tag;
use crate::oci::cgroup::Parent;
use crate::oci::container::{Bind, Port};
use crate::oci::directory::Directory;
use crate::oci::disk;
use crate::oci::engine::{EMBEDDED, Engine};
use crate::oci::monitor::{self, Message, Reader, Writer};
use crate::session::Network;

/// Run a program in a container of its own.
///
/// In the foreground nothing is left of the container when it has ended. In the background (--detach)
/// it stays, with its files and its output, until `shellport rm`. With --remote it is a session of a server.
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

    /// How much it may write to its own files, such as 10g; root only.
    #[arg(long, value_parser = disk::parse_size, value_name = "SIZE")]
    disk: Option<u64>,

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
    net: Option<Network>,

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

    /// In a session of a server, which is removed when the program has ended. `--detach` leaves it.
    #[arg(long, conflicts_with_all = ["volume", "publish", "hostname", "entrypoint", "disk", "read_only", "no_init", "debug"])]
    remote: bool,

    #[command(flatten)]
    server: ServerPlace,

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

impl RunCommand {
    /// Whether a server runs it.
    pub fn is_remote(&self) -> bool {
        self.remote
    }

    /// Runs it; the program's code.
    ///
    /// # Errors
    /// Whatever keeps it from running. Nothing is left then.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        if self.remote {
            self.check_terminal()?;
            let server = self.server.clone();
            return remote::run(&server, self.for_server()?).await;
        }
        self.server.refuse()?;
        let started = Instant::now();
        let cgroup = Parent::take();
        self.check(cgroup.as_ref())?;
        let env = options::variables(&self.env_file, &self.env)?;
        let network = self.network()?;
        let engine = Engine::find(&self.runtime, &program()?)?;
        if cgroup.is_none() {
            engine.without_cgroups()?;
        }
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
        container.cgroup = cgroup.map(|parent| parent.group(&format!("shellport-{id}")));
        let directory = Directory::create(&path, &container)
            .map_err(CommandError::host("making the container's directory"))?;
        drop(pinned);
        let (mut child, mut reader, mut writer) = monitor::start(&program()?, &directory)
            .await
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
            Some(Outcome::Left(signal)) => left(signal),
        })
    }

    /// What a server is asked for.
    fn for_server(self) -> Result<remote::Run, CommandError> {
        let pids = self
            .pids_limit
            .map(u32::try_from)
            .transpose()
            .map_err(|_| {
                let what =
                    "a session has a limit; it takes a count, or leave it out for the server's own";
                CommandError::flag("--pids-limit", what)
            })?;
        let env: BTreeMap<_, _> = options::variables(&self.env_file, &self.env)?
            .into_iter()
            .collect();
        let session = remote::fields([
            ("name", json!(self.name)),
            ("env", json!(env)),
            ("user", json!(self.user)),
            ("cwd", json!(self.workdir)),
            ("cpus", json!(self.cpus)),
            ("memory", json!(self.memory)),
            ("pids", json!(pids)),
            ("network", json!(self.net)),
        ]);
        Ok(remote::Run {
            session,
            image: self.image,
            interactive: self.interactive,
            tty: self.tty,
            detach: self.detach,
            argv: self.command,
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

async fn expect(reader: &mut Reader, expected: &Message) -> io::Result<()> {
    match reader.message().await? {
        Message::Failed { cause } => Err(io::Error::other(cause)),
        message if message == *expected => Ok(()),
        message => Err(io::Error::other(format!("the monitor says {message:?}"))),
    }
}
