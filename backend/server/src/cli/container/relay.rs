//! Between the command's standard streams and those of a program in a container.

use std::io;

use nix::sys::signal::Signal;
use shellport_wire::exit::Exit;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::streams::{Input, Output, Piece, Streams, passed_on};
use crate::cli::terminal;
use crate::oci::monitor::{Frame, Message, Reader, Writer};

/// How a relay ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The program did.
    Exited(Exit),
    /// Somebody typed the keys for it.
    Detached,
    /// The command's terminal is gone, or nobody reads its output.
    Left(Signal),
}

/// Relays until the program ends or one of the sides leaves.
///
/// # Errors
/// When the monitor has gone without a word.
pub async fn relay(
    reader: &mut Reader,
    writer: &mut Writer,
    streams: Streams,
) -> io::Result<Outcome> {
    let mut input = Input::start(streams);
    let (output, written) = Output::start();
    let mut window = signal(SignalKind::window_change())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut signals = passed_on()?;
    let outcome = loop {
        tokio::select! {
            frame = reader.next() => match frame? {
                Some(Frame::Stdout(bytes)) => output.send((1, bytes)).await,
                Some(Frame::Stderr(bytes)) => output.send((2, bytes)).await,
                Some(Frame::Message(Message::Exited { exit })) => break Outcome::Exited(exit),
                Some(_) => {}
                None => return Err(io::Error::other("the container's monitor has ended")),
            },
            piece = input.next() => match piece {
                Piece::Bytes(bytes) => writer.send(Frame::Stdin(bytes)).await?,
                Piece::End | Piece::Failed(_) => writer.say(Message::EndOfInput).await?,
                Piece::Detach => break Outcome::Detached,
            },
            Some(signal) = signals.recv() => {
                writer.say(Message::Signal { signal: signal as i32 }).await?;
            }
            _ = window.recv(), if streams.terminal => {
                let (cols, rows) = terminal::size();
                writer.say(Message::Resize { cols, rows }).await?;
            }
            _ = hangup.recv() => return Ok(Outcome::Left(Signal::SIGHUP)),
            () = written.cancelled() => return Ok(Outcome::Left(Signal::SIGPIPE)),
        }
    };
    drop(output);
    // Somebody may still read what there is.
    written.cancelled().await;
    Ok(outcome)
}
