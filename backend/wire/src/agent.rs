//! What the server asks of an agent.
//!
//! A connection starts with a [`Request`]. [`Request::Attach`], [`Request::Exec`], [`Request::Follow`],
//! [`Request::Feed`], [`Request::Events`] and [`Request::Dial`] turn it into a stream that ends with the connection; every
//! other request gets one [`Response`], after which the next may follow. Unknown fields are ignored in
//! both directions, so that a newer server can talk to the agents of sandboxes that an older one made.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::viewer::{Role, Size};

/// The terminal that every session has.
pub const MAIN_TERMINAL: &str = "main";

/// The longest name of a terminal or exec, in bytes.
pub const MAX_NAME: usize = 64;

/// Bytes of each of an exec's streams that the agent keeps.
pub const EXEC_JOURNAL: u64 = 256 * 1024;

/// The most execs in one answer, which is one frame.
pub const MAX_LISTED: usize = 32;

/// Between asking an exec's processes to end and killing them, unless told otherwise.
pub const GRACE: Duration = Duration::from_secs(2);

/// How often the agent says [`Response::Alive`] to whoever follows a silent exec.
pub const ALIVE: Duration = Duration::from_secs(5);

/// From the server, as the first frame of a connection or after a [`Response`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Become a viewer; answered with `hello` of [`crate::viewer`], or an error.
    Attach(Attach),
    /// Run a command and follow it; answered with [`Response::Following`], byte frames and at the
    /// end [`Response::ExecExit`], or an error.
    Exec(Exec),
    /// Follow an exec that is there, running or not; answered as [`Self::Exec`] is.
    Follow(Follow),
    /// Give an exec input; answered with [`Response::Following`], and again for each
    /// [`Follower::Sync`].
    Feed {
        /// The exec's name.
        exec: String,
    },
    /// Connect to a TCP port on which somebody in the sandbox listens; answered with
    /// [`Response::Done`], behind which the connection carries the bytes of that one, without frames.
    Dial {
        /// The port.
        port: u16,
    },
    /// Follow what happens in the sandbox; answered with [`Response::Status`], and then for ever with
    /// [`Response::Event`] for what happens after that, and [`Response::Missed`], behind which the status
    /// is told again.
    Events,
    /// List the execs; answered with [`Response::Execs`].
    Execs {
        /// Those after the one with this number, which is 0 for the first.
        #[serde(default)]
        after: u64,
    },
    /// Look at one exec; answered with [`Response::Execs`].
    LookAtExec {
        /// The exec's name.
        exec: String,
    },
    /// Signal the process group of an exec's program; answered with [`Response::Done`].
    SignalExec {
        /// The exec's name.
        exec: String,
        /// The signal's name, such as `SIGINT`.
        signal: String,
    },
    /// End the processes of an exec, those that it has left behind as well; answered with
    /// [`Response::Done`] when they have gone.
    StopExec {
        /// The exec's name.
        exec: String,
        /// Milliseconds between asking the processes to end and killing them.
        grace_ms: u64,
        /// Forget it then, with all that it wrote.
        #[serde(default)]
        forget: bool,
    },
    /// Open a terminal; answered with [`Response::Terminal`].
    Open(Open),
    /// Close a terminal and end everything in it; answered with [`Response::Done`].
    Close {
        /// The terminal's name.
        terminal: String,
    },
    /// Set a terminal's size; answered with [`Response::Terminal`].
    Resize {
        /// The terminal's name.
        terminal: String,
        /// The new size.
        #[serde(flatten)]
        size: Size,
    },
    /// List the terminals; answered with [`Response::Terminals`].
    Terminals,
    /// List the commands that a shell has run in a terminal; answered with [`Response::Commands`].
    Commands {
        /// The terminal's name.
        terminal: String,
        /// Those after the one with this number, which is 0 for the first.
        #[serde(default)]
        after: u64,
    },
    /// Answered with [`Response::Status`].
    Status,
    /// End every process and then the agent; the connection closes without an answer.
    Shutdown {
        /// Milliseconds between asking the processes to end and killing them.
        grace_ms: u64,
    },
}

/// The program of a terminal or exec, and where it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The argument vector; empty for the user's shell.
    #[serde(default)]
    pub argv: Vec<String>,
    /// Variables on top of the sandbox's own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// An absolute path; the sandbox's working directory when absent.
    #[serde(default)]
    pub cwd: Option<String>,
    /// `name`, `uid`, `name:group` or `uid:gid`; the sandbox's user when absent.
    #[serde(default)]
    pub user: Option<String>,
}

/// A terminal to open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// A name that no terminal has yet.
    pub terminal: String,
    /// The size at which the program starts.
    #[serde(flatten)]
    pub size: Size,
    /// What runs in it.
    #[serde(flatten)]
    pub program: Program,
    /// Bytes of output that are kept for viewers that come back; [`TERMINAL_JOURNAL`] when absent.
    #[serde(default)]
    pub journal: Option<u64>,
}

/// Bytes of output that a terminal keeps for viewers that come back, unless told otherwise.
pub const TERMINAL_JOURNAL: u64 = 1024 * 1024;

/// The least of them: more than the window of a viewer, and what a PTY holds at the end.
pub const MIN_TERMINAL_JOURNAL: u64 = 512 * 1024;

/// The most of them. They are the sandbox's memory.
pub const MAX_TERMINAL_JOURNAL: u64 = 256 * 1024 * 1024;

/// A viewer that joins a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each of them is one")]
pub struct Attach {
    /// The terminal; `main` is opened when it is not there, or when `restart` is set and its
    /// program has ended.
    pub terminal: String,
    /// What the viewer may do.
    pub role: Role,
    /// The viewer's size; it becomes the terminal's when the viewer is a writer.
    #[serde(flatten)]
    pub size: Size,
    /// Go on from this offset.
    #[serde(default)]
    pub since: Option<u64>,
    /// The run that `since` belongs to, from `hello`. An offset of another run means nothing.
    #[serde(default)]
    pub run: Option<String>,
    /// Who is typing: the sequence of input is counted for each.
    #[serde(default)]
    pub client: Option<String>,
    /// What the viewer gets when the journal no longer holds what it wants next.
    #[serde(default)]
    pub behind: Behind,
    /// Start `main` again when its program has ended.
    #[serde(default)]
    pub restart: bool,
    /// Leave the writer's role to whom has it, as a client that comes back without having had it.
    #[serde(default)]
    pub yields: bool,
    /// Take input from it although it is a reader: a script types without having a screen for what runs.
    #[serde(default)]
    pub types: bool,
    /// The program does not wait for it: it may fall behind, and out of the journal.
    #[serde(default)]
    pub lags: bool,
}

impl Attach {
    /// One who only looks, at what there is now, and changes nothing for others.
    pub fn looking(terminal: impl Into<String>) -> Self {
        Self {
            terminal: terminal.into(),
            role: Role::Reader,
            size: Size::DEFAULT,
            since: None,
            run: None,
            client: None,
            behind: Behind::Snapshot,
            restart: false,
            yields: true,
            types: false,
            lags: false,
        }
    }
}

/// What a viewer gets that has fallen out of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behind {
    /// A snapshot: for viewers that draw a screen.
    #[default]
    Snapshot,
    /// A gap and the oldest byte that is kept: for scripts and recorders.
    Gap,
}

/// A command to run without a PTY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// A name that no exec has yet, so that a request which is made again runs nothing twice.
    pub exec: String,
    /// What to run.
    #[serde(flatten)]
    pub program: Program,
    /// Whether input frames follow, up to [`Follower::End`]. Without, stdin is empty.
    #[serde(default)]
    pub stdin: bool,
    /// Milliseconds after which it is ended with [`crate::exit::Reason::Timeout`].
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Milliseconds between asking its processes to end then and killing them; [`GRACE`] when absent.
    #[serde(default)]
    pub grace_ms: Option<u64>,
    /// It is the server's own: it is not listed, and not kept when its end has been told.
    #[serde(default)]
    pub private: bool,
    /// Stands for the request: another one for the same exec with the same is the same request, made
    /// again, and follows the exec. Without, every other request for it is refused.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// Where to follow it from, when it is there already.
    #[serde(default)]
    pub since: Places,
    /// Milliseconds after which it is ended when nobody follows it. Until then it waits with output
    /// that the journals have no room for. Absent, it needs no follower, and the journals keep the
    /// last of its output.
    #[serde(default)]
    pub linger_ms: Option<u64>,
}

/// An exec to follow, from where somebody was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// The exec's name.
    pub exec: String,
    /// The offsets to go on from.
    #[serde(flatten)]
    pub since: Places,
}

/// An offset in each stream of an exec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// In standard output.
    #[serde(default)]
    pub stdout: u64,
    /// In standard error.
    #[serde(default)]
    pub stderr: u64,
}

impl From<[u64; 2]> for Places {
    fn from([stdout, stderr]: [u64; 2]) -> Self {
        Self { stdout, stderr }
    }
}

impl From<Places> for [u64; 2] {
    fn from(places: Places) -> Self {
        [places.stdout, places.stderr]
    }
}

/// One of the streams that an exec writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output: frames of [`crate::frame::Kind::Output`].
    Stdout,
    /// Standard error: frames of [`crate::frame::Kind::Stderr`].
    Stderr,
}

/// Messages from the server while it follows an exec, between input frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Follower {
    /// No more input: the command's stdin ends here.
    End,
    /// What has come: the offsets after the last bytes. The agent keeps what comes after them, so
    /// that another connection can go on there, and has no room for more than [`EXEC_JOURNAL`] of each
    /// stream.
    Ack(Places),
    /// From the last one who follows: nobody will come back, and the command is to be ended, if it runs. From
    /// any other it means nothing but that it goes.
    Leave {
        /// Milliseconds between asking its processes to end and killing them.
        grace_ms: u64,
    },
    /// From one who feeds: how far the input has come is to be told, with [`Response::Following`].
    Sync,
}

/// From the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "snake_case")]
pub enum Response {
    /// Nothing more to say.
    Done,
    /// One terminal.
    Terminal(Terminal),
    /// All terminals.
    Terminals {
        /// At most as many as the agent allows to be open, ended ones included.
        terminals: Vec<Terminal>,
    },
    /// Some commands of a terminal, the oldest first.
    Commands {
        /// At most [`MAX_LISTED`].
        commands: Vec<Command>,
        /// Whether there are more after them.
        #[serde(default)]
        more: bool,
    },
    /// What the agent is and how it does.
    Status(Status),
    /// What an exec writes follows, or input for it may.
    Following {
        /// Bytes of input that have arrived; the next input frame has this position.
        stdin: u64,
        /// The position up to which input may be sent.
        until: u64,
        /// Whether more input may come: it has not been ended, and the command may still read it.
        #[serde(default)]
        open: bool,
        /// The program's process in the sandbox, unless its start failed.
        #[serde(default)]
        pid: Option<i32>,
        /// When it was started, in milliseconds since 1970.
        #[serde(default)]
        started_ms: u64,
        /// What it has written.
        #[serde(default)]
        ends: Places,
        /// Whether it has ended.
        #[serde(default)]
        ended: bool,
    },
    /// Some execs, the oldest first.
    Execs {
        /// At most [`MAX_LISTED`].
        execs: Vec<ExecStatus>,
        /// Whether there are more after them.
        #[serde(default)]
        more: bool,
    },
    /// The command has read some of its input.
    Room {
        /// The position up to which more may be sent.
        until: u64,
    },
    /// Output that its exec's journal no longer holds.
    Gap {
        /// Of which stream.
        stream: Stream,
        /// The offset of the first byte that is not told.
        from: u64,
        /// The offset of the next byte that is.
        to: u64,
    },
    /// Something has happened.
    Event {
        /// When, in milliseconds since 1970.
        at_ms: u64,
        /// What.
        #[serde(flatten)]
        happened: Happened,
    },
    /// More has happened than was kept for this connection.
    Missed {
        /// How many events are not told.
        count: u64,
    },
    /// An exec goes on in silence.
    Alive,
    /// An exec has ended; it is the last frame.
    ExecExit {
        /// How it ended.
        #[serde(flatten)]
        exit: Exit,
        /// Bytes of both streams, all of them.
        #[serde(flatten)]
        ends: Places,
        /// Milliseconds from its start to its end.
        #[serde(default)]
        duration_ms: u64,
    },
    /// The request was not carried out.
    Error(Refusal),
}

/// Something that has happened in a sandbox. What is the server's own is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "happened", rename_all = "snake_case")]
pub enum Happened {
    /// An exec has been started.
    ExecStarted {
        /// Its name.
        exec: String,
        /// The program's argument vector.
        argv: Vec<String>,
    },
    /// An exec's program has ended.
    ExecEnded {
        /// Its name.
        exec: String,
        /// How it ended.
        exit: Exit,
        /// What it has written.
        ends: Places,
    },
    /// A terminal has been opened, or its program started again.
    TerminalOpened {
        /// Its name.
        terminal: String,
        /// The program's argument vector.
        argv: Vec<String>,
    },
    /// A terminal's program has ended.
    TerminalEnded {
        /// Its name.
        terminal: String,
        /// How it ended.
        exit: Exit,
    },
    /// A terminal has been closed.
    TerminalClosed {
        /// Its name.
        terminal: String,
    },
    /// The image's own command has ended.
    MainEnded {
        /// How it ended.
        exit: Exit,
    },
}

/// Why an agent did not carry out a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of error it is.
    pub code: RefusalCode,
    /// A sentence for people.
    pub message: String,
}

/// The kinds of [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The request is not understood, or a value in it is not allowed.
    Invalid,
    /// No terminal or exec of that name.
    NotFound,
    /// A terminal or exec of that name is there already.
    Exists,
    /// As many terminals, viewers or execs as are allowed.
    TooMany,
    /// The program could not be started.
    StartFailed,
    /// The program has ended.
    Ended,
    /// The agent is ending.
    ShuttingDown,
    /// Nobody listens on the port.
    NotListening,
    /// A kind this version does not know.
    #[serde(other)]
    Other,
}

/// A terminal as the agent sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Its name.
    pub terminal: String,
    /// The program's argument vector.
    pub argv: Vec<String>,
    /// Its size.
    #[serde(flatten)]
    pub size: Size,
    /// The title its program set last.
    #[serde(default)]
    pub title: String,
    /// The offset after its last byte.
    pub offset: u64,
    /// How many viewers it has.
    pub viewers: u32,
    /// How its program ended, when it has.
    #[serde(default)]
    pub exit: Option<Exit>,
}

/// A command that a shell has run in a terminal, as it marks them (OSC 133).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The how many-th it is of this start of the terminal's program, from 1 on.
    pub number: u64,
    /// Its line, as it stood on the screen, if the shell says where it begins.
    #[serde(default)]
    pub text: Option<String>,
    /// Where it ran, as the shell says it (OSC 7).
    #[serde(default)]
    pub directory: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// Milliseconds from its begin until its end, or until now.
    pub duration_ms: u64,
    /// The offset of the first byte of its output.
    pub from: u64,
    /// The offset after the last; none while it runs.
    #[serde(default)]
    pub to: Option<u64>,
    /// Its exit code, if the shell says it.
    #[serde(default)]
    pub code: Option<i32>,
}

/// An exec as the agent sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecStatus {
    /// Its name.
    pub exec: String,
    /// The how many-th it is of this agent, from 1 on.
    pub number: u64,
    /// The program's argument vector.
    pub argv: Vec<String>,
    /// The program's process, while it runs.
    #[serde(default)]
    pub pid: Option<i32>,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: u64,
    /// Milliseconds from its start until it ended, or until now.
    pub duration_ms: u64,
    /// The offsets of the oldest bytes that are kept.
    pub starts: Places,
    /// The offsets after the last bytes.
    pub ends: Places,
    /// Bytes of input that have arrived.
    pub stdin: u64,
    /// Whether more may come.
    pub open: bool,
    /// How it ended, when it has.
    #[serde(default)]
    pub exit: Option<Exit>,
}

/// What an agent is and how it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// The session's main process, when it has one beside the terminals.
    #[serde(default)]
    pub main: Option<MainProcess>,
    /// Viewers, running execs and those who follow execs, at this moment.
    pub active: u32,
}

/// The image's own command, running beside the terminals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainProcess {
    /// Its argument vector.
    pub argv: Vec<String>,
    /// How it ended, when it has.
    #[serde(default)]
    pub exit: Option<Exit>,
}
