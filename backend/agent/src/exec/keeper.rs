//! The keeper of an exec: a small process of ours between the agent and the exec's program.
//!
//! A process that forks away from its parent becomes a child of the agent, like any other orphan, and
//! nobody could tell any more which exec has left it behind. With a keeper it becomes the keeper's
//! child, so that whatever is below the keeper is the exec. It ends when nothing is.
//!
//! The agent sends the arguments of `launch`, four bytes of length and a JSON array, on a socket rather
//! than a command line, which is for everyone to see. What comes back are [`Word`]s: the first is from
//! `launch` itself, which becomes the program only when the agent has answered. A program that kills its
//! keeper at once is known by then.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream as StdStream;
use std::process::Command;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getpid};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::oneshot;

use crate::launch::Launch;
use crate::reaper::{Ended, Process, Reaper};
use crate::system;

/// What a keeper tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The program is this process.
    Started(Pid),
    /// It has exited with this code.
    Exited(i32),
    /// This signal has ended it.
    Signaled(i32),
}

/// Bytes of a word: what it says, and a number.
const WORD: usize = 5;

/// With which the agent answers that it knows of a program.
const GO: u8 = b'g';

impl Word {
    fn encode(self) -> [u8; WORD] {
        let (kind, number) = match self {
            Self::Started(pid) => (b'p', pid.as_raw()),
            Self::Exited(code) => (b'c', code),
            Self::Signaled(signal) => (b's', signal),
        };
        let [a, b, c, d] = number.to_be_bytes();
        [kind, a, b, c, d]
    }

    fn decode([kind, a, b, c, d]: [u8; WORD]) -> Option<Self> {
        let number = i32::from_be_bytes([a, b, c, d]);
        match kind {
            b'p' => Some(Self::Started(Pid::from_raw(number))),
            b'c' => Some(Self::Exited(number)),
            b's' => Some(Self::Signaled(number)),
            _ => None,
        }
    }
}

/// The agent's side of a keeper.
#[derive(Debug)]
pub struct Keeper {
    pub process: Process,
    words: OwnedReadHalf,
    /// Lets the program begin.
    go: Option<oneshot::Sender<()>>,
    /// The beginning of the next word.
    begun: Vec<u8>,
}

impl Keeper {
    /// Starts `launch` below a keeper, which `command` becomes: it has the program's streams.
    ///
    /// # Errors
    /// When there are no more descriptors or processes.
    pub fn start(command: &mut Command, launch: &Launch, reaper: &Reaper) -> io::Result<Self> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let (words, mut arguments) = UnixStream::from_std(ours)?.into_split();
        command.args(["keep", &theirs.as_raw_fd().to_string()]);
        // No other process is started meanwhile: only this thread starts any.
        fcntl_setfd(&theirs, FdFlags::empty())?;
        let process = reaper.spawn(|| {
            let child = command.spawn()?;
            i32::try_from(child.id())
                .map(Pid::from_raw)
                .map_err(io::Error::other)
        })?;
        let mut message = vec![0; 4];
        serde_json::to_writer(&mut message, &launch.arguments)?;
        let length = u32::try_from(message.len() - 4).map_err(io::Error::other)?;
        message[..4].copy_from_slice(&length.to_be_bytes());
        let (go, may_go) = oneshot::channel();
        // A keeper that does not take them has ended, which shows.
        tokio::task::spawn_local(async move {
            arguments.write_all(&message).await.ok()?;
            may_go.await.ok()?;
            arguments.write_all(&[GO]).await.ok()
        });
        Ok(Self {
            process,
            words,
            go: Some(go),
            begun: Vec::new(),
        })
    }

    /// Lets the program begin, of which it has told.
    pub fn go(&mut self) {
        if let Some(go) = self.go.take() {
            let _ = go.send(());
        }
    }

    /// What it tells next; none when it has ended. Safe to cancel.
    pub async fn word(&mut self) -> Option<Word> {
        loop {
            if let Ok(word) = <[u8; WORD]>::try_from(&self.begun[..]) {
                self.begun.clear();
                return Word::decode(word);
            }
            self.words.readable().await.ok()?;
            let mut buffer = [0; WORD];
            match self.words.try_read(&mut buffer[self.begun.len()..]) {
                Ok(0) => return None,
                Ok(count) => {
                    let from = self.begun.len();
                    self.begun.extend_from_slice(&buffer[from..from + count]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
    }
}

/// Runs `keep SOCKET` until nothing is left below this process.
///
/// # Errors
/// When the program cannot be started at all.
pub fn main(socket: RawFd) -> io::Result<()> {
    let mut agent = StdStream::from(system::inherited(socket)?);
    let mut length = [0; 4];
    agent.read_exact(&mut length)?;
    let mut arguments = Vec::new();
    let length = u64::from(u32::from_be_bytes(length));
    (&agent).take(length).read_to_end(&mut arguments)?;
    let arguments: Vec<String> = serde_json::from_slice(&arguments)?;
    // Where the kernel has no such thing, orphans are the agent's, as they always were.
    let _ = set_child_subreaper(true);
    fcntl_setfd(&agent, FdFlags::empty())?;
    let child = Command::new("/proc/self/exe")
        .args(["launch", "--session"])
        .arg(format!("--tell={socket}"))
        .args(arguments)
        .spawn();
    let child = match child {
        Ok(child) => child,
        Err(error) => {
            complain(&error);
            return agent.write_all(&Word::Exited(126).encode());
        }
    };
    let program = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    release_streams()?;
    // It ends with its children, whatever is sent to all processes.
    SigSet::all().thread_block()?;
    loop {
        let (pid, ended) = match system::ended_child() {
            Ok(ended) => ended,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Ok(()),
        };
        if pid == program {
            // Told before it is waited for: were this process killed in between, nobody would know how it ended.
            let word = match ended {
                Ended::Code(code) => Word::Exited(code),
                Ended::Signal(signal) => Word::Signaled(signal),
                Ended::Oom => Word::Signaled(Signal::SIGKILL as i32),
            };
            agent.write_all(&word.encode())?;
        }
        let _ = waitpid(pid, None);
    }
}

/// Tells the agent, in `launch`, which process the program will be, and waits until it knows.
///
/// # Errors
/// When there is no such socket, or the agent is not there any more.
pub fn tell_started(socket: RawFd) -> io::Result<()> {
    let mut agent = StdStream::from(system::inherited(socket)?);
    agent.write_all(&Word::Started(getpid()).encode())?;
    agent.read_exact(&mut [0])
}

/// Says why there is no program, where its own errors would go.
#[expect(clippy::print_stderr, reason = "the program's own standard error")]
fn complain(error: &io::Error) {
    eprintln!("shellport: cannot start a process: {error}");
}

/// Closes the program's streams here: it would not see the end of its input, nor others that of its
/// output, as long as somebody has them open.
fn release_streams() -> io::Result<()> {
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for word in [
            Word::Started(Pid::from_raw(70_000)),
            Word::Exited(255),
            Word::Signaled(9),
        ] {
            assert_eq!(Word::decode(word.encode()), Some(word));
        }
        assert_eq!(Word::decode(*b"x0000"), None);
    }
}
