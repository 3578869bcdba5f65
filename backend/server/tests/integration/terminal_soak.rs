//! Much output and input, over ways that break, past servers that end, for many: every byte once.

use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::future::join_all;
use serde_json::json;
use sha2::{Digest, Sha256};
use shellport_wire::close;
use tokio::time::{Instant, sleep};

use crate::support::api::{BEGIN, id};
use crate::support::backend::{Backend, on_backends};
use crate::support::child::{ChildServer, on_children};
use crate::support::flood::{self, Flood};
use crate::support::http::Client;
use crate::support::numbers::Numbers;
use crate::support::rough::Rough;
use crate::support::server::TestServer;
use crate::support::viewer::{Viewer, exited};
use crate::support::wait::{LONG, until};

/// How often the way to a terminal breaks while 200 MB come through it.
const CUTS: u64 = 1000;

/// The lines that are typed.
const REQUESTS: u64 = 2000;

/// The lines that are printed for each of them.
const BLOCK: u64 = 100;

/// The bytes of a line that is typed: a MiB in all.
const TYPED: usize = 512;

/// How many blocks are asked for ahead. They are more than a window and less than the journal keeps, so
/// that the program goes on while nobody watches, and nothing may be lost.
const AHEAD: u64 = 100;

async fn a_thousand_cuts_lose_nothing(server: &TestServer) {
    let mut numbers = Numbers::any();
    let client = &server.client;
    let proxy = Rough::new(client.address, numbers, CUTS).await;
    let session = id(&client.create(json!({"memory": "256Mi"})).await);
    let program = flood::on_request(BLOCK, REQUESTS);
    let wish = json!({"journal": "16Mi"});
    let terminal = client.terminal_with(&session, &program, wish).await;

    let go = b"go\n".to_vec();
    let lines: Vec<u8> = (0..REQUESTS)
        .flat_map(|number| format!("{number:>0$}\n", TYPED - 1).into_bytes())
        .collect();
    let sum = format!("{}  -\n", HEXLOWER.encode(&Sha256::digest(&lines)));
    let typed = [go, lines].concat();
    let printed = (REQUESTS + 1) * BLOCK * flood::LINE;

    let mut flood = Flood::new();
    let mut end = Vec::new();
    let mut query = format!("{BEGIN}&client=soak");
    let (mut sent, mut applied) = (0, 0);
    let exit = 'ended: loop {
        let joined = Viewer::join_over(proxy.address, client, &session, &terminal, &query).await;
        let Some(mut viewer) = joined else {
            continue;
        };
        assert!(viewer.resumed(), "{:?}", viewer.hello);
        assert!(
            (applied..=sent).contains(&viewer.sent()),
            "{:?}",
            viewer.hello
        );
        loop {
            let asked = match flood.length / (BLOCK * flood::LINE) {
                // Before the first block the terminal is not raw yet.
                0 => 3,
                blocks => 3 + (blocks - 1 + AHEAD).min(REQUESTS) * TYPED as u64,
            };
            while viewer.sent() < asked && viewer.room() > 0 {
                let most = (asked - viewer.sent()).min(viewer.room());
                let from = usize::try_from(viewer.sent()).unwrap();
                let length = usize::try_from(most.min(1 + numbers.below(10_000))).unwrap();
                viewer.send_input(&typed[from..from + length]).await;
            }
            let open = viewer.step().await;
            let output = viewer.take_output();
            let of_flood = output
                .len()
                .min(usize::try_from(printed - flood.length).unwrap());
            flood.expect(&output[..of_flood]);
            end.extend_from_slice(&output[of_flood..]);
            sent = sent.max(viewer.sent());
            applied = applied.max(viewer.applied());
            if viewer.exit.is_some() {
                break 'ended viewer.exit;
            }
            if !open {
                query = format!("{}&client=soak", viewer.come_back());
                break;
            }
        }
    };
    assert_eq!(flood.length, printed);
    assert_eq!(String::from_utf8(end).unwrap(), sum);
    assert_eq!(exit, Some(exited(3)));
    assert_eq!(proxy.cuts(), CUTS);
}
on_backends!(a_thousand_cuts_lose_nothing: process, embedded);

/// The lines that a program prints while servers come and go: 200 MB.
const LINES: u64 = 200 * 1024;

/// A server goes and another one comes while a program prints: whose journal holds everything gets every
/// byte, and who watches another terminal a snapshot instead of what is gone.
async fn a_flood_outlives_a_server(
    path: &Path,
    backend: Backend,
    end: impl AsyncFnOnce(ChildServer),
    code: u16,
) {
    let server = ChildServer::start(path, backend, &[]).await.unwrap();
    let client = server.client.clone();
    let session = id(&client.create(json!({"memory": "512Mi"})).await);
    let program = flood::at_once(LINES);
    let mut watched = Vec::new();
    for journal in ["256Mi", "512Ki"] {
        let wish = json!({"journal": journal});
        let terminal = client.terminal_with(&session, &program, wish).await;
        let mut viewer = Viewer::attach(&client, &session, &terminal, BEGIN).await;
        viewer.line("go").await;
        watched.push((terminal, viewer, Flood::new()));
    }
    // The program of the second one waits for its viewer meanwhile.
    let (_, viewer, flood) = &mut watched[0];
    while flood.length < 20 << 20 {
        assert!(viewer.step().await, "{:?}", viewer.closed);
        flood.expect_of(viewer);
    }
    let rest = watched.iter_mut().map(async |(_, viewer, flood)| {
        while viewer.step().await {
            flood.expect_of(viewer);
        }
        assert_eq!(
            (viewer.closed.as_ref().unwrap().0, &viewer.exit),
            (code, &None)
        );
    });
    tokio::join!(end(server), join_all(rest));

    let server = ChildServer::start(path, backend, &[]).await.unwrap();
    // Nobody holds the second one's program up any more.
    let (terminal, viewer, _) = &watched[1];
    let path = Client::path(&session, &format!("/terminals/{terminal}"));
    let gone = viewer.offset() + (1 << 20);
    until("the journal has moved on", LONG, async || {
        let shown = server.client.get(&path).await.expect(200);
        (shown["offset"].as_u64().unwrap() > gone).then_some(())
    })
    .await;
    let rest = watched.iter_mut().map(async |(terminal, viewer, flood)| {
        let query = viewer.come_back();
        *viewer = Viewer::attach(&server.client, &session, terminal, &query).await;
        while viewer.step().await {
            flood.expect_of(viewer);
        }
        assert_eq!(flood.length, LINES * flood::LINE);
        assert_eq!(viewer.exit, Some(exited(3)));
        viewer.snapshots
    });
    let snapshots = join_all(rest).await;
    assert!(snapshots[0] == 0 && snapshots[1] > 0, "{snapshots:?}");
    server.terminate().await;
}

async fn a_flood_outlives_a_kill(path: &Path, backend: Backend) {
    a_flood_outlives_a_server(path, backend, ChildServer::kill, 1006).await;
}
on_children!(a_flood_outlives_a_kill: process, embedded);

async fn a_flood_outlives_a_drain(path: &Path, backend: Backend) {
    a_flood_outlives_a_server(path, backend, ChildServer::terminate, close::GOING_AWAY).await;
}
on_children!(a_flood_outlives_a_drain: process, docker);

/// A network that is gone without a word: the client comes back another way and goes on, and the server
/// gives the old one up.
async fn a_half_open_way_is_given_up(server: &TestServer) {
    let client = &server.client;
    let way = Rough::new(client.address, Numbers::any(), 0).await;
    let session = client.session().await;
    let terminal = client
        .terminal(&session, &flood::on_request(BLOCK, 3))
        .await;
    let query = format!("{BEGIN}&client=one");
    let joined = Viewer::join_over(way.address, client, &session, &terminal, &query).await;
    let (mut old, mut flood) = (joined.unwrap(), Flood::new());
    let printed = async |viewer: &mut Viewer, flood: &mut Flood, blocks: u64| {
        while flood.length < blocks * BLOCK * flood::LINE {
            assert!(viewer.step().await, "{:?}", viewer.closed);
            flood.expect_of(viewer);
        }
    };
    old.line("go").await;
    printed(&mut old, &mut flood, 1).await;
    old.line("first").await;
    printed(&mut old, &mut flood, 2).await;
    old.until_applied().await;
    way.freeze(true);
    let begun = Instant::now();
    old.line("second").await;

    let query = format!("{}&client=one", old.come_back());
    let mut new = Viewer::attach(client, &session, &terminal, &query).await;
    assert!(new.resumed(), "{:?}", new.hello);
    assert_eq!(new.sent(), "go\nfirst\n".len() as u64);
    new.line("second").await;
    printed(&mut new, &mut flood, 3).await;
    assert_eq!(new.count, 2);
    while new.count > 1 {
        new.ping().await;
        sleep(Duration::from_millis(200)).await;
    }
    let given_up = begun.elapsed();
    let limits = Duration::from_secs(59)..Duration::from_secs(75);
    assert!(limits.contains(&given_up), "{given_up:?}");
    // What was on its way arrives after all, and changes nothing.
    way.freeze(false);
    old.drain().await;
    assert_eq!(old.closed.unwrap().0, close::UNRESPONSIVE);
    new.line("third").await;
    new.drain().await;
    let output = new.take_output();
    let block = usize::try_from(BLOCK * flood::LINE).unwrap();
    flood.expect(&output[..block]);
    let sum = HEXLOWER.encode(&Sha256::digest("first\nsecond\nthird\n"));
    assert_eq!(output[block..], *format!("{sum}  -\n").as_bytes());
    assert_eq!(new.exit, Some(exited(3)));
}
on_backends!(a_half_open_way_is_given_up: process);
