//! A server that is asked to end, and one that is not allowed to begin.

use std::path::Path;

use serde_json::json;
use shellport::server::StartError;
use shellport_wire::close;

use crate::support::backend::{Backend, on_backends};
use crate::support::child::{ChildServer, command, log, on_children};
use crate::support::http::Client;
use crate::support::plain::Plain;
use crate::support::server::{TestServer, directory};
use crate::support::viewer::Viewer;
use crate::support::wait::{LONG, until};

/// Viewers are told to come back, and sandboxes go on.
async fn a_graceful_end(path: &Path, backend: Backend) {
    let server = ChildServer::start(path, backend, &[]).await.unwrap();
    let session = server.client.session().await;
    let mut viewer = Viewer::attach(&server.client, &session, "main", "").await;
    let mut plain = Plain::attach(&server.client, &session, "main", "").await;
    viewer.line("KEPT=$((6*7)); echo set-$KEPT").await;
    viewer.until("set-42").await;
    let ended = tokio::join!(server.terminate(), viewer.drain(), plain.drain());
    assert_eq!(ended, ((), (), ()));
    assert_eq!(viewer.closed.as_ref().unwrap().0, close::GOING_AWAY);
    assert_eq!(plain.closed, Some(close::GOING_AWAY));
    assert!(viewer.exit.is_none(), "the program has not ended");
    let server = ChildServer::start(path, backend, &[]).await.unwrap();
    assert_eq!(server.client.look(&session).await["state"], "running");
    let query = viewer.come_back();
    let mut viewer = Viewer::attach(&server.client, &session, "main", &query).await;
    assert!(viewer.resumed());
    viewer.line("echo still-$KEPT").await;
    viewer.until("still-42").await;
    drop(viewer);
    server.terminate().await;
}

async fn an_end_that_stops_sandboxes(path: &Path, backend: Backend) {
    let flags = ["--on-shutdown=stop", "--stop-grace=1s"];
    let server = ChildServer::start(path, backend, &flags).await.unwrap();
    let session = server.client.session().await;
    server
        .client
        .output(
            &session,
            &format!("echo kept > /tmp/shellport-test-{session}"),
        )
        .await;
    server.terminate().await;
    if let Some(engine) = backend.engine() {
        let state = engine.inspect(&session).await.state.unwrap();
        assert_eq!(state.running, Some(false));
    }
    let server = ChildServer::start(path, backend, &flags).await.unwrap();
    assert_eq!(server.client.look(&session).await["state"], "stopped");
    server.client.start(&session).await;
    let line = format!("cat /tmp/shellport-test-{session}; rm /tmp/shellport-test-{session}");
    assert_eq!(server.client.output(&session, &line).await, "kept");
    server.terminate().await;
}

/// Nobody is left to hear of it.
async fn an_end_ends_commands(path: &Path, backend: Backend) {
    let server = ChildServer::start(path, backend, &[]).await.unwrap();
    let session = server.client.session().await;
    let mark = format!("/tmp/shellport-test-{session}");
    let wish = json!({"shell": format!("sleep 1000 & echo $! > {mark}; wait")});
    let running = tokio::spawn({
        let (client, path) = (server.client.clone(), Client::path(&session, "/execs"));
        async move { client.post(&path, &wish).await }
    });
    let child = until("the command runs", LONG, async || {
        let line = format!("cat {mark}");
        let text = server.client.shell(&session, &line).await.stdout;
        text.trim().parse::<u32>().ok()
    })
    .await;
    let (ended, answer) = tokio::join!(server.terminate(), running);
    let ((), answer) = (ended, answer.unwrap());
    answer.expect_problem(503, "shutting_down", &[]);
    let server = ChildServer::start(path, backend, &[]).await.unwrap();
    let line = format!("grep -q '^State:.[^Z]' /proc/{child}/status; echo $?; rm {mark}");
    assert_ne!(server.client.output(&session, &line).await, "0");
    server.terminate().await;
}

on_children!(an_end_ends_commands: docker, process, embedded);
on_children!(a_graceful_end: docker, podman, exec, process, embedded, crun, runc);
on_children!(an_end_that_stops_sandboxes: docker, podman, process, embedded, crun, runc);

async fn a_data_directory_has_one_server(server: &TestServer) {
    let second = TestServer::start_in(server.path(), server.backend, &[])
        .await
        .unwrap();
    match second {
        Err(error @ StartError::DataDir(_)) => {
            assert!(error.to_string().contains("--data-dir"), "{error}");
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("a second server was started"),
    }
    let mut second = command(server.path(), server.backend, &[]).unwrap();
    let status = second.status().await.unwrap();
    assert!(!status.success());
    assert!(
        log(server.path()).contains("another server uses"),
        "{}",
        log(server.path())
    );
    server.client.session().await;
}
on_backends!(a_data_directory_has_one_server: docker, process, embedded);

/// Whatever the operator asks for that is not safe, or not there, is refused with what to do.
#[tokio::test]
async fn bad_configurations_are_refused() {
    for (flags, words) in [
        (
            &["--runtime=process", "--listen=0.0.0.0:0"][..],
            "--insecure-listen",
        ),
        (
            &[
                "--runtime=process",
                "--listen=0.0.0.0:0",
                "--insecure-listen",
            ],
            "only allowed",
        ),
        (
            &["--runtime=docker", "--engine=unix:///no/such.sock"],
            "/no/such.sock",
        ),
        (
            &["--runtime=process", "--loosest-profile=strict"],
            "--loosest-profile",
        ),
    ] {
        let directory = directory();
        let log_file = std::fs::File::create(directory.path().join("stderr.log")).unwrap();
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_shellport"));
        command
            .arg("serve")
            .args(flags)
            .stderr(log_file)
            .kill_on_drop(true);
        command.env("SHELLPORT_DATA_DIR", directory.path().join("data"));
        let status = command.status().await.unwrap();
        assert!(!status.success(), "{flags:?}");
        let log = log(directory.path());
        assert!(log.contains(words), "{words:?} is not in {log}");
    }
}

/// The token is the owner's alone, and stays the same.
async fn the_token_is_kept(server: &TestServer) {
    use std::os::unix::fs::PermissionsExt;
    let file = server.path().join("token");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(Some(text.trim()), server.client.token.as_deref());
    assert!(text.trim().len() >= 43, "256 bits");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&server.path().join("run")), 0o700);
    // The directory was there before, so its own mode is its owner's business; what is in it that
    // tells of sessions is not for others either way.
    for entry in std::fs::read_dir(server.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if name.starts_with("shellport.db") {
            assert_eq!(mode(&path) & 0o077, 0, "others can read {name}");
        }
    }
    let answer = server.client.get("/api/v1/sessions").await;
    assert_eq!(answer.expect(200)["data"], json!([]));
}
on_backends!(the_token_is_kept: process);
