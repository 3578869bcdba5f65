//! Many who watch one terminal, and some who do not read.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::join_all;
use serde_json::json;
use shellport_screen::Screen;
use shellport_wire::close;

use crate::support::api::{BEGIN, BEGIN_OFFSET, id};
use crate::support::backend::{Backend, on_backends};
use crate::support::child::{ChildServer, on_children};
use crate::support::flood::{self, Flood};
use crate::support::http::Client;
use crate::support::memory::Memory;
use crate::support::plain::Plain;
use crate::support::server::TestServer;
use crate::support::viewer::{Viewer, exited};
use crate::support::websocket::{self, Received};

/// The lines of a long flood: 256 MB. The benchmark has a longer one.
const LINES: u64 = 256 * 1024;

/// The most memory that one who does not read may cost a process, in bytes.
const STALLED: u64 = 8 << 20;

/// Two do not read, one of each dialect, while another one gets every byte; they come to the end as well.
async fn who_does_not_read_costs_little(path: &Path, backend: Backend) {
    let server = ChildServer::start(path, backend, &[]).await.unwrap();
    let client = &server.client;
    let session = client.session().await;
    let terminal = client.terminal(&session, &flood::at_once(LINES)).await;
    let mut watcher = Viewer::attach(client, &session, &terminal, BEGIN).await;
    let query = format!("{BEGIN}&role=reader");
    let mut stalled = Viewer::attach(client, &session, &terminal, &query).await;
    let _plain = Plain::attach(client, &session, &terminal, &query).await;
    let memory = Memory::new(server.pid(), &session);
    let before = memory.used(client).await;
    let (mut most, mut looked) = (before, 0);
    let mut flood = Flood::new();
    watcher.line("go").await;
    while watcher.step().await {
        flood.expect_of(&mut watcher);
        if flood.length >= looked + (16 << 20) {
            looked = flood.length;
            most = most.most(memory.used(client).await);
        }
    }
    assert_eq!((flood.length, watcher.snapshots), (LINES * flood::LINE, 0));
    assert_eq!(watcher.exit, Some(exited(3)));
    let grown = most.since(before);
    assert!(grown.server < STALLED && grown.agent < STALLED, "{grown:?}");

    let mut late = Flood::new();
    while stalled.step().await {
        late.expect_of(&mut stalled);
    }
    assert_eq!(late.length, flood.length);
    assert!(stalled.snapshots > 0);
    assert_eq!(stalled.exit, Some(exited(3)));
    server.terminate().await;
}
on_children!(who_does_not_read_costs_little: process, embedded);

/// How many watch at once.
const VIEWERS: usize = 200;

/// The lines that all of them watch: 4 MB.
const WATCHED: u64 = 4 * 1024;

/// The most memory that one of many may cost a process, in bytes.
const EACH: u64 = 512 << 10;

/// What one has come to: the places and bytes of its snapshots, and its end.
async fn watch(mut viewer: Viewer) -> (Vec<(u64, Vec<u8>)>, Viewer) {
    let mut flood = Flood::new();
    let mut snapshots = Vec::new();
    while viewer.step().await {
        flood.expect_of(&mut viewer);
        if let Some(snapshot) = viewer.snapshot.take() {
            snapshots.push((flood.length, snapshot));
        }
    }
    assert_eq!(
        flood.length,
        WATCHED * flood::LINE,
        "{:?} {:?}",
        viewer.closed,
        viewer.exit
    );
    (snapshots, viewer)
}

async fn two_hundred_watch_a_flood(path: &Path, backend: Backend) {
    let server = ChildServer::start(path, backend, &[]).await.unwrap();
    let client = &server.client;
    let session = id(&client.create(json!({"memory": "512Mi"})).await);
    let terminal = client.terminal(&session, &flood::at_once(WATCHED)).await;
    let memory = Memory::new(server.pid(), &session);
    let before = memory.used(client).await;
    let query = format!("{BEGIN}&role=reader");
    let joining = (0..VIEWERS).map(|_| Viewer::attach(client, &session, &terminal, &query));
    let viewers = join_all(joining).await;
    let mut writer = Viewer::attach(client, &session, &terminal, BEGIN).await;
    writer.line("go").await;
    let watching = viewers
        .into_iter()
        .chain([writer])
        .map(|viewer| tokio::spawn(watch(viewer)));
    let mut watching = std::pin::pin!(join_all(watching));
    let mut most = before;
    let watched = loop {
        tokio::select! {
            watched = &mut watching => break watched,
            used = memory.used(client) => most = most.most(used),
        }
    };
    let grown = most.since(before);
    let allowed = VIEWERS as u64 * EACH;
    assert!(grown.server < allowed && grown.agent < allowed, "{grown:?}");

    let mut snapshots = BTreeMap::new();
    for watched in watched {
        let (given, viewer) = watched.unwrap();
        assert_eq!(viewer.exit, Some(exited(3)));
        assert_eq!(viewer.closed.unwrap().0, close::EXITED);
        for (offset, snapshot) in given {
            // Whoever is given one of the same place is given the same.
            let known = snapshots.entry(offset).or_insert_with(|| snapshot.clone());
            assert!(*known == snapshot, "two snapshots at {offset}");
        }
    }
    let flood = Flood::new().lines(WATCHED);
    let mut screen = Screen::new(80, 24);
    screen.advance(b"ready\r\n");
    let mut drawn = 0;
    for (offset, snapshot) in snapshots {
        let offset = usize::try_from(offset).unwrap();
        screen.advance(&flood[drawn..offset]);
        drawn = offset;
        assert!(
            screen.snapshot() == (snapshot, 0),
            "the snapshot at {offset}"
        );
    }
    server.terminate().await;
}
on_children!(two_hundred_watch_a_flood: process, embedded);

async fn what_the_writer_never_hears_is_answered(server: &TestServer) {
    const FLOOD: &str = "seq 1 300000";
    let client = &server.client;
    let session = client.session().await;
    let listen = "dd bs=1 count=7 2>/dev/null | tail -c +2";
    let line =
        format!("stty raw; {FLOOD}; printf '\\033[c'; {FLOOD}; got=$({listen}); echo \"got $got\"");
    let terminal = client.terminal(&session, &line).await;
    let mut writer = Viewer::attach(client, &session, &terminal, BEGIN).await;
    let watching = format!("{BEGIN}&role=reader");
    let mut reader = Viewer::attach(client, &session, &terminal, &watching).await;
    writer.line("go").await;
    // It does not read meanwhile, and is shown the screen after the question.
    reader.until_offset(3_900_000).await;
    tokio::join!(writer.drain(), reader.drain());
    assert!(writer.snapshots > 0);
    let said = String::from_utf8_lossy(&reader.output);
    assert!(
        said.ends_with("got [?1;2c\n"),
        "{:?}",
        &said[said.len() - 50..]
    );
}
on_backends!(what_the_writer_never_hears_is_answered: process, embedded);

/// The most viewers of a terminal.
const MOST: usize = 256;

async fn viewers_of_a_terminal_are_bounded(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let terminal = client.terminal(&session, "echo once; read -r end").await;
    let joining = (0..MOST).map(|_| Viewer::attach(client, &session, &terminal, BEGIN));
    let mut viewers = join_all(joining).await;
    let path = Client::path(&session, &format!("/terminals/{terminal}/attach"));
    for headers in [&[][..], &[("sec-websocket-protocol", "shellport.v1")]] {
        let (mut incoming, _outgoing, _) = websocket::open(client, &path, headers).await.unwrap();
        match incoming.next().await {
            Received::Closed(close::START_FAILED, reason) => {
                assert!(reason.contains("256 viewers"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
    // Where one has left there is room.
    drop(viewers.pop());
    while viewers[0].count >= MOST as u64 || viewers[0].count == 0 {
        assert!(viewers[0].step().await);
    }
    viewers.push(Viewer::attach(client, &session, &terminal, BEGIN).await);
    viewers[0].line("go").await;
    viewers[0].line("end").await;
    join_all(viewers.iter_mut().map(Viewer::drain)).await;
    for viewer in &viewers {
        assert_eq!(viewer.start, BEGIN_OFFSET);
        assert_eq!(viewer.output, b"once\r\n");
        assert_eq!(viewer.exit, Some(exited(0)));
    }
}
on_backends!(viewers_of_a_terminal_are_bounded: process, embedded);
