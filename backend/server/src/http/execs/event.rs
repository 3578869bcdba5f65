//! What the API tells of an exec while it goes on.

use data_encoding::BASE64;
use futures_util::{Stream, stream};
use jiff::Timestamp;
use serde::Serialize;
use shellport_wire::agent::{self, Stream as Which};
use shellport_wire::exit::Exit as Ending;
use utoipa::ToSchema;

use super::run::Told;
use crate::agent::{Ended, Event, Started};
use crate::http::model::Exit;
use crate::http::problem::Problem;
use crate::http::stream::Item;

/// What happens to a command. The last is `process_end`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ExecEvent {
    /// It is there.
    ProcessStart {
        /// The exec.
        exec: String,
        /// Its process in the sandbox; null when it could not be started, or has ended.
        pid: Option<i32>,
        /// When it was started.
        #[schema(value_type = String, format = DateTime)]
        started_at: Timestamp,
    },
    /// It has written this.
    Output(Output),
    /// It has written what nobody kept.
    Gap {
        /// Which stream.
        stream: StreamName,
        /// The offset of its first byte.
        from: u64,
        /// The offset after its last byte.
        to: u64,
    },
    /// It goes on in silence.
    Heartbeat {
        /// What it has written.
        ends: Places,
    },
    /// What happens to it cannot be seen any more.
    ProcessError {
        /// As a problem's.
        code: &'static str,
        /// What happened.
        detail: String,
    },
    /// It has ended, and everything that it wrote has been told.
    ProcessEnd(ProcessEnd),
}

/// A piece of what a command writes. A character of UTF-8 is never split.
#[derive(Debug, Serialize, ToSchema)]
pub struct Output {
    /// Which stream.
    stream: StreamName,
    /// The offset of its first byte.
    offset: u64,
    /// The text.
    data: String,
    /// `base64` when `data` is that, because the bytes are no UTF-8; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

/// How a command ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessEnd {
    #[serde(flatten)]
    exit: Exit,
    /// Milliseconds from its start to its end.
    duration_ms: u64,
    /// How much it has written.
    ends: Places,
}

/// One of a command's streams.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// An offset in each stream.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Places {
    /// In standard output.
    pub stdout: u64,
    /// In standard error.
    pub stderr: u64,
}

impl Places {
    /// The one in this stream.
    pub fn of(&mut self, stream: Which) -> &mut u64 {
        match stream {
            Which::Stdout => &mut self.stdout,
            Which::Stderr => &mut self.stderr,
        }
    }
}

impl From<agent::Places> for Places {
    fn from(places: agent::Places) -> Self {
        let agent::Places { stdout, stderr } = places;
        Self { stdout, stderr }
    }
}

impl From<Which> for StreamName {
    fn from(which: Which) -> Self {
        match which {
            Which::Stdout => Self::Stdout,
            Which::Stderr => Self::Stderr,
        }
    }
}

/// Makes events of what an agent tells.
pub struct Teller {
    exec: String,
    streams: [Text; 2],
}

/// A stream that is told as text.
#[derive(Default)]
struct Text {
    /// The begin of a character, whose end has not come.
    held: Vec<u8>,
    /// The offset after what has been told.
    told: u64,
}

impl Teller {
    /// For the exec called `exec`, which is followed from `places` on.
    pub fn new(exec: String, places: agent::Places) -> Self {
        let text = |told| Text {
            held: Vec::new(),
            told,
        };
        Self {
            exec,
            streams: [text(places.stdout), text(places.stderr)],
        }
    }

    /// Where the streams go on after what has been told.
    pub fn places(&self) -> Places {
        let [stdout, stderr] = [&self.streams[0], &self.streams[1]].map(|it| it.told);
        Places { stdout, stderr }
    }

    /// The begin.
    pub fn start(&self, started: &Started) -> ExecEvent {
        ExecEvent::ProcessStart {
            exec: self.exec.clone(),
            pid: started.pid,
            started_at: started.at,
        }
    }

    /// What there is to tell of `told`.
    pub fn tell(&mut self, told: Result<Event, Problem>) -> Vec<ExecEvent> {
        let mut events = Vec::new();
        match told {
            Ok(Event::Started(started)) => events.push(self.start(&started)),
            Ok(Event::Output { stream, bytes, .. }) => {
                events.extend(self.text(stream).push(stream.into(), &bytes));
            }
            Ok(Event::Gap { stream, from, to }) => {
                let text = self.text(stream);
                events.extend(text.flush(stream.into()));
                text.told = to;
                let stream = stream.into();
                events.push(ExecEvent::Gap { stream, from, to });
            }
            Ok(Event::Alive) => events.push(ExecEvent::Heartbeat {
                ends: self.places(),
            }),
            Ok(Event::Ended(ended)) => {
                events.extend(self.flush());
                events.push(ExecEvent::ProcessEnd(ended.into()));
            }
            Err(problem) => {
                events.extend(self.flush());
                events.push(ExecEvent::ProcessError {
                    code: problem.code,
                    detail: problem.detail,
                });
                events.push(ExecEvent::ProcessEnd(ProcessEnd {
                    exit: Ending::LOST.into(),
                    duration_ms: 0,
                    ends: self.places(),
                }));
            }
        }
        events
    }

    fn text(&mut self, stream: Which) -> &mut Text {
        match stream {
            Which::Stdout => &mut self.streams[0],
            Which::Stderr => &mut self.streams[1],
        }
    }

    fn flush(&mut self) -> impl Iterator<Item = ExecEvent> {
        let names = [StreamName::Stdout, StreamName::Stderr];
        let both = self.streams.iter_mut().zip(names);
        both.filter_map(|(text, name)| text.flush(name))
    }
}

impl Text {
    /// Takes bytes, and tells what is whole of them.
    fn push(&mut self, stream: StreamName, bytes: &[u8]) -> Option<ExecEvent> {
        self.held.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.held) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.held.len(),
        };
        let rest = self.held.split_off(whole);
        let event = self.flush(stream);
        self.held = rest;
        event
    }

    /// Tells what is held, if anything is.
    fn flush(&mut self, stream: StreamName) -> Option<ExecEvent> {
        let bytes = std::mem::take(&mut self.held);
        if bytes.is_empty() {
            return None;
        }
        let offset = self.told;
        self.told += bytes.len() as u64;
        let (data, encoding) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => (BASE64.encode(error.as_bytes()), Some("base64")),
        };
        Some(ExecEvent::Output(Output {
            stream,
            offset,
            data,
            encoding,
        }))
    }
}

impl From<Ended> for ProcessEnd {
    fn from(ended: Ended) -> Self {
        Self {
            exit: ended.exit.into(),
            duration_ms: u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX),
            ends: ended.ends.into(),
        }
    }
}

/// The events of a command, from its begin on.
pub fn events(
    teller: Teller,
    started: &Started,
    told: Told,
) -> impl Stream<Item = Item<ExecEvent>> + use<> {
    let begin = vec![teller.start(started)];
    stream::unfold(
        (teller, told, begin),
        async |(mut teller, mut told, mut waiting)| {
            while waiting.is_empty() {
                waiting = teller.tell(told.recv().await?);
                waiting.reverse();
            }
            let value = waiting.pop()?;
            let Places { stdout, stderr } = teller.places();
            let id = Some(format!("{stdout}-{stderr}"));
            Some((Item { value, id }, (teller, told, waiting)))
        },
    )
}
