//! Ports of sandboxes: what listens, and how it is reached.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::backend::on_backends;
use crate::support::http::{Answer, Client};
use crate::support::server::TestServer;
use crate::support::wait::{LONG, until};
use crate::support::websocket::{Received, open};

/// Answers each connection with what this line of the shell makes of it.
async fn listen(client: &Client, session: &str, line: &str) -> u16 {
    // Where a sandbox is a part of this machine, it is one that is free.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let exec = Client::path(session, &format!("/execs/listen-{port}"));
    let number = port.to_string();
    let argv = [
        "busybox", "nc", "-ll", "-p", &number, "-e", "busybox", "sh", "-c", line,
    ];
    let wish = json!({"argv": argv, "background": true});
    client.put(&exec, &wish).await.expect(201);
    until("it listens", LONG, async || {
        let list = client
            .get(&Client::path(session, "/ports"))
            .await
            .expect(200);
        let found = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["port"] == port);
        found.then_some(())
    })
    .await;
    port
}

/// Tells a request back, its head and its body's length.
const ECHO: &str = r#"
cr=$(printf '\r'); length=0
while IFS= read -r line; do
    line=${line%"$cr"}
    [ -n "$line" ] || break
    head="$head$line|"
    case $line in content-length:*) length=${line#*: } ;; esac
done
body=$(dd bs=1 count="$length" 2>/dev/null | wc -c)
printf 'HTTP/1.1 200 OK\r\nconnection: close\r\nset-cookie: a=b; Domain=localhost\r\nset-cookie: shellport-port=x\r\n\r\n'
printf '%s%s' "$head" "$body"
"#;

/// A request to a port's own host.
async fn ask(
    client: &Client,
    host: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client
        .send(request.body(Full::new(Bytes::new())).unwrap())
        .await
}

/// The host of a port.
fn host(client: &Client, session: &str, port: u16) -> String {
    let id = session.rsplit('/').next().unwrap();
    format!("{port}-{id}.localhost:{}", client.address.port())
}

fn bearer(client: &Client) -> String {
    format!("Bearer {}", client.token.as_ref().unwrap())
}

async fn ports_are_listed_and_told(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let port = listen(client, &session, "echo hello").await;
    let list = client
        .get(&Client::path(&session, "/ports"))
        .await
        .expect(200);
    let found = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["port"] == port)
        .unwrap();
    assert_eq!(
        found["url"],
        format!("http://{}/", host(client, &session, port))
    );
    assert!(
        found["pid"].as_i64() > Some(0) && !found["process"].as_str().unwrap().is_empty(),
        "{found}"
    );
    let headers = [("accept", "application/x-ndjson")];
    let events = client
        .stream(
            Method::GET,
            &Client::path(&session, "/ports"),
            &headers,
            None,
        )
        .await;
    let mut events = events.unwrap_or_else(|answer| panic!("{answer:?}"));
    let of = |event: &Value| event["port"] == port;
    let mut opened = events.next_of("port_open").await;
    while !of(&opened) {
        opened = events.next_of("port_open").await;
    }
    assert_eq!(opened["url"], found["url"]);
    client
        .post(
            &Client::path(&session, &format!("/execs/listen-{port}/stop")),
            &json!({}),
        )
        .await
        .expect(200);
    let mut closed = events.next_of("port_closed").await;
    while !of(&closed) {
        closed = events.next_of("port_closed").await;
    }
}
on_backends!(ports_are_listed_and_told: docker, podman, exec, process, embedded, crun, rootless);

async fn a_port_is_reached_by_its_own_host(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let port = listen(client, &session, ECHO).await;
    let host = host(client, &session, port);
    let token = bearer(client);
    let cookies = "one=1; shellport-port=junk; two=2";
    let headers = [
        ("authorization", &*token),
        ("cookie", cookies),
        ("te", "trailers"),
        ("x-own", "kept"),
    ];
    let answer = ask(client, &host, Method::GET, "/a/b?c=d", &headers).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    let heard = answer.text();
    let lines: Vec<&str> = heard.split('|').collect();
    assert_eq!(lines[0], "GET /a/b?c=d HTTP/1.1");
    for line in [
        format!("host: {host}"),
        "cookie: one=1; two=2".to_owned(),
        "x-own: kept".to_owned(),
    ] {
        assert!(lines.contains(&&*line), "{line:?} is not in {lines:?}");
    }
    assert!(
        !heard.contains(client.token.as_ref().unwrap()) && !heard.contains("trailers"),
        "{heard}"
    );
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=b"]);
    // None of the API's own headers is put on what comes from a sandbox.
    assert_eq!(answer.header("content-security-policy"), "");
    // A body goes through, and an answer that is long.
    let body = vec![b'x'; 300_000];
    let request = Request::post("/")
        .header("host", &host)
        .header("authorization", &token);
    let answer = client
        .send(request.body(Full::new(body.into())).unwrap())
        .await;
    assert!(answer.text().ends_with("|300000"), "{}", answer.text());
    let long = listen(
        client,
        &session,
        r"head -c 20 >/dev/null; printf 'HTTP/1.1 200 OK\r\ncontent-length: 20000000\r\n\r\n'; head -c 20000000 /dev/zero; cat >/dev/null",
    )
    .await;
    let long = self::host(client, &session, long);
    let answer = ask(
        client,
        &long,
        Method::GET,
        "/",
        &[("authorization", &token)],
    )
    .await;
    assert_eq!(answer.body.len(), 20_000_000);
}
on_backends!(a_port_is_reached_by_its_own_host: docker, podman, exec, process, embedded, crun, rootless);

/// Who may pass: the token, or the pass of that very port; and nothing that another origin's page sends.
async fn only_who_may_passes(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let port = listen(client, &session, ECHO).await;
    let other = listen(client, &session, ECHO).await;
    let [here, there] = [port, other].map(|port| host(client, &session, port));
    let get = async |host: &str, headers: &[(&str, &str)]| {
        ask(client, host, Method::GET, "/", headers).await
    };
    get(&here, &[])
        .await
        .expect_problem(401, "unauthorized", &["tickets"]);
    get(&here, &[("authorization", "Bearer wrong")])
        .await
        .expect_problem(401, "unauthorized", &[]);
    let page = get(&here, &[("accept", "text/html")]).await;
    assert_eq!(page.status.as_u16(), 401);
    assert!(
        page.text().contains("<h1>Unauthorized</h1>"),
        "{}",
        page.text()
    );

    let tickets = Client::path(&session, &format!("/ports/{port}/tickets"));
    let ticket = client.post(&tickets, &json!({})).await.expect(201);
    let (address, ticket) = ticket["url"].as_str().unwrap().split_once('#').unwrap();
    assert_eq!(address, format!("http://{here}/.shellport/enter"));
    let enter = async |host: &str, ticket: &str, origin: &str| {
        let request = Request::post("/.shellport/enter")
            .header("host", host)
            .header("origin", origin);
        client
            .send(request.body(Full::new(ticket.to_owned().into())).unwrap())
            .await
    };
    let own = format!("http://{here}");
    enter(&here, ticket, "http://evil.example")
        .await
        .expect_problem(403, "foreign_origin", &[]);
    let page = ask(client, &here, Method::GET, "/.shellport/enter", &[]).await;
    assert!(
        page.header("content-security-policy")
            .contains("script-src 'sha256-"),
        "{page:?}"
    );
    let entered = enter(&here, ticket, &own).await;
    assert_eq!(entered.status.as_u16(), 204, "{entered:?}");
    let cookie = entered.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let pass = cookie.split(';').next().unwrap();
    enter(&here, ticket, &own)
        .await
        .expect_problem(401, "bad_ticket", &["used up"]);

    let passes = get(&here, &[("cookie", pass), ("authorization", "Basic app")]).await;
    assert_eq!(passes.status.as_u16(), 200, "{passes:?}");
    // What is the application's own goes on to it, and the pass does not.
    assert!(
        passes.text().contains("|authorization: Basic app|"),
        "{}",
        passes.text()
    );
    assert!(
        !passes.text().contains("shellport-port"),
        "{}",
        passes.text()
    );
    // Cookies that are not ASCII are no reason to look no further.
    let cookies = [b"name=Jos\xc3\xa9; ", pass.as_bytes()].concat();
    let request = Request::get("/")
        .header("host", &here)
        .header("cookie", &cookies[..]);
    let answer = client
        .send(request.body(Full::new(Bytes::new())).unwrap())
        .await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    // A form of a page that sends no referrer.
    let form = [
        ("cookie", pass),
        ("sec-fetch-site", "same-origin"),
        ("origin", "null"),
    ];
    assert_eq!(get(&here, &form).await.status.as_u16(), 200);
    get(&there, &[("cookie", pass)])
        .await
        .expect_problem(401, "unauthorized", &[]);
    // It is no key to the API.
    let bare = Client {
        token: None,
        ..client.clone()
    };
    let api = bare
        .bytes(Method::GET, "/api/v1/sessions", &[("cookie", pass)], "")
        .await;
    api.expect_problem(401, "unauthorized", &[]);
    let from_port = client
        .bytes(Method::GET, "/api/v1/sessions", &[("origin", &own)], "")
        .await;
    from_port.expect_problem(403, "foreign_origin", &[]);

    for headers in [
        [
            ("cookie", pass),
            ("origin", &*format!("http://{there}")),
            ("x", "x"),
        ],
        [
            ("cookie", pass),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-mode", "no-cors"),
        ],
        [
            ("cookie", pass),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "cors"),
        ],
    ] {
        get(&here, &headers)
            .await
            .expect_problem(403, "foreign_origin", &["own pages"]);
    }
    let leads = [
        ("cookie", pass),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    assert_eq!(get(&here, &leads).await.status.as_u16(), 200);
    let framed = [leads[0], leads[1], leads[2], ("sec-fetch-dest", "iframe")];
    get(&here, &framed)
        .await
        .expect_problem(403, "foreign_origin", &[]);

    let token = bearer(client);
    let none = host(client, "/none/abcdefghijklmnopqrstuvwxyz", 80);
    get(&none, &[("authorization", &token)])
        .await
        .expect_problem(404, "session_not_found", &[]);
    let closed = host(client, &session, 9);
    get(&closed, &[("authorization", &token)])
        .await
        .expect_problem(502, "port_not_open", &["9"]);
    let silent = listen(client, &session, "echo nonsense").await;
    let silent = host(client, &session, silent);
    get(&silent, &[("authorization", &token)])
        .await
        .expect_problem(502, "port_failed", &["HTTP"]);
    // What looks like one and is none goes the usual way.
    let odd = format!("99999-abc.localhost:{}", client.address.port());
    get(&odd, &[("authorization", &token)])
        .await
        .expect_problem(421, "foreign_host", &[]);
    for (path, field) in [("/ports/0/tickets", "port"), ("/ports/x/tickets", "port")] {
        let refused = client.post(&Client::path(&session, path), &json!({})).await;
        let problem = refused.expect_problem(400, "invalid_request", &["65535"]);
        assert_eq!(problem["field"], field);
    }
}
on_backends!(only_who_may_passes: process, docker, embedded);

/// A WebSocket goes through to what listens.
async fn a_websocket_goes_through(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let line = r#"
cr=$(printf '\r')
while IFS= read -r line; do
    line=${line%"$cr"}
    [ -n "$line" ] || break
    case $line in sec-websocket-key:*) key=${line#*: } ;; esac
done
digest=$(printf '%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11' "$key" | sha1sum | cut -d' ' -f1)
accept=$(printf "$(printf %s "$digest" | sed 's/../\\x&/g')" | base64)
printf 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n' "$accept"
printf '\201\005hello'
dd bs=1 count=10 2>/dev/null | wc -c >/dev/null
printf '\201\003bye\210\002\003\350'
"#;
    let port = listen(client, &session, line).await;
    let host = host(client, &session, port);
    let headers = [("host", &*host)];
    let (mut incoming, mut outgoing, _) = open(client, "/socket", &headers).await.unwrap();
    let Received::Text(text) = incoming.next().await else {
        panic!("no text")
    };
    assert_eq!(text, "hello");
    outgoing.text("four".to_owned()).await;
    let Received::Text(text) = incoming.next().await else {
        panic!("no text")
    };
    assert_eq!(text, "bye");
    let Received::Closed(code, _) = incoming.next().await else {
        panic!("not closed")
    };
    assert_eq!(code, 1000);
}
on_backends!(a_websocket_goes_through: process, docker, podman, embedded, exec);

/// The bytes of a port over a WebSocket, with an end on either side.
async fn a_tunnel_carries_bytes(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let count = listen(client, &session, "wc -c").await;
    let path = Client::path(&session, &format!("/ports/{count}/tunnel"));
    let (mut incoming, mut outgoing, _) = open(client, &path, &[]).await.unwrap();
    for _ in 0..100 {
        outgoing.binary(vec![b'x'; 50_000]).await;
    }
    outgoing.text(r#"{"type":"end"}"#.to_owned()).await;
    let mut heard = Vec::new();
    loop {
        match incoming.next().await {
            Received::Binary(bytes) => heard.extend(bytes),
            Received::Text(text) => assert_eq!(text, r#"{"type":"end"}"#),
            Received::Closed(code, reason) => {
                assert_eq!((code, &*reason), (4000, "both sides have ended"));
                break;
            }
        }
    }
    assert_eq!(String::from_utf8(heard).unwrap().trim(), "5000000");

    let (mut incoming, mut outgoing, _) = open(client, &path, &[]).await.unwrap();
    outgoing.text("nonsense".to_owned()).await;
    let Received::Closed(code, _) = incoming.next().await else {
        panic!("not closed")
    };
    assert_eq!(code, 4002);
    let closed = Client::path(&session, "/ports/9/tunnel");
    let refused = open(client, &closed, &[]).await.err().unwrap();
    refused.expect_problem(502, "port_not_open", &["9"]);
    let plain = client.get(&path).await;
    plain.expect_problem(426, "websocket_needed", &[]);
}
on_backends!(a_tunnel_carries_bytes: process, docker, podman, embedded, crun, exec, rootless);
