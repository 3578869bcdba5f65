//! What an exec says, and following it on one connection.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use shellport_wire::agent::{
    ALIVE, EXEC_JOURNAL, Follower as Message, Places, Request, Response, Stream as Which,
};
use shellport_wire::exit::Exit;
use shellport_wire::frame::{Frame, Kind, MAX_PAYLOAD};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::link::{self, AgentError, Link, LinkReader, LinkWriter};
use crate::runtime::Stream;

/// How long an agent may say nothing before its connection counts as broken.
const SILENCE: Duration = ALIVE.saturating_mul(4);

/// How much may come before it is acknowledged.
const STEP: u64 = EXEC_JOURNAL / 4;

/// What an exec says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is there.
    Started(Started),
    /// It has written this.
    Output {
        /// Of which stream it is.
        stream: Which,
        /// The offset of its first byte.
        offset: u64,
        /// What it is.
        bytes: Bytes,
    },
    /// It has written what nobody kept.
    Gap {
        /// Of which stream it was.
        stream: Which,
        /// The offset of its first byte.
        from: u64,
        /// The offset after its last byte.
        to: u64,
    },
    /// It goes on in silence.
    Alive,
    /// It has ended; nothing follows.
    Ended(Ended),
}

/// The begin of an exec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its process in the sandbox; none when it could not be started, or has ended.
    pub pid: Option<i32>,
    /// When it was started.
    pub at: Timestamp,
    /// How much input it has got.
    pub stdin: u64,
    /// Whether it takes more.
    pub open: bool,
    /// What it has written.
    pub ends: Places,
    /// Whether it has ended.
    pub ended: bool,
}

/// The end of an exec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub exit: Exit,
    /// How much it has written.
    pub ends: Places,
    /// From its start to its end.
    pub duration: Duration,
}

/// Why nothing more comes on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The exec has ended, which has been told.
    Ended,
    /// Nobody listens.
    Unheard,
}

/// How far an exec has been followed, so that another connection can go on there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Its begin has been told.
    pub is_begun: bool,
    /// What has been told of its streams.
    pub places: Places,
}

/// Who listens to an exec, and how it ends when they go.
pub struct Listener<E> {
    /// Takes the events, with room for one: whoever is slow here holds the command up.
    pub events: mpsc::Sender<Result<Event, E>>,
    /// Cancelled when nobody may listen any more.
    pub cut: CancellationToken,
    /// Whether the sandbox may forget what they have taken. Until then it keeps [`EXEC_JOURNAL`] bytes of each
    /// stream from where this one began, and the command waits.
    pub acknowledges: bool,
    /// Has the command ended with this grace, when the last one who listens has gone.
    pub stop: Option<Duration>,
}

impl<E> Listener<E> {
    /// False when nobody listens any more.
    async fn tell(&self, event: Event) -> bool {
        self.events.send(Ok(event)).await.is_ok()
    }

    /// Returns when nobody listens any more.
    async fn gone(&self) {
        tokio::select! {
            () = self.events.closed() => {}
            () = self.cut.cancelled() => {}
        }
    }
}

/// What the agent has said that the other half of a connection has to know.
#[derive(Clone, Copy)]
struct Heard {
    /// Up to where input may be sent.
    until: u64,
    /// What has come of the streams.
    places: Places,
}

/// Makes `request`, which is for an exec from where `progress` is, gives that its input as far as it has not
/// got it, and tells `listener` what it says until its end.
///
/// # Errors
/// A refusal, or a connection that broke: the end is then not known.
pub async fn follow<E>(
    stream: Box<dyn Stream>,
    request: &Request,
    stdin: Option<&Bytes>,
    progress: &mut Progress,
    listener: &Listener<E>,
) -> Result<Over, AgentError> {
    let Link {
        mut reader,
        mut writer,
    } = Link::new(stream);
    let answer = async {
        writer.message(request).await?;
        reader.response().await
    };
    let Ok(answer) = timeout(super::ANSWER, answer).await else {
        return Err(AgentError::Silent);
    };
    let (started, until) = started(answer?)?;
    let arrived = started.stdin;
    let (heard, listening) = watch::channel(Heard {
        until,
        places: progress.places,
    });
    let over = tokio::select! {
        told = async {
            if !progress.is_begun {
                progress.is_begun = listener.tell(Event::Started(started)).await;
            }
            tell(&mut reader, &mut progress.places, listener, &heard).await
        } => told?,
        // A command may end before it has read its input, and the agent closes then. That is no
        // error, and what came before is still to be read.
        never = async {
            let step = if listener.acknowledges { STEP } else { u64::MAX };
            let _said = say(&mut writer, stdin, arrived, listening, step).await;
            pending::<Infallible>().await
        } => match never {},
        () = listener.gone() => Over::Unheard,
    };
    if let (Over::Unheard, Some(grace)) = (over, listener.stop) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        writer.message(&Message::Leave { grace_ms }).await?;
        // Closed before it has arrived, some engines would drop it; the agent closes when it has.
        let closed = async { while let Ok(Some(_)) = reader.next().await {} };
        let _ = timeout(super::ANSWER, closed).await;
    }
    Ok(over)
}

/// What an agent answers to one who will follow or feed an exec, and up to where it takes input.
pub(super) fn started(answer: Response) -> Result<(Started, u64), AgentError> {
    let Response::Following {
        stdin,
        until,
        open,
        pid,
        started_ms,
        ends,
        ended,
    } = answer
    else {
        return Err(AgentError::Nonsense("not about an exec".to_owned()));
    };
    let at = i64::try_from(started_ms).map(Timestamp::from_millisecond);
    let started = Started {
        pid,
        at: at.ok().and_then(Result::ok).unwrap_or_default(),
        stdin,
        open,
        ends,
        ended,
    };
    Ok((started, until))
}

/// Sends the input as there is room for it, and acknowledges the output after each `step` bytes.
async fn say(
    writer: &mut LinkWriter,
    stdin: Option<&Bytes>,
    arrived: u64,
    mut listening: watch::Receiver<Heard>,
    step: u64,
) -> std::io::Result<()> {
    let mut position = arrived;
    let mut has_ended = stdin.is_none();
    let stdin = stdin.map_or(&[][..], |bytes| &bytes[..]);
    let all = stdin.len() as u64;
    let mut acknowledged = listening.borrow().places;
    loop {
        let heard = *listening.borrow_and_update();
        let come = (heard.places.stdout - acknowledged.stdout)
            + (heard.places.stderr - acknowledged.stderr);
        let end = all
            .min(heard.until)
            .min(position.saturating_add(MAX_PAYLOAD as u64));
        if come >= step {
            acknowledged = heard.places;
            writer.message(&Message::Ack(acknowledged)).await?;
        } else if position < end {
            let range = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            let part = &stdin[range(position)..range(end)];
            let frame = Frame::bytes(Kind::Input, position, part);
            writer.frame(frame.encode().into()).await?;
            position = end;
        } else if position >= all && !has_ended {
            writer.message(&Message::End).await?;
            has_ended = true;
        } else if listening.changed().await.is_err() {
            return Ok(());
        }
    }
}

async fn tell<E>(
    reader: &mut LinkReader,
    places: &mut Places,
    listener: &Listener<E>,
    heard: &watch::Sender<Heard>,
) -> Result<Over, AgentError> {
    loop {
        let next = timeout(SILENCE, reader.next()).await;
        let bytes = next.map_err(|_| AgentError::Silent)??;
        let bytes = bytes.ok_or(AgentError::Closed)?.freeze();
        let event = match Frame::decode(&bytes) {
            Err(error) => return Err(AgentError::Nonsense(error.to_string())),
            Ok(Frame::Bytes {
                kind,
                position,
                payload,
            }) => Event::Output {
                stream: which(kind)?,
                offset: position,
                bytes: bytes.slice(bytes.len() - payload.len()..),
            },
            Ok(Frame::Message(text)) => match link::parse(&text)? {
                Response::Alive => Event::Alive,
                Response::Room { until } => {
                    heard.send_modify(|heard| heard.until = until);
                    continue;
                }
                Response::Gap { stream, from, to } => Event::Gap { stream, from, to },
                Response::ExecExit {
                    exit,
                    ends,
                    duration_ms,
                } => Event::Ended(Ended {
                    exit,
                    ends,
                    duration: Duration::from_millis(duration_ms),
                }),
                Response::Error(refusal) => return Err(AgentError::Refused(refusal)),
                _ => return Err(AgentError::Nonsense("not about an exec".to_owned())),
            },
        };
        let after = after(*places, &event)?;
        let is_end = matches!(event, Event::Ended(_));
        if !listener.tell(event).await {
            return Ok(Over::Unheard);
        }
        // The listener has room for one event, so it has taken those before.
        let taken = std::mem::replace(places, after);
        if is_end {
            return Ok(Over::Ended);
        }
        heard.send_if_modified(|heard| std::mem::replace(&mut heard.places, taken) != taken);
    }
}

fn which(kind: Kind) -> Result<Which, AgentError> {
    match kind {
        Kind::Output => Ok(Which::Stdout),
        Kind::Stderr => Ok(Which::Stderr),
        Kind::Input | Kind::Snapshot => Err(AgentError::Nonsense(format!("{kind:?} from an exec"))),
    }
}

/// Where the streams go on after `event`, which has to be the next.
fn after(mut places: Places, event: &Event) -> Result<Places, AgentError> {
    let (stream, from, to) = match event {
        Event::Output {
            stream,
            offset,
            bytes,
        } => (stream, *offset, *offset + bytes.len() as u64),
        Event::Gap { stream, from, to } if from < to => (stream, *from, *to),
        Event::Gap { .. } => return Err(AgentError::Nonsense("an empty gap".to_owned())),
        Event::Started(_) | Event::Alive | Event::Ended(_) => return Ok(places),
    };
    let place = match stream {
        Which::Stdout => &mut places.stdout,
        Which::Stderr => &mut places.stderr,
    };
    if std::mem::replace(place, to) != from {
        let message = format!("{stream:?} at {from}, which is not the next");
        return Err(AgentError::Nonsense(message));
    }
    Ok(places)
}
