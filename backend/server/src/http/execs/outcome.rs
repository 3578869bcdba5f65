//! A command's whole outcome, in one answer.

use data_encoding::BASE64;
use serde::Serialize;
use shellport_wire::agent::Stream as Which;
use utoipa::ToSchema;

use super::run::Told;
use crate::agent::{AgentError, Ended, Event};
use crate::http::model::Exit;
use crate::http::problem::Problem;

/// The most bytes of each stream in an answer.
const MAX_OUTPUT: usize = 1024 * 1024;

/// How a command went.
#[derive(Serialize, ToSchema)]
pub struct ExecOutcome {
    /// The exec.
    id: String,
    /// What it wrote to standard output, at most 1 MiB.
    stdout: String,
    /// What it wrote to standard error, at most 1 MiB.
    stderr: String,
    /// `base64` when the streams are not both UTF-8, else `utf-8`.
    encoding: &'static str,
    /// How it ended.
    exit: Exit,
    /// Milliseconds from its start to its end.
    duration_ms: u64,
    /// Whether it wrote more than is told here.
    truncated: bool,
}

/// What has come of one stream.
#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
    /// Whether there was more.
    cut: bool,
}

impl Output {
    fn push(&mut self, bytes: &[u8]) {
        // Behind a cut, what comes would stand in the wrong place.
        let room = if self.cut && !self.bytes.is_empty() {
            0
        } else {
            MAX_OUTPUT - self.bytes.len()
        };
        self.cut |= bytes.len() > room;
        let kept = &bytes[..bytes.len().min(room)];
        self.bytes.extend_from_slice(kept);
    }
}

/// Waits for the end of the exec called `id`. More output than is told is read and dropped.
///
/// # Errors
/// When the end is not seen.
pub async fn collect(id: String, mut told: Told) -> Result<ExecOutcome, Problem> {
    let (mut stdout, mut stderr) = (Output::default(), Output::default());
    let ended: Ended = loop {
        match told
            .recv()
            .await
            .unwrap_or(Err(AgentError::Closed.into()))?
        {
            Event::Output { stream, bytes, .. } => match stream {
                Which::Stdout => stdout.push(&bytes),
                Which::Stderr => stderr.push(&bytes),
            },
            Event::Gap { stream, .. } => match stream {
                Which::Stdout => stdout.cut = true,
                Which::Stderr => stderr.cut = true,
            },
            Event::Ended(ended) => break ended,
            Event::Started(_) | Event::Alive => {}
        }
    };
    let truncated = stdout.cut || stderr.cut;
    let (encoding, stdout, stderr) = match (text(&stdout), text(&stderr)) {
        (Some(stdout), Some(stderr)) => ("utf-8", stdout.to_owned(), stderr.to_owned()),
        _ => (
            "base64",
            BASE64.encode(&stdout.bytes),
            BASE64.encode(&stderr.bytes),
        ),
    };
    Ok(ExecOutcome {
        id,
        stdout,
        stderr,
        encoding,
        exit: ended.exit.into(),
        duration_ms: u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX),
        truncated,
    })
}

/// Output as text, if it is. What was cut may end within a character, which is left out.
fn text(output: &Output) -> Option<&str> {
    match std::str::from_utf8(&output.bytes) {
        Ok(text) => Some(text),
        Err(error) if output.cut && error.error_len().is_none() => {
            std::str::from_utf8(&output.bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_character_is_left_out_and_other_bytes_are_no_text() {
        let output = |bytes: &[u8], cut| Output {
            bytes: bytes.to_vec(),
            cut,
        };
        assert_eq!(text(&output("aé".as_bytes(), false)), Some("aé"));
        assert_eq!(text(&output(b"a\xc3", true)), Some("a"));
        assert_eq!(text(&output(b"a\xc3", false)), None);
        assert_eq!(text(&output(b"a\xff", true)), None);
    }

    #[test]
    fn what_comes_behind_a_cut_is_left_out() {
        let mut output = Output {
            bytes: Vec::new(),
            cut: true,
        };
        output.push(b"the oldest that is kept");
        output.cut = true;
        output.push(b"behind another gap");
        assert_eq!(output.bytes, b"the oldest that is kept");
    }
}
