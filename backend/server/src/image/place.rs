//! Places where layers are unpacked before they are layers.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::lock::Lock;
use super::unpack::Report;
use super::{Digest, ImageError};
use crate::id::random_tag;

/// What an overlay needs beside the layer.
const OVERLAY: [&str; 3] = ["below", "work", "merged"];

/// Bytes of a report or an error that are heard.
const MAX_SAID: u64 = 4096;

/// A directory with the files of a layer in `fs`, which is removed when it is dropped. Whoever is at
/// work in it, here or in the process that unpacks, holds a shared lock on its `lock`.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    _lock: Lock,
}

impl Place {
    /// A new one below `parent`.
    pub async fn new(parent: &Path) -> Result<Self, ImageError> {
        let path = parent.join(random_tag());
        let make = || {
            fs::create_dir(&path)?;
            fs::create_dir(path.join("fs"))?;
            // The root of an image that says nothing of it, whatever the umask is.
            fs::set_permissions(path.join("fs"), Permissions::from_mode(0o755))
        };
        let lock = match make() {
            Ok(()) => Lock::shared(&path.join("lock")).await,
            Err(error) => Err(error),
        };
        match lock {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(error) => {
                let _ = fs::remove_dir_all(&path);
                Err(ImageError::store(&path)(error))
            }
        }
    }

    /// The files.
    pub fn files(&self) -> PathBuf {
        self.path.join("fs")
    }

    /// Unpacks `blob` on top of the layers whose files are at `below`, the lowest first, with the help
    /// of `program`, which is this one. Safe to cancel.
    ///
    /// # Errors
    /// An archive that is no layer, or a disk that is full.
    pub async fn unpack(
        &self,
        program: &Path,
        blob: File,
        below: &[PathBuf],
        max_bytes: u64,
    ) -> Result<(Digest, u64), ImageError> {
        let step = |cause: io::Error| ImageError::Unpack(cause.to_string());
        self.prepare(below).map_err(step)?;
        let mut child = Command::new(program)
            .arg("unpack-layer")
            .arg(format!("--max-bytes={max_bytes}"))
            .arg(format!("--below={}", below.len()))
            .arg(&self.path)
            .env_clear()
            .stdin(blob)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(step)?;
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        let (report, error) = tokio::try_join!(hear(stdout), hear(stderr)).map_err(step)?;
        let status = child.wait().await.map_err(step)?;
        if !status.success() {
            let said = String::from_utf8_lossy(&error).trim().to_owned();
            return Err(ImageError::Unpack(match status.code() {
                Some(_) if !said.is_empty() => said,
                _ => format!("the process that unpacks it ended with {status} {said}"),
            }));
        }
        let report: Report = serde_json::from_slice(&report).map_err(|error| step(error.into()))?;
        let digest = report.diff_id.parse().map_err(|error| {
            ImageError::malformed("the report of the process that unpacks")(
                &error as &super::DigestError,
            )
        })?;
        self.tidy(below).map_err(step)?;
        Ok((digest, report.size))
    }

    /// Makes what an overlay needs. The names of the layers below are short, because all of them have
    /// to fit into one page of memory.
    fn prepare(&self, below: &[PathBuf]) -> io::Result<()> {
        if below.is_empty() {
            return Ok(());
        }
        for name in OVERLAY {
            fs::create_dir(self.path.join(name))?;
        }
        for (index, files) in below.iter().rev().enumerate() {
            symlink(files, self.path.join(format!("below/{index}")))?;
        }
        Ok(())
    }

    fn tidy(&self, below: &[PathBuf]) -> io::Result<()> {
        if below.is_empty() {
            return Ok(());
        }
        OVERLAY
            .iter()
            .try_for_each(|name| fs::remove_dir_all(self.path.join(name)))
    }

    /// Makes it the directory `target`, unless that is there already.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn rename(self, target: &Path) -> Result<(), ImageError> {
        match fs::rename(&self.path, target) {
            Err(_) if target.exists() => Ok(()),
            result => result.map_err(ImageError::store(target)),
        }
    }

    /// Writes the file `name` beside the layer's.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn note(&self, name: &str, text: &str) -> Result<(), ImageError> {
        let path = self.path.join(name);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(ImageError::store(&path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Renamed, or to be removed by whoever cleans up.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The beginning of what a process says. The rest is read as well, so that it does not wait for ever.
async fn hear(mut stream: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let mut heard = Vec::new();
    (&mut stream).take(MAX_SAID).read_to_end(&mut heard).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(heard)
}

/// Removes the places below `parent` at which no process that outlived the one that made them is still
/// at work. Nobody makes one meanwhile.
///
/// # Errors
/// Those of the file system.
pub fn clean_up(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let lock = path.join("lock");
        let _lock = if lock.exists() {
            let Some(lock) = Lock::try_exclusive(&lock)? else {
                continue;
            };
            Some(lock)
        } else {
            None
        };
        fs::remove_dir_all(&path)?;
    }
    Ok(())
}
