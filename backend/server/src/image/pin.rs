//! Who uses an image's layers, besides its names: `pins/HASH`, by the hash of the user's directory.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lock::Lock;
use super::{Digest, Image, ImageError, Store};

/// What is kept of a use.
#[derive(Debug, Serialize, Deserialize)]
struct Pin {
    /// The directory for which the layers are used.
    user: PathBuf,
    layers: Vec<Digest>,
}

/// An image whose layers stay.
#[derive(Debug)]
pub struct Pinned {
    /// The image.
    pub image: Image,
    /// The files of its layers, the lowest first.
    pub layers: Vec<PathBuf>,
    /// The file that keeps them.
    pub pin: PathBuf,
    /// Until the user's directory is there, the pin would count for nothing.
    _using: Lock,
}

impl Store {
    /// The image of this name, or with an id that begins with these digits. Its layers stay as long as
    /// the result, and after that as long as there is something at `user`.
    ///
    /// # Errors
    /// When there is no such image, or more than one.
    pub async fn pin(&self, name: &str, user: &Path) -> Result<Pinned, ImageError> {
        let using = self.using().await?;
        let image = self.look_up(name)?;
        let files = |layer: &Digest| {
            let files = self.layer(layer);
            files.ok_or_else(|| ImageError::Missing(name.to_owned()))
        };
        let layers = image.layers.iter().map(files).collect::<Result<_, _>>()?;
        let pin = Pin {
            user: user.to_owned(),
            layers: image.layers.clone(),
        };
        let text = serde_json::to_vec(&pin).expect("paths and digests");
        let path = self.pin_path(user);
        self.write(&path, &text)?;
        Ok(Pinned {
            image,
            layers,
            pin: path,
            _using: using,
        })
    }

    /// Lets the layers go that were used for `user`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn unpin(&self, user: &Path) -> Result<(), ImageError> {
        forget(&self.pin_path(user))
    }

    /// The layers that somebody uses. Nobody else is at work.
    pub(super) fn pinned(&self) -> Result<BTreeSet<Digest>, ImageError> {
        let mut layers = BTreeSet::new();
        for path in self.files("pins")? {
            let text = fs::read(&path).map_err(ImageError::store(&path))?;
            match serde_json::from_slice::<Pin>(&text) {
                Ok(pin) if pin.user.exists() => layers.extend(pin.layers),
                _ => forget(&path)?,
            }
        }
        Ok(layers)
    }

    fn pin_path(&self, user: &Path) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        let hash = Digest::of(user.as_os_str().as_bytes());
        self.path("pins").join(hash.hex())
    }
}

fn forget(path: &Path) -> Result<(), ImageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ImageError::store(path)(error))
        }
        _ => Ok(()),
    }
}
