//! Secrets, keystrokes and output are in no log, however much is logged.

use std::path::Path;

use serde_json::json;

use crate::support::backend::Backend;
use crate::support::child::{ChildServer, log, on_children};
use crate::support::http::Client;
use crate::support::plain::Plain;
use crate::support::viewer::Viewer;
use crate::support::wait::ok;

async fn nothing_secret_is_logged(path: &Path, backend: Backend) {
    let server = ChildServer::start(path, backend, &["--log=trace"])
        .await
        .unwrap();
    let client = &server.client;
    let wish = json!({"env": {"SECRET": "marker-of-session"}, "name": "logged"});
    let session = crate::support::api::id(&client.create(wish).await);
    let wish = json!({
        "shell": "echo marker-of-argument; echo $WORD; cat >&2",
        "env": {"WORD": "marker-of-variable"}, "stdin": "marker-of-stdin",
    });
    let outcome = client.exec(&session, wish).await;
    assert!(outcome.stdout.contains("marker-of-variable"), "{outcome:?}");
    let tickets = Client::path(&session, "/terminals/main/tickets");
    let ticket = client.post(&tickets, &json!({})).await.expect(201);
    let ticket = ticket["ticket"].as_str().unwrap();
    let mut viewer = ok(
        "a viewer",
        Viewer::with_ticket(client, &session, "main", ticket).await,
    );
    viewer.line("echo marker-of-$((40+2))-output").await;
    viewer.until("marker-of-42-output").await;
    let mut plain = Plain::attach(client, &session, "main", "").await;
    plain.stdin("echo marker-of-plain\n").await;
    plain.until("marker-of-plain\r\n").await;
    let other = Client {
        token: Some("marker-of-token".to_owned()),
        ..client.clone()
    };
    other
        .get("/api/v1/sessions?token=marker-of-query")
        .await
        .expect(401);
    drop((viewer, plain));
    client.remove(&session).await;
    let token = client.token.clone().unwrap();
    let ticket = ticket.to_owned();
    server.terminate().await;
    let log = log(path);
    assert!(log.contains(&session), "the session is in the log: {log}");
    for secret in [&*token, &ticket, "marker-of"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
}

on_children!(nothing_secret_is_logged: docker, podman, process, embedded, crun, runc);
