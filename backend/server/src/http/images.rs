//! Images, where the server has them itself.

use axum::Json;
use axum::body::Body as RawBody;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::{Body, Params};
use super::problem::Problem;
use super::stream::{Form, Item};
use crate::image;
use crate::image::pull::{Progress, Step};
use crate::policy::check_image;
use crate::runtime::oci::Images;

/// Events that wait for a client; a newer one says all that an older one did.
const QUEUE: usize = 16;

/// An image.
#[derive(Serialize, ToSchema)]
pub struct Image {
    /// Its whole name.
    #[schema(example = "docker.io/library/debian:stable-slim")]
    reference: String,
    /// The digest of its configuration, which is what Docker calls the image's id.
    id: String,
    /// The digest of its manifest.
    manifest: String,
    /// Its layers, the lowest first. Each is called by the digest of itself and those below.
    layers: Vec<String>,
    /// Bytes of its layers' files.
    size: u64,
    /// When the name was given to it.
    #[schema(value_type = String, format = DateTime)]
    added_at: jiff::Timestamp,
    /// What it says of itself, as the OCI Image Specification has it.
    #[schema(value_type = Object)]
    configuration: serde_json::Value,
}

impl From<image::Image> for Image {
    fn from(image: image::Image) -> Self {
        Self {
            reference: image.reference,
            id: image.id.to_string(),
            manifest: image.manifest.to_string(),
            layers: image.layers.iter().map(ToString::to_string).collect(),
            size: image.size,
            added_at: image.added,
            configuration: serde_json::to_value(image.configuration).unwrap_or_default(),
        }
    }
}

/// Images.
#[derive(Serialize, ToSchema)]
pub struct ImageList {
    /// By name.
    data: Vec<Image>,
    /// Always null: all of them are there.
    next_cursor: Option<String>,
}

/// What was freed.
#[derive(Serialize, ToSchema)]
pub struct Freed {
    /// Layers that no image has any more.
    layers: usize,
    /// Their bytes, and those of downloads that nobody finished.
    bytes: u64,
}

impl From<image::Freed> for Freed {
    fn from(freed: image::Freed) -> Self {
        Self {
            layers: freed.layers,
            bytes: freed.bytes,
        }
    }
}

/// An image to bring from its registry.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PullImage {
    /// Its name, with a tag or a digest.
    #[schema(example = "debian:stable-slim")]
    image: String,
}

/// What an archive's image is called.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AddParams {
    /// For an archive: the image's name, when the archive has none or another one is wanted.
    image: Option<String>,
}

/// What happens to an image that is brought, as a line of JSON or an event.
#[derive(Serialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum PullEvent {
    /// How far it is.
    Progress {
        /// Its layers, the lowest first.
        layers: Vec<Layer>,
    },
    /// It is there. Nothing comes after.
    Image(Image),
    /// It cannot be had. Nothing comes after.
    Problem(Problem),
}

/// How far one layer is.
#[derive(Serialize, ToSchema)]
pub struct Layer {
    /// The digest of its blob.
    digest: String,
    /// `waiting`, `downloading`, `unpacking` or `done`.
    step: &'static str,
    /// Bytes that are here.
    current: u64,
    /// Bytes of its blob.
    total: u64,
}

impl From<Progress> for PullEvent {
    fn from(progress: Progress) -> Self {
        let layer = |layer: image::pull::LayerProgress| Layer {
            digest: layer.digest.to_string(),
            step: match layer.step {
                Step::Waiting => "waiting",
                Step::Downloading => "downloading",
                Step::Unpacking => "unpacking",
                Step::Done => "done",
            },
            current: layer.current,
            total: layer.total,
        };
        Self::Progress {
            layers: progress.layers.into_iter().map(layer).collect(),
        }
    }
}

/// The images, or why they are none of the server's.
fn images(app: &App) -> Result<&Images, Problem> {
    app.registry.runtime().images().ok_or_else(|| {
        let detail =
            "images are the engine's own here; ask it, or start the server with --runtime oci";
        Problem::new(StatusCode::NOT_IMPLEMENTED, "images_elsewhere", detail)
    })
}

/// Lists the images.
#[utoipa::path(
    get, path = "/api/v1/images", tag = "images",
    responses(
        (status = 200, body = ImageList),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(State(app): State<App>) -> Result<Json<ImageList>, Problem> {
    let data = images(&app)?.list().await?;
    Ok(Json(ImageList {
        data: data.into_iter().map(Into::into).collect(),
        next_cursor: None,
    }))
}

/// Brings an image from its registry, or takes those of an archive.
///
/// With a body of JSON the image is pulled: the answer is the image, or, with
/// `Accept: application/x-ndjson` or `text/event-stream`, events as it comes. With any other body that is an
/// archive of `docker save`, an OCI layout, or the files of an image, compressed with gzip or zstd or not
/// at all, and the answer is a list.
#[utoipa::path(
    post, path = "/api/v1/images", tag = "images",
    params(AddParams),
    request_body(content(
        (PullImage = "application/json"),
        (Vec<u8> = "application/x-tar"),
    )),
    responses(
        (status = 200, content(
            (Image = "application/json"),
            (PullEvent = "application/x-ndjson"),
            (PullEvent = "text/event-stream"),
        )),
        (status = 201, description = "The images of an archive", body = ImageList),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn add(
    State(app): State<App>,
    Params(params): Params<AddParams>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::of(request.headers());
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or_default();
    // `form` is what curl says of a body in its arguments.
    if !kind.contains("json") && !kind.contains("form") {
        return import(&app, params, request.into_body()).await;
    }
    images(&app)?;
    let wish = Body::<PullImage>::from_request(request, &app).await?.value;
    check_image(&wish.image)?;
    let form = form?;
    if form == Form::Json {
        let image = images(&app)?.pull(&wish.image, |_| {}).await?;
        return Ok(Json(Image::from(image)).into_response());
    }
    let item = |value| Item { value, id: None };
    Ok(form.respond(pull(app, wish.image).map(item)))
}

async fn import(app: &App, params: AddParams, archive: RawBody) -> Result<Response, Problem> {
    if let Some(image) = &params.image {
        check_image(image)?;
    }
    let parts = archive.into_data_stream();
    let found = images(app)?.import(params.image.as_deref(), parts).await?;
    let list = ImageList {
        data: found.into_iter().map(Into::into).collect(),
        next_cursor: None,
    };
    Ok((StatusCode::CREATED, Json(list)).into_response())
}

/// What happens to an image that is brought, until nobody listens any more.
fn pull(app: App, name: String) -> impl Stream<Item = PullEvent> {
    let (sender, events) = mpsc::channel(QUEUE);
    let connections = app.connections.clone();
    connections.spawn(async move {
        let pulling = async {
            let progress = |now: Progress| {
                // A client that is behind gets the next one.
                let _ = sender.try_send(now.into());
            };
            match images(&app) {
                Ok(images) => Ok(images.pull(&name, progress).await?.into()),
                Err(problem) => Err(problem),
            }
        };
        let last = tokio::select! {
            pulled = pulling => pulled.map_or_else(PullEvent::Problem, PullEvent::Image),
            () = app.draining.cancelled() => PullEvent::Problem(Problem::shutting_down()),
            () = sender.closed() => return,
        };
        let _ = sender.send(last).await;
    });
    stream::unfold(events, async |mut events| {
        let event = events.recv().await?;
        Some((event, events))
    })
}

/// Returns an image.
#[utoipa::path(
    get, path = "/api/v1/images/{image}", tag = "images",
    params(("image" = String, Path, description = "Its name, or the first digits of its id")),
    responses(
        (status = 200, body = Image),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn get(
    State(app): State<App>,
    Path(image): Path<String>,
) -> Result<Json<Image>, Problem> {
    Ok(Json(images(&app)?.find(&image).await?.into()))
}

/// Removes an image's name, and the layers that no other image has and no sandbox uses.
#[utoipa::path(
    delete, path = "/api/v1/images/{image}", tag = "images",
    params(("image" = String, Path, description = "Its name, or the first digits of its id")),
    responses(
        (status = 200, body = Freed),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn remove(
    State(app): State<App>,
    Path(image): Path<String>,
) -> Result<Json<Freed>, Problem> {
    Ok(Json(images(&app)?.remove(&image).await?.into()))
}

/// Removes layers that no image has, and downloads that were not finished.
#[utoipa::path(
    post, path = "/api/v1/images/-/prune", tag = "images",
    responses(
        (status = 200, body = Freed),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn prune(State(app): State<App>) -> Result<Json<Freed>, Problem> {
    Ok(Json(images(&app)?.prune().await?.into()))
}
