//! Getting an image, and what it says of itself.

use std::collections::HashMap;

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::errors::Error as EngineError;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use crate::image::credentials::{self, Credentials};
use crate::profile::ImageDefaults;
use crate::runtime::{ProgressSink, RuntimeError};
use crate::session::Progress;

/// Why an image cannot be had.
pub(super) enum ImageError {
    /// The engine's fault.
    Engine(EngineError),
    /// The registry's, or the image's.
    Pull(String),
}

/// Pulls `image` unless the engine has it.
pub(super) async fn ensure(
    docker: &Docker,
    image: &str,
    progress: &ProgressSink,
) -> Result<(), ImageError> {
    match docker.inspect_image(image).await {
        Ok(_) => return Ok(()),
        Err(EngineError::DockerResponseServerError {
            status_code: 404, ..
        }) => {}
        Err(error) => return Err(ImageError::Engine(error)),
    }
    pull(docker, image, progress).await?;
    docker
        .inspect_image(image)
        .await
        .map(drop)
        .map_err(|_| ImageError::Pull("the engine has pulled it but does not find it".to_owned()))
}

async fn pull(docker: &Docker, image: &str, progress: &ProgressSink) -> Result<(), ImageError> {
    let found = credentials::find(image).await.map_err(ImageError::Pull)?;
    let credentials = found.map(|found| for_engine(found, image));
    let options = CreateImageOptionsBuilder::default()
        .from_image(&with_tag(image))
        .build();
    let mut events = docker.create_image(Some(options), None, credentials);
    let mut layers = Layers::default();
    progress.send_replace(Some(layers.progress(image)));
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let detail = event.progress_detail.unwrap_or_default();
                let status = event.status.unwrap_or_default();
                layers.note(
                    event.id.unwrap_or_default(),
                    &status,
                    detail.current,
                    detail.total,
                );
                progress.send_replace(Some(layers.progress(image)));
            }
            Err(
                EngineError::DockerResponseServerError { message, .. }
                | EngineError::DockerStreamError { error: message },
            ) => return Err(ImageError::Pull(message)),
            Err(error) => return Err(ImageError::Engine(error)),
        }
    }
    Ok(())
}

fn for_engine(found: Credentials, image: &str) -> DockerCredentials {
    let mut credentials = DockerCredentials {
        serveraddress: Some(credentials::registry(image)),
        ..DockerCredentials::default()
    };
    match found {
        Credentials::Password { user, password } => {
            (credentials.username, credentials.password) = (Some(user), Some(password));
        }
        Credentials::IdentityToken(token) => credentials.identitytoken = Some(token),
    }
    credentials
}

/// Without a tag or digest the engine would pull every tag there is.
fn with_tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// What the image says of how it is to be run.
pub(super) async fn inspect(docker: &Docker, image: &str) -> Result<ImageDefaults, RuntimeError> {
    match docker.inspect_image(image).await {
        Ok(found) => {
            let config = found.config.unwrap_or_default();
            Ok(ImageDefaults {
                entrypoint: config.entrypoint.unwrap_or_default(),
                command: config.cmd.unwrap_or_default(),
                env: config.env.unwrap_or_default(),
                cwd: config.working_dir.unwrap_or_default(),
                user: config.user.unwrap_or_default(),
            })
        }
        Err(error) => Err(RuntimeError::Engine {
            step: "inspecting the image",
            cause: error.to_string(),
        }),
    }
}

/// The most layers that are counted; an image cannot have more than 127.
const MAX_LAYERS: usize = 256;

/// How far each layer's download is.
#[derive(Default)]
struct Layers(HashMap<String, (u64, u64)>);

impl Layers {
    fn note(&mut self, layer: String, status: &str, current: Option<i64>, total: Option<i64>) {
        if layer.is_empty() || (self.0.len() >= MAX_LAYERS && !self.0.contains_key(&layer)) {
            return;
        }
        let known = self.0.entry(layer).or_default();
        match status {
            "Downloading" => {
                let bytes = |value: Option<i64>| value.and_then(|it| u64::try_from(it).ok());
                known.0 = bytes(current).unwrap_or(known.0);
                known.1 = bytes(total).unwrap_or(known.1);
            }
            // A small layer is done before its download was ever told.
            "Download complete" | "Extracting" | "Pull complete" => known.0 = known.1,
            _ => {}
        }
    }

    fn progress(&self, image: &str) -> Progress {
        let (current, total) = self
            .0
            .values()
            .fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        Progress {
            step: "pulling_image",
            message: format!("Pulling {image}"),
            current,
            total: (total > 0).then_some(total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tag_is_pulled() {
        for (image, full) in [
            ("debian", "debian:latest"),
            ("debian:12", "debian:12"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("a@sha256:00", "a@sha256:00"),
        ] {
            assert_eq!(with_tag(image), full);
        }
    }

    #[test]
    fn progress_only_grows() {
        let mut layers = Layers::default();
        layers.note("a".into(), "Pulling fs layer", None, None);
        assert_eq!(layers.progress("x").total, None);
        layers.note("a".into(), "Downloading", Some(10), Some(100));
        layers.note("b".into(), "Downloading", Some(5), Some(50));
        assert_eq!(layers.progress("x").current, 15);
        layers.note("a".into(), "Extracting", Some(1), Some(100));
        let progress = layers.progress("x");
        assert_eq!((progress.current, progress.total), (105, Some(150)));
    }
}
