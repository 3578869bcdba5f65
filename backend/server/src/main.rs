//! The `shellport` command.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use shellport::cli::{
    ArchiveCommand, AttachCommand, CommandError, CompletionsCommand, CopyCommand, DoctorCommand,
    EventsCommand, ExecCommand, FAILURE, ForwardCommand, ImageCommand, KillCommand, ListCommand,
    LoginCommand, LogoutCommand, LogsCommand, MapIdsCommand, MonitorCommand, NewCommand,
    OpenCommand, RemoveCommand, RunCommand, SessionsCommand, StartCommand, StatsCommand,
    StopCommand, TokenCommand, UnpackCommand, UnshareCommand, harmless,
};
use shellport::config::{Config, LogFormat};
use shellport::http::openapi::Document;
use shellport::oci::embedded::EmbeddedCommand;
use shellport::rootless;
use shellport::runtime::Isolation;
use shellport::server::{self, Server, StartError};
use shellport::system;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use utoipa::OpenApi;

/// Descriptors for as many sessions and viewers as a machine can have.
const DESCRIPTORS: u64 = 65_536;

/// A shell in a container of your own, from any browser or curl.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the server.
    Serve(Box<Config>),
    Run(Box<RunCommand>),
    Exec(ExecCommand),
    Attach(AttachCommand),
    Ps(ListCommand),
    Logs(LogsCommand),
    Stats(StatsCommand),
    Cp(CopyCommand),
    Stop(StopCommand),
    Kill(KillCommand),
    Rm(RemoveCommand),
    Image(ImageCommand),
    Login(LoginCommand),
    Logout(LogoutCommand),
    Token(TokenCommand),
    New(NewCommand),
    Ls(SessionsCommand),
    Open(OpenCommand),
    Start(StartCommand),
    Events(EventsCommand),
    PortForward(ForwardCommand),
    Completions(CompletionsCommand),
    Doctor(DoctorCommand),
    /// Print the description of the API.
    Openapi,
    Unshare(UnshareCommand),
    #[command(hide = true)]
    MapIds(MapIdsCommand),
    #[command(hide = true)]
    UnpackLayer(UnpackCommand),
    #[command(hide = true)]
    Archive(ArchiveCommand),
    #[command(hide = true)]
    Monitor(MonitorCommand),
    #[command(hide = true)]
    Oci(Box<EmbeddedCommand>),
}

fn main() -> ExitCode {
    system::look_names_up_alone();
    match Cli::parse().command {
        Command::Serve(config) => {
            start_log(&config);
            allow_connections();
            start(*config)
        }
        Command::Image(command) => {
            let is_remote = command.is_remote();
            unless(is_remote, || {
                start_warnings();
                outcome(block_on(command.run()))
            })
        }
        Command::Run(command) => unless(command.is_remote(), || {
            program(async { command.run().await })
        }),
        Command::Exec(command) => match command.join() {
            Ok(()) => program(command.run()),
            Err(error) => ended_with(Err(error)),
        },
        Command::Attach(command) => program(command.run()),
        Command::Ps(command) => program(command.run()),
        Command::Logs(command) => program(command.run()),
        Command::Stats(command) => program(command.run()),
        Command::Cp(command) => match command.join() {
            Ok(()) => program(command.run()),
            Err(error) => ended_with(Err(error)),
        },
        Command::Stop(command) => program(command.run()),
        Command::Kill(command) => program(command.run()),
        Command::Rm(command) => unless(command.is_remote(), || program(command.run())),
        Command::Login(command) => program(command.run()),
        Command::Logout(command) => ended_with(command.run()),
        Command::Token(command) => ended_with(command.run()),
        Command::New(command) => program(command.run()),
        Command::Ls(command) => program(command.run()),
        Command::Open(command) => program(command.run()),
        Command::Start(command) => program(command.run()),
        Command::Events(command) => program(command.run()),
        Command::PortForward(command) => program(command.run()),
        Command::Completions(command) => command.run(&mut Cli::command()),
        Command::Unshare(command) => as_root(|| ended_with(command.run())),
        Command::Doctor(command) => block_on(command.run()).unwrap_or_else(|error| {
            complain(&error);
            ExitCode::FAILURE
        }),
        Command::Openapi => {
            say(&Document::openapi().to_pretty_json().unwrap_or_default());
            ExitCode::SUCCESS
        }
        Command::MapIds(command) => command.run(),
        // Before there is any thread.
        Command::UnpackLayer(command) => command.run(),
        Command::Archive(command) => command.run(),
        Command::Monitor(command) => {
            start_warnings();
            command.run()
        }
        Command::Oci(command) => command.run(),
    }
}

/// Starts the server, as root of a namespace where it makes containers itself.
fn start(config: Config) -> ExitCode {
    let looking = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let looking = looking.expect("files can be opened");
    let is_daemonless = looking.block_on(server::is_daemonless(&config));
    // Its threads have ended then.
    drop(looking);
    let serving = || outcome(block_on(serve(config)));
    if is_daemonless {
        as_root(serving)
    } else {
        serving()
    }
}

/// Does what only root can, unless it is a server that does it.
fn unless(is_remote: bool, work: impl FnOnce() -> ExitCode) -> ExitCode {
    if is_remote { work() } else { as_root(work) }
}

/// Does what only root can, as root or as an ordinary user. There must be no other thread.
fn as_root(work: impl FnOnce() -> ExitCode) -> ExitCode {
    match rootless::enter() {
        Ok(()) => work(),
        Err(error) => {
            complain(&error);
            ExitCode::from(FAILURE)
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("threads can be started").block_on(work)
}

/// A session and a viewer need descriptors, and what systems allow at first is few: the rest is for whoever
/// asks (<https://0pointer.net/blog/file-descriptor-limits.html>).
fn allow_connections() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let most = soft.max(hard.min(DESCRIPTORS));
        setrlimit(Resource::RLIMIT_NOFILE, most, hard)
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "there may be few descriptors");
    }
}

/// Does what has to do with containers, and ends as it says.
fn program(work: impl Future<Output = Result<ExitCode, CommandError>>) -> ExitCode {
    start_warnings();
    ended_with(block_on(work))
}

fn ended_with(result: Result<ExitCode, CommandError>) -> ExitCode {
    result.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::from(FAILURE)
    })
}

fn outcome<E: std::fmt::Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> Result<(), StartError> {
    // Before anybody knows that it is there.
    let ended = ended();
    let server = Server::new(config).await?;
    let address = server
        .address()
        .map_err(|error| StartError::Listen(([0, 0, 0, 0], 0).into(), error))?;
    let runtime = server.runtime();
    tracing::info!(
        engine = runtime.engine,
        endpoint = runtime.endpoint,
        "runtime"
    );
    // Processes of this machine are not limited in anything else either.
    if runtime.isolation == Isolation::Container {
        for limitation in &runtime.limitations {
            tracing::warn!("{}", limitation.advice());
        }
    }
    if runtime.isolation == Isolation::None {
        tracing::warn!("NO ISOLATION: shells run on this machine as the server's own user");
    }
    // Every address of the machine is none that a browser can open.
    let host = if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    // The fragment stays in the browser: it is in no request and no log.
    say(&format!(
        "\n  Shellport is ready, with {}.\n  Open http://{host}/#token={}\n",
        runtime.engine,
        server.token().reveal()
    ));
    server.serve(ended).await;
    Ok(())
}

/// Ready when somebody wants the server to end, from now on.
fn ended() -> impl Future<Output = ()> {
    let terminate = signal(SignalKind::terminate());
    let interrupt = signal(SignalKind::interrupt());
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// What a command that a person runs has to say beside its outcome.
fn start_warnings() {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("shellport=warn"))
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_writer(std::io::stderr)
        .init();
}

fn start_log(config: &Config) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

#[expect(clippy::print_stdout, reason = "the command's own output")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "the command's own error")]
fn complain(error: &impl std::fmt::Display) {
    // Some of it may be what a sandbox has said.
    let lines = error.to_string();
    let lines: Vec<_> = lines.lines().map(harmless).collect();
    eprintln!("shellport: {}", lines.join("\n"));
}
