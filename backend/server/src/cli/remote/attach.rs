//! `shellport attach @SESSION`: a session's terminal in this one, over as many connections as it takes.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::sys::signal::Signal;
use shellport_wire::close;
use shellport_wire::exit::Exit;
use shellport_wire::frame::{Frame, Kind};
use shellport_wire::viewer::{ClientMessage, Role, SUBPROTOCOL, ServerMessage, Size, Start};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::pending::Pending;
use super::retry::{FIRST_DELAY, LAST_DELAY, jittered, may_pass};
use super::sessions::running;
use super::socket::{Closed, Heard, Socket};
use super::{RemoteError, ServerPlace};
use crate::cli::container::{CommandError, code, left};
use crate::cli::streams::{Input, Output, Piece, Signals, Streams};
use crate::cli::terminal::{self, Raw, restore};
use crate::id::random_tag;

/// After how long without a connection a person is told.
const PATIENCE: Duration = Duration::from_secs(2);

/// The terminal that every session has.
const MAIN: &str = "main";

/// Attaches to a session's terminal, `NAME` or `NAME/TERMINAL`, until its program ends or somebody leaves.
///
/// # Errors
/// When there is no such session or terminal, or it does not run.
pub async fn attach(
    place: &ServerPlace,
    word: &str,
    input: bool,
) -> Result<ExitCode, CommandError> {
    let client = place.client()?;
    let (word, terminal) = word.split_once('/').unwrap_or((word, MAIN));
    let session = running(&client, word).await?;
    if matches!(terminal, "" | "." | "..") {
        let what = format!("there is no terminal {terminal:?}");
        return Err(RemoteError::Session(what).into());
    }
    let mut signals = Signals::take().map_err(CommandError::host("being attached"))?;
    let attaching = Attaching::new(client, &session.id, terminal, input, &mut signals)?;
    Ok(match attaching.relay().await? {
        Outcome::Exited(exit) => code(&exit),
        Outcome::Detached => ExitCode::SUCCESS,
        Outcome::Left(signal) => left(signal),
    })
}

/// How it ended.
pub(super) enum Outcome {
    /// The program did.
    Exited(Exit),
    /// Somebody typed the keys for it.
    Detached,
    /// This command's terminal is gone, or nobody reads its output.
    Left(Signal),
}

/// How a connection ended.
enum End {
    For(Outcome),
    /// It broke.
    Broken(String),
}

/// One terminal here and one there.
pub(super) struct Attaching<'a> {
    client: Client,
    session: String,
    terminal: String,
    input: Input,
    is_writer: bool,
    output: Output,
    written: CancellationToken,
    window: unix::Signal,
    signals: &'a mut Signals,
    /// What is to be typed and has not been applied.
    pending: Pending,
    /// What this client calls itself, so that nothing is typed twice.
    name: String,
    seen: Option<Seen>,
    /// Whether this viewer has been the terminal's writer last.
    has_role: bool,
    /// Kept for as long as this is.
    _raw: Option<Raw>,
}

/// How far the terminal's output has been written here.
struct Seen {
    run: String,
    offset: u64,
    /// Bytes of a snapshot that are still to come.
    missing: u64,
    /// Whether the screen is as it would be with all that output.
    whole: bool,
}

impl<'a> Attaching<'a> {
    /// Makes this terminal ready; without `input` it only shows.
    pub(super) fn new(
        client: Client,
        session: &str,
        terminal: &str,
        input: bool,
        signals: &'a mut Signals,
    ) -> Result<Self, CommandError> {
        let host = || CommandError::host("being attached");
        let streams = Streams {
            terminal: true,
            input,
        };
        let raw = Raw::enter(input).map_err(host())?;
        let (output, written) = Output::start();
        Ok(Self {
            client,
            session: session.to_owned(),
            terminal: terminal.to_owned(),
            input: Input::start(streams),
            is_writer: input,
            output,
            written,
            window: signal(SignalKind::window_change()).map_err(host())?,
            signals,
            pending: Pending::default(),
            name: random_tag(),
            seen: None,
            has_role: true,
            _raw: raw,
        })
    }

    /// Relays until the program ends or one of the sides leaves. What breaks on the way is mended: nothing is lost,
    /// and nothing typed twice.
    pub(super) async fn relay(mut self) -> Result<Outcome, CommandError> {
        let outcome = self.connect_and_relay().await;
        let restored = restore(false);
        if self.seen.is_some() && !restored.is_empty() {
            self.output.send((1, restored.into())).await;
        }
        drop(self.output);
        // Who has left does not wait for whoever reads it.
        if !matches!(outcome, Ok(Outcome::Left(_))) {
            self.written.cancelled().await;
        }
        Ok(outcome?)
    }

    async fn connect_and_relay(&mut self) -> Result<Outcome, RemoteError> {
        let mut delay = FIRST_DELAY;
        let mut since = Instant::now();
        loop {
            let connected = match self.meanwhile(self.connecting()).await {
                Ok(connected) => connected,
                Err(outcome) => return Ok(outcome),
            };
            let end = match connected {
                Ok(socket) => {
                    let before = self.place();
                    let end = self.relay_over(socket).await?;
                    // One that is closed as soon as it is there does not count.
                    if self.place() != before {
                        delay = FIRST_DELAY;
                        since = Instant::now();
                    }
                    end
                }
                Err(error) if self.seen.is_some() && may_pass(&error) => {
                    End::Broken(error.to_string())
                }
                Err(error) => return Err(error),
            };
            let why = match end {
                End::For(outcome) => return Ok(outcome),
                End::Broken(why) => why,
            };
            if since.elapsed() > PATIENCE {
                self.tell(&why).await;
            }
            if let Err(outcome) = self.meanwhile(sleep(jittered(delay))).await {
                return Ok(outcome);
            }
            delay = (delay * 2).min(LAST_DELAY);
        }
    }

    /// How far output and input have come.
    fn place(&self) -> (Option<u64>, u64) {
        (
            self.seen.as_ref().map(|seen| seen.offset),
            self.pending.start(),
        )
    }

    /// Makes a connection, on which the output goes on where it was.
    fn connecting(&self) -> impl Future<Output = Result<Socket, RemoteError>> + use<> {
        let (cols, rows) = terminal::size();
        let path = [
            "sessions",
            &self.session,
            "terminals",
            &self.terminal,
            "attach",
        ];
        let role = if self.is_writer { "writer" } else { "reader" };
        let mut request = self.client.get(&path).query(&[
            ("cols", cols.to_string()),
            ("rows", rows.to_string()),
            ("client", self.name.clone()),
            ("role", role.to_owned()),
        ]);
        if !self.has_role {
            request = request.query(&[("yield", "true")]);
        }
        if let Some(seen) = self.seen.as_ref().filter(|seen| seen.whole) {
            let since = seen.offset.to_string();
            request = request.query(&[("since", &since), ("run", &seen.run)]);
        }
        let client = self.client.clone();
        async move { Socket::open(&client, request, Some(SUBPROTOCOL)).await }
    }

    /// Says why nothing happens. The screen is drawn anew when something does.
    async fn tell(&mut self, why: &str) {
        let Some(seen) = &mut self.seen else { return };
        if seen.whole {
            seen.whole = false;
            let text = format!("\r\n[{why}; trying again. Ctrl-P Ctrl-Q leaves]\r\n");
            self.output.send((2, text.into())).await;
        }
    }

    /// Waits for `work` without a connection, and takes what is typed meanwhile; or leaves.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Outcome> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                piece = self.input.next(), if self.pending.has_room() => match piece {
                    Piece::Bytes(bytes) => self.pending.add(&bytes),
                    Piece::End | Piece::Failed(_) => {}
                    Piece::Detach => return Err(Outcome::Detached),
                },
                () = self.written.cancelled() => return Err(Outcome::Left(Signal::SIGPIPE)),
                signal = self.signals.next() => return Err(Outcome::Left(signal)),
            }
        }
    }

    async fn relay_over(&mut self, mut socket: Socket) -> Result<End, RemoteError> {
        let mut greeted = false;
        loop {
            let sent = tokio::select! {
                heard = socket.next() => match heard {
                    Heard::Closed(Closed { code: Some(code), reason }) if !close::is_retried(code) => {
                        return Err(RemoteError::Session(format!("the terminal has ended: {reason}")));
                    }
                    Heard::Closed(closed) => return Ok(End::Broken(closed.reason)),
                    Heard::Bytes(bytes) => self.take(&bytes, &mut socket).await?,
                    Heard::Text(text) => {
                        let message = serde_json::from_str(&text);
                        match message {
                            Ok(ServerMessage::Exit { exit, .. }) => return Ok(End::For(Outcome::Exited(exit))),
                            Ok(message) => greeted |= self.obey(message).await,
                            // A newer server says more.
                            Err(_) => {}
                        }
                        Ok(())
                    }
                },
                piece = self.input.next(), if self.pending.has_room() => {
                    match piece {
                        Piece::Bytes(bytes) => self.pending.add(&bytes),
                        Piece::End | Piece::Failed(_) => {}
                        Piece::Detach => {
                            // What was typed before that is for the program.
                            if greeted {
                                let _ = self.pending.send(&mut socket).await;
                            }
                            socket.close().await;
                            return Ok(End::For(Outcome::Detached));
                        }
                    }
                    Ok(())
                }
                signal = self.signals.next() => {
                    if signal == Signal::SIGHUP || !self.is_writer {
                        return Ok(End::For(Outcome::Left(signal)));
                    }
                    socket.say(&ClientMessage::Signal { signal: signal.as_str().to_owned() }).await
                }
                _ = self.window.recv() => {
                    let (cols, rows) = terminal::size();
                    socket.say(&ClientMessage::Resize(Size { cols, rows })).await
                }
                () = self.written.cancelled() => return Ok(End::For(Outcome::Left(Signal::SIGPIPE))),
            };
            let sent = match sent {
                Ok(()) if greeted && self.is_writer => self.type_in(&mut socket).await,
                sent => sent,
            };
            if let Err(closed) = sent {
                return Ok(End::Broken(closed.reason));
            }
        }
    }

    /// Gives the terminal what was typed, as its writer.
    async fn type_in(&mut self, socket: &mut Socket) -> Result<(), Closed> {
        if self.pending.is_unsent() && !self.has_role {
            self.has_role = true;
            let (role, viewer) = (Role::Writer, None);
            socket.say(&ClientMessage::Role { role, viewer }).await?;
        }
        self.pending.send(socket).await
    }

    /// Writes what the terminal puts out, and says so.
    async fn take(
        &mut self,
        bytes: &[u8],
        socket: &mut Socket,
    ) -> Result<Result<(), Closed>, RemoteError> {
        let nonsense = |what: String| RemoteError::Nonsense("the terminal's output", what);
        let seen = self
            .seen
            .as_mut()
            .ok_or_else(|| nonsense("there was no hello".to_owned()))?;
        let offset = match Frame::decode(bytes).map_err(|error| nonsense(error.to_string()))? {
            Frame::Bytes {
                kind: Kind::Output,
                position,
                payload,
            } => {
                if position != seen.offset {
                    return Err(nonsense(format!("{position} comes after {}", seen.offset)));
                }
                self.output
                    .send((1, Bytes::copy_from_slice(&payload)))
                    .await;
                position + payload.len() as u64
            }
            Frame::Bytes {
                kind: Kind::Snapshot,
                payload,
                ..
            } => {
                self.output
                    .send((1, Bytes::copy_from_slice(&payload)))
                    .await;
                seen.missing = seen.missing.saturating_sub(payload.len() as u64);
                // Half a screen is none.
                seen.whole = seen.missing == 0;
                if !seen.whole {
                    return Ok(Ok(()));
                }
                seen.offset
            }
            frame => return Err(nonsense(format!("{frame:?}"))),
        };
        seen.offset = offset;
        Ok(socket.say(&ClientMessage::Ack { offset }).await)
    }

    /// Does what a message asks for; whether it was the first.
    async fn obey(&mut self, message: ServerMessage) -> bool {
        match message {
            ServerMessage::Hello(hello) => {
                let is_same = self.seen.as_ref().is_none_or(|seen| seen.run == hello.run);
                self.pending.go_on(hello.sequence, is_same);
                self.seen = Some(Seen {
                    run: hello.run,
                    offset: hello.offset,
                    missing: 0,
                    // What comes first may be a whole snapshot.
                    whole: hello.start != Start::Snapshot,
                });
                return true;
            }
            ServerMessage::Snapshot { offset, length, .. } => {
                if let Some(seen) = &mut self.seen {
                    (seen.offset, seen.missing, seen.whole) = (offset, length, length == 0);
                }
                self.output.send((1, restore(true).into())).await;
            }
            ServerMessage::Gap { to, .. } => {
                if let Some(seen) = &mut self.seen {
                    seen.offset = to;
                }
            }
            ServerMessage::Ack { sequence } => self.pending.applied(sequence),
            ServerMessage::Viewers { you, writer, .. } => self.has_role = writer == Some(you),
            _ => {}
        }
        false
    }
}
