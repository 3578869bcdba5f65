//! The task that runs a command: from its pipes to its journals, and to its end.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::rc::Rc;

use nix::unistd::Pid;
use shellport_wire::exit::Reason;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::keeper::{Keeper, Word};
use super::pipe::{MAX_PIPE, Output, Started};
use super::{Exec, Program};
use crate::ended;
use crate::reaper::{Ended, Reaper};

/// The most that is read before others get their turn.
const READ: usize = 16 * 1024;

/// Runs `exec` to its end. Its keeper goes on as long as anything is left of it.
pub async fn run(
    exec: &Rc<Exec>,
    started: Started,
    deadline: Option<Instant>,
    reaper: &Reaper,
) -> Keeper {
    let Started {
        mut keeper,
        stdin,
        outputs,
    } = started;
    let mut run = Run {
        exec,
        outputs,
        buffer: vec![0; READ],
        deadline,
        forced: None,
    };
    let seen = tokio::select! {
        seen = run.watch(Watched::new(&mut keeper, exec, reaper)) => seen,
        never = feed(exec, stdin) => match never {},
    };
    let stopping = {
        let mut state = exec.state.borrow_mut();
        if let Some(leader) = state.program.leader() {
            reaper.forget(leader);
        }
        state.program = Program::Ended;
        state.input.close();
        state.stopping
    };
    // Whatever it wrote is in the pipes; a process it left behind may keep them open for ever.
    for stream in 0..run.outputs.len() {
        run.drain(stream).await;
    }
    let forced = run.forced.or(stopping.then_some(Reason::Stopped));
    exec.finish(ended::exit(seen, forced));
    keeper
}

/// A program that starts, and ends.
struct Watched<'a> {
    keeper: &'a mut Keeper,
    exec: &'a Exec,
    reaper: &'a Reaper,
    /// Without its keeper, the program is the agent's own child.
    orphaned: Option<oneshot::Receiver<Ended>>,
    has_keeper: bool,
}

impl<'a> Watched<'a> {
    fn new(keeper: &'a mut Keeper, exec: &'a Exec, reaper: &'a Reaper) -> Self {
        Self {
            keeper,
            exec,
            reaper,
            orphaned: None,
            has_keeper: true,
        }
    }

    /// How it ended. Safe to cancel and to call again.
    async fn ended(&mut self) -> ended::Seen {
        while self.has_keeper {
            match self.keeper.word().await {
                Some(Word::Started(pid)) => self.started(pid),
                Some(Word::Exited(code)) => return Some(Ended::Code(code)),
                Some(Word::Signaled(signal)) => return Some(self.reaper.by_signal(signal)),
                None => self.has_keeper = false,
            }
        }
        ended::seen(self.orphaned.as_mut()?.await)
    }

    fn started(&mut self, pid: Pid) {
        self.orphaned = Some(self.reaper.watch(pid));
        self.keeper.go();
        self.exec.state.borrow_mut().program = Program::Runs(pid);
        self.exec.news.notify_waiters();
    }
}

/// Gives the command its input, and holds the pipe no longer than there is any.
async fn feed(exec: &Exec, stdin: Option<pipe::Sender>) -> Infallible {
    if let Some(stdin) = stdin {
        while write(exec, &stdin).await {}
    }
    exec.state.borrow_mut().input.close();
    pending().await
}

/// Writes what there is. Returns whether more may follow.
async fn write(exec: &Exec, stdin: &pipe::Sender) -> bool {
    if stdin.writable().await.is_err() {
        return false;
    }
    {
        let mut state = exec.state.borrow_mut();
        match state.input.front() {
            None => return false,
            Some(b"") => {}
            Some(bytes) => match stdin.try_write(bytes) {
                Ok(count) => {
                    state.input.pop(count);
                    exec.news.notify_waiters();
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                // It has closed its input, which ends nothing else.
                Err(_) => return false,
            },
        }
    }
    exec.typed.notified().await;
    true
}

struct Run<'a> {
    exec: &'a Rc<Exec>,
    outputs: [Output; 2],
    buffer: Vec<u8>,
    deadline: Option<Instant>,
    forced: Option<Reason>,
}

impl Run<'_> {
    /// Journals the output until the process has ended.
    async fn watch(&mut self, mut program: Watched<'_>) -> ended::Seen {
        loop {
            let exec = self.exec;
            let [stdout, stderr] = [exec.room(0), exec.room(1)];
            tokio::select! {
                () = self.outputs[0].ready(), if stdout > 0 => self.read(0, stdout),
                () = self.outputs[1].ready(), if stderr > 0 => self.read(1, stderr),
                seen = program.ended() => return seen,
                () = exec.poke.notified() => {}
                () = at(self.deadline) => {
                    self.deadline = None;
                    self.forced = Some(Reason::Timeout);
                    self.end();
                }
                () = at(exec.lonely_at()) => exec.give_up(exec.grace),
            }
        }
    }

    fn end(&self) {
        let exec = Rc::clone(self.exec);
        tokio::task::spawn_local(async move { exec.end(exec.grace).await });
    }

    fn read(&mut self, stream: usize, room: usize) {
        let buffer = &mut self.buffer[..room.min(READ)];
        let count = self.outputs[stream].read(buffer);
        if count > 0 {
            self.exec.push(stream, &buffer[..count]);
        }
    }

    /// Journals what is in the pipe now, and not what others may go on to write for ever.
    async fn drain(&mut self, stream: usize) {
        let mut left = MAX_PIPE;
        while left > 0 {
            let room = self.exec.room(stream);
            if room == 0 {
                if self.forced.is_some() || self.exec.state.borrow().stopping {
                    self.exec.abandon();
                    continue;
                }
                tokio::select! {
                    () = self.exec.poke.notified() => {}
                    () = at(self.deadline) => self.exec.abandon(),
                    () = at(self.exec.lonely_at()) => self.exec.abandon(),
                }
                continue;
            }
            let buffer = &mut self.buffer[..room.min(READ).min(left)];
            let count = self.outputs[stream].rest(buffer);
            if count == 0 {
                return;
            }
            self.exec.push(stream, &buffer[..count]);
            left -= count;
        }
    }
}

/// Returns at `instant`; never when there is none.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
