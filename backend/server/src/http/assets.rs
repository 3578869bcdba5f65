//! The front end, embedded in the binary.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "../../static"]
#[allow_missing = true]
struct Static;

/// Files whose names tell their content.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// Everything else is asked for again, and mostly not sent again.
const REVALIDATE: &str = "no-cache";

/// The page, at any of its addresses.
pub async fn page(headers: HeaderMap) -> Response {
    let Some(file) = Static::get("index.html") else {
        let message = "The front end is not built. `make serve` builds and starts the whole.\n";
        return (StatusCode::NOT_FOUND, message).into_response();
    };
    let mut response = answer(&file, REVALIDATE, &headers);
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if let Ok(policy) = HeaderValue::try_from(content_security_policy(host.unwrap_or_default())) {
        let name = header::CONTENT_SECURITY_POLICY;
        response.headers_mut().insert(name, policy);
    }
    response
}

/// A file below `/assets`.
pub async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    match Static::get(&format!("assets/{path}")) {
        Some(file) => answer(&file, IMMUTABLE, &headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The icon.
pub async fn icon(headers: HeaderMap) -> Response {
    match Static::get("icon.svg") {
        Some(file) => answer(&file, REVALIDATE, &headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// No script but our own files, and nobody but this server to talk to. The WebSocket's scheme is
/// spelled out, because not every browser takes it for `'self'`; `host` has been checked.
///
/// `'wasm-unsafe-eval'` lets our scripts compile WebAssembly, with which images in terminals are
/// decoded. It allows no `eval`, and only a script that runs already can make use of it.
fn content_security_policy(host: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data:; font-src 'self'; connect-src 'self' ws://{host} wss://{host}; \
         manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn answer(file: &EmbeddedFile, caching: &'static str, headers: &HeaderMap) -> Response {
    let etag = format!(
        "\"{}\"",
        HEXLOWER.encode(&file.metadata.sha256_hash()[..16])
    );
    let known = headers.get(header::IF_NONE_MATCH);
    let fresh = known.is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let headers = [
        (header::ETAG, etag),
        (header::CACHE_CONTROL, caching.to_owned()),
        (header::CONTENT_TYPE, file.metadata.mimetype().to_owned()),
    ];
    if fresh {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, file.data.clone().into_owned()).into_response()
}
