//! What a caller asks to be run.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use shellport_wire::agent::{Exec, GRACE, Places, Program};
use utoipa::ToSchema;

use super::run::LINGER;
use crate::config::Limits;
use crate::http::extract::Body;
use crate::http::model::Duration as DurationText;
use crate::http::problem::Problem;
use crate::policy::{check_cwd, check_env, resolve_time};

/// The longest that processes are asked to end before they are killed.
pub const MAX_GRACE: Duration = Duration::from_mins(5);

/// A command to run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunExec {
    /// The argument vector. Either this or `shell`.
    #[serde(default)]
    pub argv: Vec<String>,
    /// A line for `/bin/sh -c`. Either this or `argv`.
    #[schema(example = "make test")]
    pub shell: Option<String>,
    /// Variables on top of the session's.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub cwd: Option<String>,
    /// The user; the session's when absent.
    pub user: Option<String>,
    /// What it reads from its standard input; nothing when absent.
    pub stdin: Option<String>,
    /// Whether more input comes later, to `…/stdin`, up to its end.
    #[serde(default)]
    pub stdin_open: bool,
    /// After how long it is ended.
    pub timeout: Option<DurationText>,
    /// How long its processes may take to end when they are asked to, before they are killed; `2s` when
    /// absent.
    pub grace: Option<DurationText>,
    /// Answer when it has started, and let it run alone.
    #[serde(default)]
    pub background: bool,
    /// How long it goes on when nobody follows it. Until then it waits with output for which there is no room.
    /// When absent, it is ended at once, and a background command goes on for ever, of whose output
    /// the last 256 KiB of each stream are kept.
    pub linger: Option<DurationText>,
}

/// A command that may be run.
pub struct Wish {
    /// What the agent is asked.
    pub exec: Exec,
    /// Its input, if it is known.
    pub stdin: Option<Bytes>,
    /// Whether it runs alone.
    pub background: bool,
    /// How it is ended when its client goes: with this grace, or not at all.
    pub stop: Option<Duration>,
}

impl Wish {
    /// What `body` asks for, under this name and from these places on.
    ///
    /// # Errors
    /// What is not allowed, by field.
    pub fn new(
        body: Body<RunExec>,
        name: String,
        since: Places,
        limits: &Limits,
    ) -> Result<Self, Problem> {
        let fingerprint = fingerprint(&body.text);
        let wish = body.value;
        check_env(&wish.env)?;
        check_cwd(wish.cwd.as_deref())?;
        let argv = match (wish.argv.is_empty(), wish.shell) {
            (false, None) => wish.argv,
            (true, Some(line)) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line],
            _ => {
                let detail = "argv: give either an argument vector or a line for the shell";
                return Err(Problem::invalid(detail).with_field("argv"));
            }
        };
        if wish.stdin.is_some() && wish.stdin_open {
            let detail = "stdin: give it here, or set stdin_open and give it later";
            return Err(Problem::invalid(detail).with_field("stdin"));
        }
        let longest = limits.max_exec;
        let time = |it: Option<DurationText>| it.map(|it| it.0);
        let limit = resolve_time("timeout", time(wish.timeout), Some(longest))?;
        let grace = resolve_time("grace", time(wish.grace), Some(MAX_GRACE))?;
        let grace = wish.grace.and(grace).unwrap_or(GRACE);
        let linger = resolve_time("linger", time(wish.linger), Some(longest))?;
        let linger = wish.linger.and(linger);
        let exec = Exec {
            exec: name,
            program: Program {
                argv,
                env: wish.env,
                cwd: wish.cwd,
                user: wish.user,
            },
            stdin: wish.stdin.is_some() || wish.stdin_open,
            timeout_ms: limit.map(milliseconds),
            grace_ms: Some(milliseconds(grace)),
            linger_ms: if wish.background {
                linger.map(milliseconds)
            } else {
                Some(milliseconds(linger.unwrap_or_default().max(LINGER)))
            },
            private: false,
            fingerprint: Some(fingerprint),
            since,
        };
        Ok(Self {
            exec,
            stdin: wish.stdin.map(Bytes::from),
            background: wish.background,
            stop: (linger.is_none() && !wish.background).then_some(grace),
        })
    }
}

/// Stands for a body, however it is written.
fn fingerprint(body: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    HEXLOWER.encode(&Sha256::digest(value.to_string()))
}

/// A duration for an agent.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_what_is_asked_and_not_of_how() {
        let written = fingerprint(r#"{"shell":"x", "env": {"B":"2","A":"1"}}"#);
        let again = fingerprint(r#" {"env":{"A":"1","B":"2"},"shell":"x"}"#);
        assert_eq!(written, again);
        assert_ne!(
            written,
            fingerprint(r#"{"shell":"y","env":{"A":"1","B":"2"}}"#)
        );
    }
}
