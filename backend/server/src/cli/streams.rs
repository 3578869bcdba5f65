//! A command's own standard streams, and the signals that it gets.

use std::io::{self, Read, Write};
use std::thread;

use bytes::Bytes;
use futures_util::{Stream, stream};
use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::oci::monitor::CHUNK;

/// Pieces that wait to be written or sent.
const QUEUE: usize = 4;

/// Ctrl-P and Ctrl-Q, one after the other, leave a terminal as it is. They are Docker's.
const DETACH: [u8; 2] = [0x10, 0x11];

/// Signals that are passed on.
const SIGNALS: [Signal; 5] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// What is relayed.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    /// The program has a terminal.
    pub terminal: bool,
    /// Standard input is passed on.
    pub input: bool,
}

/// Signals, as they come.
pub fn passed_on() -> io::Result<mpsc::Receiver<Signal>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    for number in SIGNALS {
        let mut signal = signal(SignalKind::from_raw(number as i32))?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while signal.recv().await.is_some() && sender.send(number).await.is_ok() {}
        });
    }
    Ok(receiver)
}

/// Signals for a command, from the making of this on.
pub struct Signals {
    passed_on: mpsc::Receiver<Signal>,
    hangup: unix::Signal,
}

impl Signals {
    /// Takes them.
    pub fn take() -> io::Result<Self> {
        Ok(Self {
            passed_on: passed_on()?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one, `SIGHUP` when the command's terminal has gone.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(signal) = self.passed_on.recv() => signal,
            _ = self.hangup.recv() => Signal::SIGHUP,
        }
    }
}

/// A piece of input.
pub enum Piece {
    Bytes(Bytes),
    End,
    /// It cannot be read.
    Failed(io::Error),
    Detach,
}

/// Standard input, read on a thread that ends with the process: nothing else can be waited for that may
/// be a file as well as a terminal.
pub struct Input(Option<mpsc::Receiver<Piece>>);

impl Input {
    pub fn start(streams: Streams) -> Self {
        if !streams.input {
            return Self(None);
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        thread::spawn(move || {
            let mut buffer = vec![0; CHUNK];
            let mut keys = Keys::default();
            loop {
                let (piece, last) = match io::stdin().read(&mut buffer) {
                    Ok(0) => (None, Some(Piece::End)),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => (None, Some(Piece::Failed(error))),
                    Ok(count) if streams.terminal => {
                        let (bytes, detaches) = keys.pass(&buffer[..count]);
                        (Some(bytes), detaches.then_some(Piece::Detach))
                    }
                    Ok(count) => (Some(Bytes::copy_from_slice(&buffer[..count])), None),
                };
                let is_last = last.is_some();
                let piece = piece.filter(|bytes| !bytes.is_empty()).map(Piece::Bytes);
                for piece in piece.into_iter().chain(last) {
                    if sender.blocking_send(piece).is_err() {
                        return;
                    }
                }
                if is_last {
                    return;
                }
            }
        });
        Self(Some(receiver))
    }

    pub async fn next(&mut self) -> Piece {
        let piece = match &mut self.0 {
            Some(receiver) => receiver.recv().await,
            None => None,
        };
        match piece {
            Some(piece) => piece,
            None => std::future::pending().await,
        }
    }
}

/// Standard input as a body.
pub fn stdin() -> impl Stream<Item = io::Result<Bytes>> {
    let streams = Streams {
        terminal: false,
        input: true,
    };
    stream::unfold(Input::start(streams), |mut input| async {
        match input.next().await {
            Piece::Bytes(bytes) => Some((Ok(bytes), input)),
            // Half of a body is none.
            Piece::Failed(error) => Some((Err(error), input)),
            Piece::End | Piece::Detach => None,
        }
    })
}

/// What has been typed of [`DETACH`].
#[derive(Default)]
struct Keys {
    first: bool,
}

impl Keys {
    /// What is passed on, and whether both have been typed.
    fn pass(&mut self, bytes: &[u8]) -> (Bytes, bool) {
        let mut passed = Vec::with_capacity(bytes.len() + 1);
        for &byte in bytes {
            if self.first && byte == DETACH[1] {
                return (passed.into(), true);
            }
            if self.first {
                passed.push(DETACH[0]);
            }
            self.first = byte == DETACH[0];
            if !self.first {
                passed.push(byte);
            }
        }
        (passed.into(), false)
    }
}

/// Standard output and error, written on a thread, so that signals are heard while nobody reads.
pub struct Output(mpsc::Sender<(u8, Bytes)>);

impl Output {
    /// The token is cancelled when everything has been written, or when nobody reads any more.
    pub fn start() -> (Self, CancellationToken) {
        let (sender, mut receiver) = mpsc::channel::<(u8, Bytes)>(QUEUE);
        let written = CancellationToken::new();
        let done = written.clone().drop_guard();
        thread::spawn(move || {
            while let Some((stream, bytes)) = receiver.blocking_recv() {
                let result = match stream {
                    1 => write(io::stdout().lock(), &bytes),
                    _ => write(io::stderr().lock(), &bytes),
                };
                if result.is_err() {
                    break;
                }
            }
            drop(done);
        });
        (Self(sender), written)
    }

    pub async fn send(&self, piece: (u8, Bytes)) {
        // The end of the thread is told elsewhere.
        let _ = self.0.send(piece).await;
    }
}

fn write(mut stream: impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut keys = Keys::default();
        let mut passed = Vec::new();
        for piece in pieces {
            let (bytes, detaches) = keys.pass(piece);
            passed.extend_from_slice(&bytes);
            if detaches {
                return (passed, true);
            }
        }
        (passed, false)
    }

    #[test]
    fn two_keys_detach_and_one_does_not() {
        assert_eq!(typed(&[b"ls\n"]), (b"ls\n".to_vec(), false));
        assert_eq!(typed(&[b"\x10", b"\x11"]), (vec![], true));
        assert_eq!(typed(&[b"a\x10\x11b"]), (b"a".to_vec(), true));
        assert_eq!(typed(&[b"\x10", b"x"]), (b"\x10x".to_vec(), false));
        assert_eq!(typed(&[b"\x10\x10", b"\x11"]), (b"\x10".to_vec(), true));
        assert_eq!(typed(&[b"\x11"]), (b"\x11".to_vec(), false));
    }
}
