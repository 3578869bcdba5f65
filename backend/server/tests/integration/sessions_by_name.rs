//! A session that is there, or is made.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::api::{IMAGE, id};
use crate::support::backend::on_backends;
use crate::support::http::Client;
use crate::support::server::TestServer;
use crate::support::wait::LONG;

const MINE: &str = "/api/v1/sessions/by-name/mine";

fn wish() -> Value {
    json!({"image": IMAGE, "memory": "128Mi", "env": {"A": "1"}})
}

async fn requests_at_once_make_one(server: &TestServer) {
    let client = &server.client;
    let wish = wish();
    let path = format!("{MINE}?wait=running");
    let answers = join_all((0..10).map(|_| client.put(&path, &wish))).await;
    let made = answers.iter().filter(|it| it.status == 201).count();
    assert_eq!(made, 1);
    let ids: BTreeSet<String> = answers
        .iter()
        .map(|answer| {
            let session = answer.json();
            assert_eq!(
                (&session["state"], &session["name"]),
                (&json!("running"), &json!("mine"))
            );
            id(&session)
        })
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(client.sessions().await.len(), 1);
}
on_backends!(requests_at_once_make_one: docker, podman, process, embedded, crun, rootless);

async fn a_stopped_one_is_started(server: &TestServer) {
    let client = &server.client;
    let path = format!("{MINE}?wait=running");
    let session = id(&client.put(&path, &wish()).await.expect(201));
    client.output(&session, "echo kept > /tmp/kept").await;
    client.stop(&session, "1s").await;
    let again = client.put(&path, &wish()).await.expect(200);
    assert_eq!(
        (id(&again), &again["state"]),
        (session.clone(), &json!("running"))
    );
    assert_eq!(
        client.output(&session, "cat /tmp/kept; rm /tmp/kept").await,
        "kept"
    );
    // One that is on its way to stop is waited for.
    let stop = client
        .post(&Client::path(&session, "/stop"), &json!({"grace": "1s"}))
        .await;
    stop.expect(202);
    let again = client.put(&path, &json!({})).await.expect(200);
    assert_eq!((id(&again), &again["state"]), (session, &json!("running")));
}
on_backends!(a_stopped_one_is_started: docker, podman, process, embedded, crun);

async fn another_specification_is_refused(server: &TestServer) {
    let client = &server.client;
    let path = format!("{MINE}?wait=running");
    let session = id(&client.put(&path, &wish()).await.expect(201));
    for (field, value) in [
        ("memory", json!("256Mi")),
        ("env", json!({"A": "2"})),
        ("cpus", json!(0.5)),
        ("labels", json!({"a": "b"})),
        ("idle_timeout", json!("1h")),
        ("cwd", json!("/tmp")),
    ] {
        let mut other = json!({});
        other[field] = value;
        let problem =
            client
                .put(&path, &other)
                .await
                .expect_problem(409, "session_differs", &[field]);
        assert_eq!(problem["field"], field);
    }
    // What is not named is not compared.
    let same = client
        .put(&path, &json!({"memory": "128Mi"}))
        .await
        .expect(200);
    assert_eq!(id(&same), session);
    let larger = json!({"image": IMAGE, "memory": "256Mi"});
    let replaced = client
        .put(&format!("{path}&replace=true"), &larger)
        .await
        .expect(201);
    assert_ne!(id(&replaced), session);
    assert_eq!(replaced["memory"], 256 << 20);
    assert_eq!(client.sessions().await, [id(&replaced)]);
    let other = client.put(&path, &json!({"name": "yours"})).await;
    assert_eq!(
        other.expect_problem(400, "invalid_request", &["mine"])["field"],
        "name"
    );
}
on_backends!(another_specification_is_refused: process, docker, embedded);

/// One that could not be made is in nobody's way.
async fn one_that_has_failed_is_made_anew(server: &TestServer) {
    let client = &server.client;
    let failed = client
        .put(MINE, &json!({"image": "127.0.0.1:1/none:1"}))
        .await
        .expect(201);
    client.wait_for(&id(&failed), "failed", LONG).await;
    let made = client
        .put(&format!("{MINE}?wait=running"), &wish())
        .await
        .expect(201);
    assert_eq!(made["state"], "running");
    assert_eq!(client.sessions().await, [id(&made)]);
}
on_backends!(one_that_has_failed_is_made_anew: docker, embedded);
