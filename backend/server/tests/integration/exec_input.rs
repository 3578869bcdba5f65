//! What a command reads: streamed, ended, resumed, and by a WebSocket.

use serde_json::{Value, json};

use crate::support::backend::on_backends;
use crate::support::heard::Heard;
use crate::support::http::Client;
use crate::support::server::TestServer;
use crate::support::wait::{LONG, within};
use crate::support::websocket::{Received, open};

/// Starts a command whose input is open; returns its address.
async fn open_exec(client: &Client, session: &str, name: &str, line: &str) -> String {
    let exec = Client::path(session, &format!("/execs/{name}"));
    let wish = json!({"shell": line, "stdin_open": true, "background": true, "timeout": "5m"});
    client.put(&exec, &wish).await.expect(201);
    exec
}

/// Waits for a command's end, and returns what it wrote.
async fn outcome(client: &Client, exec: &str) -> Heard {
    let mut heard = Heard::default();
    within("its end", LONG, async {
        while heard.end.is_none() {
            heard.turn(client, exec).await;
        }
    })
    .await;
    heard
}

async fn input_is_streamed_to_its_end(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let exec = open_exec(client, &session, "count", "cat | wc -c").await;
    let part = vec![b'x'; 32 << 20];
    let fed = client
        .post_bytes(&format!("{exec}/stdin"), part.clone())
        .await
        .expect(200);
    assert_eq!(fed, json!({"stdin": 32 << 20, "stdin_open": true}));
    let fed = client
        .post_bytes(&format!("{exec}/stdin?end=true"), part)
        .await
        .expect(200);
    assert_eq!(fed, json!({"stdin": 64 << 20, "stdin_open": false}));
    let heard = outcome(client, &exec).await;
    assert_eq!(heard.code(), 0);
    assert_eq!(
        String::from_utf8(heard.stdout).unwrap().trim(),
        (64 << 20).to_string()
    );
    let late = client.post_bytes(&format!("{exec}/stdin"), "late").await;
    late.expect_problem(409, "stdin_closed", &["count"]);
}
on_backends!(input_is_streamed_to_its_end: docker, podman, exec, process, embedded, crun, rootless);

/// A request that is made again gives nothing twice, and one that would leave a hole is refused.
async fn input_is_given_once(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let exec = open_exec(client, &session, "once", "cat").await;
    let give = async |query: &str, text: &'static str| {
        client
            .post_bytes(&format!("{exec}/stdin?{query}"), text)
            .await
    };
    assert_eq!(give("offset=0", "one ").await.expect(200)["stdin"], 4);
    assert_eq!(give("offset=0", "one two ").await.expect(200)["stdin"], 8);
    assert_eq!(give("offset=4", "two").await.expect(200)["stdin"], 8);
    let hole = give("offset=9", "x").await;
    let problem = hole.expect_problem(409, "wrong_offset", &["9", "8"]);
    assert_eq!(problem["field"], "offset");
    assert_eq!(give("", "three").await.expect(200)["stdin"], 13);
    assert_eq!(
        give("offset=13&end=true", "").await.expect(200)["stdin_open"],
        false
    );
    // The end may be said again, too.
    assert_eq!(
        give("offset=8&end=true", "three").await.expect(200)["stdin"],
        13
    );
    let heard = outcome(client, &exec).await;
    assert_eq!(heard.stdout, b"one two three");
}
on_backends!(input_is_given_once: docker, process, embedded);

/// A command that reads a byte and ends: whoever gives it more is not left waiting.
async fn a_command_that_closes_early_ends_cleanly(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let exec = open_exec(client, &session, "head", "head -c1").await;
    let answer = client
        .post_bytes(&format!("{exec}/stdin?end=true"), vec![b'y'; 8 << 20])
        .await;
    if answer.status != 200 {
        answer.expect_problem(409, "stdin_closed", &["head"]);
    }
    let heard = outcome(client, &exec).await;
    assert_eq!((heard.code(), &heard.stdout[..]), (0, &b"y"[..]));
    // And the same with the input in the request.
    let wish = json!({"argv": ["head", "-c1"], "stdin": "z".repeat(900_000)});
    let outcome = client.exec(&session, wish).await;
    assert_eq!(outcome.stdout_of_success(), "z");
}
on_backends!(a_command_that_closes_early_ends_cleanly: docker, podman, exec, process, embedded, crun, runc, rootless);

async fn inline_input_of_a_background_command_is_whole(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let exec = Client::path(&session, "/execs/inline");
    let wish =
        json!({"shell": "sleep 0.5; wc -c", "stdin": "x".repeat(900_000), "background": true});
    client.put(&exec, &wish).await.expect(201);
    let heard = outcome(client, &exec).await;
    assert_eq!(String::from_utf8_lossy(&heard.stdout).trim(), "900000");
}
on_backends!(inline_input_of_a_background_command_is_whole: process, docker);

async fn a_websocket_carries_both_ways(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let line = r#"trap 'echo interrupted >&2' INT; cat; echo "that is all" >&2; exit 4"#;
    let exec = open_exec(client, &session, "socket", line).await;
    let (mut incoming, mut outgoing, _) =
        open(client, &format!("{exec}/attach"), &[]).await.unwrap();
    let mut heard = Heard::default();
    outgoing
        .text(json!({"type": "stdin", "data": "text, "}).to_string())
        .await;
    outgoing.binary(b"bytes \xff\n".to_vec()).await;
    while heard.stdout.len() < 14 {
        match incoming.next().await {
            Received::Text(text) => heard.take(&serde_json::from_str(&text).unwrap()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heard.stdout, b"text, bytes \xff\n");
    outgoing.text(json!({"type": "end"}).to_string()).await;
    loop {
        match incoming.next().await {
            Received::Text(text) => heard.take(&serde_json::from_str(&text).unwrap()),
            Received::Closed(code, _) => break assert_eq!(code, 4000),
            other @ Received::Binary(_) => panic!("{other:?}"),
        }
    }
    assert_eq!(heard.stderr, b"that is all\n");
    assert_eq!(heard.code(), 4);
}
on_backends!(a_websocket_carries_both_ways: docker, podman, exec, process, embedded, crun, rootless);

/// What a client says wrong is told, and the command goes on.
async fn a_websocket_refuses_nonsense(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let exec = open_exec(client, &session, "told", "cat").await;
    for (said, word) in [
        (json!({"type": "resize"}), "resize"),
        (
            json!({"type": "signal", "signal": "SIGNONSENSE"}),
            "SIGNONSENSE",
        ),
        (json!({"type": "stdin", "data": "x", "more": 1}), "more"),
    ] {
        let (mut incoming, mut outgoing, _) =
            open(client, &format!("{exec}/attach"), &[]).await.unwrap();
        outgoing.text(said.to_string()).await;
        loop {
            match incoming.next().await {
                Received::Closed(code, reason) => {
                    assert_eq!(code, 4002, "{reason}");
                    break assert!(reason.contains(word), "{reason}");
                }
                Received::Text(_) => {}
                other @ Received::Binary(_) => panic!("{other:?}"),
            }
        }
    }
    let view: Value = client.get(&exec).await.expect(200);
    assert_eq!(view["state"], "running");
    let plain = client.get(&format!("{exec}/attach")).await;
    plain.expect_problem(426, "websocket_needed", &["WebSocket"]);
    let none = Client::path(&session, "/execs/none/attach");
    let refused = open(client, &none, &[]).await.err().unwrap();
    refused.expect_problem(404, "exec_not_found", &["none"]);
}
on_backends!(a_websocket_refuses_nonsense: process);
