//! How a program ended.

use serde::{Deserialize, Serialize};

/// The end of a program: a code or a signal, never both, and why.
///
/// Neither is given when the end was not seen ([`Reason::Lost`]); a code is never made up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code, 0 to 255, of a program that ended by itself.
    pub code: Option<i32>,
    /// The name of the signal that ended it, such as `SIGKILL`.
    pub signal: Option<String>,
    /// Why it ended.
    pub reason: Reason,
}

/// Why a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It exited by itself.
    Exited,
    /// A signal ended it that Shellport did not send.
    Signaled,
    /// The kernel ended it because the sandbox was out of memory.
    Oom,
    /// It ran longer than it was allowed to.
    Timeout,
    /// Shellport ended it: a stop, a close, or a client that went away.
    Stopped,
    /// Its end was not seen, because the sandbox or the agent went first.
    Lost,
}

impl Exit {
    /// An end nobody saw.
    pub const LOST: Self = Self {
        code: None,
        signal: None,
        reason: Reason::Lost,
    };

    /// The code a shell would report: the code itself, or 128 plus the number of the signal.
    ///
    /// `None` for an end that was not seen, and for a signal whose number is not the same on every
    /// Linux machine.
    pub fn shell_code(&self) -> Option<i32> {
        self.code.or_else(|| {
            let name = self.signal.as_deref()?;
            let number = match name {
                "SIGHUP" => 1,
                "SIGINT" => 2,
                "SIGQUIT" => 3,
                "SIGILL" => 4,
                "SIGTRAP" => 5,
                "SIGABRT" => 6,
                "SIGFPE" => 8,
                "SIGKILL" => 9,
                "SIGSEGV" => 11,
                "SIGPIPE" => 13,
                "SIGALRM" => 14,
                "SIGTERM" => 15,
                _ => return None,
            };
            Some(128 + number)
        })
    }
}
