//! What is kept of images on this machine.
//!
//! ```text
//! images/
//!   lock               shared by whoever adds or uses, taken alone to remove
//!   references/HASH    which manifest a name stands for, by the hash of the name
//!   blobs/DIGEST       manifests and configurations
//!   layers/DIGEST/fs   what a layer adds to those below, by the digest of all of them
//!   layers/DIGEST/size how many bytes that has
//!   downloads/DIGEST   blobs of layers that have come in part
//!   fetched/DIGEST     blobs that have come and are to be unpacked
//!   locks/KIND-DIGEST  held while a blob is fetched, or a layer made
//!   places/            where layers are unpacked
//!   pins/HASH          whose layers stay although no name is left, by the hash of who uses them
//! ```
//!
//! A file or directory appears under its name when it is complete and on the disk.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use oci_spec::image::{ImageConfiguration, ImageManifest};
use serde::{Deserialize, Serialize};

use super::lock::Lock;
use super::place::{self, Place};
use super::{Digest, ImageError, familiar, parse, platform};

/// The fewest digits that stand for an image.
const MIN_DIGITS: usize = 4;

/// The directories of a store.
const DIRECTORIES: [&str; 8] = [
    "references",
    "blobs",
    "layers",
    "downloads",
    "fetched",
    "locks",
    "places",
    "pins",
];

/// Images and their layers.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// This program, which unpacks.
    pub(super) program: PathBuf,
    /// The most bytes of a layer.
    pub(super) max_layer: u64,
}

/// What a name stands for.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    reference: String,
    manifest: Digest,
    /// RFC 3339.
    added: jiff::Timestamp,
}

/// An image that is whole.
#[derive(Clone, Debug, Serialize)]
pub struct Image {
    /// Its whole name.
    pub reference: String,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The digest of its configuration, which is what Docker calls the image's id.
    pub id: Digest,
    /// What it says of itself.
    pub configuration: ImageConfiguration,
    /// Its layers, the lowest first. Each is called by the digest of itself and those below.
    pub layers: Vec<Digest>,
    /// Bytes of its layers' files.
    pub size: u64,
    /// When the name was given to it.
    pub added: jiff::Timestamp,
}

/// Bytes that were freed, and how many layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freed {
    /// Layers that nothing names any more.
    pub layers: usize,
    /// Their bytes, and those of downloads that nobody finished.
    pub bytes: u64,
}

impl Store {
    /// The store at `root`, which is made when it is not there. `program` is this one: it unpacks
    /// layers of at most `max_layer` bytes.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(root: &Path, program: PathBuf, max_layer: u64) -> Result<Self, ImageError> {
        let make = |path: &Path| {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(ImageError::store(path))
        };
        for name in DIRECTORIES {
            make(&root.join(name))?;
        }
        let root = fs::canonicalize(root).map_err(ImageError::store(root))?;
        let store = Self {
            root,
            program,
            max_layer,
        };
        let lock = store.root.join("lock");
        // What somebody else is making must not be taken for what was left.
        if let Some(_alone) = Lock::try_exclusive(&lock).map_err(ImageError::store(&lock))?
            && let Err(error) = store.clean_up()
        {
            tracing::warn!(%error, "what was left of unpacking cannot be removed");
        }
        Ok(store)
    }

    /// Every image, by name.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn list(&self) -> Result<Vec<Image>, ImageError> {
        let _using = self.using().await?;
        self.images()
    }

    /// The image of this name, or with an id that begins with these digits.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub async fn find(&self, name: &str) -> Result<Image, ImageError> {
        let _using = self.using().await?;
        self.look_up(name)
    }

    /// Takes the name from the image that `name` stands for, and removes what nothing names any
    /// more. The name that was taken.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn remove(&self, name: &str) -> Result<(String, Freed), ImageError> {
        let _alone = self.alone().await?;
        // A name can be taken away even when what it stands for is broken.
        let whole = parse(name).map(|reference| reference.whole());
        let whole = whole.ok().filter(|whole| self.reference(whole).exists());
        let whole = whole.map_or_else(|| self.only_name(name), Ok)?;
        let path = self.reference(&whole);
        fs::remove_file(&path).map_err(ImageError::store(&path))?;
        Ok((whole, self.sweep()?))
    }

    /// Removes what nothing names, and what was left of downloads.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn prune(&self) -> Result<Freed, ImageError> {
        let _alone = self.alone().await?;
        self.clean_up()?;
        let mut freed = self.sweep()?;
        for directory in ["downloads", "fetched"] {
            for path in self.files(directory)? {
                freed.bytes += fs::metadata(&path).map_or(0, |it| it.len());
                fs::remove_file(&path).map_err(ImageError::store(&path))?;
            }
        }
        Ok(freed)
    }

    /// The files of a layer, if it is there.
    pub fn layer(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.root.join("layers").join(digest.hex()).join("fs");
        path.exists().then_some(path)
    }

    /// Holds the store while something is added or used.
    pub(super) async fn using(&self) -> Result<Lock, ImageError> {
        let path = self.root.join("lock");
        Lock::shared(&path).await.map_err(ImageError::store(&path))
    }

    async fn alone(&self) -> Result<Lock, ImageError> {
        let path = self.root.join("lock");
        Lock::exclusive(&path)
            .await
            .map_err(ImageError::store(&path))
    }

    /// Holds the `kind` of thing called `digest` while it is made.
    pub(super) async fn turn(&self, kind: &str, digest: &Digest) -> Result<Lock, ImageError> {
        let name = format!("{kind}-{}", digest.hex());
        let path = self.root.join("locks").join(name);
        Lock::exclusive(&path)
            .await
            .map_err(ImageError::store(&path))
    }

    /// One of the store's directories.
    pub(super) fn path(&self, directory: &str) -> PathBuf {
        self.root.join(directory)
    }

    /// Where the blob `digest` is downloaded to.
    pub(super) fn download(&self, digest: &Digest) -> PathBuf {
        self.root.join("downloads").join(digest.hex())
    }

    /// Where the blob `digest` is when it has come, and never written to again.
    pub(super) fn fetched(&self, digest: &Digest) -> PathBuf {
        self.root.join("fetched").join(digest.hex())
    }

    /// A place to unpack in.
    pub(super) async fn place(&self) -> Result<Place, ImageError> {
        Place::new(&self.root.join("places")).await
    }

    /// Makes the layer `layer`, on top of those in `below`, of the archive in `blob`, the digest of
    /// whose contents is `diff_id`.
    pub(super) async fn add_layer(
        &self,
        below: &[Digest],
        layer: &Digest,
        diff_id: &Digest,
        blob: File,
    ) -> Result<(), ImageError> {
        let _turn = self.turn("layer", layer).await?;
        if self.layer(layer).is_some() {
            return Ok(());
        }
        let below = below.iter().map(|below| {
            let files = self.layer(below);
            files.ok_or_else(|| ImageError::Missing(below.to_string()))
        });
        let below = below.collect::<Result<Vec<_>, _>>()?;
        let place = self.place().await?;
        let unpacked = place.unpack(&self.program, blob, &below, self.max_layer);
        let (found, size) = unpacked.await?;
        if found != *diff_id {
            return Err(ImageError::Digest {
                what: "a layer",
                expected: diff_id.clone(),
                found,
            });
        }
        self.keep_layer(place, layer, size)
    }

    /// Makes a layer of what has been unpacked.
    pub(super) fn keep_layer(
        &self,
        place: Place,
        layer: &Digest,
        size: u64,
    ) -> Result<(), ImageError> {
        place.note("size", &size.to_string())?;
        let layers = self.root.join("layers");
        place.rename(&layers.join(layer.hex()))?;
        synchronise(&layers)
    }

    /// Keeps a manifest or configuration.
    pub(super) fn add_blob(&self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = Digest::of(bytes);
        self.write(&self.blob_path(&digest), bytes)?;
        Ok(digest)
    }

    /// A manifest or configuration.
    pub(super) fn blob(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let path = self.blob_path(digest);
        fs::read(&path).map_err(ImageError::store(&path))
    }

    /// Gives the manifest `manifest` a name. All that it names is there.
    pub(super) fn name(&self, reference: &str, manifest: Digest) -> Result<Image, ImageError> {
        let record = Record {
            reference: reference.to_owned(),
            manifest,
            added: jiff::Timestamp::now(),
        };
        let text = serde_json::to_vec(&record).expect("strings");
        self.write(&self.reference(reference), &text)?;
        self.image(record)
    }

    /// The one name of the image with this id.
    fn only_name(&self, id: &str) -> Result<String, ImageError> {
        let image = self.look_up(id)?;
        let names = self.images()?.into_iter();
        let names: Vec<_> = names.filter(|it| it.id == image.id).collect();
        if names.len() > 1 {
            return Err(ImageError::Ambiguous(id.to_owned()));
        }
        Ok(image.reference)
    }

    fn clean_up(&self) -> Result<(), ImageError> {
        let places = self.root.join("places");
        place::clean_up(&places).map_err(ImageError::store(&places))
    }

    pub(super) fn look_up(&self, name: &str) -> Result<Image, ImageError> {
        if let Ok(reference) = parse(name) {
            let path = self.reference(&reference.whole());
            match fs::read(&path) {
                Ok(text) => return self.image(record(&path, &text)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(ImageError::store(&path)(error)),
            }
        }
        let digits = name.strip_prefix("sha256:").unwrap_or(name);
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digits.len() < MIN_DIGITS || !is_hex {
            return Err(ImageError::Missing(familiar(name).to_owned()));
        }
        let begins = |digest: &Digest| digest.hex().starts_with(digits);
        let mut found = self.images()?;
        found.retain(|image| begins(&image.id) || begins(&image.manifest));
        let ids: BTreeSet<_> = found.iter().map(|image| image.id.clone()).collect();
        match (ids.len(), found.pop()) {
            (1, Some(image)) => Ok(image),
            (0, _) | (_, None) => Err(ImageError::Missing(name.to_owned())),
            _ => Err(ImageError::Ambiguous(name.to_owned())),
        }
    }

    fn images(&self) -> Result<Vec<Image>, ImageError> {
        let mut images = Vec::new();
        for path in self.files("references")? {
            let text = fs::read(&path).map_err(ImageError::store(&path))?;
            let record = record(&path, &text)?;
            let name = record.reference.clone();
            match self.image(record) {
                Ok(image) => images.push(image),
                Err(error) => {
                    tracing::warn!(image = name, %error, "the image is broken; pull it again");
                }
            }
        }
        images.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(images)
    }

    fn image(&self, record: Record) -> Result<Image, ImageError> {
        let manifest = parse_manifest(&self.blob(&record.manifest)?)?;
        let id = Digest::try_from(manifest.config().digest())
            .map_err(|error| ImageError::malformed("the image's manifest")(&error))?;
        let configuration = parse_configuration(&self.blob(&id)?)?;
        let layers = chains(&platform::layers(&configuration)?);
        let size = layers.iter().map(|layer| self.size(layer)).sum();
        Ok(Image {
            reference: record.reference,
            manifest: record.manifest,
            id,
            configuration,
            layers,
            size,
            added: record.added,
        })
    }

    fn size(&self, layer: &Digest) -> u64 {
        let path = self.root.join("layers").join(layer.hex()).join("size");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// Removes blobs and layers that no image names. Nobody else is at work.
    fn sweep(&self) -> Result<Freed, ImageError> {
        let images = self.images()?;
        let mut named = self.pinned()?;
        for image in images {
            named.extend([image.manifest, image.id]);
            named.extend(image.layers);
        }
        let is_named = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| named.iter().any(|digest| digest.hex() == name))
        };
        let mut freed = Freed::default();
        for path in self.files("layers")? {
            if is_named(&path) {
                continue;
            }
            let size = fs::read_to_string(path.join("size")).unwrap_or_default();
            freed.layers += 1;
            freed.bytes += size.trim().parse::<u64>().unwrap_or(0);
            // Away from its name first: half a layer must not look like one.
            let place = self.root.join("places").join(crate::id::random_tag());
            fs::rename(&path, &place).map_err(ImageError::store(&path))?;
            fs::remove_dir_all(&place).map_err(ImageError::store(&place))?;
        }
        for path in self.files("blobs")? {
            if !is_named(&path) {
                fs::remove_file(&path).map_err(ImageError::store(&path))?;
            }
        }
        Ok(freed)
    }

    pub(super) fn files(&self, directory: &str) -> Result<Vec<PathBuf>, ImageError> {
        let directory = self.root.join(directory);
        let list = || {
            let entries = fs::read_dir(&directory)?;
            let paths = entries.map(|entry| entry.map(|entry| entry.path()));
            // Files on their way have other names than the digits of a digest.
            let is_whole = |path: &PathBuf| {
                let name = path.file_name().and_then(|name| name.to_str());
                name.is_some_and(|name| name.len() == 64)
            };
            paths
                .filter(|path| path.as_ref().map_or(true, is_whole))
                .collect::<io::Result<Vec<_>>>()
        };
        list().map_err(ImageError::store(&directory))
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.hex())
    }

    fn reference(&self, reference: &str) -> PathBuf {
        let hash = Digest::of(reference.as_bytes());
        self.root.join("references").join(hash.hex())
    }

    /// Writes a file whole or not at all.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
        let directory = path.parent().unwrap_or(&self.root);
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(ImageError::store(path))?;
        synchronise(directory)
    }
}

/// What the layers with these contents are called, the lowest first.
pub(super) fn chains(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::new();
    for diff_id in diff_ids {
        chains.push(Digest::chain(chains.last(), diff_id));
    }
    chains
}

fn record(path: &Path, text: &[u8]) -> Result<Record, ImageError> {
    serde_json::from_slice(text).map_err(|error| ImageError::store(path)(error.into()))
}

/// Sees to it that the names in a directory are on the disk.
fn synchronise(directory: &Path) -> Result<(), ImageError> {
    let synchronise = || File::open(directory)?.sync_all();
    synchronise().map_err(ImageError::store(directory))
}

/// An image's manifest.
///
/// # Errors
/// When it is none.
pub(super) fn parse_manifest(bytes: &[u8]) -> Result<ImageManifest, ImageError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ImageError::malformed("the image's manifest")(&error))
}

/// An image's configuration.
///
/// # Errors
/// When it is none.
pub(super) fn parse_configuration(bytes: &[u8]) -> Result<ImageConfiguration, ImageError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ImageError::malformed("the image's configuration")(&error))
}
