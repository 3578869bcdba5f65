//! From what the kernel says of a process's end to what is told about it.

use nix::sys::signal::Signal;
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
        Some(Ended::Oom) => (None, Some(Signal::SIGKILL as i32), Reason::Oom),
    };
    Exit {
        code,
        signal: signal.map(signal_name),
        reason: forced.unwrap_or(reason),
    }
}

/// The name of a signal; those that have none are counted from the first realtime signal that
/// programs may use, as glibc does it.
fn signal_name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("SIGRTMIN+{}", number - 34),
    }
}

/// What a process's channel answered.
pub fn seen(answer: Result<Ended, RecvError>) -> Seen {
    answer.ok()
}
