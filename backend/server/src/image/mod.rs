//! Images without a daemon: from registries and archives, in a store of our own.
//!
//! A [`Store`] holds layers under the digests of their contents, each unpacked once, and images that
//! name them. Any number of processes may use it at once. [`pull`](pull::pull) brings images from a
//! registry, [`import`](import::import) from an archive.

pub mod credentials;
mod digest;
mod download;
pub mod import;
mod layout;
mod lock;
mod pin;
mod place;
pub mod platform;
pub mod pull;
mod reference;
pub(crate) mod registry;
mod store;
pub mod unpack;

use std::io;
use std::path::{Path, PathBuf};

pub use self::digest::{Digest, DigestError};
pub use self::pin::Pinned;
pub use self::reference::{familiar, parse};
pub use self::store::{Freed, Image, Store};

/// What goes wrong with images.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Not the name of an image.
    #[error("{name:?} is not the name of an image: {cause}")]
    Name {
        /// What was given.
        name: String,
        /// What is wrong with it.
        cause: String,
    },
    /// An archive without files.
    #[error("there is nothing in the archive")]
    Empty,
    /// More images than anybody saves together.
    #[error("the archive has more than {0} images")]
    TooMany(usize),
    /// An archive that does not say how its image is called.
    #[error("the archive gives its image no name; say one behind it")]
    Nameless,
    /// An archive of several images.
    #[error("the archive has several images, which cannot all be called {0:?}")]
    OneName(String),
    /// No such image.
    #[error("there is no image {0:?} here; `shellport image pull` brings it")]
    Missing(String),
    /// More than one image.
    #[error("{0:?} may be several images; give more of its digits")]
    Ambiguous(String),
    /// Files of the store.
    #[error("{path}: {cause}")]
    Store {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The operator's credentials for a registry.
    #[error("credentials: {0}")]
    Credentials(String),
    /// What a registry says, or does not.
    #[error("{image}: {cause}")]
    Registry {
        /// The image.
        image: String,
        /// What happened.
        cause: String,
    },
    /// An image for other machines.
    #[error("{image} is not made for {wanted}, but for {offered}")]
    Platform {
        /// The image.
        image: String,
        /// This machine's platform.
        wanted: String,
        /// The image's platforms.
        offered: String,
    },
    /// Bytes that are not what they should be.
    #[error("{what} is not what its digest {expected} says, but {found}")]
    Digest {
        /// What they are.
        what: &'static str,
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// A manifest or configuration that is none, or not of an image.
    #[error("{what}: {cause}")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// A layer that cannot be unpacked.
    #[error("a layer cannot be unpacked: {0}")]
    Unpack(String),
}

impl ImageError {
    fn store(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |cause| Self::Store {
            path: path.to_owned(),
            cause,
        }
    }

    fn malformed(what: &'static str) -> impl FnOnce(&dyn std::fmt::Display) -> Self {
        move |cause| Self::Malformed {
            what,
            cause: cause.to_string(),
        }
    }
}
