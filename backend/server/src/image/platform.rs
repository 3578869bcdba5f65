//! Which of an index's images is this machine's.

use oci_spec::image::{Arch, Descriptor, ImageConfiguration, Os, Platform};

use super::{Digest, ImageError};

/// This machine's platform, such as `linux/amd64`.
pub fn own() -> String {
    format!("linux/{}", Arch::default())
}

/// The manifest for this machine among those of an index; the first one counts.
///
/// # Errors
/// When there is none; `image` is named then.
pub fn choose<'a>(image: &str, manifests: &'a [Descriptor]) -> Result<&'a Descriptor, ImageError> {
    let platform = |manifest: &Descriptor| manifest.platform().clone();
    // An index of one image need not say what it is for.
    let only = (manifests.len() == 1).then(|| &manifests[0]);
    manifests
        .iter()
        .find(|manifest| platform(manifest).is_some_and(|it| is_own(&it)))
        .or(only.filter(|manifest| manifest.platform().is_none()))
        .ok_or_else(|| {
            let offered = manifests.iter().filter_map(platform).map(|it| name(&it));
            ImageError::Platform {
                image: image.to_owned(),
                wanted: own(),
                offered: offered
                    .take(20)
                    .collect::<Vec<_>>()
                    .join(", ")
                    .escape_debug()
                    .to_string(),
            }
        })
}

/// Whether an entry of an index is for this machine, as far as it says.
pub fn may_be_own(manifest: &Descriptor) -> bool {
    manifest.platform().as_ref().is_none_or(is_own)
}

fn is_own(platform: &Platform) -> bool {
    *platform.os() == Os::Linux && *platform.architecture() == Arch::default()
}

/// Refuses an image that is for other machines.
///
/// # Errors
/// When it is.
pub fn check(image: &str, configuration: &ImageConfiguration) -> Result<(), ImageError> {
    let (os, architecture) = (configuration.os(), configuration.architecture());
    if *os == Os::Linux && *architecture == Arch::default() {
        return Ok(());
    }
    Err(ImageError::Platform {
        image: image.to_owned(),
        wanted: own(),
        offered: format!("{os}/{architecture}").escape_debug().to_string(),
    })
}

fn name(platform: &Platform) -> String {
    let name = format!("{}/{}", platform.os(), platform.architecture());
    match platform.variant() {
        Some(variant) => format!("{name}/{variant}"),
        None => name,
    }
}

/// The digests of the layers that a configuration names, the lowest first.
///
/// # Errors
/// When one is no digest.
pub fn layers(configuration: &ImageConfiguration) -> Result<Vec<Digest>, ImageError> {
    let digests = configuration.rootfs().diff_ids();
    let digests = digests.iter().map(|digest| digest.parse());
    digests
        .collect::<Result<_, _>>()
        .map_err(|error: super::DigestError| {
            ImageError::malformed("the image's configuration")(&error)
        })
}
