//! A further process of a container, watched by a process of its own like the container itself, until
//! it or whoever wanted it ends.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use tokio::net::UnixStream;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::frame::{Frame, Message, Wish, split};
use super::life::{ending, exit, open};
use super::service::{Service, Target};
use crate::id::random_tag;
use crate::oci::account::Account;
use crate::oci::bundle;
use crate::oci::cgroup::Cgroup;
use crate::oci::container::Container;
use crate::oci::directory::Directory;
use crate::oci::engine::Engine;

/// Runs what the launcher asks for. `program` is this one.
///
/// # Errors
/// When the launcher asks for nothing.
pub async fn watch(directory: &Directory, program: &Path, launcher: UnixStream) -> io::Result<()> {
    let (mut reader, mut writer) = split(launcher);
    let Message::Exec(wish) = reader.message().await? else {
        return Err(io::Error::other("there is nothing to run"));
    };
    let container = directory.container()?;
    let (service, pid) = match begin(directory, &container, program, &wish).await {
        Ok(begun) => begun,
        Err(error) => {
            let cause = error.to_string();
            return writer.say(Message::Failed { cause }).await;
        }
    };
    let ended = ending(pid)?;
    let launcher = service.welcome(writer);
    let _ = launcher.send(Frame::Message(Message::Started)).await;
    service.hub().attach(launcher.clone());
    spawn_local(Rc::clone(&service).serve(reader, launcher, true));
    let oom_kills = || {
        let cgroup = container.cgroup.as_ref();
        cgroup.map_or(0, |cgroup| Cgroup::new(cgroup).usage().oom_kills)
    };
    let before = oom_kills();
    tokio::select! {
        _ = ended.readable() => {}
        () = service.abandoned.notified() => service.end(&ended).await,
    }
    let status = waitpid(pid, None)?;
    let oom = oom_kills() > before;
    service.hub().finish().await;
    let exit = exit(status, oom);
    service.tell(&Message::Exited { exit }).await;
    Ok(())
}

async fn begin(
    directory: &Directory,
    container: &Container,
    program: &Path,
    wish: &Wish,
) -> io::Result<(Rc<Service>, Pid)> {
    let place = directory.path().join(format!("exec-{}", random_tag()));
    fs::DirBuilder::new().mode(0o700).create(&place)?;
    let begun = begin_in(&place, directory, container, program, wish).await;
    fs::remove_dir_all(&place)?;
    begun
}

async fn begin_in(
    place: &Path,
    directory: &Directory,
    container: &Container,
    program: &Path,
    wish: &Wish,
) -> io::Result<(Rc<Service>, Pid)> {
    let init = directory
        .pid()
        .ok_or_else(|| io::Error::other("the container does not run"))?;
    let root = format!("/proc/{init}/root");
    let account = Account::find(Path::new(&root), &wish.program.user).map_err(io::Error::other)?;
    let mut container = container.clone();
    container.program = wish.program.clone();
    container.stdio = wish.stdio;
    let process = bundle::process(&container, &account);
    let described = place.join("process.json");
    fs::write(&described, serde_json::to_vec(&process)?)?;
    let pid_file = place.join("pid");
    let engine = Engine::of(&container, program);
    let engine = engine.map_err(io::Error::other)?;
    engine.prepare()?;
    let call = engine
        .command(directory, "exec")
        .arg("--detach")
        .arg("--pid-file")
        .arg(&pid_file)
        .arg("--process")
        .arg(&described);
    let container_ends = ending(Pid::from_raw(init))?;
    let hub = match open(call, &container.id, wish.stdio, place, None).await {
        Ok(hub) => hub,
        Err(error) => {
            let ended = timeout(Duration::ZERO, container_ends.readable()).await;
            // The embedded engine makes the cgroup again, when it has just gone with the container.
            if let (Ok(_), Some(cgroup)) = (ended, &container.cgroup) {
                Cgroup::new(cgroup).end().await?;
            }
            return Err(error);
        }
    };
    let pid = fs::read_to_string(&pid_file)?.trim().parse();
    let pid = Pid::from_raw(pid.map_err(io::Error::other)?);
    Ok((Service::new(hub, Target::Process(pid)), pid))
}
