//! What a command writes, as it is told: events, pages, WebSockets, and to whoever is slow.

use std::time::Duration;

use data_encoding::HEXLOWER;
use hyper::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::{sleep, timeout};

use crate::support::api::id;
use crate::support::backend::{Backend, on_backends};
use crate::support::child::{ChildServer, on_children};
use crate::support::heard::Heard;
use crate::support::http::Client;
use crate::support::memory::{Memory, Used};
use crate::support::server::TestServer;
use crate::support::stream::{EVENTS, LINES, Streamed};
use crate::support::wait::{LONG, until};
use crate::support::websocket::{Received, open};

/// Bytes of standard output of [`much`].
const MUCH: u64 = 16 << 20;

/// By how much server and agent may grow while it is told.
const GROWTH: u64 = 8 << 20;

/// A command that writes 16 MiB of text to one stream and, in between, a line for each MiB to the other; its
/// own sums are the last lines there.
fn much() -> Value {
    let line = r#"
        yes 'sixty-three characters and a newline, so that many fill a page.' | head -c 1048576 > /tmp/much.$$
        i=0; while [ $i -lt 16 ]; do cat /tmp/much.$$; echo "mib $i" >&2; i=$((i+1)); done
        rm /tmp/much.$$; exit 3"#;
    json!({"shell": line, "timeout": "5m"})
}

fn sum(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// What [`much`] writes.
fn expected() -> [Vec<u8>; 2] {
    let line = b"sixty-three characters and a newline, so that many fill a page.\n";
    let mib: Vec<u8> = line.iter().copied().cycle().take(1 << 20).collect();
    let lines: Vec<String> = (0..16).map(|mib| format!("mib {mib}\n")).collect();
    [mib.repeat(16), lines.concat().into_bytes()]
}

fn expect_much(heard: &Heard) {
    let [stdout, stderr] = expected();
    assert_eq!(heard.code(), 3);
    assert_eq!(heard.stdout.len() as u64, MUCH);
    assert_eq!(sum(&heard.stdout), sum(&stdout));
    assert_eq!(heard.stderr, stderr);
}

async fn start(client: &Client, session: &str, form: &str, wish: &Value) -> Streamed {
    let path = Client::path(session, "/execs");
    let headers = [("accept", form)];
    let streamed = client
        .stream(Method::POST, &path, &headers, Some(wish))
        .await;
    streamed.unwrap_or_else(|answer| panic!("{answer:?}"))
}

async fn events_tell_a_command(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    for form in [LINES, EVENTS] {
        let wish = json!({"shell": "echo $$; echo err >&2; kill -TERM $$"});
        let mut streamed = start(client, &session, form, &wish).await;
        assert_eq!(streamed.headers["content-type"], form);
        let location = streamed.headers["location"].to_str().unwrap().to_owned();
        let begin = streamed.next().await.unwrap();
        assert_eq!(begin["type"], "process_start", "{begin}");
        let name = begin["exec"].as_str().unwrap();
        assert!(
            location.ends_with(&format!("/{session}/execs/{name}")),
            "{location}"
        );
        let mut heard = Heard::default();
        while let Some(event) = streamed.next().await {
            heard.take(&event);
        }
        let pid = String::from_utf8(heard.stdout.clone()).unwrap();
        assert_eq!(begin["pid"].to_string(), pid.trim());
        assert_eq!(heard.stderr, b"err\n");
        let end = heard.end();
        assert_eq!(
            (&end["code"], &end["signal"], &end["reason"]),
            (&Value::Null, &json!("SIGTERM"), &json!("signaled"))
        );
        assert!(end["duration_ms"].as_u64().unwrap() < 60_000, "{end}");
        let last = (form == EVENTS).then(|| format!("{}-4", pid.len()));
        assert_eq!(streamed.last, last);

        // The same, read again.
        let view = client.get(&location).await.expect(200);
        assert_eq!(
            (&view["state"], &view["pid"]),
            (&json!("exited"), &Value::Null)
        );
        assert_eq!(view["ends"], end["ends"]);
        let page = client.get(&format!("{location}/output")).await.expect(200);
        let mut again = Heard::default();
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .for_each(|it| again.take(it));
        assert_eq!(again.stdout, heard.stdout);
        assert_eq!(again.stderr, heard.stderr);
        assert_eq!(
            (&page["ended"], &page["next"]),
            (&json!(true), &end["ends"])
        );
    }
}
on_backends!(events_tell_a_command: docker, podman, exec, process, embedded, crun, runc, rootless);

/// A browser that comes back says what it has seen.
async fn events_go_on_after_the_last(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let wish = json!({"shell": "echo one; echo two >&2; echo three", "background": true});
    let path = Client::path(&session, "/execs/again");
    client.put(&path, &wish).await.expect(201);
    until("it has written what was seen", LONG, async || {
        let view = client.get(&path).await.expect(200);
        (view["ends"]["stdout"].as_u64() >= Some(4)).then_some(())
    })
    .await;
    let path = format!("{path}/output");
    let headers = [("accept", EVENTS), ("last-event-id", "4-0")];
    let mut streamed = client
        .stream(Method::GET, &path, &headers, None)
        .await
        .unwrap();
    let mut heard = Heard::from([4, 0]);
    while let Some(event) = streamed.next().await {
        heard.take(&event);
    }
    assert_eq!(
        (&heard.stdout[..], &heard.stderr[..]),
        (&b"three\n"[..], &b"two\n"[..])
    );
    let headers = [("accept", EVENTS), ("last-event-id", "nonsense")];
    let refused = client.stream(Method::GET, &path, &headers, None).await;
    let refused = refused.err().expect("a refusal");
    refused.expect_problem(400, "invalid_request", &["Last-Event-ID"]);
}
on_backends!(events_go_on_after_the_last: docker, process, embedded);

async fn characters_are_whole_and_other_bytes_encoded(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let line = r"printf 'a\303'; sleep 0.3; printf '\251b\n'; sleep 0.3; printf '\377'; sleep 0.3; printf '\342\202'";
    let mut streamed = start(client, &session, LINES, &json!({"shell": line})).await;
    let mut heard = Heard::default();
    let mut told = Vec::new();
    while let Some(event) = streamed.next().await {
        heard.take(&event);
        if event["type"] == "output" {
            told.push((event["data"].clone(), event["encoding"].clone()));
        }
    }
    let text = |text: &str| (json!(text), Value::Null);
    let bytes = |text: &str| (json!(text), json!("base64"));
    assert_eq!(
        told,
        [text("a"), text("éb\n"), bytes("/w=="), bytes("4oI=")]
    );
    assert_eq!(heard.stdout, b"a\xc3\xa9b\n\xff\xe2\x82");
    heard.end();
}
on_backends!(characters_are_whole_and_other_bytes_encoded: process, embedded);

async fn silence_is_told(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let wish = json!({"shell": "echo begun; sleep 7"});
    let mut streamed = start(client, &session, LINES, &wish).await;
    let beat = streamed.next_of("heartbeat").await;
    assert_eq!(beat["ends"], json!({"stdout": 6, "stderr": 0}));
    assert_eq!(streamed.next_of("process_end").await["code"], 0);
}
on_backends!(silence_is_told: process);

/// How a slow reader takes [`much`], in the ways that there are.
async fn by_stream(client: &Client, session: &str, form: &str, pause: Duration) -> Heard {
    let mut streamed = start(client, session, form, &much()).await;
    let mut heard = Heard::default();
    let mut slept = 0;
    while let Some(event) = streamed.next().await {
        heard.take(&event);
        if heard.stdout.len() - slept > 256 * 1024 {
            slept = heard.stdout.len();
            sleep(pause).await;
        }
    }
    heard
}

async fn by_pages(client: &Client, session: &str, pause: Duration) -> Heard {
    let mut wish = much();
    wish["background"] = json!(true);
    wish["linger"] = json!("1m");
    let path = Client::path(session, "/execs/pages");
    client.put(&path, &wish).await.expect(201);
    let mut heard = Heard::default();
    while heard.end.is_none() {
        heard.turn(client, &path).await;
        sleep(pause).await;
    }
    heard
}

async fn by_websocket(client: &Client, session: &str, pause: Duration) -> Heard {
    let mut wish = much();
    wish["background"] = json!(true);
    wish["linger"] = json!("1m");
    let path = Client::path(session, "/execs/socket");
    client.put(&path, &wish).await.expect(201);
    let (mut incoming, _outgoing, _) = open(client, &format!("{path}/attach"), &[]).await.unwrap();
    let mut heard = Heard::default();
    let mut slept = 0;
    loop {
        match incoming.next().await {
            Received::Text(text) => heard.take(&serde_json::from_str(&text).unwrap()),
            Received::Closed(code, reason) => {
                assert_eq!(code, 4000, "{reason}");
                return heard;
            }
            other @ Received::Binary(_) => panic!("{other:?}"),
        }
        if heard.stdout.len() - slept > 256 * 1024 {
            slept = heard.stdout.len();
            sleep(pause).await;
        }
    }
}

/// Output that is read slowly is whole, and waits in the command: neither server nor agent keeps it.
async fn a_slow_reader_gets_everything(path: &std::path::Path, backend: Backend) {
    let server = ChildServer::start(path, backend, &[]).await.unwrap();
    let client = server.client.clone();
    let session = id(&client.create(json!({"memory": "256Mi"})).await);
    let memory = Memory::new(server.pid(), &session);
    // What is allocated once is not counted.
    expect_much(&by_stream(&client, &session, LINES, Duration::ZERO).await);
    let before = memory.used(&client).await;
    let pause = Duration::from_millis(30);
    for way in 0..4 {
        let told = async {
            match way {
                0 => by_stream(&client, &session, LINES, pause).await,
                1 => by_stream(&client, &session, EVENTS, pause).await,
                2 => by_pages(&client, &session, pause).await,
                _ => by_websocket(&client, &session, pause).await,
            }
        };
        let mut told = std::pin::pin!(told);
        let mut most = Used::default();
        let heard = loop {
            match timeout(Duration::from_millis(300), &mut told).await {
                Ok(heard) => break heard,
                Err(_) => most = most.most(memory.used(&client).await),
            }
        };
        expect_much(&heard);
        let grown = most.since(before);
        assert!(
            grown.server < GROWTH && grown.agent < GROWTH,
            "way {way}: {grown:?}"
        );
    }
    client.remove(&session).await;
    server.terminate().await;
}
on_children!(a_slow_reader_gets_everything: process, docker, embedded);

/// A server that is killed and comes back: the command goes on, and whoever reads it in pages where they were.
/// A stream goes on as well, and is told what was lost on the way to it.
async fn a_server_that_goes_hides_nothing(path: &std::path::Path, backend: Backend) {
    let server = ChildServer::start(path, backend, &[]).await.unwrap();
    let client = server.client.clone();
    let session = client.session().await;
    let mut wish = much();
    wish["linger"] = json!("2m");
    let exec = Client::path(&session, "/execs/mine");
    let headers = [("accept", LINES)];
    let first = client
        .stream(Method::PUT, &exec, &headers, Some(&wish))
        .await;
    let mut streamed = first.unwrap_or_else(|answer| panic!("{answer:?}"));
    wish["background"] = json!(true);
    let paged = Client::path(&session, "/execs/paged");
    client.put(&paged, &wish).await.expect(201);
    let mut pages = Heard::default();
    pages.turn(&client, &paged).await;
    let mut heard = Heard::default();
    while heard.stdout.len() < 1 << 20 {
        heard.take(&streamed.next().await.unwrap());
    }
    server.kill().await;
    drop(streamed);
    let server = ChildServer::start(path, backend, &[]).await.unwrap();
    let client = server.client.clone();
    while pages.end.is_none() {
        pages.turn(&client, &paged).await;
    }
    expect_much(&pages);
    wish["background"] = Value::Null;
    wish.as_object_mut().unwrap().remove("background");
    let again = format!("{exec}?{}", heard.query());
    let second = client
        .stream(Method::PUT, &again, &headers, Some(&wish))
        .await;
    let mut streamed = second.unwrap_or_else(|answer| panic!("{answer:?}"));
    while let Some(event) = streamed.next().await {
        heard.take(&event);
    }
    let lost = |gap: &Value| gap["to"].as_u64().unwrap() - gap["from"].as_u64().unwrap();
    let lost: u64 = heard.gaps.iter().map(lost).sum();
    assert_eq!(heard.stdout.len() as u64 + lost, MUCH);
    assert_eq!(heard.end()["code"], 3);
    client.remove(&session).await;
    server.terminate().await;
}
on_children!(a_server_that_goes_hides_nothing: process, docker, embedded);

async fn a_page_waits_for_what_comes(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let exec = Client::path(&session, "/execs/later");
    let wish = json!({"shell": "sleep 1; echo late; sleep 1000", "background": true});
    client.put(&exec, &wish).await.expect(201);
    let page = client.get(&format!("{exec}/output")).await.expect(200);
    let nothing = json!({"data": [], "next": {"stdout": 0, "stderr": 0}, "ended": false});
    assert_eq!(page, nothing);
    let page = client
        .get(&format!("{exec}/output?wait=30s"))
        .await
        .expect(200);
    assert_eq!(page["data"][0]["data"], "late\n", "{page}");
    assert_eq!(page["next"]["stdout"], 5);
    // Ended, the page says so, wherever it begins.
    client
        .post(&format!("{exec}/stop"), &json!({}))
        .await
        .expect(200);
    let page = client
        .get(&format!("{exec}/output?stdout=5"))
        .await
        .expect(200);
    assert_eq!(page["data"][0]["reason"], "stopped", "{page}");
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=4194305", "limit"),
        ("wait=2m", "wait"),
        ("wait=soon", "wait"),
    ] {
        let answer = client.get(&format!("{exec}/output?{query}")).await;
        let problem = answer.expect_problem(400, "invalid_request", &[field]);
        assert_eq!(problem["field"], field);
    }
    let beyond = client.get(&format!("{exec}/output?stdout=6")).await;
    beyond.expect_problem(422, "not_allowed", &["stdout", "6", "5"]);
}
on_backends!(a_page_waits_for_what_comes: process, docker);

async fn a_page_that_was_lost_is_read_again(server: &TestServer) {
    const LINES: u32 = 200_000;
    let client = &server.client;
    let session = client.session().await;
    let exec = Client::path(&session, "/execs/lost");
    let line = format!("seq {LINES}; seq {LINES} >&2");
    let wish = json!({"shell": line, "background": true, "linger": "1m"});
    client.put(&exec, &wish).await.expect(201);
    let mut heard = Heard::default();
    while heard.end.is_none() {
        let page = format!("{exec}/output?{}&wait=10s", heard.query());
        // As if neither of two answers had arrived.
        for _ in 0..2 {
            client.get(&page).await.expect(200);
        }
        for event in client.get(&page).await.expect(200)["data"]
            .as_array()
            .unwrap()
        {
            heard.take(event);
        }
    }
    assert!(heard.gaps.is_empty(), "{:?}", heard.gaps);
    let all: Vec<_> = (1..=LINES).map(|number| format!("{number}\n")).collect();
    let all = all.concat().into_bytes();
    assert!(
        heard.stdout == all && heard.stderr == all,
        "not what was written"
    );
}
on_backends!(a_page_that_was_lost_is_read_again: process, docker, embedded);

/// Of a command that nobody reads, the last is kept, and what is missing is told.
async fn what_nobody_reads_is_told_as_a_gap(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let exec = Client::path(&session, "/execs/alone");
    let wish = json!({"shell": "seq 1 200000", "background": true});
    client.put(&exec, &wish).await.expect(201);
    until("its end", LONG, async || {
        let view = client.get(&exec).await.expect(200);
        (view["state"] == "exited").then_some(())
    })
    .await;
    let mut heard = Heard::default();
    while heard.end.is_none() {
        let query = heard.query();
        let page = client
            .get(&format!("{exec}/output?{query}&limit=100000"))
            .await
            .expect(200);
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .for_each(|it| heard.take(it));
    }
    assert_eq!(heard.gaps.len(), 1);
    assert_eq!(heard.end()["code"], 0);
    assert!(heard.stdout.ends_with(b"199999\n200000\n"));
    assert_eq!(heard.stdout.len(), 256 * 1024);
}
on_backends!(what_nobody_reads_is_told_as_a_gap: process, embedded);
