//! The server ends without warning, and another one goes on: nothing of what ran is lost.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::api::{BEGIN, id};
use crate::support::backend::{Backend, on_backends};
use crate::support::child::{ChildServer, on_children};
use crate::support::server::TestServer;
use crate::support::viewer::Viewer;
use crate::support::wait::{LONG, until};

async fn start(path: &Path, backend: Backend) -> ChildServer {
    ChildServer::start(path, backend, &[]).await.unwrap()
}

/// Prints a number again and again, so that a hole shows.
const COUNT: &str = "i=0; while :; do i=$((i+1)); echo n$i; sleep 0.01; done";

/// Fails unless these are the lines of [`COUNT`] from the first on, the last one maybe cut.
fn assert_counts(output: &[u8]) -> usize {
    let text = String::from_utf8(output.to_vec()).unwrap();
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let lines: Vec<&str> = text[..whole].split_terminator("\r\n").collect();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(*line, format!("n{}", index + 1));
    }
    lines.len()
}

/// A viewer of a terminal in which [`COUNT`] runs, once some of it has come.
async fn counting(server: &ChildServer, session: &str) -> (String, Viewer) {
    let terminal = server.client.terminal(session, COUNT).await;
    let mut viewer = Viewer::attach(&server.client, session, &terminal, BEGIN).await;
    viewer.line("go").await;
    viewer.until("n20\r\n").await;
    (terminal, viewer)
}

/// Goes on where `before` was; nothing may be missing.
async fn goes_on(server: &ChildServer, session: &str, terminal: &str, before: Viewer) {
    let query = before.come_back();
    let mut viewer = Viewer::attach(&server.client, session, terminal, &query).await;
    assert!(viewer.resumed(), "{:?}", viewer.hello);
    let seen = assert_counts(&before.output);
    viewer.until(&format!("n{}\r\n", seen + 30)).await;
    assert_counts(&[before.output, viewer.output].concat());
}

async fn a_running_command_survives(path: &Path, backend: Backend) {
    let server = start(path, backend).await;
    let session = server.client.session().await;
    let before = server.client.look(&session).await;
    let (terminal, mut viewer) = counting(&server, &session).await;
    server.kill().await;
    viewer.drain().await;
    let server = start(path, backend).await;
    let after = server.client.look(&session).await;
    assert_eq!(after["state"], "running", "{after}");
    for field in ["name", "image", "created_at", "started_at", "memory"] {
        assert_eq!(before[field], after[field], "{field}");
    }
    goes_on(&server, &session, &terminal, viewer).await;
    assert_eq!(server.client.output(&session, "echo fine").await, "fine");
    server.kill().await;
}
on_children!(a_running_command_survives: docker, podman, exec, process, embedded, crun, runc);

async fn twenty_survive(path: &Path, backend: Backend) {
    let server = start(path, backend).await;
    let sessions = join_all((0..20).map(|_| server.client.session())).await;
    let counting = sessions.iter().map(|session| counting(&server, session));
    let mut counting = join_all(counting).await;
    server.kill().await;
    join_all(counting.iter_mut().map(|(_, viewer)| viewer.drain())).await;
    let server = start(path, backend).await;
    let went_on = sessions.iter().zip(counting);
    let went_on = went_on.map(|(session, (terminal, viewer))| {
        let server = &server;
        async move { goes_on(server, session, &terminal, viewer).await }
    });
    join_all(went_on).await;
    server.kill().await;
}
on_children!(twenty_survive: docker, podman, embedded, crun, runc);

/// Half made, a session is of no use: it has failed, and nothing of it is left.
async fn what_was_being_made_has_failed(path: &Path, backend: Backend) {
    let mut interrupted = 0;
    // What needs no engine is made in some milliseconds, so it may take a few tries to be in the middle of it.
    for delay in [40, 120, 300].into_iter().chain([0; 12]) {
        if delay == 0 && interrupted > 0 {
            break;
        }
        let server = start(path, backend).await;
        let made = server.client.post("/api/v1/sessions", &json!({})).await;
        let session = id(&made.expect(201));
        tokio::time::sleep(Duration::from_millis(delay)).await;
        server.kill().await;
        let server = start(path, backend).await;
        let view = server.client.look(&session).await;
        if view["state"] == "failed" {
            interrupted += 1;
            assert_eq!(view["state_reason"], "interrupted", "{view}");
            assert!(view["state_message"].is_string(), "{view}");
            if let Some(engine) = backend.engine() {
                // An engine finishes what it has begun, whoever asked for it.
                until(
                    "its container is gone",
                    Duration::from_secs(20),
                    async || {
                        engine
                            .find_container_of(&session)
                            .await
                            .is_none()
                            .then_some(())
                    },
                )
                .await;
            }
        } else {
            assert_eq!(view["state"], "running", "{view}");
        }
        server.client.remove(&session).await;
        server.terminate().await;
    }
    assert!(interrupted > 0);
}
on_children!(what_was_being_made_has_failed: docker, podman, process, embedded, crun, runc);

async fn what_became_of_the_others_is_told(path: &Path, backend: Backend) {
    let server = start(path, backend).await;
    let client = server.client.clone();
    let (removed, ended, stopped) =
        tokio::join!(client.session(), client.session(), client.session());
    client.stop(&stopped, "1s").await;
    server.kill().await;
    let engine = backend.engine().unwrap();
    engine.remove(&engine.container_of(&removed).await).await;
    engine.kill(&engine.container_of(&ended).await).await;
    let server = start(path, backend).await;
    let client = &server.client;
    for (session, state, reason) in [
        (&removed, "lost", "sandbox_missing"),
        (&ended, "stopped", "exited"),
        (&stopped, "stopped", "stopped"),
    ] {
        let view = client.look(session).await;
        assert_eq!(
            (&view["state"], &view["state_reason"]),
            (&json!(state), &json!(reason)),
            "{view}"
        );
        assert!(view["ended_at"].is_string(), "{view}");
    }
    client.start(&ended).await;
    assert_eq!(client.output(&ended, "echo fine").await, "fine");
    server.terminate().await;
}
on_children!(what_became_of_the_others_is_told: docker, podman);

/// The same while a server watches.
async fn what_happens_to_a_sandbox_is_seen(server: &TestServer) {
    let client = &server.client;
    let (removed, ended) = tokio::join!(client.session(), client.session());
    let engine = server.engine();
    let mut viewer = Viewer::attach(client, &ended, "main", "").await;
    engine.kill(&engine.container_of(&ended).await).await;
    let view = client.wait_for(&ended, "stopped", LONG).await;
    assert_eq!(view["state_reason"], "exited", "{view}");
    viewer.drain().await;
    let (code, _) = viewer.closed.unwrap();
    // The close may come before the engine has said what happened.
    assert!(matches!(code, 4001 | 4100), "{code}");
    engine.remove(&engine.container_of(&removed).await).await;
    let view = client.wait_for(&removed, "lost", LONG).await;
    assert_eq!(view["state_reason"], "sandbox_missing", "{view}");
}
on_backends!(what_happens_to_a_sandbox_is_seen: docker, podman, exec);
