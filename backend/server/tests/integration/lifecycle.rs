//! A session from its making to its end.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::timeout;

use crate::support::api::{AGENT, id};
use crate::support::backend::on_backends;
use crate::support::http::Client;
use crate::support::server::TestServer;
use crate::support::wait::{LONG, until, within};

async fn a_session_is_made_and_deleted(server: &TestServer) {
    let client = &server.client;
    let wish = json!({"image": "shellport-test/busybox:1", "name": "first", "labels": {"a": "b"}});
    let answer = client.post("/api/v1/sessions", &wish).await;
    let session = answer.expect(201);
    let path = Client::path(&id(&session), "");
    assert_eq!(answer.header("location"), path);
    assert!(!answer.header("etag").is_empty());
    assert_eq!(session["state"], "creating", "{session}");
    assert_eq!(
        (&session["name"], &session["labels"]),
        (&json!("first"), &json!({"a": "b"}))
    );
    // 128 random bits take at least 22 characters to write down.
    assert!(id(&session).len() >= 22, "{session}");
    let running = client.wait_for(&id(&session), "running", LONG).await;
    assert!(running["started_at"].is_string(), "{running}");
    assert_eq!(running["ended_at"], json!(null));
    client.remove(&id(&session)).await;
    let gone = client.get(&path).await;
    gone.expect_problem(404, "session_not_found", &[&id(&session)]);
    if let Some(engine) = server.backend.engine() {
        assert_eq!(engine.find_container_of(&id(&session)).await, None);
    }
    let again = client.delete(&path).await;
    again.expect_problem(404, "session_not_found", &[]);
}
on_backends!(a_session_is_made_and_deleted: docker, podman, exec, process, embedded, crun, runc, youki, runsc, rootless, rootless_crun, rootless_runc, rootless_single);

async fn a_stop_gives_grace_and_keeps_files(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let file = format!("/tmp/shellport-test-{session}");
    let line = format!(
        "trap 'echo ended >> {file}; exit' TERM; echo begun > {file}; while :; do sleep 0.1; done"
    );
    let running = tokio::spawn({
        let (client, path) = (client.clone(), Client::path(&session, "/execs"));
        async move { client.post(&path, &json!({"shell": line})).await }
    });
    until("it has begun", LONG, async || {
        let text = client.shell(&session, &format!("cat {file}")).await.stdout;
        (text == "begun\n").then_some(())
    })
    .await;
    let stopped = client.stop(&session, "10s").await;
    assert_eq!(stopped["state_reason"], "stopped", "{stopped}");
    assert!(stopped["ended_at"].is_string(), "{stopped}");
    // It was told how it ended, or that nobody knows; not a code that is made up.
    let outcome = running.await.unwrap();
    if outcome.status == 200 {
        assert_eq!(outcome.json()["exit"]["reason"], "stopped", "{outcome:?}");
    } else {
        outcome.expect_problem(502, "agent_unreachable", &[]);
    }
    // What needs a sandbox that runs says what is missing.
    let exec = client
        .post(&Client::path(&session, "/execs"), &json!({"shell": "true"}))
        .await;
    exec.expect_problem(409, "session_not_running", &["stopped"]);
    // Stopping what has stopped is no error.
    client.stop(&session, "1s").await;
    let running = client.start(&session).await;
    assert_eq!(running["ended_at"], json!(null), "{running}");
    let text = client
        .output(&session, &format!("cat {file}; rm {file}"))
        .await;
    assert_eq!(text, "begun\nended");
}
on_backends!(a_stop_gives_grace_and_keeps_files: docker, podman, exec, process, embedded, crun, runc, youki, runsc, rootless, rootless_crun, rootless_runc, rootless_single);

async fn who_ignores_term_is_killed(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let file = format!("/tmp/shellport-test-{session}");
    let line = format!("trap '' TERM HUP INT; echo $$ > {file}; while :; do sleep 0.1; done");
    let wish = json!({"command": ["/bin/sh", "-c", line]});
    let terminals = Client::path(&session, "/terminals");
    client.post(&terminals, &wish).await.expect(201);
    until("it runs", LONG, async || {
        let text = client.shell(&session, &format!("cat {file}")).await.stdout;
        text.trim().parse::<u32>().ok()
    })
    .await;
    client.output(&session, &format!("rm {file}")).await;
    let begun = Instant::now();
    client.stop(&session, "1s").await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1), "no grace: {took:?}");
    assert!(took < Duration::from_secs(6), "too much grace: {took:?}");
}
on_backends!(who_ignores_term_is_killed: docker, podman, exec, process, embedded, crun, runc, rootless);

async fn twenty_are_made_at_once(server: &TestServer) {
    let client = &server.client;
    let made = join_all((0..20).map(|_| client.session())).await;
    let outputs = join_all(
        made.iter()
            .map(|session| client.output(session, "echo fine")),
    )
    .await;
    assert!(outputs.iter().all(|output| output == "fine"), "{outputs:?}");
    if let Some(engine) = server.backend.engine() {
        let containers = engine.containers(&server.instance()).await;
        assert_eq!(containers.len(), 20);
    }
    join_all(made.iter().map(|session| client.remove(session))).await;
}
on_backends!(twenty_are_made_at_once: docker, podman, exec, process, embedded, crun, runc, rootless);

async fn a_time_to_live_ends_a_session(server: &TestServer) {
    let client = &server.client;
    let session = client.create(json!({"ttl": "1500ms"})).await;
    assert!(session["expires_at"].is_string(), "{session}");
    let path = Client::path(&id(&session), "");
    until("it is deleted", Duration::from_secs(15), async || {
        (client.get(&path).await.status == 404).then_some(())
    })
    .await;
}
on_backends!(a_time_to_live_ends_a_session: docker, podman, process, embedded, crun, runc);

async fn an_idle_session_is_stopped(server: &TestServer) {
    let client = &server.client;
    let begun = Instant::now();
    let session = id(&client.create(json!({"idle_timeout": "1s"})).await);
    // What is used is not idle.
    client.output(&session, "sleep 2").await;
    assert_eq!(client.look(&session).await["state"], "running");
    let stopped = client
        .wait_for(&session, "stopped", Duration::from_secs(15))
        .await;
    assert!(begun.elapsed() >= Duration::from_secs(3));
    assert_eq!(stopped["state_reason"], "idle_timeout", "{stopped}");
    assert!(stopped["state_message"].is_string(), "{stopped}");
}
on_backends!(an_idle_session_is_stopped: docker, process, embedded);

/// As many as the operator allows, and no more.
async fn sessions_are_bounded(server: &TestServer) {
    let client = &server.client;
    let first = client.session().await;
    let answer = client.post("/api/v1/sessions", &json!({})).await;
    let problem = answer.expect_problem(429, "too_many_sessions", &["1"]);
    assert_eq!(problem["retryable"], true);
    client.remove(&first).await;
    client.session().await;
}
on_backends!(sessions_are_bounded: docker, process, embedded=> ["--max-sessions=1"]);

/// One that hangs cannot be asked to end.
async fn an_agent_that_hangs_is_removed(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let line = "sleep 1000 >/dev/null 2>&1 & echo $!";
    let sleeper = client.output(&session, line).await;
    let line = format!("kill -STOP {AGENT}");
    let stop = client.shell(&session, &line);
    assert!(timeout(Duration::from_secs(1), stop).await.is_err());
    within("the delete", LONG, client.remove(&session)).await;
    assert_eq!(client.sessions().await, Vec::<String>::new());
    until("what it ran has ended", LONG, async || {
        // A zombie has no command line.
        let line = std::fs::read(format!("/proc/{sleeper}/cmdline"));
        line.unwrap_or_default().is_empty().then_some(())
    })
    .await;
}
on_backends!(an_agent_that_hangs_is_removed: process);
