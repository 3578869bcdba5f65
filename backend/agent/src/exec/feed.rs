//! One connection that gives an exec input.

use std::io;
use std::rc::Rc;

use shellport_wire::agent::{Follower, Response};
use shellport_wire::frame::{Frame, Kind};

use super::Exec;
use crate::link::{FrameReader, FrameWriter};

/// Takes input until the connection ends, and says how much more there is room for.
///
/// # Errors
/// Those of the connection, and input that is not the next or more than there is room for.
pub async fn serve(
    exec: Rc<Exec>,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> io::Result<()> {
    exec.started().await;
    let mut told = exec.state.borrow().input.until();
    writer.message(&exec.following()).await?;
    let mut next = Box::pin(reader.next());
    loop {
        let news = exec.news.notified();
        let until = exec.state.borrow().input.until();
        if until > told {
            told = until;
            writer.message(&Response::Room { until }).await?;
        }
        tokio::select! {
            bytes = &mut next => {
                drop(next);
                let Some(bytes) = bytes? else { return Ok(()) };
                match hear(&exec, &bytes)? {
                    None => {}
                    Some(Follower::Sync) => writer.message(&exec.following()).await?,
                    Some(_) => return Err(io::Error::other("not from one who feeds")),
                }
                next = Box::pin(reader.next());
            }
            () = news => {}
        }
    }
}

/// Takes in a frame if it is input or its end; another message is the caller's business.
///
/// # Errors
/// Input that is not the next or more than there is room for, and what is neither.
pub fn hear(exec: &Exec, bytes: &[u8]) -> io::Result<Option<Follower>> {
    match Frame::decode(bytes).map_err(io::Error::other)? {
        Frame::Bytes {
            kind: Kind::Input,
            position,
            payload,
        } => {
            let mut state = exec.state.borrow_mut();
            let taken = state.input.push(position, &payload);
            taken.map_err(io::Error::other)?;
        }
        Frame::Message(text) => match serde_json::from_str(&text)? {
            Follower::End => exec.state.borrow_mut().input.end(),
            message => return Ok(Some(message)),
        },
        Frame::Bytes { .. } => return Err(io::Error::other("only input comes from there")),
    }
    exec.typed.notify_one();
    Ok(None)
}
