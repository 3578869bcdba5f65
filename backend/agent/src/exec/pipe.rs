//! The pipes between a command and the agent.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::unistd::read;
use tokio::net::unix::pipe;

use super::keeper::Keeper;
use crate::launch::Launch;
use crate::reaper::Reaper;

/// The most that is in a pipe, unless root has allowed more (`/proc/sys/fs/pipe-max-size`).
pub const MAX_PIPE: usize = 1024 * 1024;

/// A command that was started, and the agent's ends of its pipes.
pub struct Started {
    pub keeper: Keeper,
    pub stdin: Option<pipe::Sender>,
    pub outputs: [Output; 2],
}

/// Starts `launch`, with a pipe as its input if it gets any.
pub fn start(launch: &Launch, stdin: bool, reaper: &Reaper) -> io::Result<Started> {
    let (input, stdin) = if stdin {
        let (read, write) = io::pipe()?;
        (Stdio::from(read), Some(write))
    } else {
        (Stdio::null(), None)
    };
    let (stdout, output) = io::pipe()?;
    let (stderr, errors) = io::pipe()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .env_clear()
        .envs(&launch.env)
        .stdin(input)
        .stdout(output)
        .stderr(errors);
    let keeper = Keeper::start(&mut command, launch, reaper)?;
    Ok(Started {
        keeper,
        stdin: stdin
            .map(|stdin| pipe::Sender::from_owned_fd(stdin.into()))
            .transpose()?,
        outputs: [Output::new(stdout.into())?, Output::new(stderr.into())?],
    })
}

/// What a command writes to one of its streams.
pub struct Output(Option<pipe::Receiver>);

impl Output {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self(Some(pipe::Receiver::from_owned_fd(fd)?)))
    }

    /// Returns when there may be something to read; never when it has ended.
    pub async fn ready(&self) {
        match &self.0 {
            // An error shows when it is read.
            Some(pipe) => drop(pipe.readable().await),
            None => pending().await,
        }
    }

    /// Reads what is there after [`Self::ready`]: how many bytes, which may be none.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let Some(pipe) = &self.0 else { return 0 };
        match pipe.try_read(buffer) {
            Ok(count) if count > 0 => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Ok(_) | Err(_) => {
                self.0 = None;
                0
            }
        }
    }

    /// Reads what is there now, if anything. The pipe itself is asked: the runtime may not have
    /// heard yet that there is something in it.
    pub fn rest(&self, buffer: &mut [u8]) -> usize {
        let Some(pipe) = &self.0 else { return 0 };
        loop {
            match read(pipe.as_fd(), buffer) {
                Err(Errno::EINTR) => {}
                Err(_) => return 0,
                Ok(count) => return count,
            }
        }
    }
}
