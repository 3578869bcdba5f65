//! The images of the runtime, for the API.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::{Semaphore, TryAcquireError};

use super::pull::Pull;
use crate::image::import::import;
use crate::image::pull::Progress;
use crate::image::{Freed, Image, ImageError, Store};

/// Pulls and imports at once: each of them may take half a gigabyte of memory.
const AT_ONCE: usize = 4;

/// Images, which can be brought, looked at and removed.
pub struct Images {
    store: Store,
    program: PathBuf,
    data_dir: PathBuf,
    places: Semaphore,
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
}

impl From<TryAcquireError> for ImagesError {
    fn from(_: TryAcquireError) -> Self {
        Self::Busy
    }
}

impl Images {
    /// Those of the store below `data_dir`; `program` is this one.
    pub(super) fn new(store: Store, program: PathBuf, data_dir: PathBuf) -> Self {
        Self {
            store,
            program,
            data_dir,
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
        Ok(self.store.list().await?)
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
        Ok(self.store.remove(name).await?.1)
    }

    /// Removes what nothing names, and what was left of downloads.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn prune(&self) -> Result<Freed, ImagesError> {
        Ok(self.store.prune().await?)
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

    /// Takes the images of an archive as it comes, under this name or else those that it gives.
    ///
    /// # Errors
    /// An archive that is none, or has no name while none is given, or does not come whole.
    pub async fn import<E: std::fmt::Display>(
        &self,
        name: Option<&str>,
        archive: impl Stream<Item = Result<bytes::Bytes, E>> + Unpin,
    ) -> Result<Vec<Image>, ImagesError> {
        let _place = self.places.try_acquire()?;
        let (reader, writer) =
            io::pipe().map_err(|error| ImagesError::Archive(error.to_string()))?;
        let reading = import(&self.store, File::from(OwnedFd::from(reader)), name);
        let result = tokio::join!(reading, pass(archive, writer.into()));
        match result {
            // Whoever has heard enough hangs up, so what it says counts.
            (Err(error), Ok(())) => Err(error.into()),
            (_, Err(error)) => Err(ImagesError::Archive(error)),
            (Ok(images), Ok(())) => Ok(images),
        }
    }
}

/// Writes an archive to a pipe, as far as anybody reads it.
async fn pass<E: std::fmt::Display>(
    mut archive: impl Stream<Item = Result<bytes::Bytes, E>> + Unpin,
    writer: OwnedFd,
) -> Result<(), String> {
    let mut writer = pipe::Sender::from_owned_fd(writer).map_err(|error| error.to_string())?;
    while let Some(part) = archive.next().await {
        let part = part.map_err(|error| error.to_string())?;
        if writer.write_all(&part).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
