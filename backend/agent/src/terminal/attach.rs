//! A viewer of a terminal, on one connection.

use std::io;
use std::rc::Rc;

use shellport_wire::agent::{Attach, Behind, Refusal, RefusalCode, Response};
use shellport_wire::frame::{Kind, MAX_PAYLOAD};
use shellport_wire::viewer::{Hello, Role, ServerMessage, Start, WINDOW};
use tokio::sync::Notify;

use super::Terminal;
use super::listener::Listener;
use super::run::{JOURNAL, Viewer};
use super::viewer::{Cursor, Next};
use crate::link::{FrameReader, FrameWriter};

/// The most viewers of one terminal.
const MAX_VIEWERS: usize = 256;

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
            let listener = Listener::new(Rc::clone(&run), id, client, attach.role, wake);
            let seat = Self {
                listener: Rc::new(listener),
                told: sequence,
                redraw: start == Start::Snapshot,
                gap,
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
                Step::Draw => self.draw(writer).await?,
                Step::Last(message) => return writer.message(&message).await,
                Step::Wait => self.listener.wake.notified().await,
            }
        }
    }

    /// Sends a snapshot, and goes on where it is valid. It stays due when the journal has moved on
    /// beyond that meanwhile.
    async fn draw(&mut self, writer: &mut FrameWriter) -> io::Result<()> {
        self.redraw = true;
        let place = self.listener.run.canvas.place().await;
        let (snapshot, end, size, number) = {
            let mut state = self.listener.run.state.borrow_mut();
            // Queries until now are in no snapshot; those after it reach this viewer.
            if let Some(viewer) = state.viewers.get_mut(&self.listener.id) {
                viewer.answers = self.listener.role == Role::Writer;
            }
            let (size, number) = (state.sizes.current(), state.sizes.last());
            let snapshot = self.listener.run.canvas.snapshot(size, place);
            (snapshot, state.journal.end(), size, number)
        };
        let (bytes, tail) = snapshot.await.map_err(io::Error::other)?;
        let offset = {
            let mut state = self.listener.run.state.borrow_mut();
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
            let Some(viewer) = state.viewers.get_mut(&self.listener.id) else {
                return Ok(());
            };
            viewer.cursor.jump(offset, number);
            offset
        };
        self.redraw = false;
        self.listener.run.resumed.notify_one();
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
        if let Some(id) = self.listener.pings.borrow_mut().pop_front() {
            return Step::Send(ServerMessage::Pong { id });
        }
        if let Some((from, to)) = self.gap.take() {
            return Step::Send(ServerMessage::Gap { from, to });
        }
        let run = Rc::clone(&self.listener.run);
        let mut state = run.state.borrow_mut();
        let state = &mut *state;
        let sequence = state.input.sequence(&self.listener.client);
        if sequence > self.told {
            self.told = sequence;
            return Step::Send(ServerMessage::Ack { sequence });
        }
        let Some(viewer) = state.viewers.get_mut(&self.listener.id) else {
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
        let mut state = self.listener.run.state.borrow_mut();
        state.viewers.remove(&self.listener.id);
        state.input.leave(&self.listener.client);
        self.listener.run.resumed.notify_one();
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
