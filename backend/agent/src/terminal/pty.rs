//! A pseudo-terminal and the program on it, without blocking.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::{self, Pid, tcgetpgrp};
use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use shellport_wire::agent::{Refusal, RefusalCode};
use shellport_wire::viewer::{Line, Size};
use tokio::io::unix::AsyncFd;

use crate::launch::Launch;
use crate::reaper::{Process, Reaper};
use crate::system;

/// The master side of a PTY.
pub struct Pty {
    master: Box<dyn MasterPty + Send>,
    /// The same open file, for reading and writing without blocking.
    file: AsyncFd<OwnedFd>,
}

impl Pty {
    /// Opens a PTY of `size` and starts the program on it.
    ///
    /// # Errors
    /// When the sandbox has no PTY, process or descriptor left.
    pub fn open(size: Size, launch: &Launch, reaper: &Reaper) -> Result<(Self, Process), Refusal> {
        let failed = |what: &str, error: &dyn std::fmt::Display| Refusal {
            code: RefusalCode::StartFailed,
            message: format!("{what}: {error}"),
        };
        let pair = native_pty_system()
            .openpty(pty_size(size))
            .map_err(|error| failed("cannot open a pseudo-terminal", &error))?;
        let agent =
            std::env::current_exe().map_err(|error| failed("cannot find myself", &error))?;
        let mut command = CommandBuilder::new(agent);
        command.arg("launch");
        command.args(&launch.arguments);
        command.cwd(std::env::current_dir().unwrap_or_else(|_| "/".into()));
        command.env_clear();
        for (name, value) in &launch.env {
            command.env(name, value);
        }
        let process = reaper.spawn(|| {
            let child = pair
                .slave
                .spawn_command(command)
                .map_err(|error| failed("cannot start a process", &error))?;
            let pid = child.process_id().and_then(|pid| i32::try_from(pid).ok());
            pid.map(Pid::from_raw)
                .ok_or_else(|| failed("cannot start a process", &"it has no id"))
        })?;
        let file = nonblocking(pair.master.as_ref())
            .map_err(|error| failed("cannot use the pseudo-terminal", &error))?;
        let pty = Self {
            master: pair.master,
            file,
        };
        Ok((pty, process))
    }

    /// Reads what there is, up to the size of `buffer`; 0 when the last program has closed it.
    ///
    /// A single read of a PTY gives at most 4 KiB, so it reads until there is no more.
    ///
    /// # Errors
    /// Those of reading. Safe to cancel: nothing read is lost.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut guard = self.file.readable().await?;
            let mut filled = 0;
            while filled < buffer.len() {
                match unistd::read(self.file.as_fd(), &mut buffer[filled..]) {
                    Ok(0) | Err(Errno::EIO) => return Ok(filled),
                    Ok(count) => filled += count,
                    Err(Errno::EINTR) => {}
                    Err(Errno::EAGAIN) => {
                        guard.clear_ready();
                        break;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if filled > 0 {
                return Ok(filled);
            }
        }
    }

    /// Writes some of `bytes` and returns how many, once the program has room for any.
    ///
    /// # Errors
    /// Those of writing. Safe to cancel: nothing is written by half.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut guard = self.file.writable().await?;
            match unistd::write(self.file.as_fd(), bytes) {
                Ok(count) => return Ok(count),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => guard.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sets the size, which signals the foreground process group.
    pub fn resize(&self, size: Size) {
        // It fails only on a descriptor that is no terminal.
        let _ = self.master.resize(pty_size(size));
    }

    /// What it does with what is typed.
    pub fn line(&self) -> Line {
        let flags = tcgetattr(&self.file).map_or(LocalFlags::empty(), |it| it.local_flags);
        Line {
            echo: flags.contains(LocalFlags::ECHO),
            canonical: flags.contains(LocalFlags::ICANON),
        }
    }

    /// Signals the foreground process group.
    pub fn signal(&self, signal: Signal) {
        // 0 is no group, and would be our own.
        if let Ok(group) = tcgetpgrp(self.file.as_fd())
            && group.as_raw() > 1
        {
            let _ = killpg(group, signal);
        }
    }
}

fn pty_size(size: Size) -> PtySize {
    PtySize {
        cols: size.cols,
        rows: size.rows,
        pixel_width: 0,
        pixel_height: 0,
    }
}

fn nonblocking(master: &dyn MasterPty) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = master
        .as_raw_fd()
        .ok_or_else(|| io::Error::other("it has no descriptor"))?;
    let file = system::duplicate(fd)?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    system::register(file)
}
