//! Very many commands.

use std::path::Path;

use futures_util::stream::{StreamExt, iter};
use serde_json::json;

use crate::support::api::{AGENT, id};
use crate::support::backend::Backend;
use crate::support::child::{ChildServer, on_children};
use crate::support::http::Client;
use crate::support::memory::Memory;

/// How many.
const COMMANDS: u32 = 10_000;

/// How many at once.
const AT_ONCE: usize = 16;

/// By how much server and agent may grow, which is what the last of them are kept in.
const GROWTH: u64 = 8 << 20;

/// Descriptors of the server and of the agent, and how many children that has.
async fn held(client: &Client, server: &ChildServer, session: &str) -> [usize; 3] {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let line =
        format!("ls /proc/{AGENT}/fd | wc -l; cat /proc/{AGENT}/task/{AGENT}/children | wc -w");
    let counted = client.output(session, &line).await;
    let mut numbers = counted.split_whitespace().map(|word| word.parse().unwrap());
    let mut number = || numbers.next().unwrap();
    [descriptors.count(), number(), number()]
}

async fn many(client: &Client, session: &str, from: u32, count: u32) {
    let path = Client::path(session, "/execs");
    let all = iter(from..from + count).map(|number| {
        let wish =
            json!({"argv": ["sh", "-c", "echo $0; exit $(( $0 % 100 ))", number.to_string()]});
        let path = &path;
        async move {
            let outcome = client.post(path, &wish).await.expect(200);
            assert_eq!(outcome["stdout"], format!("{number}\n"), "{outcome}");
            assert_eq!(outcome["exit"]["code"], number % 100, "{outcome}");
        }
    });
    all.buffer_unordered(AT_ONCE).collect::<()>().await;
}

async fn many_commands_leave_nothing(path: &Path, backend: Backend) {
    let server = ChildServer::start(path, backend, &[]).await.unwrap();
    let client = server.client.clone();
    let session = id(&client.create(json!({"memory": "256Mi"})).await);
    let memory = Memory::new(server.pid(), &session);
    // What is allocated once is not counted.
    many(&client, &session, 0, 500).await;
    let (used, before) = (
        memory.used(&client).await,
        held(&client, &server, &session).await,
    );
    many(&client, &session, 500, COMMANDS).await;
    let after = held(&client, &server, &session).await;
    let grown = memory.used(&client).await.since(used);
    // A connection of a client may be on its way to its end.
    let more = before
        .iter()
        .zip(after)
        .map(|(before, after)| after.saturating_sub(*before));
    assert!(more.clone().all(|more| more <= 4), "{before:?}, {after:?}");
    assert!(grown.server < GROWTH && grown.agent < GROWTH, "{grown:?}");
    let list = client
        .get(&Client::path(&session, "/execs"))
        .await
        .expect(200);
    let running = list["data"].as_array().unwrap().iter();
    assert!(
        running.clone().all(|exec| exec["state"] == "exited"),
        "{list}"
    );
    client.remove(&session).await;
    server.terminate().await;
}
on_children!(many_commands_leave_nothing: process, embedded);
