//! One connection that follows an exec.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use shellport_wire::agent::{self as wire, ALIVE, Refusal, RefusalCode, Response};
use shellport_wire::frame::MAX_PAYLOAD;
use tokio::time::{Instant, interval_at};

use super::{Exec, Places, STREAMS, feed};
use crate::clock::milliseconds;
use crate::link::{FrameReader, FrameWriter};

/// Tells what `exec` writes from these places on, and how it ended.
///
/// # Errors
/// Those of the connection.
pub async fn serve(
    exec: Rc<Exec>,
    from: Places,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> io::Result<()> {
    let mut follower = match Follower::join(&exec, from) {
        Ok(follower) => follower,
        Err(refusal) => return writer.message(&Response::Error(refusal)).await,
    };
    exec.started().await;
    let following = exec.following();
    if let Response::Following { until, .. } = following {
        follower.until = until;
    }
    let id = follower.id;
    writer.message(&following).await?;
    tokio::select! {
        told = follower.tell(writer) => told,
        heard = listen(&exec, id, reader) => heard,
    }
}

/// A follower's place among those of an exec; it is left when this is dropped.
struct Follower<'a> {
    exec: &'a Exec,
    id: u64,
    /// What it has been sent.
    sent: Places,
    /// Up to where it was told that it may send input.
    until: u64,
    /// The stream that is next to be told; they take turns.
    turn: usize,
}

enum Next {
    /// Bytes are staged.
    Bytes,
    Message(Response),
    End(Response),
    Nothing,
}

impl<'a> Follower<'a> {
    fn join(exec: &'a Exec, places: Places) -> Result<Self, Refusal> {
        let mut state = exec.state.borrow_mut();
        for ((place, journal), (stream, _)) in places.iter().zip(&state.journals).zip(STREAMS) {
            if *place > journal.end() {
                let end = journal.end();
                let message = format!("{stream:?}: {place} is after the last byte, {end}");
                return Err(Refusal {
                    code: RefusalCode::Invalid,
                    message: message.to_lowercase(),
                });
            }
        }
        let id = state.next_follower;
        state.next_follower += 1;
        state.followers.insert(id, places);
        state.left = None;
        exec.poke.notify_one();
        Ok(Self {
            exec,
            id,
            sent: places,
            until: 0,
            turn: 0,
        })
    }

    async fn tell(&mut self, writer: &mut FrameWriter) -> io::Result<()> {
        let mut alive = interval_at(Instant::now() + ALIVE, ALIVE);
        loop {
            let news = self.exec.news.notified();
            match self.next(writer) {
                Next::Bytes => writer.flush().await?,
                Next::Message(message) => writer.message(&message).await?,
                Next::End(end) => {
                    writer.message(&end).await?;
                    self.exec.state.borrow_mut().told = true;
                    self.exec.news.notify_waiters();
                    return Ok(());
                }
                Next::Nothing => tokio::select! {
                    () = news => {}
                    _ = alive.tick() => writer.message(&Response::Alive).await?,
                },
            }
        }
    }

    fn next(&mut self, writer: &mut FrameWriter) -> Next {
        let state = self.exec.state.borrow();
        for index in [self.turn, 1 - self.turn] {
            let (place, journal) = (self.sent[index], &state.journals[index]);
            let (stream, kind) = STREAMS[index];
            if place < journal.start() {
                self.sent[index] = journal.start();
                return Next::Message(Response::Gap {
                    stream,
                    from: place,
                    to: journal.start(),
                });
            }
            if place < journal.end() {
                let to = journal.end().min(place + MAX_PAYLOAD as u64);
                let (front, back) = journal.range(place, to);
                writer.stage(kind, place, [front, back]);
                self.sent[index] = to;
                self.turn = 1 - index;
                return Next::Bytes;
            }
        }
        if let Some(exit) = state.exit.clone() {
            return Next::End(Response::ExecExit {
                exit,
                ends: self.sent.into(),
                duration_ms: milliseconds(state.duration),
            });
        }
        let until = state.input.until();
        if until > self.until {
            self.until = until;
            return Next::Message(Response::Room { until });
        }
        Next::Nothing
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        let mut state = self.exec.state.borrow_mut();
        let places = state.followers.remove(&self.id).expect("it has joined");
        if state.followers.is_empty() {
            state.left = Some((places, Instant::now()));
        }
        self.exec.poke.notify_one();
    }
}

/// Takes in what a follower sends until the connection ends. It never waits for the command: behind
/// input there may be an acknowledgement that lets it go on.
async fn listen(exec: &Rc<Exec>, id: u64, reader: &mut FrameReader) -> io::Result<()> {
    while let Some(bytes) = reader.next().await? {
        match feed::hear(exec, &bytes)? {
            Some(wire::Follower::Ack(places)) => {
                acknowledge(exec, id, places.into()).map_err(io::Error::other)?;
            }
            Some(wire::Follower::Leave { grace_ms }) => {
                if exec.state.borrow().followers.len() == 1 {
                    exec.give_up(Duration::from_millis(grace_ms));
                }
                return Ok(());
            }
            Some(_) => return Err(io::Error::other("not from a follower")),
            None => {}
        }
    }
    Ok(())
}

fn acknowledge(exec: &Exec, id: u64, places: Places) -> Result<(), &'static str> {
    let mut state = exec.state.borrow_mut();
    let state = &mut *state;
    let known = state.followers.get_mut(&id).expect("it has joined");
    for ((place, known), journal) in places.iter().zip(known).zip(&state.journals) {
        if *place > journal.end() {
            return Err("an acknowledgement of what was never written");
        }
        *known = (*known).max(*place);
    }
    exec.poke.notify_one();
    Ok(())
}
