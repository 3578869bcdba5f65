//! An exec: one command without a PTY, for the time of one connection.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{Pid, read};
use shellport_wire::agent::{Exec, ExecInput, Refusal, RefusalCode, Response};
use shellport_wire::exit::Reason;
use shellport_wire::frame::{Frame, Kind, MAX_PAYLOAD};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::time::{Instant, interval_at, sleep_until};

use crate::agent::Agent;
use crate::ended;
use crate::launch::Launch;
use crate::link::{FrameReader, FrameWriter};
use crate::processes::{self, Scope};
use crate::reaper::{Process, Reaper};

/// Between asking a command to end and killing it.
const GRACE: Duration = Duration::from_secs(2);

/// The most that is in a pipe, unless root has allowed more (`/proc/sys/fs/pipe-max-size`).
const MAX_PIPE: u64 = 1024 * 1024;

/// How often a silent exec says that it is there, and so finds out that its client is not.
const ALIVE: Duration = Duration::from_secs(5);

/// Runs `exec`, streams its output, and says how it ended. When the connection goes first, the
/// command is ended.
///
/// # Errors
/// Those of the connection.
pub async fn serve(
    exec: Exec,
    agent: &Agent,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> io::Result<()> {
    let timeout = exec.timeout_ms.map(Duration::from_millis);
    let (process, stdin, mut stdout, mut stderr) = match start(&exec, agent.reaper()) {
        Ok(started) => started,
        Err(refusal) => return writer.message(&Response::Error(refusal)).await,
    };
    let leader = process.pid;
    let mut run = Run {
        process,
        stdout: &mut stdout,
        stderr: &mut stderr,
        deadline: timeout.map(|timeout| Instant::now() + timeout),
    };
    let result = tokio::select! {
        result = run.follow(agent, writer) => result,
        result = feed(reader, stdin) => Err(result.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
    };
    if result.is_err() {
        tokio::task::spawn_local(processes::end(Scope::Session(leader), GRACE));
    }
    result
}

struct Run<'a> {
    process: Process,
    stdout: &'a mut Output,
    stderr: &'a mut Output,
    deadline: Option<Instant>,
}

impl Run<'_> {
    async fn follow(&mut self, agent: &Agent, writer: &mut FrameWriter) -> io::Result<()> {
        let mut forced = None;
        let mut alive = interval_at(Instant::now() + ALIVE, ALIVE);
        let seen = loop {
            let deadline = self.deadline;
            let timed_out = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = self.stdout.read() => self.stdout.send(writer).await?,
                () = self.stderr.read() => self.stderr.send(writer).await?,
                seen = &mut self.process.ended => break ended::seen(seen),
                () = timed_out => {
                    self.deadline = None;
                    forced = Some(Reason::Timeout);
                    let scope = Scope::Session(self.process.pid);
                    tokio::task::spawn_local(processes::end(scope, GRACE));
                }
                _ = alive.tick() => writer.message(&Response::Alive).await?,
            }
        };
        let forced = forced.or(agent.is_ending().then_some(Reason::Stopped));
        // Whatever it wrote is in the pipes; a process it left behind may keep them open for ever.
        self.stdout.drain(writer).await?;
        self.stderr.drain(writer).await?;
        writer
            .message(&Response::ExecExit {
                exit: ended::exit(seen, forced),
                stdout: self.stdout.offset,
                stderr: self.stderr.offset,
            })
            .await
    }
}

/// One of the command's output streams.
struct Output {
    kind: Kind,
    pipe: Option<pipe::Receiver>,
    offset: u64,
    buffer: Vec<u8>,
    filled: usize,
}

impl Output {
    fn new(kind: Kind, fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            kind,
            pipe: Some(pipe::Receiver::from_owned_fd(fd)?),
            offset: 0,
            buffer: vec![0; MAX_PAYLOAD],
            filled: 0,
        })
    }

    /// Waits for output; for ever after the end of it. Safe to cancel.
    async fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else {
            return pending().await;
        };
        match pipe.read(&mut self.buffer).await {
            Ok(0) | Err(_) => self.pipe = None,
            Ok(count) => self.filled = count,
        }
    }

    async fn send(&mut self, writer: &mut FrameWriter) -> io::Result<()> {
        let count = std::mem::take(&mut self.filled);
        if count == 0 {
            return Ok(());
        }
        let bytes = &self.buffer[..count];
        writer.bytes(self.kind, self.offset, bytes).await?;
        self.offset += count as u64;
        Ok(())
    }

    /// Sends what is in the pipe now, and not what others may go on to write for ever.
    ///
    /// The pipe itself is asked: the runtime may not have heard yet that there is something in it.
    async fn drain(&mut self, writer: &mut FrameWriter) -> io::Result<()> {
        let end = self.offset + MAX_PIPE;
        while self.offset <= end {
            self.send(writer).await?;
            let Some(pipe) = &self.pipe else {
                return Ok(());
            };
            match read(pipe.as_fd(), &mut self.buffer) {
                Err(Errno::EINTR) => {}
                Ok(0) | Err(_) => return Ok(()),
                Ok(count) => self.filled = count,
            }
        }
        self.send(writer).await
    }
}

/// Gives the command its input, and then waits for the connection to end.
async fn feed(reader: &mut FrameReader, mut stdin: Option<pipe::Sender>) -> io::Result<()> {
    let mut expected = 0;
    while let Some(bytes) = reader.next().await? {
        match Frame::decode(&bytes).map_err(io::Error::other)? {
            Frame::Bytes {
                kind: Kind::Input,
                position,
                payload,
            } if position == expected => {
                expected += payload.len() as u64;
                let written = match &mut stdin {
                    Some(pipe) => pipe.write_all(&payload).await,
                    None => Ok(()),
                };
                if written.is_err() {
                    // It has closed its input, which ends nothing else.
                    stdin = None;
                }
            }
            Frame::Message(text) => match serde_json::from_str(&text)? {
                ExecInput::End => stdin = None,
            },
            Frame::Bytes { .. } => return Err(io::Error::other("not the next input")),
        }
    }
    Ok(())
}

type Started = (Process, Option<pipe::Sender>, Output, Output);

fn start(exec: &Exec, reaper: &Reaper) -> Result<Started, Refusal> {
    if exec.program.argv.is_empty() {
        return Err(Refusal {
            code: RefusalCode::Invalid,
            message: "argv: an exec needs at least one argument".to_owned(),
        });
    }
    let launch = Launch::new(&exec.program, &[])?;
    spawn(&launch, exec.stdin, reaper).map_err(|error| Refusal {
        code: RefusalCode::StartFailed,
        message: format!("cannot start a process: {error}"),
    })
}

fn spawn(launch: &Launch, stdin: bool, reaper: &Reaper) -> io::Result<Started> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["launch", "--session"])
        .args(&launch.arguments)
        .env_clear()
        .envs(&launch.env)
        .stdin(if stdin { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut pipes = None;
    let process = reaper.spawn(|| {
        let mut child = command.spawn()?;
        pipes = Some((child.stdin.take(), child.stdout.take(), child.stderr.take()));
        i32::try_from(child.id())
            .map(Pid::from_raw)
            .map_err(io::Error::other)
    })?;
    let (stdin, stdout, stderr) = pipes.expect("set by the spawn that succeeded");
    let stdin = stdin
        .map(|stdin| pipe::Sender::from_owned_fd(stdin.into()))
        .transpose()?;
    let stdout = Output::new(Kind::Output, stdout.expect("piped").into())?;
    let stderr = Output::new(Kind::Stderr, stderr.expect("piped").into())?;
    Ok((process, stdin, stdout, stderr))
}
