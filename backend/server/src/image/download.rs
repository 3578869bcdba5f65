//! Bringing a blob from a registry to a file, as often as it takes.

use std::io;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use oci_client::client::BlobResponse;
use oci_client::errors::OciDistributionError;
use oci_client::{Client, Reference};
use oci_spec::image::Descriptor;
use sha2::{Digest as _, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::time::sleep;

use super::{Digest, ImageError};

/// Tries in a row that bring nothing.
const TRIES: u32 = 5;

/// Before the second try; twice as long before each that follows.
const PAUSE: Duration = Duration::from_millis(500);

/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;

/// A file with a part of a blob.
struct Part<'a> {
    path: &'a Path,
    file: File,
    length: u64,
    hash: Sha256,
}

/// Brings the blob `wanted` of `image` to the file at `path`, from where an earlier call came to.
/// `note` hears how many bytes are there. Safe to cancel: the next call goes on.
///
/// # Errors
/// A registry that cannot be reached for a while or sends something else, and a disk that is full.
pub async fn download(
    client: &Client,
    image: &Reference,
    wanted: &Descriptor,
    path: &Path,
    note: impl Fn(u64),
) -> Result<std::fs::File, ImageError> {
    let expected = Digest::try_from(wanted.digest())
        .map_err(|error| ImageError::malformed("the image's manifest")(&error))?;
    let mut part = Part::open(path).await?;
    let mut resumed = part.length > 0;
    loop {
        part.complete(client, image, wanted, &note).await?;
        let found = Digest::from_hash(part.hash.clone());
        if found == expected {
            break;
        }
        part.clear().await?;
        if !std::mem::take(&mut resumed) {
            return Err(ImageError::Digest {
                what: "a layer",
                expected,
                found,
            });
        }
        // What was there before may have been broken; all of it is brought once more.
    }
    part.file
        .sync_all()
        .await
        .map_err(ImageError::store(path))?;
    let mut file = part.file.into_std().await;
    io::Seek::rewind(&mut file).map_err(ImageError::store(path))?;
    Ok(file)
}

impl<'a> Part<'a> {
    async fn open(path: &'a Path) -> Result<Self, ImageError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .await
            .map_err(ImageError::store(path))?;
        let mut part = Self {
            path,
            file,
            length: 0,
            hash: Sha256::new(),
        };
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = part.file.read(&mut buffer).await;
            let count = count.map_err(ImageError::store(path))?;
            if count == 0 {
                return Ok(part);
            }
            part.hash.update(&buffer[..count]);
            part.length += count as u64;
        }
    }

    async fn clear(&mut self) -> Result<(), ImageError> {
        let clear = async {
            self.file.set_len(0).await?;
            self.file.rewind().await
        };
        clear.await.map_err(ImageError::store(self.path))?;
        (self.length, self.hash) = (0, Sha256::new());
        Ok(())
    }

    async fn complete(
        &mut self,
        client: &Client,
        image: &Reference,
        wanted: &Descriptor,
        note: &impl Fn(u64),
    ) -> Result<(), ImageError> {
        if self.length > wanted.size() {
            self.clear().await?;
        }
        let mut failures = 0;
        while self.length < wanted.size() {
            let before = self.length;
            let Err(error) = self.add(client, image, wanted, note).await? else {
                continue;
            };
            if self.length > before {
                failures = 0;
            }
            failures += 1;
            if failures >= TRIES || !may_pass(&error) {
                return Err(ImageError::Registry {
                    image: image.whole(),
                    cause: error.to_string(),
                });
            }
            tracing::debug!(%error, image = image.whole(), "a download goes on after a pause");
            sleep(PAUSE * 2_u32.pow(failures - 1)).await;
        }
        Ok(())
    }

    /// Adds what one request brings: the outer error is of the disk, the inner one of the registry.
    async fn add(
        &mut self,
        client: &Client,
        image: &Reference,
        wanted: &Descriptor,
        note: &impl Fn(u64),
    ) -> Result<Result<(), OciDistributionError>, ImageError> {
        let digest = wanted.digest().as_ref();
        let request = client.pull_blob_stream_partial(image, digest, self.length, None);
        let mut stream = match request.await {
            Ok(BlobResponse::Partial(stream)) => stream.stream,
            Ok(BlobResponse::Full(stream)) => {
                self.clear().await?;
                stream.stream
            }
            Err(error) => return Ok(Err(error)),
        };
        let mut result = Ok(());
        while let Some(bytes) = stream.next().await {
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    result = Err(error.into());
                    break;
                }
            };
            let room = usize::try_from(wanted.size() - self.length).unwrap_or(usize::MAX);
            let bytes = &bytes[..bytes.len().min(room)];
            self.file
                .write_all(bytes)
                .await
                .map_err(ImageError::store(self.path))?;
            self.hash.update(bytes);
            self.length += bytes.len() as u64;
            note(self.length);
            if self.length == wanted.size() {
                break;
            }
        }
        self.file
            .flush()
            .await
            .map_err(ImageError::store(self.path))?;
        if result.is_ok() && self.length < wanted.size() {
            result = Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(result)
    }
}

/// Whether another try may do better.
pub fn may_pass(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::IoError(_) | OciDistributionError::RequestError(_) => true,
        OciDistributionError::ServerError { code, .. } => *code >= 500 || *code == 429,
        _ => false,
    }
}
