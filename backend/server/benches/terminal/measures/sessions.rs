//! Many sessions that do nothing.

use futures_util::{StreamExt, TryStreamExt, stream};
use hyper::Method;
use serde_json::{Value, json};

use super::super::http::Client;
use super::super::wait::Result;

/// Requests at once.
const AT_ONCE: usize = 16;

/// Makes so many; returns their paths.
pub async fn create(client: &Client, count: usize) -> Result<Vec<String>> {
    let made = stream::iter(0..count).map(|_| create_one(client));
    made.buffer_unordered(AT_ONCE).try_collect().await
}

async fn create_one(client: &Client) -> Result<String> {
    let path = "/api/v1/sessions?wait=running";
    let session = client.ask(Method::POST, path, &json!({})).await?;
    match (session["id"].as_str(), &session["state"]) {
        (Some(id), state) if state == "running" => Ok(format!("/api/v1/sessions/{id}")),
        _ => Err(format!("the session does not run: {session}").into()),
    }
}

/// Removes them.
pub async fn delete(client: &Client, paths: Vec<String>) -> Result<()> {
    let deleted = stream::iter(&paths).map(|path| client.ask(Method::DELETE, path, &Value::Null));
    let deleted = deleted.buffer_unordered(AT_ONCE);
    deleted.try_for_each(async |_| Ok(())).await
}
