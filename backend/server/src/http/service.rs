//! What is asked about the server itself.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::problem::Problem;
use crate::runtime::RuntimeInfo;
use crate::session::{Network, Profile};

/// What the server is and what a caller may ask it for.
#[derive(Serialize, ToSchema)]
pub struct ServerInfo {
    /// The server's version.
    version: &'static str,
    /// What makes its sandboxes.
    runtime: RuntimeInfo,
    /// What a session gets that does not ask.
    defaults: Defaults,
    /// The profiles that may be asked for.
    profiles: Vec<Profile>,
}

/// What a session gets that does not ask.
#[derive(Serialize, ToSchema)]
pub struct Defaults {
    image: String,
    profile: Profile,
    network: Network,
    cpus: f64,
    /// Bytes.
    memory: u64,
    pids: u32,
}

/// Returns what the server is and what may be asked of it.
#[utoipa::path(
    get, path = "/api/v1/info", tag = "server",
    responses(
        (status = 200, body = ServerInfo),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn info(State(app): State<App>) -> Json<ServerInfo> {
    let limits = &app.limits;
    Json(ServerInfo {
        version: env!("CARGO_PKG_VERSION"),
        runtime: app.registry.runtime().info().clone(),
        defaults: Defaults {
            image: limits.image().to_owned(),
            profile: limits.default_profile,
            network: limits.loosest_network(),
            cpus: limits.default_cpus,
            memory: limits.default_memory,
            pids: limits.default_pids,
        },
        profiles: Profile::ALL
            .into_iter()
            .filter(|profile| *profile >= limits.loosest_profile)
            .collect(),
    })
}

/// Whether the server runs.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the server can make sandboxes.
pub async fn readyz(State(app): State<App>) -> Result<&'static str, Problem> {
    if app.draining.is_cancelled() {
        let detail = "the server is shutting down";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Problem::new(status, "shutting_down", detail));
    }
    app.registry.runtime().ping().await?;
    Ok("ready\n")
}

/// The metrics, for Prometheus.
pub async fn metrics(State(app): State<App>) -> Response {
    let states = app
        .registry
        .list()
        .into_iter()
        .map(|view| view.record.state);
    let text = app.metrics.encode(states);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// Anything that is not there.
pub async fn not_found() -> Problem {
    let detail = "there is nothing at this address; /api/v1/openapi.json lists what there is";
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}

/// A method that an address does not have.
pub async fn wrong_method() -> Problem {
    let detail = "this address does not take this method; /api/v1/openapi.json lists what it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail)
}
