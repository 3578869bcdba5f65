//! The plain dialect, as a script uses it.

use std::time::Duration;

use serde_json::json;
use shellport_wire::close;
use tokio::time::Instant;

use crate::support::api::BEGIN;
use crate::support::backend::on_backends;
use crate::support::plain::Plain;
use crate::support::server::TestServer;
use crate::support::viewer::exited;

/// 4 MiB in lines of 64 bytes.
fn paste() -> Vec<u8> {
    let line = format!("{:063}\n", 7);
    line.repeat(4 * 1024 * 1024 / 64).into_bytes()
}

async fn a_script_drives_a_shell(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let mut shell = Plain::attach(client, &session, "main", "cols=90&rows=30").await;
    shell.stdin("stty size\n").await;
    shell.until("30 90").await;
    shell
        .send(json!({"type": "resize", "cols": 120, "rows": 40}))
        .await;
    shell.stdin("stty size; echo $((6*7))\n").await;
    shell.until("40 120").await;
    shell.until("42").await;
    shell.stdin("exit 7\n").await;
    shell.drain().await;
    let (exit, offset) = shell.exit.take().expect("an exit");
    assert_eq!(Some(exit), Some(exited(7)));
    assert_eq!(offset, shell.output.len() as u64);
    assert_eq!(shell.closed, Some(close::EXITED));
}
on_backends!(a_script_drives_a_shell: docker, podman, exec, process, embedded, crun, runc, youki, runsc, rootless, rootless_crun, rootless_runc, rootless_single);

async fn what_is_not_understood_is_refused(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    for message in [
        json!({"type": "stdin"}),
        json!({"type": "nonsense"}),
        json!(7),
    ] {
        let mut shell = Plain::attach(client, &session, "main", "").await;
        shell.send(message).await;
        shell.drain().await;
        assert_eq!(shell.closed, Some(close::PROTOCOL_ERROR));
    }
}
on_backends!(what_is_not_understood_is_refused: process);

/// Counts what arrives of a paste that comes in pieces of `size` bytes.
async fn count(server: &TestServer, size: usize) {
    let client = &server.client;
    let session = client.session().await;
    let terminal = client.terminal(&session, "cat | wc -c").await;
    let mut viewer = Plain::attach(client, &session, &terminal, BEGIN).await;
    let mut outgoing = viewer.outgoing.take().unwrap();
    let sending = tokio::spawn(async move {
        outgoing.binary(b"\n".to_vec()).await;
        for part in paste().chunks(size) {
            outgoing.binary(part.to_vec()).await;
        }
        outgoing.binary(b"\x04".to_vec()).await;
        outgoing
    });
    viewer.drain().await;
    drop(sending.await.unwrap());
    assert_eq!(viewer.text().trim(), "4194304");
    assert_eq!(viewer.exit.take().map(|(exit, _)| exit), Some(exited(0)));
}

async fn a_paste_in_one_piece_arrives_whole(server: &TestServer) {
    count(server, 4 * 1024 * 1024).await;
}
on_backends!(a_paste_in_one_piece_arrives_whole: docker, podman, exec, process, embedded, crun, runc, rootless);

async fn a_paste_in_many_pieces_arrives_whole(server: &TestServer) {
    count(server, 1000).await;
}
on_backends!(a_paste_in_many_pieces_arrives_whole: docker, podman, exec, process, embedded, crun, runc);

/// With echo on, what is pasted comes back while it is still being pasted: neither direction may
/// wait for the other.
async fn a_paste_that_is_echoed_does_not_lock_up(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let terminal = client
        .terminal(&session, "stty echo; cat > /dev/null; echo the end")
        .await;
    let mut viewer = Plain::attach(client, &session, &terminal, BEGIN).await;
    let mut outgoing = viewer.outgoing.take().unwrap();
    let sending = tokio::spawn(async move {
        outgoing.binary(b"\n".to_vec()).await;
        for part in paste()[..1024 * 1024].chunks(4096) {
            outgoing.binary(part.to_vec()).await;
        }
        outgoing.binary(b"\x04".to_vec()).await;
        outgoing
    });
    viewer.drain().await;
    drop(sending.await.unwrap());
    assert!(viewer.text().ends_with("the end\r\n"));
    assert_eq!(viewer.exit.take().map(|(exit, _)| exit), Some(exited(0)));
}
on_backends!(a_paste_that_is_echoed_does_not_lock_up: docker, process, embedded);

async fn ctrl_c_ends_a_flood(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let mut shell = Plain::attach(client, &session, "main", "").await;
    shell.stdin("yes flood\n").await;
    while shell.output.len() < 2_000_000 {
        assert!(shell.step().await);
    }
    let before = shell.output.len();
    let begun = Instant::now();
    shell.stdin("\u{3}").await;
    shell.stdin("echo en'd' of flood\n").await;
    shell.until_from(before, "end of flood").await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}
on_backends!(ctrl_c_ends_a_flood: docker, podman, process, embedded, crun, runc, rootless);

/// A client that joins a running terminal gets its screen; one that says where it was, goes on.
async fn a_second_client_sees_the_screen(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let mut first = Plain::attach(client, &session, "main", "").await;
    first.stdin("echo on-$((40+2))-screen\n").await;
    first.until("on-42-screen").await;
    let mut second = Plain::attach(client, &session, "main", "").await;
    second.until("on-42-screen").await;
    let query = format!("since=0&run={}", first.hello.run);
    let mut third = Plain::attach(client, &session, "main", &query).await;
    third.until("on-42-screen").await;
    let both = third.output.len().min(first.output.len());
    assert_eq!(third.output[..both], first.output[..both]);
}
on_backends!(a_second_client_sees_the_screen: docker, process, embedded);
