//! Commands: streams apart, and an exit that is the truth.

use serde_json::{Value, json};

use crate::support::backend::on_backends;
use crate::support::server::TestServer;

fn exited(code: i32) -> Value {
    json!({"code": code, "signal": null, "reason": "exited"})
}

async fn streams_are_apart(server: &TestServer) {
    let session = server.client.session().await;
    let line = "echo out; echo err >&2; cat; echo $WORD; pwd";
    let wish = json!({"shell": line, "stdin": "in\n", "env": {"WORD": "a b"}, "cwd": "/tmp"});
    let outcome = server.client.exec(&session, wish).await;
    assert_eq!(outcome.stdout, "out\nin\na b\n/tmp\n");
    assert_eq!(outcome.stderr, "err\n");
    assert_eq!(outcome.exit, exited(0));
    assert!(!outcome.truncated);
}
on_backends!(streams_are_apart: docker, podman, exec, process);
