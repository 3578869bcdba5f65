//! Getting an image, in a process of its own: whatever a registry sends, it is not the server's memory
//! that holds it.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use crate::image::pull::{Progress as Pulled, Step};
use crate::runtime::ProgressSink;
use crate::session::Progress;

/// The longest line of progress; an image has at most 127 layers.
const MAX_LINE: u64 = 1 << 20;

/// Bytes of a complaint that are heard.
const MAX_SAID: u64 = 4096;

/// Brings `image` into the store below `data_dir`, with the help of `program`, which is this one.
/// Safe to cancel.
///
/// # Errors
/// Why it cannot be had, in words for people.
pub async fn pull(
    program: &Path,
    data_dir: &Path,
    image: &str,
    progress: &ProgressSink,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("pulling: {error}");
    progress.send_replace(Some(shown(image, &Pulled::default())));
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
    let stderr = child.stderr.take().expect("piped");
    let progressing = async {
        let mut lines = BufReader::new(stdout);
        loop {
            let mut line = Vec::new();
            let count = (&mut lines)
                .take(MAX_LINE)
                .read_until(b'\n', &mut line)
                .await?;
            if count == 0 {
                return Ok(());
            }
            // The last line is the image.
            if let Ok(pulled) = serde_json::from_slice(&line) {
                progress.send_replace(Some(shown(image, &pulled)));
            }
        }
    };
    let complaining = async {
        let mut said = Vec::new();
        stderr.take(MAX_SAID).read_to_end(&mut said).await?;
        Ok(said)
    };
    let ((), said) = tokio::try_join!(progressing, complaining).map_err(failed)?;
    let status = child.wait().await.map_err(failed)?;
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
