//! The dialect of browsers: frames with positions.

use std::time::Duration;

use hyper::header;
use serde_json::json;
use shellport_wire::close;
use shellport_wire::frame::{Frame, Kind};
use shellport_wire::viewer::{ClientMessage, Line, Role, Size, Start, WINDOW};
use tokio::time::{Instant, sleep};

use crate::support::api::BEGIN;
use crate::support::backend::on_backends;
use crate::support::http::Client;
use crate::support::plain::Plain;
use crate::support::server::TestServer;
use crate::support::viewer::{Viewer, exited};
use crate::support::websocket::{self, Received};

async fn the_first_viewer_starts_the_terminal_at_its_size(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let terminals = Client::path(&session, "/terminals");
    let before = client.get(&terminals).await.expect(200);
    assert_eq!(
        before["data"],
        json!([]),
        "nothing runs before anybody looks"
    );
    let mut viewer = Viewer::attach(client, &session, "main", "cols=101&rows=37").await;
    assert_eq!(viewer.hello.start, Start::Fresh);
    assert_eq!(
        viewer.hello.size,
        Size {
            cols: 101,
            rows: 37
        }
    );
    assert_eq!((viewer.hello.offset, viewer.hello.sequence), (0, 0));
    assert_eq!(viewer.hello.window, WINDOW);
    viewer
        .line("stty size; tty; echo $TERM $COLORTERM $LANG")
        .await;
    viewer.until("37 101").await;
    viewer.until("/dev/pts/").await;
    viewer.until("xterm-256color truecolor").await;
    viewer.until("UTF-8").await;
    let size = Size { cols: 60, rows: 20 };
    viewer.send(&ClientMessage::Resize(size)).await;
    while viewer.size != size {
        assert!(viewer.step().await);
    }
    viewer.line("stty size").await;
    viewer.until("20 60").await;
    let shown = client.get(&format!("{terminals}/main")).await.expect(200);
    assert_eq!((&shown["cols"], &shown["rows"]), (&json!(60), &json!(20)));
    assert_eq!(
        (&shown["viewers"], &shown["state"]),
        (&json!(1), &json!("running"))
    );
    viewer.line("exit 7").await;
    viewer.drain().await;
    assert_eq!(viewer.exit, Some(exited(7)));
    assert_eq!(viewer.closed.as_ref().unwrap().0, close::EXITED);
    // What has ended can be looked at, and started again.
    let mut again = Viewer::attach(client, &session, "main", "").await;
    again.drain().await;
    assert_eq!(again.exit, Some(exited(7)));
    let mut fresh = Viewer::attach(client, &session, "main", "restart=true").await;
    assert_eq!(fresh.hello.start, Start::Fresh);
    assert_ne!(fresh.hello.run, viewer.hello.run);
    fresh.line("echo $((6*7))").await;
    fresh.until("42").await;
}
on_backends!(the_first_viewer_starts_the_terminal_at_its_size: docker, podman, exec, process, embedded, crun, runc, rootless);

async fn terminals_are_opened_listed_resized_and_closed(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let terminals = Client::path(&session, "/terminals");
    let wish = json!({
        "name": "second", "cols": 33, "rows": 11, "cwd": "/tmp", "env": {"WORD": "w"},
        "command": ["/bin/sh", "-c", "stty size; pwd; echo $WORD; sleep 1000"],
    });
    let opened = client.post(&terminals, &wish).await.expect(201);
    assert_eq!(opened["name"], "second", "{opened}");
    let mut viewer = Viewer::attach(client, &session, "second", "since=0&role=reader").await;
    for text in ["11 33", "/tmp", "w\r\n"] {
        viewer.until(text).await;
    }
    let twice = client.post(&terminals, &wish).await;
    twice.expect_problem(409, "terminal_exists", &["second"]);
    let list = client.get(&terminals).await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    let path = format!("{terminals}/second");
    let resized = client
        .json(
            hyper::Method::PATCH,
            &path,
            &json!({"cols": 44, "rows": 12}),
        )
        .await;
    assert_eq!(resized.expect(200)["cols"], 44);
    while viewer.size != (Size { cols: 44, rows: 12 }) {
        assert!(viewer.step().await);
    }
    let too_small = client
        .json(hyper::Method::PATCH, &path, &json!({"cols": 0, "rows": 12}))
        .await;
    assert_eq!(
        too_small.expect_problem(400, "invalid_request", &["cols"])["field"],
        "cols"
    );
    client.delete(&path).await.expect(204);
    viewer.drain().await;
    assert_eq!(
        viewer.exit.as_ref().map(|exit| exit.reason),
        Some(shellport_wire::exit::Reason::Stopped)
    );
    client
        .get(&path)
        .await
        .expect_problem(404, "terminal_not_found", &["second"]);
    // The upgrade comes before the terminal is looked for.
    let path = format!("{terminals}/second/attach");
    let (mut incoming, _outgoing, _) = websocket::open(client, &path, &[]).await.unwrap();
    match incoming.next().await {
        Received::Closed(code, reason) => {
            assert_eq!(code, close::START_FAILED);
            assert!(reason.contains("second"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}
on_backends!(terminals_are_opened_listed_resized_and_closed: docker, podman, exec, process, embedded, crun, runc);

async fn a_reader_only_looks(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let mut writer = Viewer::attach(client, &session, "main", "cols=70&rows=20").await;
    let query = "role=reader&cols=30&rows=10";
    let mut reader = Viewer::attach(client, &session, "main", query).await;
    assert_eq!(
        reader.hello.size,
        Size { cols: 70, rows: 20 },
        "the writer's size wins"
    );
    // A reader's own size is its own business.
    reader
        .send(&ClientMessage::Resize(Size { cols: 31, rows: 11 }))
        .await;
    writer.line("stty size; echo for-$((40+2))-both").await;
    writer.until("for-42-both").await;
    reader.until("for-42-both").await;
    assert!(writer.text().contains("20 70"));
    reader.send_input(b"echo typed\n").await;
    reader.drain().await;
    let (code, reason) = reader.closed.take().unwrap();
    assert_eq!(code, close::PROTOCOL_ERROR);
    assert!(reason.contains("reader"), "{reason}");
    let mut reader = Viewer::attach(client, &session, "main", query).await;
    reader
        .send(&ClientMessage::Signal {
            signal: "SIGINT".to_owned(),
        })
        .await;
    reader.drain().await;
    assert_eq!(reader.closed.take().unwrap().0, close::PROTOCOL_ERROR);
    writer.ping().await;
    assert!(!writer.text().contains("typed"), "{}", writer.text());
}
on_backends!(a_reader_only_looks: docker, process, embedded);

/// The writer's role is taken over, lent and given back; the size goes with it, and everyone is told.
async fn one_at_a_time_is_the_writer(server: &TestServer) {
    /// Waits until the viewer has been told so.
    async fn told(viewer: &mut Viewer, writer: Option<u64>, count: u64, size: Size) {
        while (viewer.writer, viewer.count, viewer.size) != (writer, count, size) {
            assert!(viewer.step().await);
        }
    }
    let role = |role, viewer| ClientMessage::Role { role, viewer };
    let take = role(Role::Writer, None);
    let (narrow, wide) = (Size { cols: 70, rows: 20 }, Size { cols: 75, rows: 20 });
    let large = Size { cols: 90, rows: 30 };

    let client = &server.client;
    let session = client.session().await;
    let mut first = Viewer::attach(client, &session, "main", "cols=70&rows=20").await;
    told(&mut first, Some(0), 1, narrow).await;
    let mut second = Viewer::attach(client, &session, "main", "cols=90&rows=30").await;
    told(&mut second, Some(1), 2, large).await;
    told(&mut first, Some(1), 2, large).await;
    assert_eq!((first.you, second.you), (Some(0), Some(1)));

    // Its own size is kept for when it is the writer.
    first.send(&ClientMessage::Resize(wide)).await;
    first.ping().await;
    assert_eq!(first.size, large);
    first.send(&take).await;
    first.line("stty size; echo was-$((40+2))").await;
    first.until("was-42").await;
    assert!(first.text().contains("20 75"), "{}", first.text());
    second.until("was-42").await;
    assert_eq!((second.writer, second.size), (Some(0), wide));

    second.send(&take).await;
    told(&mut first, Some(1), 2, large).await;
    first.send(&role(Role::Writer, Some(1))).await;
    while first.notices.is_empty() {
        assert!(first.step().await);
    }
    assert_eq!(first.notices, ["role_refused"], "it is not the writer");
    second.send(&role(Role::Writer, Some(0))).await;
    told(&mut first, Some(0), 2, wide).await;
    first.send(&role(Role::Reader, None)).await;
    told(&mut first, Some(1), 2, large).await;

    // A reader cannot be given it, and whoever had it before has it again when the writer goes.
    first.send(&take).await;
    told(&mut second, Some(0), 2, wide).await;
    let mut reader = Viewer::attach(client, &session, "main", "role=reader").await;
    told(&mut first, Some(0), 3, wide).await;
    first.send(&role(Role::Writer, Some(2))).await;
    while first.notices.len() < 2 {
        assert!(first.step().await);
    }
    drop(first);
    told(&mut second, Some(1), 2, large).await;
    reader.send(&take).await;
    reader.drain().await;
    assert_eq!(reader.closed.take().unwrap().0, close::PROTOCOL_ERROR);
}
on_backends!(one_at_a_time_is_the_writer: docker, process, embedded);

/// A client knows when a password is typed.
async fn viewers_know_what_the_terminal_does_with_input(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let script = "stty echo; echo ask; read -r a; stty -echo; echo hidden; read -r b; stty raw; echo raw; read -r c";
    let terminal = client.terminal(&session, script).await;
    let mut viewer = Viewer::attach(client, &session, &terminal, BEGIN).await;
    viewer.line("go").await;
    for (text, echo, canonical) in [
        ("ask", true, true),
        ("hidden", false, true),
        ("raw", false, false),
    ] {
        viewer.until(text).await;
        let line = Some(Line { echo, canonical });
        while viewer.line != line {
            assert!(viewer.step().await, "{text}: {:?}", viewer.line);
        }
        viewer.line("x").await;
    }
}
on_backends!(viewers_know_what_the_terminal_does_with_input: docker, process, embedded);

/// Both see the same bytes from where the second joined.
async fn a_second_viewer_gets_a_snapshot_and_then_the_same(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let terminal = client
        .terminal(&session, "seq 1 30000; read -r go; seq 1 20000")
        .await;
    let mut first = Viewer::attach(client, &session, &terminal, BEGIN).await;
    first.line("go").await;
    first.until("20000").await;
    let mut second = Viewer::attach(client, &session, &terminal, "role=reader").await;
    assert_eq!(second.hello.start, Start::Snapshot);
    while second.snapshot.is_none() {
        assert!(second.step().await);
    }
    first.until("30000").await;
    first.line("go").await;
    tokio::join!(first.drain(), second.drain());
    assert_eq!(second.snapshots, 1);
    let from = usize::try_from(second.start - first.start).unwrap();
    assert_eq!(first.output[from..], second.output);
    assert!(second.output.ends_with(b"20000\r\n"));
    assert_eq!(
        (&first.exit, &second.exit),
        (&Some(exited(0)), &Some(exited(0)))
    );
}
on_backends!(a_second_viewer_gets_a_snapshot_and_then_the_same: docker, podman, process, embedded, crun, runc, rootless);

async fn a_signal_reaches_the_foreground(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let mut viewer = Viewer::attach(client, &session, "main", "").await;
    viewer.line("sh -c 'trap \"echo caught; exit 9\" USR1; echo read\"\"y; while :; do sleep 0.1; done'; echo code $?").await;
    viewer.until("ready").await;
    viewer
        .send(&ClientMessage::Signal {
            signal: "SIGUSR1".to_owned(),
        })
        .await;
    viewer.until("caught").await;
    viewer.until("code 9").await;
    viewer
        .send(&ClientMessage::Signal {
            signal: "SIGNONSENSE".to_owned(),
        })
        .await;
    viewer.drain().await;
    assert_eq!(viewer.closed.take().unwrap().0, close::PROTOCOL_ERROR);
}
on_backends!(a_signal_reaches_the_foreground: docker, process, embedded);

/// Every deviation from the protocol closes with 4002 and a reason, and hurts nobody else.
async fn broken_frames_are_refused(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let mut witness = Viewer::attach(client, &session, "main", "").await;
    let input = |position, bytes| Frame::bytes(Kind::Input, position, bytes).encode();
    let broken = [
        ("unknown type", [vec![9], vec![0; 9]].concat()),
        ("no payload", vec![2; 9]),
        (
            "output from a client",
            Frame::bytes(Kind::Output, 0, b"x").encode(),
        ),
        ("a position that does not continue", input(5, b"x")),
        ("too much", input(0, "x".repeat(65_537).as_bytes())),
        ("no JSON", b"{nonsense".to_vec()),
        ("an unknown message", br#"{"type":"nonsense"}"#.to_vec()),
        (
            "an unknown field",
            br#"{"type":"ping","id":1,"x":1}"#.to_vec(),
        ),
        (
            "a bad size",
            br#"{"type":"resize","cols":0,"rows":5}"#.to_vec(),
        ),
    ];
    for (what, bytes) in broken {
        let mut viewer = Viewer::attach(client, &session, "main", "").await;
        viewer.send_raw(bytes).await;
        viewer.drain().await;
        let (code, reason) = viewer.closed.take().unwrap();
        assert_eq!(code, close::PROTOCOL_ERROR, "{what}: {reason}");
        assert!(!reason.is_empty(), "{what}");
    }
    witness.line("echo $((6*7))").await;
    witness.until("42").await;
}
on_backends!(broken_frames_are_refused: docker, process, embedded);

/// What is written past the input window is refused, not kept.
async fn input_has_a_window(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let terminal = client.terminal(&session, "true; sleep 1000").await;
    let mut viewer = Viewer::attach(client, &session, &terminal, "").await;
    viewer.line("").await;
    viewer.until_applied().await;
    // Nobody reads it, so that it cannot all be applied.
    for _ in 0..12 {
        let lines = format!("{:063}\n", 0).repeat(256);
        viewer.send_input(lines.as_bytes()).await;
    }
    viewer.drain().await;
    assert_eq!(viewer.closed.take().unwrap().0, close::PROTOCOL_ERROR);
}
on_backends!(input_has_a_window: process);

async fn a_stalled_viewer_does_not_hold_another(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let terminal = client.terminal(&session, "seq 1 600000; read -r go").await;
    let mut working = Viewer::attach(client, &session, &terminal, BEGIN).await;
    let mut stalled =
        Viewer::attach(client, &session, &terminal, &format!("{BEGIN}&role=reader")).await;
    working.line("go").await;
    let begun = Instant::now();
    working.until_offset(4_000_000).await;
    assert!(begun.elapsed() < Duration::from_secs(30));
    working.until("600000").await;
    // It comes back to what is on the screen, and goes on from there.
    stalled.until("600000").await;
    assert!(stalled.snapshots >= 1);
    working.line("go").await;
    tokio::join!(working.drain(), stalled.drain());
    assert_eq!(stalled.exit, Some(exited(0)));
}
on_backends!(a_stalled_viewer_does_not_hold_another: docker, process, embedded);

/// When everybody is behind, the program waits.
async fn a_program_waits_for_its_only_viewer(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let terminal = client.terminal(&session, "seq 1 600000").await;
    let mut viewer = Viewer::attach(client, &session, &terminal, BEGIN).await;
    viewer.line("go").await;
    let path = Client::path(&session, &format!("/terminals/{terminal}"));
    // Longer than the program takes, if it does not wait.
    sleep(Duration::from_secs(1)).await;
    let shown = client.get(&path).await.expect(200);
    assert_eq!(shown["state"], "running", "{shown}");
    let offset = shown["offset"].as_u64().unwrap();
    assert!(offset <= 2 * WINDOW, "{shown}");
    viewer.drain().await;
    assert_eq!(viewer.snapshots, 0);
    assert!(viewer.output.ends_with(b"599999\r\n600000\r\n"));
}
on_backends!(a_program_waits_for_its_only_viewer: docker, process, embedded);

/// A viewer that wants bytes which are gone gets a snapshot, and a plain one a gap.
async fn old_output_is_not_kept_for_ever(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let terminal = client.terminal(&session, "seq 1 400000; read -r go").await;
    let mut first = Viewer::attach(client, &session, &terminal, BEGIN).await;
    first.line("go").await;
    first.until("400000").await;
    let late = Viewer::attach(client, &session, &terminal, BEGIN).await;
    assert_eq!(late.hello.start, Start::Snapshot);
    let plain = Plain::attach(client, &session, &terminal, BEGIN).await;
    assert_eq!(plain.hello.start, Start::Gap);
    let future = Viewer::attach(client, &session, &terminal, "since=999999999").await;
    assert_eq!(future.hello.start, Start::Snapshot);
    let other_run = Viewer::attach(client, &session, &terminal, "since=2600000&run=other").await;
    assert_eq!(other_run.hello.start, Start::Snapshot);
    drop(first);

    // As much as the terminal was opened with: these are 3.1 MB.
    let terminals = Client::path(&session, "/terminals");
    let wish = |journal: &str| {
        let script = "seq 1 400000; read -r go";
        json!({"name": "large", "journal": journal, "command": ["/bin/sh", "-c", script]})
    };
    for wrong in ["511Ki", "257Mi"] {
        let refused = client.post(&terminals, &wish(wrong)).await;
        let problem = refused.expect_problem(400, "invalid_request", &["journal", "524288"]);
        assert_eq!(problem["field"], "journal");
    }
    client.post(&terminals, &wish("4Mi")).await.expect(201);
    let mut first = Viewer::attach(client, &session, "large", "since=0").await;
    first.until("400000").await;
    let mut late = Viewer::attach(client, &session, "large", "since=0").await;
    assert_eq!(late.hello.start, Start::Resumed);
    late.until("400000").await;
    assert_eq!((late.start, late.offset()), (first.start, first.offset()));
    assert!(late.output == first.output);
}
on_backends!(old_output_is_not_kept_for_ever: docker, process, embedded);

async fn an_upgrade_that_is_refused_says_why(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let path = Client::path(&session, "/terminals/main/attach");
    let refused = async |client: &Client, path: &str, headers: &[(&'static str, &str)]| {
        match websocket::open(client, path, headers).await {
            Ok(_) => panic!("{path} was accepted"),
            Err(answer) => answer,
        }
    };
    let other = refused(client, &path, &[("sec-websocket-protocol", "chat")]).await;
    other.expect_problem(400, "unknown_subprotocol", &["shellport.v1"]);
    let size = refused(client, &format!("{path}?cols=1001"), &[]).await;
    assert_eq!(
        size.expect_problem(400, "invalid_request", &["1000"])["field"],
        "cols"
    );
    let unknown = refused(client, &format!("{path}?colour=red"), &[]).await;
    unknown.expect_problem(400, "invalid_request", &["colour"]);
    let name = refused(client, &format!("{path}?client=a%20b"), &[]).await;
    name.expect_problem(400, "invalid_request", &["client"]);
    let foreign = refused(client, &path, &[("origin", "https://evil.example")]).await;
    foreign.expect_problem(403, "foreign_origin", &["evil.example", "--allowed-hosts"]);
    let missing = Client::path("aaaaaaaaaaaaaaaaaaaaaaaaaa", "/terminals/main/attach");
    let missing = refused(client, &missing, &[]).await;
    missing.expect_problem(404, "session_not_found", &[]);
    let anonymous = Client {
        token: None,
        ..client.clone()
    };
    let missing = refused(&anonymous, &path, &[]).await;
    missing.expect_problem(401, "unauthorized", &["token"]);
    let answer = client.get(&path).await;
    answer.expect_problem(426, "websocket_needed", &["WebSocket"]);
    assert_eq!(answer.headers.get(header::LOCATION), None);
    client.stop(&session, "1s").await;
    let stopped = refused(client, &path, &[]).await;
    stopped.expect_problem(409, "session_not_running", &["stopped"]);
}
on_backends!(an_upgrade_that_is_refused_says_why: process);
