//! Docker's daemon goes and comes back, with its containers running on: nobody who watches one notices.

use nix::sys::signal::Signal;

use crate::support::api::BEGIN;
use crate::support::backend::Backend;
use crate::support::dockerd::Dockerd;
use crate::support::flood::{self, Flood};
use crate::support::server::TestServer;
use crate::support::viewer::{Viewer, exited};

/// The lines that are printed meanwhile: 100 MB.
const LINES: u64 = 100 * 1024;

/// Takes what comes until so many MiB have.
async fn take(viewer: &mut Viewer, flood: &mut Flood, mebibytes: u64) {
    while flood.length < mebibytes << 20 {
        assert!(viewer.step().await, "{:?}", viewer.closed);
        flood.expect_of(viewer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_outlives_the_daemon() {
    let Some(mut dockerd) = Dockerd::start().await else {
        return;
    };
    let engine = format!("--engine={}", dockerd.address());
    let flags = ["--runtime=docker", &*engine];
    let server = TestServer::start_with(Backend::Docker, &flags).await;
    server
        .run(async |server| {
            let client = &server.client;
            let session = client.session().await;
            let terminal = client.terminal(&session, &flood::at_once(LINES)).await;
            let mut viewer = Viewer::attach(client, &session, &terminal, BEGIN).await;
            let mut flood = Flood::new();
            viewer.line("go").await;
            take(&mut viewer, &mut flood, 10).await;
            for (signal, gone, back) in [(Signal::SIGKILL, 30, 50), (Signal::SIGTERM, 70, 90)] {
                dockerd.end(signal).await;
                take(&mut viewer, &mut flood, gone).await;
                assert_eq!(client.output(&session, "echo fine").await, "fine");
                dockerd.resume().await;
                take(&mut viewer, &mut flood, back).await;
            }
            while viewer.step().await {
                flood.expect_of(&mut viewer);
            }
            assert_eq!((flood.length, viewer.snapshots), (LINES * flood::LINE, 0));
            assert_eq!(viewer.exit, Some(exited(3)));
            assert_eq!(client.look(&session).await["state"], "running");
            client.remove(&session).await;
            let left = dockerd.engine().containers(&server.instance()).await;
            assert!(left.is_empty(), "{left:?}");
        })
        .await;
    dockerd.finish().await;
}
