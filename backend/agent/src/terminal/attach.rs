//! A viewer of a terminal, on one connection.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use shellport_wire::agent::{Attach, Behind, Refusal, RefusalCode, Response};
use shellport_wire::frame::{Kind, MAX_PAYLOAD};
use shellport_wire::viewer::{Hello, INPUT_WINDOW, Line, ServerMessage, Size, Start, WINDOW};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::Terminal;
use super::listener::Listener;
use super::run::checked;
use super::viewer::{Cursor, Next, Setting};
use super::viewers::Viewer;
use crate::link::{FrameReader, FrameWriter};

/// The most viewers of one terminal.
const MAX_VIEWERS: usize = 256;

/// How long input may go unacknowledged: the echo of a key does not wait for news that nobody waits for.
const ACK_DELAY: Duration = Duration::from_millis(20);

/// And how much of it, so that whoever pastes need not stop.
const ACK_BYTES: u64 = INPUT_WINDOW / 4;

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
    let listener = Rc::clone(&seat.listener);
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
    /// The half that listens; who the viewer is stands there.
    listener: Rc<Listener>,
    /// The last sequence that the client was told, and its snapshot, if one is due.
    told: u64,
    /// When it is to be told the next one at the latest.
    ack_due: Option<Instant>,
    redraw: bool,
    gap: Option<(u64, u64)>,
    /// The size that the client knows.
    size: Size,
    /// The writer where the client is, and of which viewers it has been told; none for it to be told anew.
    writer: Option<u64>,
    version: Option<u64>,
    /// What the client knows of how the terminal treats what is typed.
    line: Option<Line>,
    /// Counts the terminal's viewers, those of earlier starts of its program as well.
    _viewers: Rc<()>,
}

impl Seat {
    fn take(terminal: &Terminal, attach: Attach, fresh: bool) -> Result<(Self, Hello), Refusal> {
        let run = terminal.run();
        let own_size = checked(attach.size)?;
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
            let id = state.viewers.next();
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
                Cursor::resume(since, &state.journal, &state.settings, attach.behind)
            });
            let mut gap = None;
            let end = state.journal.end();
            let current = |offset| Cursor::current(offset, &state.settings, attach.behind);
            let (cursor, setting, start) = match (resumed, attach.behind, since) {
                (Some((cursor, setting)), ..) if fresh => (cursor, setting, Start::Fresh),
                (Some((cursor, setting)), ..) => (cursor, setting, Start::Resumed),
                (None, Behind::Gap, Some(since)) if since < state.journal.start() => {
                    let from = state.journal.start();
                    gap = Some((since, from));
                    let oldest =
                        Cursor::resume(from, &state.journal, &state.settings, attach.behind);
                    let (cursor, setting) =
                        oldest.unwrap_or((current(from), state.settings.current()));
                    (cursor, setting, Start::Gap)
                }
                _ => (current(end), state.settings.current(), Start::Snapshot),
            };
            state.input.join(&client, anonymous);
            let sequence = state.input.sequence(&client);
            let mut hello = Hello {
                terminal: terminal.name.clone(),
                role: attach.role,
                size: setting.size,
                offset: cursor.position(),
                start,
                run: run.id.clone(),
                sequence,
                window: WINDOW,
            };
            let viewer = Viewer {
                role: attach.role,
                size: own_size,
                lags: attach.lags,
                cursor,
                wake: Rc::clone(&wake),
            };
            state.viewers.add(viewer, attach.yields);
            state.settle();
            let mut setting = setting;
            if matches!(start, Start::Fresh | Start::Snapshot) {
                // There is nothing before that was made for another one.
                setting = state.settings.current();
                hello.size = setting.size;
            }
            // It keeps up with what there is, so the program may go on.
            run.resumed.notify_one();
            let allowed = (attach.role, attach.types);
            let listener = Listener::new(Rc::clone(&run), id, client, allowed, wake);
            let seat = Self {
                listener: Rc::new(listener),
                told: sequence,
                ack_due: None,
                redraw: start == Start::Snapshot,
                gap,
                size: setting.size,
                writer: setting.writer,
                version: None,
                line: None,
                _viewers: viewers,
            };
            (seat, hello)
        };
        Ok((seat, hello))
    }

    /// Sends what there is, until the program's end has been sent.
    async fn write(&mut self, writer: &mut FrameWriter) -> io::Result<()> {
        loop {
            match self.step(writer) {
                Step::Send(message) => writer.message(&message).await?,
                Step::Output => writer.flush().await?,
                Step::Again => {}
                Step::Draw => self.draw(writer).await?,
                Step::Last(message) => return writer.message(&message).await,
                Step::Wait => match self.ack_due {
                    Some(due) => drop(timeout_at(due, self.listener.wake.notified()).await),
                    None => self.listener.wake.notified().await,
                },
            }
        }
    }

    /// Sends a snapshot, and goes on where it is valid. It stays due when the journal has moved on
    /// beyond that meanwhile.
    async fn draw(&mut self, writer: &mut FrameWriter) -> io::Result<()> {
        self.redraw = true;
        let (run, id) = (Rc::clone(&self.listener.run), self.listener.id);
        let snapshot = run.snapshot(id).await?;
        let (offset, end) = (snapshot.offset, snapshot.end);
        {
            let mut state = run.state.borrow_mut();
            if offset < state.journal.start() {
                return Ok(());
            }
            run.answer_unsent(&mut state, id, end);
            let Some(viewer) = state.viewers.get_mut(id) else {
                return Ok(());
            };
            viewer.cursor.jump(offset, snapshot.number);
        }
        let Setting { size, writer: who } = snapshot.setting;
        self.redraw = false;
        self.size = size;
        if std::mem::replace(&mut self.writer, who) != who {
            self.version = None;
        }
        run.resumed.notify_one();
        let length = snapshot.bytes.len() as u64;
        let message = ServerMessage::Snapshot {
            offset,
            size,
            length,
        };
        writer.message(&message).await?;
        for part in snapshot.bytes.chunks(MAX_PAYLOAD) {
            writer.bytes(Kind::Snapshot, offset, part).await?;
        }
        Ok(())
    }

    /// What to do next; output is staged.
    fn step(&mut self, writer: &mut FrameWriter) -> Step {
        if let Some(id) = self.listener.pings.borrow_mut().pop_front() {
            return Step::Send(ServerMessage::Pong { id });
        }
        if let Some((from, to)) = self.gap.take() {
            return Step::Send(ServerMessage::Gap { from, to });
        }
        if let Some(message) = self.listener.complaint.take() {
            let code = "role_refused".to_owned();
            return Step::Send(ServerMessage::Notice { code, message });
        }
        let run = Rc::clone(&self.listener.run);
        let mut state = run.state.borrow_mut();
        let state = &mut *state;
        let sequence = state.input.sequence(&self.listener.client);
        if sequence > self.told {
            let now = Instant::now();
            let due = *self.ack_due.get_or_insert(now + ACK_DELAY);
            if due <= now || sequence - self.told >= ACK_BYTES || state.exit.is_some() {
                self.told = sequence;
                self.ack_due = None;
                return Step::Send(ServerMessage::Ack { sequence });
            }
        }
        if self.redraw {
            return Step::Draw;
        }
        if self.version != Some(state.viewers.version()) {
            self.version = Some(state.viewers.version());
            return Step::Send(ServerMessage::Viewers {
                you: self.listener.id,
                writer: self.writer,
                count: state.viewers.len() as u64,
                viewers: state.viewers.presence(),
            });
        }
        if self.line.replace(state.line) != Some(state.line) {
            return Step::Send(ServerMessage::Line(state.line));
        }
        let Some(viewer) = state.viewers.get_mut(self.listener.id) else {
            return Step::Wait;
        };
        match viewer
            .cursor
            .next(&state.journal, &state.settings, MAX_PAYLOAD as u64)
        {
            Next::Output(from, to) => {
                let (front, back) = state.journal.range(from, to);
                writer.stage(Kind::Output, from, [front, back]);
                Step::Output
            }
            Next::Change(Setting { size, writer }) => {
                let offset = viewer.cursor.position();
                if std::mem::replace(&mut self.writer, writer) != writer {
                    self.version = None;
                }
                if std::mem::replace(&mut self.size, size) == size {
                    return Step::Again;
                }
                Step::Send(ServerMessage::Resize { size, offset })
            }
            Next::Gap(from, to) => Step::Send(ServerMessage::Gap { from, to }),
            Next::Snapshot => Step::Draw,
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
        let (run, id) = (&self.listener.run, self.listener.id);
        let mut state = run.state.borrow_mut();
        run.answer_unsent(&mut state, id, u64::MAX);
        state.viewers.remove(id);
        state.input.leave(&self.listener.client);
        state.settle();
        run.resumed.notify_one();
    }
}

enum Step {
    Send(ServerMessage),
    Output,
    /// Nothing, but there may be more.
    Again,
    /// A snapshot.
    Draw,
    Last(ServerMessage),
    Wait,
}
