//! From what the kernel says of a process's end to what is told about it.

use shellport_wire::exit::{Exit, Reason};
use tokio::sync::oneshot::error::RecvError;

use crate::reaper::Ended;

/// An end that the reaper saw, or did not.
pub type Seen = Option<Ended>;

/// An end as it is told; `forced` is the reason when it was our doing.
pub fn exit(seen: Seen, forced: Option<Reason>) -> Exit {
    let (code, signal, reason) = match seen {
        None => return Exit::LOST,
        Some(Ended::Code(code)) => (Some(code), None, Reason::Exited),
        Some(Ended::Signal(signal)) => (None, Some(signal), Reason::Signaled),
        Some(Ended::Oom) => (None, Some(nix::sys::signal::Signal::SIGKILL), Reason::Oom),
    };
    Exit {
        code,
        signal: signal.map(|signal| signal.as_str().to_owned()),
        reason: forced.unwrap_or(reason),
    }
}

/// What a process's channel answered.
pub fn seen(answer: Result<Ended, RecvError>) -> Seen {
    answer.ok()
}
