//! Bringing an image from a registry.

use std::fs::{self, File};
use std::io::ErrorKind;

use futures_util::{StreamExt, TryStreamExt, stream};
use oci_spec::image::Descriptor;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use super::download::download;
use super::registry::{Registry, digest};
use super::store::{chains, parse_configuration};
use super::{Digest, Image, ImageError, Store, parse, platform};

/// Layers that are brought at once.
const AT_ONCE: usize = 4;

/// The most layers of an image; Docker allows 127.
const MAX_LAYERS: usize = 256;

/// How far the bringing of an image is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Its layers, the lowest first; none before they are known.
    pub layers: Vec<LayerProgress>,
}

/// How far one layer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerProgress {
    /// The digest of its blob.
    pub digest: Digest,
    /// What happens to it.
    pub step: Step,
    /// Bytes that are here.
    pub current: u64,
    /// Bytes of its blob.
    pub total: u64,
}

/// What happens to a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Others come first, or somebody else is bringing it.
    Waiting,
    /// It comes.
    Downloading,
    /// It is made into files.
    Unpacking,
    /// It is here.
    Done,
}

/// Where a pull tells how far it is.
pub type ProgressSink = watch::Sender<Progress>;

/// Brings the image `name` into `store`, or finds that all of it is there. Others that bring the
/// same layers wait for each other. Safe to cancel: the next pull goes on where this one was.
///
/// # Errors
/// A registry that does not have it or cannot be reached, and a disk that is full. What has come
/// until then is kept for the next pull.
pub async fn pull(store: &Store, name: &str, progress: &ProgressSink) -> Result<Image, ImageError> {
    let image = parse(name)?;
    let _using = store.using().await?;
    let registry = Registry::of(image.clone()).await?;
    let (manifest, bytes) = registry.manifest().await?;
    let configuration = registry.blob(manifest.config()).await?;
    let parsed = parse_configuration(&configuration)?;
    platform::check(&image.whole(), &parsed)?;
    let layers = platform::layers(&parsed)?;
    let blobs = manifest.layers();
    if blobs.len() != layers.len() || layers.len() > MAX_LAYERS {
        return Err(ImageError::Malformed {
            what: "the image's manifest",
            cause: format!(
                "it has {} layers, its configuration {}; the most is {MAX_LAYERS}",
                blobs.len(),
                layers.len()
            ),
        });
    }
    progress.send_replace(beginning(blobs)?);
    let plan = Plan {
        store,
        registry: &registry,
        blobs,
        diff_ids: &layers,
        layers: &chains(&layers),
        progress,
    };
    plan.carry_out().await?;
    store.add_blob(&configuration)?;
    let manifest = store.add_blob(&bytes)?;
    store.name(&image.whole(), manifest)
}

fn beginning(blobs: &[Descriptor]) -> Result<Progress, ImageError> {
    let layers = blobs.iter().map(|blob| {
        Ok(LayerProgress {
            digest: digest(blob)?,
            step: Step::Waiting,
            current: 0,
            total: blob.size(),
        })
    });
    Ok(Progress {
        layers: layers.collect::<Result<_, ImageError>>()?,
    })
}

/// The layers of an image, the lowest first, and what is done with them.
struct Plan<'a> {
    store: &'a Store,
    registry: &'a Registry,
    blobs: &'a [Descriptor],
    diff_ids: &'a [Digest],
    layers: &'a [Digest],
    progress: &'a ProgressSink,
}

impl Plan<'_> {
    /// Fetches several at once, and unpacks one on top of the other as they come.
    async fn carry_out(&self) -> Result<(), ImageError> {
        // Room for all of them: a fetch that waited for an unpacking would hold its lock meanwhile.
        let (sender, mut fetched) = mpsc::channel(self.blobs.len().max(1));
        let fetch = async move {
            let all = stream::iter(0..self.blobs.len()).map(|index| self.fetch(index));
            let mut all = all.buffered(AT_ONCE);
            while let Some(file) = all.try_next().await? {
                // The other half has failed.
                if sender.send(file).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let unpack = async {
            let mut index = 0;
            while let Some(file) = fetched.recv().await {
                if let Some(file) = file {
                    self.unpack(index, file).await?;
                }
                self.note(index, Step::Done, self.blobs[index].size());
                index += 1;
            }
            Ok(())
        };
        tokio::try_join!(fetch, unpack).map(|_| ())
    }

    /// The blob of a layer; none when the layer is there.
    async fn fetch(&self, index: usize) -> Result<Option<File>, ImageError> {
        let blob = &self.blobs[index];
        let digest = digest(blob)?;
        let is_there = || self.store.layer(&self.layers[index]).is_some();
        if is_there() {
            return Ok(None);
        }
        let _turn = self.store.turn("blob", &digest).await?;
        if is_there() {
            return Ok(None);
        }
        let fetched = self.store.fetched(&digest);
        match File::open(&fetched) {
            Ok(file) => return Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(ImageError::store(&fetched)(error)),
        }
        self.note(index, Step::Downloading, 0);
        let Registry { client, image, .. } = self.registry;
        let path = self.store.download(&digest);
        let note = |current| self.note(index, Step::Downloading, current);
        if blob.size() > self.store.max_layer {
            return Err(ImageError::Unpack(format!(
                "its blob has {} bytes; the most is {}",
                blob.size(),
                self.store.max_layer
            )));
        }
        let file = download(client, image, blob, &path, note).await?;
        fs::rename(&path, &fetched).map_err(ImageError::store(&fetched))?;
        Ok(Some(file))
    }

    async fn unpack(&self, index: usize, file: File) -> Result<(), ImageError> {
        let blob = &self.blobs[index];
        self.note(index, Step::Unpacking, blob.size());
        let (below, layer) = (&self.layers[..index], &self.layers[index]);
        self.store
            .add_layer(below, layer, &self.diff_ids[index], file)
            .await?;
        let path = self.store.fetched(&digest(blob)?);
        match fs::remove_file(&path) {
            // Somebody else has had the same layer to unpack.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map_err(ImageError::store(&path)),
        }
    }

    fn note(&self, index: usize, step: Step, current: u64) {
        self.progress.send_modify(|progress| {
            let layer = &mut progress.layers[index];
            (layer.step, layer.current) = (step, current);
        });
    }
}
