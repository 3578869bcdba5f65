//! A viewer of a terminal, on one connection.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use nix::sys::signal::Signal;
use shellport_wire::agent::{Attach, Behind, Refusal, RefusalCode, Response};
use shellport_wire::frame::{Frame, Kind, MAX_PAYLOAD};
use shellport_wire::viewer::{
    ClientMessage, Hello, INPUT_WINDOW, Role, ServerMessage, Start, WINDOW,
};
use tokio::sync::Notify;

use super::Terminal;
use super::run::{JOURNAL, Run, Viewer};
use super::viewer::{Cursor, Next};
use crate::link::{FrameReader, FrameWriter};

/// The most viewers of one terminal.
const MAX_VIEWERS: usize = 256;

/// The most pings that may wait for their answers.
const MAX_PINGS: usize = 16;

/// Signals that a viewer may send.
const SIGNALS: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGKILL,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// Serves a viewer until its program has ended or the connection has.
///
/// # Errors
/// Those of the connection.
pub async fn serve(
    terminal: Rc<Terminal>,
    attach: Attach,
    fresh: bool,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> io::Result<()> {
    let (mut seat, hello) = match Seat::take(&terminal, attach, fresh) {
        Ok(taken) => taken,
        Err(refusal) => return writer.message(&Response::Error(refusal)).await,
    };
    writer.message(&ServerMessage::Hello(hello)).await?;
    // Both at once: input must reach a program that is blocked on its own output.
    let listener = seat.listener();
    let refusal = tokio::select! {
        read = listener.read(reader) => read?,
        () = listener.deliver() => unreachable!("it only ends by being dropped"),
        written = seat.write(writer) => return written,
    };
    match refusal {
        Some(refusal) if writer.is_between_frames() => {
            writer.message(&Response::Error(refusal)).await
        }
        _ => Ok(()),
    }
}

/// A viewer's place among a terminal's viewers; it is left when this is dropped.
struct Seat {
    run: Rc<Run>,
    id: u64,
    client: Rc<str>,
    role: Role,
    wake: Rc<Notify>,
    pings: Rc<RefCell<VecDeque<u64>>>,
    /// The last sequence that the client was told, and its snapshot, if one is due.
    told: u64,
    redraw: bool,
    gap: Option<(u64, u64)>,
    /// Counts the terminal's viewers, those of earlier starts of its program as well.
    _viewers: Rc<()>,
}

impl Seat {
    fn take(terminal: &Terminal, attach: Attach, fresh: bool) -> Result<(Self, Hello), Refusal> {
        let run = terminal.run();
        if attach.role == Role::Writer {
            run.resize(attach.size)?;
        }
        let wake = Rc::new(Notify::new());
        let (seat, hello) = {
            let mut state = run.state.borrow_mut();
            let viewers = Rc::clone(&terminal.viewers);
            if Rc::strong_count(&viewers) > MAX_VIEWERS + 1 {
                return Err(Refusal {
                    code: RefusalCode::TooMany,
                    message: format!("the terminal has {MAX_VIEWERS} viewers already"),
                });
            }
            let id = state.next_viewer;
            state.next_viewer += 1;
            let anonymous = attach.client.is_none();
            let client: Rc<str> = attach.client.unwrap_or_else(|| format!(" {id}")).into();

            // Offsets of another run are of another screen.
            let same_run = attach.run.is_none_or(|id| id == run.id);
            let since = if fresh {
                Some(state.journal.start())
            } else {
                attach.since.filter(|_| same_run)
            };
            let resumed = since.and_then(|since| {
                Cursor::resume(since, &state.journal, &state.sizes, attach.behind)
            });
            let mut gap = None;
            let (cursor, size, start) = match (resumed, attach.behind, since) {
                (Some((cursor, size)), ..) if fresh => (cursor, size, Start::Fresh),
                (Some((cursor, size)), ..) => (cursor, size, Start::Resumed),
                (None, Behind::Gap, Some(since)) if since < state.journal.start() => {
                    let from = state.journal.start();
                    gap = Some((since, from));
                    let (cursor, size) =
                        Cursor::resume(from, &state.journal, &state.sizes, attach.behind)
                            .unwrap_or((
                                Cursor::current(from, &state.sizes, attach.behind),
                                state.sizes.current(),
                            ));
                    (cursor, size, Start::Gap)
                }
                _ => {
                    let end = state.journal.end();
                    let cursor = Cursor::current(end, &state.sizes, attach.behind);
                    (cursor, state.sizes.current(), Start::Snapshot)
                }
            };
            state.input.join(&client, anonymous);
            let sequence = state.input.sequence(&client);
            let hello = Hello {
                terminal: terminal.name.clone(),
                role: attach.role,
                size,
                offset: cursor.position(),
                start,
                run: run.id.clone(),
                sequence,
                window: WINDOW,
            };
            let viewer = Viewer {
                answers: attach.role == Role::Writer && start != Start::Snapshot,
                cursor,
                wake: Rc::clone(&wake),
            };
            state.viewers.insert(id, viewer);
            // It keeps up with what there is, so the program may go on.
            run.resumed.notify_one();
            let seat = Self {
                run: Rc::clone(&run),
                id,
                client,
                role: attach.role,
                wake,
                pings: Rc::default(),
                _viewers: viewers,
                told: sequence,
                redraw: start == Start::Snapshot,
                gap,
            };
            (seat, hello)
        };
        Ok((seat, hello))
    }

    fn listener(&self) -> Listener {
        Listener {
            run: Rc::clone(&self.run),
            id: self.id,
            client: Rc::clone(&self.client),
            role: self.role,
            wake: Rc::clone(&self.wake),
            pings: Rc::clone(&self.pings),
            arrived: RefCell::default(),
            arrival: Notify::new(),
        }
    }

    /// Sends what there is, until the program's end has been sent.
    async fn write(&mut self, writer: &mut FrameWriter) -> io::Result<()> {
        loop {
            match self.step(writer) {
                Step::Send(message) => writer.message(&message).await?,
                Step::Output => writer.flush().await?,
                Step::Draw => self.draw(writer).await?,
                Step::Last(message) => return writer.message(&message).await,
                Step::Wait => self.wake.notified().await,
            }
        }
    }

    /// Sends a snapshot, and goes on where it is valid. It stays due when the journal has moved on
    /// beyond that meanwhile.
    async fn draw(&mut self, writer: &mut FrameWriter) -> io::Result<()> {
        self.redraw = true;
        let place = self.run.canvas.place().await;
        let (snapshot, end, size, number) = {
            let mut state = self.run.state.borrow_mut();
            // Queries until now are in no snapshot; those after it reach this viewer.
            if let Some(viewer) = state.viewers.get_mut(&self.id) {
                viewer.answers = self.role == Role::Writer;
            }
            let (size, number) = (state.sizes.current(), state.sizes.last());
            let snapshot = self.run.canvas.snapshot(size, place);
            (snapshot, state.journal.end(), size, number)
        };
        let (bytes, tail) = snapshot.await.map_err(io::Error::other)?;
        let offset = {
            let mut state = self.run.state.borrow_mut();
            // The begin of a very long sequence would be gone before it is sent, and what is left
            // of it would only be text.
            let offset = if tail > JOURNAL as u64 / 2 {
                end
            } else {
                end - tail
            };
            if offset < state.journal.start() {
                return Ok(());
            }
            let Some(viewer) = state.viewers.get_mut(&self.id) else {
                return Ok(());
            };
            viewer.cursor.jump(offset, number);
            offset
        };
        self.redraw = false;
        self.run.resumed.notify_one();
        let length = bytes.len() as u64;
        let snapshot = ServerMessage::Snapshot {
            offset,
            size,
            length,
        };
        writer.message(&snapshot).await?;
        for part in bytes.chunks(MAX_PAYLOAD) {
            writer.bytes(Kind::Snapshot, offset, part).await?;
        }
        Ok(())
    }

    /// What to do next; output is staged.
    fn step(&mut self, writer: &mut FrameWriter) -> Step {
        if let Some(id) = self.pings.borrow_mut().pop_front() {
            return Step::Send(ServerMessage::Pong { id });
        }
        if let Some((from, to)) = self.gap.take() {
            return Step::Send(ServerMessage::Gap { from, to });
        }
        let run = Rc::clone(&self.run);
        let mut state = run.state.borrow_mut();
        let state = &mut *state;
        let sequence = state.input.sequence(&self.client);
        if sequence > self.told {
            self.told = sequence;
            return Step::Send(ServerMessage::Ack { sequence });
        }
        let Some(viewer) = state.viewers.get_mut(&self.id) else {
            return Step::Wait;
        };
        if self.redraw {
            return Step::Draw;
        }
        match viewer
            .cursor
            .next(&state.journal, &state.sizes, MAX_PAYLOAD as u64)
        {
            Next::Output(from, to) => {
                let (front, back) = state.journal.range(from, to);
                writer.stage(Kind::Output, from, [front, back]);
                Step::Output
            }
            Next::Resize(size) => {
                let offset = viewer.cursor.position();
                Step::Send(ServerMessage::Resize { size, offset })
            }
            Next::Gap(from, to) => Step::Send(ServerMessage::Gap { from, to }),
            Next::Snapshot => {
                viewer.answers = false;
                Step::Draw
            }
            Next::Wait => Step::Wait,
            Next::UpToDate => match &state.exit {
                Some(exit) => Step::Last(ServerMessage::Exit {
                    exit: exit.clone(),
                    offset: state.journal.end(),
                }),
                None => Step::Wait,
            },
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.run.state.borrow_mut();
        state.viewers.remove(&self.id);
        state.input.leave(&self.client);
        self.run.resumed.notify_one();
    }
}

enum Step {
    Send(ServerMessage),
    Output,
    /// A snapshot.
    Draw,
    Last(ServerMessage),
    Wait,
}

/// The half of a viewer that listens to its client.
struct Listener {
    run: Rc<Run>,
    id: u64,
    client: Rc<str>,
    role: Role,
    wake: Rc<Notify>,
    pings: Rc<RefCell<VecDeque<u64>>>,
    arrived: RefCell<Arrived>,
    arrival: Notify,
}

impl Listener {
    /// Takes in what the client sends, until it goes or is refused.
    async fn read(&self, reader: &mut FrameReader) -> io::Result<Option<Refusal>> {
        while let Some(bytes) = reader.next().await? {
            let taken = match Frame::decode(&bytes) {
                Ok(Frame::Bytes {
                    kind: Kind::Input,
                    position,
                    payload,
                }) => self.input(position, &payload),
                Ok(Frame::Message(text)) => self.message(&text),
                Ok(Frame::Bytes { kind, .. }) => {
                    Err(format!("{kind:?} frames come from the terminal, not to it"))
                }
                Err(error) => Err(error.to_string()),
            };
            if let Err(message) = taken {
                return Ok(Some(Refusal {
                    code: RefusalCode::Invalid,
                    message,
                }));
            }
        }
        Ok(None)
    }

    /// Takes input in without waiting: behind it may come what lets the program go on.
    fn input(&self, position: u64, bytes: &[u8]) -> Result<(), String> {
        self.writes("input")?;
        let mut arrived = self.arrived.borrow_mut();
        let sequence = self.run.state.borrow().input.sequence(&self.client);
        arrived.skip_to(sequence);
        let expected = arrived.end();
        let Some(known) = expected.checked_sub(position) else {
            return Err(format!("input at {position}; expected at most {expected}"));
        };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let fresh = bytes.get(known..).unwrap_or_default();
        arrived.bytes.extend_from_slice(fresh);
        if arrived.bytes.len() as u64 > INPUT_WINDOW {
            return Err(format!(
                "more than {INPUT_WINDOW} bytes of input beyond the acknowledged sequence"
            ));
        }
        self.arrival.notify_one();
        Ok(())
    }

    /// Gives the terminal what has arrived as it has room, for ever.
    async fn deliver(&self) {
        loop {
            let room = self.run.room.notified();
            let waits = {
                let mut arrived = self.arrived.borrow_mut();
                let mut state = self.run.state.borrow_mut();
                arrived.skip_to(state.input.sequence(&self.client));
                if state.exit.is_some() {
                    // Nobody is left to read it; the exit is on its way.
                    let all = arrived.bytes.len();
                    arrived.skip(all);
                }
                let taken = state.input.take(&self.client, &arrived.bytes);
                arrived.skip(taken);
                if taken > 0 {
                    self.run.typed.notify_one();
                    self.wake.notify_one();
                }
                !arrived.bytes.is_empty()
            };
            if waits {
                room.await;
            } else {
                self.arrival.notified().await;
            }
        }
    }

    fn message(&self, text: &str) -> Result<(), String> {
        match serde_json::from_str(text).map_err(|error| error.to_string())? {
            ClientMessage::Ack { offset } => {
                let mut state = self.run.state.borrow_mut();
                if let Some(viewer) = state.viewers.get_mut(&self.id) {
                    viewer.cursor.acknowledge(offset);
                }
                self.run.resumed.notify_one();
            }
            ClientMessage::Resize(size) => {
                let size = size.checked().map_err(|error| error.to_string())?;
                if self.role == Role::Writer {
                    self.run.resize(size).map_err(|refusal| refusal.message)?;
                }
            }
            ClientMessage::Signal { signal } => {
                self.writes("signals")?;
                let signal = SIGNALS
                    .into_iter()
                    .find(|known| known.as_str() == signal)
                    .ok_or_else(|| {
                        let known = SIGNALS.map(Signal::as_str).join(", ");
                        format!("signal: {signal:?} is not one of {known}")
                    })?;
                self.run.signal(signal);
            }
            ClientMessage::Ping { id } => {
                let mut pings = self.pings.borrow_mut();
                if pings.len() >= MAX_PINGS {
                    return Err(format!(
                        "more than {MAX_PINGS} pings without reading a pong"
                    ));
                }
                pings.push_back(id);
            }
        }
        self.wake.notify_one();
        Ok(())
    }

    fn writes(&self, what: &str) -> Result<(), String> {
        match self.role {
            Role::Writer => Ok(()),
            Role::Reader => Err(format!("a reader sends no {what}")),
        }
    }
}

/// Input that the terminal has no room for yet, at most a window of it.
#[derive(Default)]
struct Arrived {
    /// The sequence of the first byte.
    position: u64,
    bytes: Vec<u8>,
}

impl Arrived {
    fn end(&self) -> u64 {
        self.position + self.bytes.len() as u64
    }

    fn skip(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.position += count as u64;
    }

    /// Passes over what the same client has sent on another connection, the one before a reconnect
    /// whose end has not been noticed yet.
    fn skip_to(&mut self, sequence: u64) {
        let known = sequence.saturating_sub(self.position);
        self.skip(usize::try_from(known).map_or(self.bytes.len(), |it| it.min(self.bytes.len())));
        self.position = self.position.max(sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::Arrived;

    #[test]
    fn what_came_on_another_connection_is_passed_over() {
        let mut arrived = Arrived {
            position: 10,
            bytes: b"abcdef".to_vec(),
        };
        arrived.skip_to(8);
        assert_eq!((arrived.position, &arrived.bytes[..]), (10, &b"abcdef"[..]));
        arrived.skip_to(12);
        assert_eq!((arrived.position, &arrived.bytes[..]), (12, &b"cdef"[..]));
        arrived.skip_to(100);
        assert_eq!((arrived.end(), arrived.bytes.len()), (100, 0));
    }
}
