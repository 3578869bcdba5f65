//! The end of a terminal's program, and of a terminal.

use std::time::Duration;

use serde_json::json;
use shellport_wire::viewer::Start;
use tokio::time::{Instant, sleep};

use crate::support::api::{BEGIN, id};
use crate::support::backend::{Backend, on_backends};
use crate::support::http::Client;
use crate::support::numbers::Numbers;
use crate::support::plain::Plain;
use crate::support::server::TestServer;
use crate::support::viewer::{Viewer, exited};
use crate::support::wait::{LONG, until};

/// The numbers in the line of a terminal's output that begins with `pids`.
fn pids(viewer: &Viewer) -> String {
    let text = viewer.text();
    let line = text.lines().find_map(|line| line.strip_prefix("pids "));
    line.unwrap().trim().to_owned()
}

/// Which of these processes live.
async fn living(client: &Client, session: &str, pids: &str) -> String {
    let look = "grep -q '^State:.[^Z]' /proc/$pid/status 2>/dev/null && echo $pid";
    let line = format!("for pid in {pids}; do {look}; done; true");
    client.output(session, &line).await
}

/// What a program leaves behind keeps nobody waiting, and ends with the terminal.
async fn what_is_left_behind_does_not_hold_the_end(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let left = "trap '' HUP TERM; sleep 1000 & echo pids $!; echo last; exit 4";
    let terminal = client.terminal(&session, left).await;
    let path = Client::path(&session, &format!("/terminals/{terminal}"));
    let mut first = Viewer::attach(client, &session, &terminal, BEGIN).await;
    let begun = Instant::now();
    first.line("go").await;
    first.drain().await;
    assert_eq!(first.exit, Some(exited(4)));
    assert!(begun.elapsed() < Duration::from_secs(5));
    let pids = pids(&first);
    assert_eq!(living(client, &session, &pids).await, pids);

    // Whoever comes later sees the same, and is told the end.
    for role in ["writer", "reader"] {
        let query = format!("{BEGIN}&role={role}");
        let mut late = Viewer::attach(client, &session, &terminal, &query).await;
        late.drain().await;
        assert!(late.resumed() && late.output == first.output);
        assert_eq!(late.exit, Some(exited(4)));
    }
    let mut late = Viewer::attach(client, &session, &terminal, "").await;
    assert_eq!(late.hello.start, Start::Snapshot);
    late.drain().await;
    assert!(late.text().contains("last"), "{}", late.text());
    assert_eq!(
        (late.offset(), late.exit),
        (first.offset(), Some(exited(4)))
    );
    let mut plain = Plain::attach(client, &session, &terminal, BEGIN).await;
    plain.drain().await;
    assert!(plain.output == first.output);
    assert_eq!(plain.exit, Some((exited(4), first.offset())));

    client.delete(&path).await.expect(204);
    until("what was left has ended", LONG, async || {
        living(client, &session, &pids)
            .await
            .is_empty()
            .then_some(())
    })
    .await;
    let gone = client.get(&path).await;
    gone.expect_problem(404, "terminal_not_found", &[&terminal]);
}
on_backends!(what_is_left_behind_does_not_hold_the_end: docker, podman, process, embedded, crun, runc);

/// Also those who will not hear of it, and jobs with process groups of their own.
async fn a_close_ends_every_process(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let deaf = "trap '' HUP TERM INT; while :; do sleep 0.1; done";
    let script = format!(
        "set -m; trap '' HUP TERM; ({deaf}) & a=$!; sleep 1000 & b=$!; set +m; ({deaf}) & \
         echo pids $$ $a $b $!; while :; do sleep 0.1; done"
    );
    let terminal = client.terminal(&session, &script).await;
    let mut viewer = Viewer::attach(client, &session, &terminal, BEGIN).await;
    viewer.line("go").await;
    viewer.until("pids ").await;
    viewer.until("\r\n").await;
    let pids = pids(&viewer);
    let expected = pids.split(' ').collect::<Vec<_>>().join("\n");
    assert_eq!(living(client, &session, &pids).await, expected);
    let begun = Instant::now();
    let path = Client::path(&session, &format!("/terminals/{terminal}"));
    client.delete(&path).await.expect(204);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(living(client, &session, &pids).await, "");
    viewer.drain().await;
    let exit = viewer.exit.unwrap();
    assert_eq!(json!(exit.reason), "stopped", "{exit:?}");
}
on_backends!(a_close_ends_every_process: docker, podman, process, embedded, crun, runc);

/// How many terminals are used at once, and how often each.
const LANES: u64 = 20;
const TURNS: u64 = 50;

/// A program that prints nothing or little, and ends at once.
async fn quick_runs(client: &Client, session: &str, mut numbers: Numbers) {
    for turn in 0..TURNS {
        let most = 1 + numbers.below(16_000);
        let last = numbers.below(most);
        let code = i32::try_from(numbers.below(200)).unwrap();
        let script = format!("seq 1 {last}; exit {code}");
        let terminal = client.terminal(session, &script).await;
        let mut viewer = Viewer::attach(client, session, &terminal, BEGIN).await;
        viewer.line("go").await;
        let slow = numbers.below(2) == 0;
        while viewer.step().await {
            if slow && numbers.below(10) == 0 {
                sleep(Duration::from_millis(numbers.below(5))).await;
            }
        }
        let lines = (1..=last).map(|number| format!("{number}\r\n"));
        let expected = lines.collect::<String>().into_bytes();
        assert!(
            viewer.output == expected,
            "turn {turn}, {last} lines: {} bytes, not {}",
            viewer.output.len(),
            expected.len()
        );
        assert_eq!(viewer.exit, Some(exited(code)), "turn {turn}");
        let path = Client::path(session, &format!("/terminals/{terminal}"));
        client.delete(&path).await.expect(204);
    }
}

async fn none_of_a_thousand_ends_is_wrong(server: &TestServer) {
    assert_eq!(server.backend, Backend::Process);
    let client = &server.client;
    let session = id(&client.create(json!({})).await);
    let mut numbers = Numbers::any();
    let lanes = (0..LANES).map(|_| {
        let numbers = Numbers(numbers.below(u64::MAX));
        quick_runs(client, &session, numbers)
    });
    futures_util::future::join_all(lanes).await;
}
on_backends!(none_of_a_thousand_ends_is_wrong: process);
