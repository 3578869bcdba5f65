//! `shellport image --remote`: the images of a server that has them itself.

use std::path::Path;

use futures_util::StreamExt;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::sync::watch;
use tokio_util::io::ReaderStream;

use super::client::{Client, body};
use super::{RemoteError, ServerPlace};
use crate::cli::image::{Action, Listed, freed, list};
use crate::cli::progress::{Show, show};
use crate::cli::streams::stdin;
use crate::cli::{say, say_json};
use crate::image::pull::Progress;
use crate::image::{Freed, familiar};

/// What comes while an image is brought.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Progress(Progress),
    Image(Value),
    Problem {
        detail: String,
        code: String,
        status: u16,
        retryable: bool,
    },
}

/// Does with a server's images what was asked for.
///
/// # Errors
/// When the server has none itself, and what it says.
pub async fn image(place: &ServerPlace, action: Action) -> Result<(), RemoteError> {
    let client = place.client()?;
    let one = |method, image: &str| client.request(method, &["images", image]);
    match action {
        Action::Pull { image, quiet, json } => {
            let pulled = pull(&client, &image, Show::of(quiet, json)).await?;
            if json {
                say(&pulled.to_string());
            } else {
                say(&listed(pulled)?.line());
            }
        }
        Action::Ls { json } => {
            let all: Vec<Value> = client.all(&["images"], &[]).await?;
            if json {
                say_json(&all);
            } else {
                let all: Result<Vec<_>, _> = all.into_iter().map(listed).collect();
                list(&all?);
            }
        }
        Action::Rm { images } => {
            for image in images {
                let gone: Freed = client.json(one(Method::DELETE, &image)).await?;
                say(&format!("{} removed, {}", familiar(&image), freed(gone)));
            }
        }
        Action::Import {
            archive,
            image,
            json,
        } => {
            let images = import(&client, &archive, image.as_deref()).await?;
            if json {
                say_json(&images);
            } else {
                for image in images {
                    say(&listed(image)?.line());
                }
            }
        }
        Action::Inspect { image } => {
            say_json(&client.json::<Value>(one(Method::GET, &image)).await?);
        }
        Action::Prune => {
            let gone: Freed = client.json(client.post(&["images", "-", "prune"])).await?;
            say(&format!("{} layers removed, {}", gone.layers, freed(gone)));
        }
    }
    Ok(())
}

async fn pull(client: &Client, image: &str, how: Show) -> Result<Value, RemoteError> {
    let request = client.post(&["images"]).json(&json!({ "image": image }));
    let mut events = client.lines(request).await?;
    let (progress, shown) = watch::channel(Progress::default());
    let work = async move {
        while let Some(event) = events.next().await {
            let event = serde_json::from_value(event?);
            match event.map_err(|error| RemoteError::Nonsense("the event", error.to_string()))? {
                Event::Progress(now) => drop(progress.send(now)),
                Event::Image(image) => return Ok(image),
                Event::Problem {
                    detail,
                    code,
                    status,
                    retryable,
                } => {
                    return Err(RemoteError::Problem {
                        status,
                        code,
                        detail,
                        retryable,
                    });
                }
            }
        }
        Err(client.silent())
    };
    let (pulled, ()) = tokio::join!(work, show(how, shown));
    pulled
}

async fn import(
    client: &Client,
    archive: &Path,
    image: Option<&str>,
) -> Result<Vec<Value>, RemoteError> {
    #[derive(Deserialize)]
    struct List {
        data: Vec<Value>,
    }
    let failed = |error| RemoteError::File(archive.display().to_string(), error);
    let body = if archive == Path::new("-") {
        body(stdin())
    } else {
        body(ReaderStream::new(
            File::open(archive).await.map_err(failed)?,
        ))
    };
    let mut request = client
        .post(&["images"])
        .header(CONTENT_TYPE, "application/x-tar");
    if let Some(image) = image {
        request = request.query(&[("image", image)]);
    }
    let list: List = client
        .read(client.send_all(request.body(body)).await?)
        .await?;
    Ok(list.data)
}

fn listed(image: Value) -> Result<Listed, RemoteError> {
    serde_json::from_value(image)
        .map_err(|error| RemoteError::Nonsense("the image", error.to_string()))
}
