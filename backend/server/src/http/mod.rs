//! The HTTP side: the route table, and one file a resource.

mod assets;
mod attach;
mod by_name;
mod events;
mod execs;
mod extract;
mod files;
mod guard;
mod images;
mod model;
pub mod openapi;
mod ports;
mod problem;
mod processes;
mod run;
mod service;
mod sessions;
mod stats;
mod stream;
mod terminals;
mod tickets;
mod tool;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post, put};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::auth::{AllowedHosts, Grant, PortGrant, Tickets};
use crate::config::{Limits, PortsUrl, Secret};
use crate::metrics::Metrics;
use crate::session::Registry;

/// The most bytes of a request's body.
const MAX_BODY: usize = 1024 * 1024;

/// What handlers work with.
#[derive(Clone)]
pub struct App {
    /// The sessions.
    pub registry: Arc<Registry>,
    /// The operator's token.
    pub token: Secret,
    /// Tickets for WebSockets.
    pub tickets: Arc<Tickets<Grant>>,
    /// Tickets for ports.
    pub port_tickets: Arc<Tickets<PortGrant>>,
    /// Where ports are reached.
    pub ports: Arc<PortsUrl>,
    /// The names the server answers to.
    pub hosts: Arc<AllowedHosts>,
    /// What callers may have.
    pub limits: Arc<Limits>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the server begins to end.
    pub draining: CancellationToken,
    /// Cancelled when what has not ended by itself meanwhile is cut off.
    pub cut: CancellationToken,
    /// Places for WebSockets; other connections have their own.
    pub places: Arc<Semaphore>,
    /// WebSockets and commands, which a graceful shutdown of HTTP does not wait for.
    pub connections: TaskTracker,
}

/// Every address there is.
pub fn router(app: App) -> Router {
    let api = Router::new()
        .route("/info", get(service::info))
        .route("/images", get(images::list).post(images::add))
        .route("/images/-/prune", post(images::prune))
        .route("/images/{*image}", get(images::get).delete(images::remove))
        .route("/events", get(events::all))
        .route("/run", post(run::run))
        .route("/sessions", get(sessions::list).post(sessions::create))
        .route("/sessions/by-name/{name}", put(by_name::put))
        .route(
            "/sessions/{id}",
            get(sessions::get)
                .patch(sessions::change)
                .delete(sessions::delete),
        )
        .route("/sessions/{id}/stop", post(sessions::stop))
        .route("/sessions/{id}/start", post(sessions::start))
        .route(
            "/sessions/{id}/terminals",
            get(terminals::list).post(terminals::open),
        )
        .route(
            "/sessions/{id}/terminals/{terminal}",
            get(terminals::get)
                .patch(terminals::resize)
                .delete(terminals::close),
        )
        .route(
            "/sessions/{id}/terminals/{terminal}/screen",
            get(terminals::screen::screen),
        )
        .route(
            "/sessions/{id}/terminals/{terminal}/input",
            post(terminals::input::give),
        )
        .route(
            "/sessions/{id}/terminals/{terminal}/wait",
            post(terminals::wait::wait),
        )
        .route(
            "/sessions/{id}/terminals/{terminal}/commands",
            get(terminals::commands::list),
        )
        .route(
            "/sessions/{id}/terminals/{terminal}/output",
            get(terminals::output::read),
        )
        .route(
            "/sessions/{id}/terminals/{terminal}/tickets",
            post(tickets::create),
        )
        .route("/sessions/{id}/execs", get(execs::list).post(execs::run))
        .route(
            "/sessions/{id}/execs/{exec}",
            get(execs::one::get)
                .put(execs::put)
                .delete(execs::one::delete),
        )
        .route(
            "/sessions/{id}/execs/{exec}/output",
            get(execs::output::read),
        )
        .route(
            "/sessions/{id}/execs/{exec}/stdin",
            post(execs::stdin::give),
        )
        .route(
            "/sessions/{id}/execs/{exec}/signal",
            post(execs::one::signal),
        )
        .route("/sessions/{id}/execs/{exec}/stop", post(execs::one::stop))
        .route(
            "/sessions/{id}/execs/{exec}/attach",
            get(execs::attach::attach),
        )
        .route("/sessions/{id}/ports", get(ports::list))
        .route("/sessions/{id}/ports/{port}/tickets", post(ports::ticket))
        .route(
            "/sessions/{id}/ports/{port}/tunnel",
            get(ports::tunnel::tunnel),
        )
        .route("/sessions/{id}/processes", get(processes::list))
        .route(
            "/sessions/{id}/processes/{pid}/signal",
            post(processes::signal),
        )
        .route("/sessions/{id}/events", get(events::of_session))
        .route("/sessions/{id}/stats", get(stats::stats))
        .route("/sessions/{id}/files", files())
        .route("/sessions/{id}/files/", files())
        .route("/sessions/{id}/files/{*path}", files())
        .layer(from_fn_with_state(app.clone(), guard::authenticate))
        // These two look at the token themselves, or need none.
        .route(
            "/sessions/{id}/terminals/{terminal}/attach",
            get(attach::attach),
        )
        .route("/openapi.json", get(openapi::document))
        .fallback(service::not_found)
        .method_not_allowed_fallback(service::wrong_method);
    let metrics = Router::new()
        .route("/metrics", get(service::metrics))
        .layer(from_fn_with_state(app.clone(), guard::authenticate));
    let fixed = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    Router::new()
        .nest("/api/v1", api)
        .merge(metrics)
        .route("/", get(assets::page))
        .route("/sessions/{id}", get(assets::page))
        .route("/assets/{*path}", get(assets::asset))
        .route("/icon.svg", get(assets::icon))
        .route("/healthz", get(service::healthz))
        .route("/readyz", get(service::readyz))
        .fallback(service::not_found)
        .method_not_allowed_fallback(service::wrong_method)
        .layer(from_fn_with_state(app.clone(), guard::check_origin))
        .layer(from_fn(log))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer"))
        .layer(fixed(header::X_FRAME_OPTIONS, "DENY"))
        .layer(fixed(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ))
        .layer(fixed(header::CACHE_CONTROL, "no-store"))
        // Outside of everything: what comes from a sandbox is another host's.
        .layer(from_fn_with_state(app.clone(), ports::gate::dispatch))
        .with_state(app)
}

/// What can be done with a file, whichever way its path is written.
fn files() -> MethodRouter<App> {
    get(files::read::read)
        .put(files::write::write)
        .post(files::write::act)
        .patch(files::write::change)
        .delete(files::write::remove)
}

/// One line a request. The query is left out: whatever a client puts there by mistake is not kept.
async fn log(request: Request, next: axum::middleware::Next) -> axum::response::Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let started = std::time::Instant::now();
    let response = next.run(request).await;
    tracing::debug!(
        %method,
        path,
        status = response.status().as_u16(),
        elapsed = ?started.elapsed(),
        "request"
    );
    response
}
