//! What an archive says of the images in it: an OCI layout, or what `docker save` writes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use oci_spec::image::{
    Descriptor, DescriptorBuilder, ImageConfiguration, ImageIndex, ImageManifestBuilder, MediaType,
};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use serde::Deserialize;

use super::store::{parse_configuration, parse_manifest};
use super::{Digest, ImageError, platform};

/// The most images of an archive: each of them has a configuration that is read.
const MAX_IMAGES: usize = 128;

/// The most bytes of a manifest, configuration or index.
const MAX_JSON: u64 = 4 << 20;

/// How deep indexes may name each other.
const MAX_DEPTH: usize = 4;

/// The annotations that name an image, those that are whole names first.
const NAMES: [&str; 2] = [
    "io.containerd.image.name",
    "org.opencontainers.image.ref.name",
];

/// An entry of `manifest.json`, as `docker save` writes it.
/// <https://github.com/moby/docker-image-spec/blob/main/v1.3.md>
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Where the files of an image are.
pub struct Source<'a> {
    directory: &'a File,
}

/// An image whose parts are known.
pub struct Found {
    /// What the archive calls it.
    pub names: Vec<String>,
    /// The manifest as it was found; one is made when there is none.
    pub manifest_bytes: Vec<u8>,
    /// What it says of itself.
    pub configuration_bytes: Vec<u8>,
    /// The files of its layers, the lowest first.
    pub layers: Vec<String>,
}

impl<'a> Source<'a> {
    /// The files below an open directory.
    pub fn new(directory: &'a File) -> Self {
        Self { directory }
    }

    /// The images of a layout or of what `docker save` wrote; none when it is neither.
    ///
    /// # Errors
    /// When what it says makes no sense, or it is for other machines.
    pub fn find(&self) -> Result<Vec<Found>, ImageError> {
        if self.open("oci-layout").is_ok() {
            let index: ImageIndex = self.json("index.json")?;
            let saved = self.saved().unwrap_or_default();
            if index.manifests().len() > MAX_IMAGES {
                return Err(ImageError::TooMany(MAX_IMAGES));
            }
            return self.layout(&index, &saved);
        }
        let saved = self.saved().unwrap_or_default();
        if saved.len() > MAX_IMAGES {
            return Err(ImageError::TooMany(MAX_IMAGES));
        }
        saved
            .into_iter()
            .map(|saved| self.of_saved(saved))
            .collect()
    }

    /// What `docker save` says, if this is from it. A tree of files may have a file of this name.
    fn saved(&self) -> Option<Vec<Saved>> {
        self.json("manifest.json").ok()
    }

    fn of_saved(&self, saved: Saved) -> Result<Found, ImageError> {
        let configuration_bytes = self.read(&saved.config)?;
        let configuration = parse_configuration(&configuration_bytes)?;
        Ok(Found {
            names: saved.repo_tags.unwrap_or_default(),
            manifest_bytes: make_manifest(&configuration_bytes, &configuration)?,
            configuration_bytes,
            layers: saved.layers,
        })
    }

    fn layout(&self, index: &ImageIndex, saved: &[Saved]) -> Result<Vec<Found>, ImageError> {
        // What Docker has saved says in a second place how it is tagged.
        let tags: HashMap<&str, &[String]> = saved
            .iter()
            .filter_map(|saved| {
                let digits = saved.config.rsplit('/').next()?;
                Some((digits, saved.repo_tags.as_deref()?))
            })
            .collect();
        let mut images: Vec<Found> = Vec::new();
        for descriptor in index.manifests() {
            if !platform::may_be_own(descriptor) {
                continue;
            }
            let Some(bytes) = self.manifest(descriptor, 0)? else {
                continue;
            };
            let manifest = parse_manifest(&bytes)?;
            let config = manifest.config().digest().clone();
            let name = descriptor.annotations().as_ref().and_then(|annotations| {
                NAMES
                    .iter()
                    .find_map(|name| annotations.get(*name))
                    // A tag alone is no name.
                    .filter(|name| name.contains([':', '/']))
                    .cloned()
            });
            let tagged = tags.get(config.digest()).map(|tags| tags.to_vec());
            let names = tagged.unwrap_or_else(|| name.into_iter().collect());
            if let Some(known) = images
                .iter_mut()
                .find(|known| known.manifest_bytes == bytes)
            {
                known.names.extend(names);
                known.names.dedup();
                continue;
            }
            let layers = manifest.layers().iter();
            images.push(Found {
                names,
                configuration_bytes: self.blob(manifest.config())?,
                layers: layers.map(path).collect::<Result<_, _>>()?,
                manifest_bytes: bytes,
            });
        }
        if images.is_empty() {
            return Err(ImageError::Malformed {
                what: "the archive's index",
                cause: format!("it names no image for {}", platform::own()),
            });
        }
        Ok(images)
    }

    /// The manifest that an entry of an index leads to; none when that is no image.
    fn manifest(&self, entry: &Descriptor, depth: usize) -> Result<Option<Vec<u8>>, ImageError> {
        match entry.media_type().as_ref() {
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json"
                if depth < MAX_DEPTH =>
            {
                let index: ImageIndex = serde_json::from_slice(&self.blob(entry)?)
                    .map_err(|error| ImageError::malformed("the archive's index")(&error))?;
                let chosen = platform::choose("the archive", index.manifests())?;
                self.manifest(chosen, depth + 1)
            }
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => self.blob(entry).map(Some),
            _ => Ok(None),
        }
    }

    /// A small blob of a layout, which has to be what its digest says.
    fn blob(&self, entry: &Descriptor) -> Result<Vec<u8>, ImageError> {
        let bytes = self.read(&path(entry)?)?;
        let expected = digest(entry)?;
        let found = Digest::of(&bytes);
        if found == expected {
            return Ok(bytes);
        }
        Err(ImageError::Digest {
            what: "a blob of the archive",
            expected,
            found,
        })
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, ImageError> {
        serde_json::from_slice(&self.read(name)?)
            .map_err(|error| ImageError::malformed("the archive's index")(&error))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        self.open(name)?
            .take(MAX_JSON + 1)
            .read_to_end(&mut bytes)
            .map_err(ImageError::store(Path::new(name)))?;
        if bytes.len() as u64 > MAX_JSON {
            return Err(ImageError::Malformed {
                what: "a file of the archive",
                cause: format!("{name} has more than {MAX_JSON} bytes"),
            });
        }
        Ok(bytes)
    }

    /// Opens a regular file of the archive. The archive's links lead nowhere outside of it.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(&self, name: &str) -> Result<File, ImageError> {
        let open = || {
            // A fifo would wait for a writer.
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let file = openat2(self.directory, name, flags, Mode::empty(), resolve)?;
            let file = File::from(file);
            if file.metadata()?.is_file() {
                Ok(file)
            } else {
                Err(io::Error::other("it is not a file"))
            }
        };
        open().map_err(ImageError::store(Path::new(name)))
    }
}

/// A manifest for an image that has none. Its layers are named by their contents.
///
/// # Errors
/// When its configuration names no layers.
pub fn make_manifest(
    bytes: &[u8],
    configuration: &ImageConfiguration,
) -> Result<Vec<u8>, ImageError> {
    let malformed =
        |error: oci_spec::OciSpecError| ImageError::malformed("the image's manifest")(&error);
    let describe = |kind: MediaType, digest: &Digest, size: u64| {
        let digest: oci_spec::image::Digest = digest.to_string().parse().map_err(malformed)?;
        DescriptorBuilder::default()
            .media_type(kind)
            .digest(digest)
            .size(size)
            .build()
            .map_err(malformed)
    };
    let layers = platform::layers(configuration)?;
    let layers = layers
        .iter()
        .map(|layer| describe(MediaType::ImageLayer, layer, 0));
    let manifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(describe(
            MediaType::ImageConfig,
            &Digest::of(bytes),
            bytes.len() as u64,
        )?)
        .layers(layers.collect::<Result<Vec<_>, _>>()?)
        .build()
        .map_err(malformed)?;
    Ok(serde_json::to_vec(&manifest).expect("strings"))
}

/// The file of a blob in a layout.
fn path(entry: &Descriptor) -> Result<String, ImageError> {
    Ok(format!("blobs/sha256/{}", digest(entry)?.hex()))
}

fn digest(entry: &Descriptor) -> Result<Digest, ImageError> {
    Digest::try_from(entry.digest())
        .map_err(|error| ImageError::malformed("the archive's index")(&error))
}
