//! The images of the runtime, for the API.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::task::spawn_blocking;

use super::pull::Pull;
use crate::image::pull::Progress;
use crate::image::{Freed, Image, ImageError, Store};

/// Pulls and imports at once: each of them may take half a gigabyte of memory.
const AT_ONCE: usize = 4;

/// Images, which can be brought, looked at and removed.
pub struct Images {
    store: Store,
    program: PathBuf,
    data_dir: PathBuf,
    max_layer: u64,
    places: Semaphore,
}

/// What is heard of an image that was imported.
#[derive(Deserialize)]
struct Named {
    reference: String,
}

/// What goes wrong with images.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The image, or the store.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It cannot be had.
    #[error("{0}")]
    Pull(String),
    /// As many as can be are being brought.
    #[error("{AT_ONCE} images are being brought already")]
    Busy,
    /// The archive did not come whole.
    #[error("the archive did not come whole: {0}")]
    Archive(String),
    /// The archive is more than a layer may be.
    #[error("the archive has more than the {0} bytes that the operator allows")]
    TooLarge(u64),
    /// The archive is none of images.
    #[error("{0}")]
    Import(String),
}

impl From<TryAcquireError> for ImagesError {
    fn from(_: TryAcquireError) -> Self {
        Self::Busy
    }
}

impl Images {
    /// Those of the store below `data_dir`, whose layers have at most `max_layer` bytes; `program` is this
    /// one.
    pub(super) fn new(store: Store, program: PathBuf, data_dir: PathBuf, max_layer: u64) -> Self {
        Self {
            store,
            program,
            data_dir,
            max_layer,
            places: Semaphore::new(AT_ONCE),
        }
    }

    /// Where they are.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Every image, by name.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn list(&self) -> Result<Vec<Image>, ImagesError> {
        let store = self.store.clone();
        aside(async move { store.list().await }).await
    }

    /// The image of this name, or with an id that begins with these digits.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub async fn find(&self, name: &str) -> Result<Image, ImagesError> {
        Ok(self.store.find(name).await?)
    }

    /// Takes this name away, and removes what nothing names any more.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn remove(&self, name: &str) -> Result<Freed, ImagesError> {
        let (store, name) = (self.store.clone(), name.to_owned());
        aside(async move { Ok(store.remove(&name).await?.1) }).await
    }

    /// Removes what nothing names, and what was left of downloads.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn prune(&self) -> Result<Freed, ImagesError> {
        let store = self.store.clone();
        aside(async move { store.prune().await }).await
    }

    /// Brings the image of this name from its registry, and tells how far it is. What has come stays for
    /// the next time when this is cancelled.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn pull(
        &self,
        name: &str,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Image, ImagesError> {
        let _place = self.places.try_acquire()?;
        let mut pull =
            Pull::start(&self.program, &self.data_dir, name).map_err(ImagesError::Pull)?;
        while let Some(now) = pull.next().await.map_err(ImagesError::Pull)? {
            progress(now);
        }
        self.find(name).await
    }

    /// Takes the images of an archive, under this name or else those that it gives. It is kept in a file
    /// until all of it has come: nothing is made of a part.
    ///
    /// # Errors
    /// An archive that is none, or has no name while none is given, or does not come whole.
    pub async fn import<E: std::fmt::Display>(
        &self,
        name: Option<&str>,
        archive: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Vec<Image>, ImagesError> {
        let archive = self.keep(archive).await?;
        let _place = self.places.try_acquire()?;
        let failed = |error: io::Error| ImagesError::Import(error.to_string());
        // In a process of its own: whatever is in there, it is not the server's memory that holds it.
        let output = Command::new(&self.program)
            .args(["image", "import", "--json", "--data-dir"])
            .arg(&self.data_dir)
            .arg(format!("--max-layer={}", self.max_layer))
            .args(["--", "-"])
            .args(name)
            .stdin(archive)
            .kill_on_drop(true)
            .output()
            .await
            .map_err(failed)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim().trim_start_matches("shellport: ");
            return Err(ImagesError::Import(said.to_owned()));
        }
        let names: Vec<Named> =
            serde_json::from_slice(&output.stdout).map_err(|error| failed(error.into()))?;
        let mut images = Vec::new();
        for Named { reference } in names {
            images.push(self.find(&reference).await?);
        }
        Ok(images)
    }

    /// The archive as a file without a name.
    async fn keep<E: std::fmt::Display>(
        &self,
        mut archive: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<File, ImagesError> {
        let place = self.data_dir.join("images/downloads");
        let failed = |cause| {
            let path = place.clone();
            ImagesError::Image(ImageError::Store { path, cause })
        };
        let mut file = tokio::fs::File::from_std(tempfile::tempfile_in(&place).map_err(failed)?);
        let mut left = self.max_layer;
        while let Some(part) = archive.next().await {
            let part = part.map_err(|error| ImagesError::Archive(error.to_string()))?;
            left = left
                .checked_sub(part.len() as u64)
                .ok_or(ImagesError::TooLarge(self.max_layer))?;
            file.write_all(&part).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        file.rewind().await.map_err(failed)?;
        Ok(file.into_std().await)
    }
}

/// Does what keeps a thread busy with files on a thread for that.
async fn aside<T: Send + 'static>(
    work: impl Future<Output = Result<T, ImageError>> + Send + 'static,
) -> Result<T, ImagesError> {
    let runtime = Handle::current();
    let done = spawn_blocking(move || runtime.block_on(work)).await;
    Ok(done.expect("it does not panic")?)
}
