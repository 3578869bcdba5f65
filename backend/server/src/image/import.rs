//! Images from archives: those of `docker save`, OCI layouts, and plain trees of files.
//!
//! Whatever it is, the archive is unpacked as a layer is, by a process that is confined to its
//! place. What has come of it says what it was: a layout, what `docker save` writes, or else the
//! files of the image themselves.

use std::fs::{self, File};

use oci_spec::image::{Arch, ConfigBuilder, ImageConfigurationBuilder, Os, RootFsBuilder};

use super::layout::{Found, Source, make_manifest};
use super::place::Place;
use super::store::{chains, parse_configuration};
use super::{Digest, Image, ImageError, Store, parse, platform};

/// Imports the archive, compressed or not, that can be read from `archive`, under the name `name` or
/// else those that the archive gives. The images, which are one for each name.
///
/// # Errors
/// An archive that is none, or has no name while none is given.
pub async fn import(
    store: &Store,
    archive: File,
    name: Option<&str>,
) -> Result<Vec<Image>, ImageError> {
    let name = name.map(parse).transpose()?;
    let name = name.map(|name| name.whole());
    let _using = store.using().await?;
    let place = store.place().await?;
    let (digest, size) = place
        .unpack(&store.program, archive, &[], store.max_layer)
        .await?;
    let directory = File::open(place.files()).map_err(ImageError::store(&place.files()))?;
    let mut files = fs::read_dir(place.files()).map_err(ImageError::store(&place.files()))?;
    if files.next().is_none() {
        return Err(ImageError::Empty);
    }
    let source = Source::new(&directory);
    match source.find()? {
        found if found.is_empty() => {
            let Some(name) = name else {
                return Err(ImageError::Nameless);
            };
            Ok(vec![keep_files(store, place, &digest, size, &name)?])
        }
        found => {
            if let (Some(name), 2..) = (&name, found.len()) {
                return Err(ImageError::OneName(name.clone()));
            }
            let mut images = Vec::new();
            for found in found {
                images.extend(keep(store, &source, found, name.as_deref()).await?);
            }
            Ok(images)
        }
    }
}

/// Keeps an archive of files as an image of one layer.
fn keep_files(
    store: &Store,
    place: Place,
    digest: &Digest,
    size: u64,
    name: &str,
) -> Result<Image, ImageError> {
    let malformed =
        |error: oci_spec::OciSpecError| ImageError::malformed("the image's configuration")(&error);
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let rootfs = RootFsBuilder::default()
        .typ("layers")
        .diff_ids([digest.to_string()])
        .build();
    let config = ConfigBuilder::default()
        .env([path.to_owned()])
        .cmd(["/bin/sh".to_owned()])
        .build();
    let configuration = ImageConfigurationBuilder::default()
        .created(jiff::Timestamp::now().to_string())
        .os(Os::Linux)
        .architecture(Arch::default())
        .rootfs(rootfs.map_err(malformed)?)
        .config(config.map_err(malformed)?)
        .build()
        .map_err(malformed)?;
    let bytes = serde_json::to_vec(&configuration).expect("strings");
    store.keep_layer(place, digest, size)?;
    let manifest = make_manifest(&bytes, &configuration)?;
    store.add_blob(&bytes)?;
    let manifest = store.add_blob(&manifest)?;
    store.name(name, manifest)
}

/// Keeps an image of an archive under the names that it has.
async fn keep(
    store: &Store,
    source: &Source<'_>,
    found: Found,
    name: Option<&str>,
) -> Result<Vec<Image>, ImageError> {
    let configuration = parse_configuration(&found.configuration_bytes)?;
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => whole(&found.names)?,
    };
    let Some(first) = names.first() else {
        return Err(ImageError::Nameless);
    };
    platform::check(first, &configuration)?;
    let layers = platform::layers(&configuration)?;
    if layers.len() != found.layers.len() {
        return Err(ImageError::Malformed {
            what: "the image's manifest",
            cause: format!(
                "it has {} layers, its configuration {}",
                found.layers.len(),
                layers.len()
            ),
        });
    }
    let chain = chains(&layers);
    for (index, file) in found.layers.iter().enumerate() {
        let (below, layer) = (&chain[..index], &chain[index]);
        if store.layer(layer).is_none() {
            let file = source.open(file)?;
            store.add_layer(below, layer, &layers[index], file).await?;
        }
    }
    store.add_blob(&found.configuration_bytes)?;
    let manifest = store.add_blob(&found.manifest_bytes)?;
    let names = names.iter().map(|name| store.name(name, manifest.clone()));
    names.collect()
}

/// The whole names that these mean.
fn whole(names: &[String]) -> Result<Vec<String>, ImageError> {
    let names = names.iter().map(|name| Ok(parse(name)?.whole()));
    names.collect()
}
