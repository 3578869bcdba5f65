//! `shellport image`: the images of this machine, without a daemon.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::HumanBytes;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::watch;

use super::container::CommandError;
use super::progress::{Show, show};
use super::remote::{self, RemoteError, ServerPlace};
use super::{say, say_json, say_table};
use crate::config::{ConfigError, data_dir};
use crate::image::import::import;
use crate::image::pull::{Progress, pull};
use crate::image::{Digest, Freed, Image, ImageError, Store, familiar};
use crate::units;

/// Images of this machine, without a daemon, or of a server.
#[derive(Args, Debug)]
pub struct ImageCommand {
    /// Where everything is kept.
    #[arg(
        long,
        env = "SHELLPORT_DATA_DIR",
        value_name = "DIRECTORY",
        global = true
    )]
    data_dir: Option<PathBuf>,

    /// The most bytes that a layer may have.
    #[arg(long, env = "SHELLPORT_MAX_LAYER", default_value = "32g", value_parser = units::parse_size, value_name = "SIZE", global = true)]
    max_layer: u64,

    /// The images of a server, which has them itself.
    #[arg(long, global = true)]
    remote: bool,

    #[command(flatten)]
    place: ServerPlace,

    #[command(subcommand)]
    action: Action,
}

/// What is done with images.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Bring an image from a registry.
    Pull {
        /// Such as `debian:stable-slim`, or with a digest.
        image: String,
        /// Show no progress.
        #[arg(long, short)]
        quiet: bool,
        /// Print progress and the image as lines of JSON.
        #[arg(long, conflicts_with = "quiet")]
        json: bool,
    },
    /// List images.
    Ls {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove images, and the layers that no other image has.
    Rm {
        /// Names, or the first digits of ids.
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Take an image from an archive: of `docker save`, an OCI layout, or the files themselves.
    Import {
        /// The archive, compressed with gzip or zstd or not at all; `-` for standard input.
        archive: PathBuf,
        /// The image's name, when the archive has none or another one is wanted.
        image: Option<String>,
        /// Print the images as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print all that is known of an image, as JSON.
    Inspect {
        /// Its name, or the first digits of its id.
        image: String,
    },
    /// Remove layers that no image has, and downloads that were not finished.
    Prune,
}

/// What goes wrong with the command.
#[derive(Debug, thiserror::Error)]
pub enum ImageCommandError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A flag.
    #[error(transparent)]
    Flag(#[from] CommandError),
    /// The server.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// This machine's files.
    #[error("{0}: {1}")]
    File(PathBuf, #[source] std::io::Error),
}

impl ImageCommand {
    /// Whether they are a server's.
    pub fn is_remote(&self) -> bool {
        self.remote
    }

    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever goes wrong, in words for people.
    pub async fn run(self) -> Result<(), ImageCommandError> {
        if self.remote {
            return Ok(remote::image(&self.place, self.action).await?);
        }
        self.place.refuse()?;
        let directory = data_dir(self.data_dir.as_deref())?.join("images");
        let program = std::env::current_exe()
            .map_err(|error| ImageCommandError::File("/proc/self/exe".into(), error))?;
        let store = Store::open(&directory, program, self.max_layer)?;
        match self.action {
            Action::Pull { image, quiet, json } => {
                let (progress, shown) = watch::channel(Progress::default());
                let work = async {
                    let pulled = pull(&store, &image, &progress).await;
                    drop(progress);
                    pulled
                };
                let (image, ()) = tokio::join!(work, show(Show::of(quiet, json), shown));
                if json {
                    say(&serde_json::to_string(&image?).unwrap_or_default());
                } else {
                    say(&Listed::from(&image?).line());
                }
            }
            Action::Ls { json: true } => say_json(&store.list().await?),
            Action::Ls { json: false } => {
                let all = store.list().await?;
                list(&all.iter().map(Listed::from).collect::<Vec<_>>());
            }
            Action::Rm { images } => {
                for image in images {
                    let (name, gone) = store.remove(&image).await?;
                    say(&format!("{} removed, {}", familiar(&name), freed(gone)));
                }
            }
            Action::Import {
                archive,
                image,
                json,
            } => {
                let file = open(&archive);
                let file = file.map_err(|error| ImageCommandError::File(archive, error))?;
                let images = import(&store, file, image.as_deref()).await?;
                if json {
                    say_json(&images);
                } else {
                    for image in &images {
                        say(&Listed::from(image).line());
                    }
                }
            }
            Action::Inspect { image } => say_json(&store.find(&image).await?),
            Action::Prune => {
                let gone = store.prune().await?;
                say(&format!("{} layers removed, {}", gone.layers, freed(gone)));
            }
        }
        Ok(())
    }
}

fn open(archive: &Path) -> std::io::Result<File> {
    if archive == Path::new("-") {
        Ok(std::io::stdin().as_fd().try_clone_to_owned()?.into())
    } else {
        File::open(archive)
    }
}

/// An image, as far as it is shown.
#[derive(Debug, Deserialize)]
pub struct Listed {
    reference: String,
    id: Digest,
    manifest: Digest,
    size: u64,
    added_at: Timestamp,
}

impl From<&Image> for Listed {
    fn from(image: &Image) -> Self {
        Self {
            reference: image.reference.clone(),
            id: image.id.clone(),
            manifest: image.manifest.clone(),
            size: image.size,
            added_at: image.added,
        }
    }
}

impl Listed {
    /// Its name, and exactly which it is.
    pub fn line(&self) -> String {
        format!("{} {}", familiar(&self.reference), self.manifest)
    }
}

/// How much, for people.
pub fn freed(freed: Freed) -> String {
    format!("{} freed", HumanBytes(freed.bytes))
}

/// Prints images.
pub fn list(images: &[Listed]) {
    let rows: Vec<_> = images
        .iter()
        .map(|image| {
            [
                familiar(&image.reference).to_owned(),
                image.id.short().to_owned(),
                HumanBytes(image.size).to_string(),
                image.added_at.strftime("%Y-%m-%d %H:%M").to_string(),
            ]
        })
        .collect();
    say_table(["IMAGE", "ID", "SIZE", "ADDED (UTC)"], &rows);
}
