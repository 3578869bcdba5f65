//! Coming back: every byte once, in both directions.

use shellport_wire::viewer::Start;

use crate::support::api::{BEGIN, id};
use crate::support::backend::{Backend, on_backends};
use crate::support::http::Client;
use crate::support::numbers::Numbers;
use crate::support::plain::Plain;
use crate::support::server::TestServer;
use crate::support::viewer::{Viewer, exited};

/// What `seq 1 last` prints on a terminal.
fn numbered(last: u32) -> Vec<u8> {
    let lines: Vec<String> = (1..=last).map(|number| format!("{number}\r\n")).collect();
    lines.concat().into_bytes()
}

async fn output_goes_on_where_it_was_cut(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let mut numbers = Numbers(42);
    // Less than the journal holds, so that nothing may be lost however long a cut is.
    let expected = numbered(100_000);
    let terminal = client.terminal(&session, "seq 1 100000; exit 3").await;
    let mut viewer = Viewer::attach(client, &session, &terminal, BEGIN).await;
    assert_eq!(viewer.hello.start, Start::Resumed);
    let begin = viewer.start;
    viewer.line("go").await;
    let mut seen = Vec::new();
    let mut cuts = 0;
    let exit = loop {
        let target = viewer.offset() + 1 + numbers.below(60_000);
        while viewer.offset() < target && viewer.step().await {}
        seen.extend_from_slice(&viewer.output);
        if viewer.closed.is_some() {
            break viewer.exit.take();
        }
        cuts += 1;
        let query = viewer.come_back();
        drop(viewer);
        viewer = Viewer::attach(client, &session, &terminal, &query).await;
        assert!(viewer.resumed(), "{:?}", viewer.hello);
        assert_eq!(viewer.start, begin + seen.len() as u64);
    };
    assert!(cuts >= 5, "{cuts}");
    assert!(
        seen == expected,
        "{} bytes, not {}",
        seen.len(),
        expected.len()
    );
    assert_eq!(exit, Some(exited(3)));
}
on_backends!(output_goes_on_where_it_was_cut: docker, podman, exec, process, embedded, crun, runc, youki, runsc, rootless);

/// Frames of input are sent again after a cut, from where the terminal says it is.
async fn input_is_applied_once(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let file = format!("/tmp/shellport-test-{session}");
    let typed: Vec<u8> = (0..40_000_u32)
        .flat_map(|number| format!("{number:05}\n").into_bytes())
        .collect();
    let line = format!("stty raw; head -c {} > {file}; echo received", typed.len());
    let terminal = client.terminal(&session, &line).await;
    let mut numbers = Numbers(7);
    let mut viewer = Viewer::attach(client, &session, &terminal, "client=tester").await;
    // The line that starts it counts as input too.
    viewer.line("").await;
    viewer.until_applied().await;
    let before = viewer.applied();
    let mut cuts = 0;
    loop {
        let sent = usize::try_from(viewer.sent() - before).unwrap();
        let size = usize::try_from(1 + numbers.below(30_000)).unwrap();
        let end = typed.len().min(sent + size);
        viewer.input(&typed[sent..end]).await;
        if numbers.below(3) > 0 {
            // At once, so that some of it has arrived and some has not.
            drop(viewer);
            cuts += 1;
            viewer = Viewer::attach(client, &session, &terminal, "client=tester").await;
        }
        if viewer.sent() - before == typed.len() as u64 {
            viewer.until_applied().await;
            break;
        }
    }
    viewer.until("received").await;
    assert!(cuts >= 5, "{cuts}");
    let sum = format!("md5sum < {file}; rm {file}");
    let received = client.output(&session, &sum).await;
    let wish = serde_json::json!({"argv": ["md5sum"], "stdin": String::from_utf8(typed).unwrap()});
    let expected = client.exec(&session, wish).await.stdout_of_success();
    assert_eq!(received, expected.trim());
}
on_backends!(input_is_applied_once: docker, podman, exec, process, embedded, crun, runc);

/// Bytes that this client has typed before are not taken a second time.
async fn input_that_was_applied_is_refused(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let mut viewer = Viewer::attach(client, &session, "main", "client=tester").await;
    viewer.line("echo $((40+2))").await;
    viewer.until_applied().await;
    viewer.until("42").await;
    drop(viewer);
    let mut viewer = Viewer::attach(client, &session, "main", "client=tester").await;
    assert_eq!(viewer.hello.sequence, "echo $((40+2))\n".len() as u64);
    let other = Viewer::attach(client, &session, "main", "client=other").await;
    assert_eq!(other.hello.sequence, 0);
    viewer.line("echo $((50+3))").await;
    viewer.until("53").await;
}
on_backends!(input_that_was_applied_is_refused: docker, process, embedded);

/// More than a window, so that a viewer who does not read cannot have got it all, and less than the
/// journal keeps.
async fn a_slow_viewer_gets_the_end_that_was(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let mut slow = Viewer::attach(client, &session, "main", "cols=80&rows=24").await;
    let mut quick = Viewer::attach(client, &session, "main", "cols=80&rows=24").await;
    quick.line("seq 1 100000; exit 3").await;
    quick.drain().await;
    assert_eq!(quick.exit, Some(exited(3)));
    let mut next = Viewer::attach(client, &session, "main", "restart=true").await;
    assert_eq!(next.hello.start, Start::Fresh);
    next.line("echo $((6*7))").await;
    next.until("42").await;
    slow.drain().await;
    assert_eq!(slow.exit, Some(exited(3)));
    assert_eq!(slow.offset(), next.hello.offset, "and no byte of the next");
    // The first number comes behind what the shell says of its own.
    let numbers = numbered(100_000).split_off("1\r\n".len());
    assert!(slow.text().contains(str::from_utf8(&numbers).unwrap()));
}
on_backends!(a_slow_viewer_gets_the_end_that_was: process, docker, embedded);

/// The program prints much at once and ends at once: its end comes after its last byte, always.
async fn runs(client: &Client, session: &str, framed: bool, times: usize, expected: &[u8]) {
    for run in 0..times {
        let terminal = client.terminal(session, "seq 1 200000; exit 3").await;
        let (output, exit) = if framed {
            let mut viewer = Viewer::attach(client, session, &terminal, BEGIN).await;
            viewer.line("go").await;
            viewer.drain().await;
            let closed = viewer.closed;
            assert!(viewer.exit.is_some(), "run {run}: no exit, but {closed:?}");
            (viewer.output, viewer.exit)
        } else {
            let mut viewer = Plain::attach(client, session, &terminal, BEGIN).await;
            viewer.stdin("go\n").await;
            viewer.drain().await;
            let closed = viewer.closed;
            assert!(viewer.exit.is_some(), "run {run}: no exit, but {closed:?}");
            let (exit, offset) = viewer.exit.take().unwrap();
            assert_eq!(offset, viewer.hello.offset + viewer.output.len() as u64);
            (viewer.output, Some(exit))
        };
        assert!(
            output == expected,
            "run {run}: {} bytes, not {}",
            output.len(),
            expected.len()
        );
        assert_eq!(exit, Some(exited(3)), "run {run}");
        let path = Client::path(session, &format!("/terminals/{terminal}"));
        client.delete(&path).await.expect(204);
    }
}

async fn nothing_is_lost_at_the_end(server: &TestServer) {
    let client = &server.client;
    let expected = numbered(200_000);
    let session = id(&client.create(serde_json::json!({"cpus": 2})).await);
    // A hundred in all where it is quick: a line costs a system call, dearer behind seccomp.
    let times = match server.backend {
        Backend::Process => 50,
        Backend::Docker => 25,
        Backend::Embedded => 10,
        _ => 5,
    };
    let plain = runs(client, &session, false, times, &expected);
    let framed = runs(client, &session, true, times, &expected);
    tokio::join!(plain, framed);
}
on_backends!(nothing_is_lost_at_the_end: docker, podman, exec, process, embedded, crun, runc, rootless);
