//! The engine in our own program: libcontainer behind the command line of OCI runtimes.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::seccomp::initialize_seccomp;
use libcontainer::signal::Signal;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::default::DefaultExecutor;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use liboci_cli::{Exec, GlobalOpts, StandardCmd};
use oci_spec::OciSpecError;
use oci_spec::runtime::{LinuxSeccomp, Spec};

/// A command of the engine.
#[derive(clap::Args, Debug)]
pub struct EmbeddedCommand {
    #[command(flatten)]
    global: GlobalOpts,
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(clap::Subcommand, Debug)]
enum Subcommand {
    #[command(flatten)]
    Standard(StandardCmd),
    Exec(Box<Exec>),
}

/// Why the engine does not do what it was told.
#[derive(Debug, thiserror::Error)]
enum EmbeddedError {
    #[error(transparent)]
    Container(#[from] LibcontainerError),
    #[error("the container's configuration: {0}")]
    Configuration(#[from] OciSpecError),
    #[error("--root is needed")]
    NoRoot,
    #[error("{0} is no signal")]
    NoSignal(String),
}

impl EmbeddedCommand {
    /// Does it. There must be no other thread.
    #[expect(
        clippy::print_stdout,
        clippy::print_stderr,
        reason = "the caller reads it"
    )]
    pub fn run(self) -> ExitCode {
        let log = self.global.log.clone();
        let error = match self.carry_out() {
            Ok(said) => {
                if let Some(said) = said {
                    println!("{said}");
                }
                return ExitCode::SUCCESS;
            }
            Err(error) => causes(&error),
        };
        // The container may have the standard streams.
        let logged = log.is_some_and(|path| {
            let line = serde_json::json!({"level": "error", "msg": error});
            let file = File::options().append(true).create(true).open(path);
            file.and_then(|mut file| writeln!(file, "{line}")).is_ok()
        });
        if !logged {
            eprintln!("{error}");
        }
        ExitCode::FAILURE
    }

    fn carry_out(self) -> Result<Option<String>, EmbeddedError> {
        let root = self.global.root.ok_or(EmbeddedError::NoRoot)?;
        let load = |id: &str| Container::load(root.join(id));
        match self.command {
            Subcommand::Standard(StandardCmd::Create(create)) => {
                let mut builder =
                    ContainerBuilder::new(create.container_id, SyscallType::default())
                        .with_root_path(&root)?
                        .with_pid_file(create.pid_file)?
                        .with_preserved_fds(create.preserve_fds)
                        .validate_id()?;
                if create.console_socket.is_some() {
                    builder = builder.with_console_socket(create.console_socket);
                }
                builder
                    .as_init(&create.bundle)
                    .with_systemd(false)
                    .with_detach(true)
                    .with_no_pivot(create.no_pivot)
                    .build()?;
            }
            Subcommand::Standard(StandardCmd::Start(start)) => {
                load(&start.container_id)?.start()?;
            }
            Subcommand::Standard(StandardCmd::State(state)) => {
                let mut container = load(&state.container_id)?;
                container.refresh_status()?;
                let state = serde_json::to_string_pretty(&container.state);
                return Ok(Some(state.unwrap_or_default()));
            }
            Subcommand::Standard(StandardCmd::Kill(kill)) => {
                let signal = signal(&kill.signal)?;
                load(&kill.container_id)?.kill(signal, kill.all)?;
            }
            Subcommand::Standard(StandardCmd::Delete(delete)) => {
                let mut container = load(&delete.container_id)?;
                if delete.force {
                    // libcontainer itself asks the cgroup whom to kill, which need not be there. One that
                    // has ended cannot be killed.
                    let _ = container.kill(signal("KILL")?, false);
                }
                container.delete(delete.force)?;
            }
            Subcommand::Exec(exec) => {
                let container = load(&exec.container_id)?;
                let filtered = Filtered::of(&container)?;
                let mut builder = ContainerBuilder::new(exec.container_id, SyscallType::default())
                    .with_executor(filtered)
                    .with_root_path(&root)?
                    .with_pid_file(exec.pid_file)?
                    .with_preserved_fds(exec.preserve_fds)
                    .validate_id()?;
                if exec.console_socket.is_some() {
                    builder = builder.with_console_socket(exec.console_socket);
                }
                builder
                    .as_tenant()
                    .with_detach(true)
                    .with_process(exec.process)
                    .with_container_args(exec.command)
                    .build()?;
            }
        }
        Ok(None)
    }
}

/// Starts a further program behind the container's own filter of system calls, which libcontainer (0.7)
/// gives to the first one only.
#[derive(Clone)]
struct Filtered(Option<LinuxSeccomp>);

impl Filtered {
    fn of(container: &Container) -> Result<Self, EmbeddedError> {
        let configuration = Spec::load(container.bundle().join("config.json"))?;
        let linux = configuration.linux().as_ref();
        Ok(Self(linux.and_then(|it| it.seccomp().clone())))
    }
}

impl Executor for Filtered {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        if let Some(filter) = &self.0 {
            initialize_seccomp(filter).map_err(|error| ExecutorError::Other(error.to_string()))?;
        }
        DefaultExecutor {}.exec(spec)
    }

    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        DefaultExecutor {}.validate(spec)
    }
}

/// A signal by its number, or by its name with or without `SIG`.
fn signal(text: &str) -> Result<Signal, EmbeddedError> {
    let found = match text.parse::<i32>() {
        Ok(number) => Signal::try_from(number).ok(),
        Err(_) => Signal::try_from(text).ok(),
    };
    found.ok_or_else(|| EmbeddedError::NoSignal(text.to_owned()))
}

/// An error with everything behind it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        // Some repeat what is behind them.
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        next = error.source();
    }
    text
}
