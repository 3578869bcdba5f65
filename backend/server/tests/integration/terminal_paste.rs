//! Large pastes, and who else types meanwhile.

use std::time::Duration;

use serde_json::json;
use shellport_wire::viewer::WINDOW;
use tokio::time::sleep;

use crate::support::api::BEGIN;
use crate::support::backend::on_backends;
use crate::support::flood::{self, Flood};
use crate::support::http::Client;
use crate::support::numbers::Numbers;
use crate::support::rough::Rough;
use crate::support::server::TestServer;
use crate::support::viewer::{Viewer, exited};

/// How often the way of whoever pastes breaks.
const CUTS: u64 = 60;

/// How many keys another one types meanwhile.
const KEYS: usize = 300;

/// What the program prints before it reads: 2 MB.
const PRINTED: u64 = 2 * 1024;

/// 8 MB in lines that differ, between the marks of a paste.
fn paste() -> Vec<u8> {
    let lines = (0..128 * 1024).map(|number| format!("{number:063}\n"));
    format!("\x1b[200~{}\x1b[201~", lines.collect::<String>()).into_bytes()
}

/// A paste goes to a program that is blocked on what it prints, and that then prints what it reads. All of it
/// arrives, over a way that breaks, and nothing is in the middle of it.
async fn a_large_paste_stays_whole(server: &TestServer) {
    let mut numbers = Numbers::any();
    let client = &server.client;
    let way = Rough::new(client.address, numbers, CUTS).await;
    let session = client.session().await;
    let paste = paste();
    let echo = format!("head -c {}", paste.len() + KEYS);
    let program = format!("{}; {echo}", flood::at_once(PRINTED));
    let wish = json!({"journal": "16Mi"});
    let terminal = client.terminal_with(&session, &program, wish).await;
    let mut other = Viewer::attach(client, &session, &terminal, BEGIN).await;
    other.line("go").await;
    // Nobody reads, so the program does not either.
    let path = Client::path(&session, &format!("/terminals/{terminal}"));
    sleep(Duration::from_millis(500)).await;
    let shown = client.get(&path).await.expect(200);
    assert!(shown["offset"].as_u64().unwrap() <= 2 * WINDOW, "{shown}");
    let typing = tokio::spawn(async move {
        for _ in 0..KEYS {
            other.send_input(b"k").await;
            sleep(Duration::from_millis(5)).await;
        }
        other
    });

    let mut query = format!("{BEGIN}&client=one");
    let (mut flood, mut echoed) = (Flood::new(), Vec::new());
    let printed = PRINTED * flood::LINE;
    let exit = 'ended: loop {
        let joined = Viewer::join_over(way.address, client, &session, &terminal, &query).await;
        let Some(mut viewer) = joined else {
            continue;
        };
        assert!(viewer.resumed(), "{:?}", viewer.hello);
        loop {
            while viewer.sent() < paste.len() as u64 && viewer.room() > 0 {
                let rest = &paste[usize::try_from(viewer.sent()).unwrap()..];
                let most = usize::try_from(viewer.room().min(1 + numbers.below(30_000))).unwrap();
                viewer.send_input(&rest[..most.min(rest.len())]).await;
            }
            let open = viewer.step().await;
            let output = viewer.take_output();
            let of_flood = output
                .len()
                .min(usize::try_from(printed - flood.length).unwrap());
            flood.expect(&output[..of_flood]);
            echoed.extend_from_slice(&output[of_flood..]);
            if viewer.exit.is_some() {
                break 'ended viewer.exit;
            }
            if !open {
                query = format!("{}&client=one", viewer.come_back());
                break;
            }
        }
    };
    assert_eq!(exit, Some(exited(0)));
    assert_eq!(echoed.len(), paste.len() + KEYS);
    let before = echoed.iter().take_while(|&&byte| byte == b'k').count();
    let (begin, end) = echoed.split_at(before + paste.len());
    assert!(begin[before..] == paste, "something is in the paste");
    assert!(end.iter().all(|&byte| byte == b'k'));
    assert!(!end.is_empty(), "nothing was typed meanwhile");
    assert_eq!(way.cuts(), CUTS);
    drop(typing.await.unwrap());
}
on_backends!(a_large_paste_stays_whole: process, docker, embedded);
