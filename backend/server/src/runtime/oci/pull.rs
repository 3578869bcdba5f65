//! Getting an image, in a process of its own: whatever a registry sends, it is not the server's memory
//! that holds it.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::image::pull::{Progress as Pulled, Step};
use crate::runtime::ProgressSink;
use crate::session::Progress;

/// The longest line of progress; an image has at most 127 layers.
const MAX_LINE: u64 = 1 << 20;

/// Bytes of a complaint that are heard.
const MAX_SAID: u64 = 4096;

/// An image that is being brought. When it is dropped, what has come stays for the next time.
pub struct Pull {
    child: Child,
    lines: BufReader<ChildStdout>,
    complaints: ChildStderr,
}

impl Pull {
    /// Begins to bring `image` into the store below `data_dir`, with the help of `program`, which is this
    /// one.
    ///
    /// # Errors
    /// Those of starting a process, in words for people.
    pub fn start(program: &Path, data_dir: &Path, image: &str) -> Result<Self, String> {
        let mut child = Command::new(program)
            .args(["image", "pull", "--json", "--data-dir"])
            .arg(data_dir)
            .arg("--")
            .arg(image)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stdout = child.stdout.take().expect("piped");
        let complaints = child.stderr.take().expect("piped");
        Ok(Self {
            child,
            lines: BufReader::new(stdout),
            complaints,
        })
    }

    /// How far it is, when that has changed; none when the image is there.
    ///
    /// # Errors
    /// Why it cannot be had, in words for people.
    pub async fn next(&mut self) -> Result<Option<Pulled>, String> {
        loop {
            let mut line = Vec::new();
            let mut bounded = (&mut self.lines).take(MAX_LINE);
            if bounded.read_until(b'\n', &mut line).await.map_err(failed)? == 0 {
                return self.end().await.map(|()| None);
            }
            // The last line is the image.
            if let Ok(pulled) = serde_json::from_slice(&line) {
                return Ok(Some(pulled));
            }
        }
    }

    async fn end(&mut self) -> Result<(), String> {
        let mut said = Vec::new();
        let mut complaints = (&mut self.complaints).take(MAX_SAID);
        complaints.read_to_end(&mut said).await.map_err(failed)?;
        let status = self.child.wait().await.map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        let said = said.trim().trim_start_matches("shellport: ");
        Err(if said.is_empty() {
            format!("pulling ended with {status}")
        } else {
            said.to_owned()
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it maps an error")]
fn failed(error: std::io::Error) -> String {
    format!("pulling: {error}")
}

/// Brings `image` for a session. Safe to cancel.
///
/// # Errors
/// As [`Pull::next`].
pub async fn pull(
    program: &Path,
    data_dir: &Path,
    image: &str,
    progress: &ProgressSink,
) -> Result<(), String> {
    progress.send_replace(Some(shown(image, &Pulled::default())));
    let mut pull = Pull::start(program, data_dir, image)?;
    while let Some(pulled) = pull.next().await? {
        progress.send_replace(Some(shown(image, &pulled)));
    }
    Ok(())
}

fn shown(image: &str, pulled: &Pulled) -> Progress {
    let unpacking = pulled.layers.iter().any(|it| it.step == Step::Unpacking);
    let downloading = pulled.layers.iter().any(|it| it.step == Step::Downloading);
    let verb = if unpacking && !downloading {
        "Unpacking"
    } else {
        "Pulling"
    };
    let total: u64 = pulled.layers.iter().map(|it| it.total).sum();
    Progress {
        step: "pulling_image",
        message: format!("{verb} {image}"),
        current: pulled.layers.iter().map(|it| it.current).sum(),
        total: (total > 0).then_some(total),
    }
}
