//! One connection that follows an exec.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use shellport_wire::agent::{ExecInput, Refusal, RefusalCode, Response};
use shellport_wire::frame::{Frame, Kind, MAX_PAYLOAD};
use tokio::time::{Instant, interval_at};

use super::{Exec, Places, STREAMS};
use crate::link::{FrameReader, FrameWriter};

/// How often a silent exec says that it is there, and so finds out that its follower is not.
const ALIVE: Duration = Duration::from_secs(5);

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
    let stdin = exec.state.borrow().taken;
    writer.message(&Response::Following { stdin }).await?;
    tokio::select! {
        told = follower.tell(writer) => told,
        heard = listen(&exec, reader) => heard,
    }
}

/// A follower's place among those of an exec; it is left when this is dropped.
struct Follower<'a> {
    exec: &'a Exec,
    id: u64,
    /// The stream that is next to be told; they take turns.
    turn: usize,
}

enum Next {
    /// Bytes are staged; when they are written, the follower has come so far.
    Bytes(usize, u64),
    Gap(Response),
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
        Ok(Self { exec, id, turn: 0 })
    }

    async fn tell(&mut self, writer: &mut FrameWriter) -> io::Result<()> {
        let mut alive = interval_at(Instant::now() + ALIVE, ALIVE);
        loop {
            let news = self.exec.news.notified();
            match self.next(writer) {
                Next::Bytes(stream, to) => {
                    writer.flush().await?;
                    self.advance(stream, to);
                    self.turn = 1 - stream;
                }
                Next::Gap(gap) => writer.message(&gap).await?,
                Next::End(end) => return writer.message(&end).await,
                Next::Nothing => tokio::select! {
                    () = news => {}
                    _ = alive.tick() => writer.message(&Response::Alive).await?,
                },
            }
        }
    }

    fn next(&self, writer: &mut FrameWriter) -> Next {
        let mut state = self.exec.state.borrow_mut();
        let state = &mut *state;
        let places = state.followers.get_mut(&self.id).expect("it has joined");
        for index in [self.turn, 1 - self.turn] {
            let (place, journal) = (places[index], &state.journals[index]);
            let (stream, kind) = STREAMS[index];
            if place < journal.start() {
                places[index] = journal.start();
                return Next::Gap(Response::Gap {
                    stream,
                    from: place,
                    to: journal.start(),
                });
            }
            if place < journal.end() {
                let to = journal.end().min(place + MAX_PAYLOAD as u64);
                let (front, back) = journal.range(place, to);
                writer.stage(kind, place, [front, back]);
                return Next::Bytes(index, to);
            }
        }
        match state.exit.clone() {
            Some(exit) => Next::End(Response::ExecExit {
                exit,
                stdout: places[0],
                stderr: places[1],
            }),
            None => Next::Nothing,
        }
    }

    fn advance(&self, stream: usize, to: u64) {
        let mut state = self.exec.state.borrow_mut();
        let places = state.followers.get_mut(&self.id).expect("it has joined");
        places[stream] = to;
        self.exec.poke.notify_one();
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

/// Takes input in until the connection ends.
async fn listen(exec: &Exec, reader: &mut FrameReader) -> io::Result<()> {
    while let Some(bytes) = reader.next().await? {
        match Frame::decode(&bytes).map_err(io::Error::other)? {
            Frame::Bytes {
                kind: Kind::Input,
                position,
                payload,
            } => take(exec, position, &payload).await?,
            Frame::Message(text) => match serde_json::from_str(&text)? {
                ExecInput::End => exec.state.borrow_mut().stdin = None,
            },
            Frame::Bytes { .. } => {
                return Err(io::Error::other("only input comes from a follower"));
            }
        }
    }
    Ok(())
}

/// Passes on what of `bytes` has not come before, on this connection or another.
async fn take(exec: &Exec, position: u64, bytes: &[u8]) -> io::Result<()> {
    let stdin = exec.state.borrow().stdin.clone();
    // Without room nothing is taken, so that nothing is lost when this is cancelled here.
    let room = match &stdin {
        Some(stdin) => stdin.reserve().await.ok(),
        // It has closed its input, or somebody has for it.
        None => None,
    };
    let mut state = exec.state.borrow_mut();
    let known = state.taken.checked_sub(position);
    let known = known.ok_or_else(|| io::Error::other("not the next input"))?;
    let fresh = bytes.get(usize::try_from(known).unwrap_or(usize::MAX)..);
    let fresh = fresh.unwrap_or_default();
    state.taken += fresh.len() as u64;
    if let Some(room) = room {
        room.send(fresh.to_vec());
    }
    Ok(())
}
