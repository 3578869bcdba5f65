//! The life of a container, from the mount of its root to the removal of everything that was made.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};
use shellport_wire::exit::{Exit, Reason};
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::SOCKET;
use super::frame::{Frame, Message, Reader, Writer, split};
use super::hub::{Ends, Hub};
use super::log::Log;
use super::service::{Service, Target, listen};
use crate::console::{ConsoleError, ConsoleSocket};
use crate::oci::account::Account;
use crate::oci::bundle;
use crate::oci::cgroup::Cgroup;
use crate::oci::container::{Container, Network, Stdio};
use crate::oci::directory::{Directory, Ended};
use crate::oci::disk;
use crate::oci::engine::{Call, Engine};
use crate::oci::network::{self, Connected};
use crate::oci::root;
use crate::system::register;

/// How long an engine may take to make a terminal.
const CREATION: Duration = Duration::from_mins(1);

/// A container that is made.
struct Made {
    hub: Rc<Hub>,
    pid: Pid,
    network: Option<Connected>,
}

/// Makes the container, watches it, and removes what was made. `program` is this one.
///
/// # Errors
/// When its end cannot be noted.
pub async fn watch(directory: &Directory, program: &Path, launcher: UnixStream) -> io::Result<()> {
    let (reader, mut writer) = split(launcher);
    let container = directory.container()?;
    let found = Engine::of(&container, program).map_err(io::Error::other);
    let made = match &found {
        Ok(engine) => make(directory, &container, engine).await,
        Err(error) => Err(io::Error::other(error.to_string())),
    };
    let (engine, made) = match (found, made) {
        (Ok(engine), Ok(made)) => (engine, made),
        (engine, Err(error)) => {
            if let Ok(engine) = engine {
                clean_up(directory, &container, &engine).await;
            }
            let cause = error.to_string();
            let _ = writer.say(Message::Failed { cause }).await;
            return Ok(());
        }
        (Err(error), Ok(_)) => return Err(error),
    };
    let service = Service::new(
        made.hub,
        Target::Container {
            engine: engine.clone(),
            directory: directory.clone(),
            id: container.id.clone(),
            pid: made.pid,
        },
    );
    let exit = run(
        &service,
        &engine,
        directory,
        &container,
        made.pid,
        (reader, writer),
    )
    .await;
    let exit = match exit {
        Ok(exit) => exit,
        Err(error) => {
            tracing::error!(%error, "the container cannot be watched");
            Exit::LOST
        }
    };
    clean_up(directory, &container, &engine).await;
    // Before its network goes, which takes longer than all the rest, and which nobody waits for who
    // starts it again or removes it.
    if !container.remove {
        directory.end(&Ended {
            exit: exit.clone(),
            at: jiff::Timestamp::now(),
        })?;
    }
    if let Some(network) = made.network
        && let Err(error) = network.disconnect().await
    {
        tracing::warn!(%error, "the container's network cannot be removed");
    }
    if container.remove {
        directory.remove()?;
        if let Some(pin) = &container.pin {
            let _ = fs::remove_file(pin);
        }
    }
    service.tell(&Message::Exited { exit }).await;
    Ok(())
}

/// Lets the container run, and returns how it ended.
async fn run(
    service: &Rc<Service>,
    engine: &Engine,
    directory: &Directory,
    container: &Container,
    pid: Pid,
    (reader, writer): (Reader, Writer),
) -> io::Result<Exit> {
    let ended = ending(pid)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let launcher = service.welcome(writer);
    let _ = launcher.send(Frame::Message(Message::Created)).await;
    spawn_local(Rc::clone(service).serve(reader, launcher.clone(), true));
    let begins = tokio::select! {
        () = service.begin.notified() => true,
        () = service.abandoned.notified() => false,
        _ = ended.readable() => false,
    };
    if begins {
        spawn_local(Rc::clone(service).accept(listen(directory)?));
        let started = engine.command(directory, "start").arg(&container.id);
        let message = match started.run().await {
            Ok(()) => Message::Started,
            Err(error) => {
                service.give_up();
                Message::Failed {
                    cause: error.to_string(),
                }
            }
        };
        let _ = launcher.send(Frame::Message(message)).await;
    }
    drop(launcher);
    tokio::select! {
        _ = ended.readable() => {}
        _ = terminate.recv() => service.end(&ended).await,
        () = service.abandoned.notified(), if begins => service.end(&ended).await,
        () = std::future::ready(()), if !begins => service.end(&ended).await,
    }
    let status = waitpid(pid, None)?;
    let cgroup = container.cgroup.as_ref();
    let oom = cgroup.is_some_and(|cgroup| Cgroup::new(cgroup).usage().oom_kills > 0);
    service.hub().finish().await;
    Ok(exit(status, oom))
}

/// Becomes readable when the process ends.
///
/// # Errors
/// When there is no such process.
pub fn ending(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    let pid = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(io::ErrorKind::NotFound)?;
    register(pidfd_open(pid, PidfdFlags::empty())?)
}

async fn make(directory: &Directory, container: &Container, engine: &Engine) -> io::Result<Made> {
    engine.prepare()?;
    root::assemble(directory, container)?;
    let path = directory.path();
    let account =
        Account::find(&path.join("rootfs"), &container.program.user).map_err(io::Error::other)?;
    // Not every engine does.
    root::make_directory(&path.join("rootfs"), &container.program.cwd);
    let network = network::reserve(&container.network)?;
    network::write_files(path, container, network.as_ref())?;
    let configuration = bundle::configuration(container, &account, path)?;
    directory.write("config.json", &configuration)?;
    let call = engine
        .command(directory, "create")
        .arg("--bundle")
        .arg(path)
        .arg("--pid-file")
        .arg(path.join("pid"));
    let log = match container.keep_output {
        0 => None,
        most => Some(Log::open(&directory.output(), most)?),
    };
    let hub = open(call, &container.id, container.stdio, path, log).await?;
    // The container has it in its own mount namespace, with which it goes, whatever becomes of this
    // process and of one that serves the overlay.
    umount2(&path.join("rootfs"), MntFlags::MNT_DETACH)?;
    let pid = directory.pid().ok_or_else(|| {
        io::Error::other("the engine does not tell the container's first process")
    })?;
    if let (Some(cgroup), Some(_)) = (&container.cgroup, container.limits.memory) {
        // libcontainer (0.7) takes no swap for no limit.
        Cgroup::new(cgroup).forbid_swap()?;
    }
    if container.network == Network::None {
        network::bring_up(pid)?;
    }
    let network = match network {
        Some(reserved) => Some(reserved.connect(directory, &container.id, pid).await?),
        None => None,
    };
    Ok(Made {
        hub,
        pid: Pid::from_raw(pid),
        network,
    })
}

/// Has an engine make a process with such streams, and returns their other ends. `place` is a directory
/// for a socket.
///
/// # Errors
/// What the engine says.
pub async fn open(
    call: Call,
    id: &str,
    stdio: Stdio,
    place: &Path,
    log: Option<Log>,
) -> io::Result<Rc<Hub>> {
    match stdio {
        Stdio::Terminal => {
            let socket = ConsoleSocket::new(place)
                .or_else(|_| ConsoleSocket::new(std::env::temp_dir()))
                .map_err(io::Error::other)?;
            let path = socket.path().to_owned();
            let call = call.arg("--console-socket").arg(&path);
            let creating = call.arg(id).run();
            // As long as the engine is at work, on a machine with a hundred others at theirs.
            let received = socket.receive(CREATION);
            tokio::pin!(creating, received);
            // A runtime that fails never connects.
            let master = tokio::select! {
                biased;
                master = &mut received => {
                    let master = master.map_err(io::Error::other)?;
                    creating.await.map_err(io::Error::other)?;
                    master
                }
                created = &mut creating => {
                    created.map_err(io::Error::other)?;
                    let limit = ConsoleSocket::PATIENCE;
                    let received = timeout(limit, received).await;
                    let silent = |_| Err(ConsoleError::Timeout { path, limit });
                    received.unwrap_or_else(silent).map_err(io::Error::other)?
                }
            };
            Hub::new(Ends::Terminal(master), log)
        }
        Stdio::Pipes { input } => {
            let mut call = call.arg(id);
            let stdin = if input {
                let (reader, writer) = io::pipe()?;
                call.command.stdin(reader);
                Some(writer.into())
            } else {
                None
            };
            let (stdout, its_stdout) = io::pipe()?;
            let (stderr, its_stderr) = io::pipe()?;
            call.command.stdout(its_stdout).stderr(its_stderr);
            call.run().await.map_err(io::Error::other)?;
            let ends = Ends::Pipes {
                stdin,
                stdout: stdout.into(),
                stderr: stderr.into(),
            };
            Hub::new(ends, log)
        }
    }
}

/// Removes whatever was made but the directory and the network.
async fn clean_up(directory: &Directory, container: &Container, engine: &Engine) {
    let deleted = engine
        .command(directory, "delete")
        .arg("--force")
        .arg(&container.id);
    // It need not know the container: making it may have failed.
    if let Err(error) = deleted.run().await {
        tracing::debug!(%error, "the engine does not delete the container");
    }
    if let Some(cgroup) = &container.cgroup
        && let Err(error) = Cgroup::new(cgroup).end().await
    {
        tracing::warn!(%error, "the container's cgroup cannot be removed");
    }
    // Where the container could not be made.
    let _ = umount2(&directory.path().join("rootfs"), MntFlags::MNT_DETACH);
    disk::unmount(directory.path());
    for name in ["pid", SOCKET] {
        let _ = fs::remove_file(directory.path().join(name));
    }
}

/// How a process ended, in a container where the kernel has killed some for lack of memory or has not.
pub fn exit(status: WaitStatus, oom: bool) -> Exit {
    match status {
        WaitStatus::Exited(_, code) => Exit {
            code: Some(code),
            signal: None,
            reason: Reason::Exited,
        },
        WaitStatus::Signaled(_, signal, _) => Exit {
            code: None,
            signal: Some(signal.as_str().to_owned()),
            reason: if oom && signal == Signal::SIGKILL {
                Reason::Oom
            } else {
                Reason::Signaled
            },
        },
        _ => Exit::LOST,
    }
}
