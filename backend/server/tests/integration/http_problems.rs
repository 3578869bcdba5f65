//! What goes wrong, told with the right status, a stable code and what to do.

use http_body_util::Full;
use hyper::{Method, Request, header};
use serde_json::{Value, json};

use crate::support::backend::on_backends;
use crate::support::http::{Answer, Client};
use crate::support::server::TestServer;

const SESSIONS: &str = "/api/v1/sessions";

/// Nobody's session.
const MISSING: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaa";

async fn bad_fields_are_named(server: &TestServer) {
    let client = &server.client;
    let invalid = |field: &str| (400, "invalid_request", field.to_owned());
    let refused = |field: &str| (422, "not_allowed", field.to_owned());
    let cases: [(Value, (u16, &str, String)); 19] = [
        (json!({"privileged": true}), invalid("privileged")),
        (json!({"cpus": "many"}), invalid("cpus")),
        (json!({"memory": "512 apples"}), invalid("memory")),
        (json!({"memory": true}), invalid("memory")),
        (json!({"ttl": "soon"}), invalid("ttl")),
        (json!({"env": {"A": 1}}), invalid("env.A")),
        (json!({"profile": "loose"}), invalid("profile")),
        (json!({"network": "wide"}), invalid("network")),
        (json!({"name": ""}), invalid("name")),
        (json!({"labels": {"a=b": "c"}}), invalid("labels")),
        (json!({"cpus": 64}), refused("cpus")),
        (json!({"memory": "1t"}), refused("memory")),
        (json!({"memory": 5}), refused("memory")),
        (json!({"pids": 100_000}), refused("pids")),
        (json!({"image": "--privileged"}), refused("image")),
        (json!({"cwd": "here"}), refused("cwd")),
        (json!({"user": "a b"}), refused("user")),
        (json!({"command": []}), refused("command")),
        (json!({"env": {"A=B": "c"}}), refused("env")),
    ];
    for (wish, (status, code, field)) in cases {
        let answer = client.post(SESSIONS, &wish).await;
        let problem = answer.expect_problem(status, code, &[&field]);
        assert_eq!(problem["field"], field, "{problem}");
        assert_eq!(problem["retryable"], false, "{problem}");
    }
    assert_eq!(client.sessions().await, Vec::<String>::new());
}
on_backends!(bad_fields_are_named: process);

async fn bad_bodies_are_refused(server: &TestServer) {
    let client = &server.client;
    let send = async |body: &'static [u8]| {
        let request = client
            .request(Method::POST, SESSIONS)
            .body(Full::new(body.into()));
        client.send(request.unwrap()).await
    };
    for body in [&b"{"[..], b"[]", b"7", b"{} {}", b"\xff\xfe"] {
        send(body)
            .await
            .expect_problem(400, "invalid_request", &["body"]);
    }
    let large = json!({"name": "x".repeat(2 * 1024 * 1024)});
    let answer = client.post(SESSIONS, &large).await;
    answer.expect_problem(413, "too_large", &[]);
}
on_backends!(bad_bodies_are_refused: process);

async fn what_is_not_there_is_not_found(server: &TestServer) {
    let client = &server.client;
    let path = |rest: &str| Client::path(MISSING, rest);
    for rest in ["", "/terminals", "/terminals/main"] {
        let answer = client.get(&path(rest)).await;
        answer.expect_problem(404, "session_not_found", &[MISSING]);
    }
    for rest in [
        "/stop",
        "/start",
        "/execs",
        "/terminals",
        "/terminals/main/tickets",
    ] {
        let answer = client.post(&path(rest), &json!({})).await;
        answer.expect_problem(404, "session_not_found", &[MISSING]);
    }
    client
        .delete(&path(""))
        .await
        .expect_problem(404, "session_not_found", &[MISSING]);
    let odd = client.get(&Client::path("..%2f..%2fetc", "")).await;
    odd.expect_problem(404, "session_not_found", &[]);
    let nowhere = client.get("/api/v1/nothing").await;
    nowhere.expect_problem(404, "not_found", &["/api/v1/openapi.json"]);
    let nowhere = client.get("/nothing").await;
    nowhere.expect_problem(404, "not_found", &["/api/v1/openapi.json"]);
    let method = client.json(Method::PUT, SESSIONS, &json!({})).await;
    method.expect_problem(405, "wrong_method", &["/api/v1/openapi.json"]);
    // RFC 9110, 15.5.6.
    assert!(method.header("allow").contains("POST"), "{method:?}");
    let method = client.post("/healthz", &json!({})).await;
    method.expect_problem(405, "wrong_method", &[]);
}
on_backends!(what_is_not_there_is_not_found: process);

async fn a_token_is_needed(server: &TestServer) {
    let wrong = "x".repeat(43);
    for (token, words) in [
        (None, "a token is needed"),
        (Some(wrong), "the token is not right"),
    ] {
        let client = Client {
            token,
            ..server.client.clone()
        };
        for path in [
            SESSIONS,
            "/api/v1/info",
            "/metrics",
            &Client::path(MISSING, ""),
        ] {
            let answer = client.get(path).await;
            answer.expect_problem(
                401,
                "unauthorized",
                &[words, "Authorization: Bearer", "\"token\""],
            );
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        let answer = client.post(SESSIONS, &json!({})).await;
        answer.expect_problem(401, "unauthorized", &[words]);
        // Nothing secret is there.
        for path in ["/healthz", "/readyz", "/api/v1/openapi.json"] {
            assert_eq!(client.get(path).await.status, 200, "{path}");
        }
    }
    // Not in an address, where it would be kept in histories and logs.
    let client = Client {
        token: None,
        ..server.client.clone()
    };
    let token = server.client.token.as_ref().unwrap();
    let answer = client.get(&format!("{SESSIONS}?token={token}")).await;
    answer.expect_problem(401, "unauthorized", &[]);
    assert_eq!(server.client.sessions().await, Vec::<String>::new());
}
on_backends!(a_token_is_needed: process);

async fn foreign_hosts_and_origins_are_refused(server: &TestServer) {
    let client = &server.client;
    let port = client.address.port();
    let send = async |host: Option<&str>, origin: Option<&str>| -> Answer {
        let token = client.token.as_ref().unwrap();
        let mut request = Request::builder().uri(SESSIONS);
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        client.send(request.body(Full::default()).unwrap()).await
    };
    let own = format!("localhost:{port}");
    let other_port = format!("localhost:{}", port - 1);
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        &other_port,
        "localhost",
        "",
    ] {
        let answer = send(Some(host), None).await;
        answer.expect_problem(421, "foreign_host", &["--allowed-hosts"]);
    }
    for origin in [
        "https://evil.example",
        "null",
        &format!("http://{other_port}"),
        &own,
    ] {
        let answer = send(Some(&own), Some(origin)).await;
        answer.expect_problem(403, "foreign_origin", &[origin, "--allowed-hosts"]);
    }
    for (host, origin) in [
        (own.clone(), Some(format!("http://{own}"))),
        (format!("127.0.0.1:{port}"), Some(format!("http://{own}"))),
        (
            "shell.example.org".to_owned(),
            Some("https://shell.example.org".to_owned()),
        ),
        (own.clone(), None),
    ] {
        send(Some(&host), origin.as_deref()).await.expect(200);
    }
    // Before anything else is looked at.
    let anonymous = Client {
        token: None,
        ..client.clone()
    };
    for path in ["/", "/healthz", "/nothing"] {
        let request = Request::builder()
            .uri(path)
            .header(header::HOST, "evil.example");
        let answer = anonymous.send(request.body(Full::default()).unwrap()).await;
        answer.expect_problem(421, "foreign_host", &[]);
    }
}
on_backends!(foreign_hosts_and_origins_are_refused: process => ["--allowed-hosts=shell.example.org"]);

async fn bad_queries_are_refused(server: &TestServer) {
    let client = &server.client;
    for (query, word) in [
        ("cursor=nonsense!", "cursor"),
        ("cursor=bm9uc2Vuc2U", "cursor"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("label=novalue", "label"),
        ("state=happy", "state"),
        ("colour=red", "colour"),
    ] {
        let answer = client.get(&format!("{SESSIONS}?{query}")).await;
        answer.expect_problem(400, "invalid_request", &[word]);
    }
    let answer = client
        .post(&format!("{SESSIONS}?wait=forever"), &json!({}))
        .await;
    answer.expect_problem(400, "invalid_request", &["wait"]);
}
on_backends!(bad_queries_are_refused: process);

async fn bad_execs_and_terminals_are_refused(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let execs = Client::path(&session, "/execs");
    for (wish, status, field) in [
        (json!({}), 400, "argv"),
        (json!({"argv": ["a"], "shell": "b"}), 400, "argv"),
        (json!({"shell": "true", "tty": true}), 400, "tty"),
        (json!({"shell": "true", "timeout": "2h"}), 422, "timeout"),
        (json!({"shell": "true", "env": {"": "x"}}), 422, "env"),
        (json!({"shell": "true", "cwd": "relative"}), 422, "cwd"),
        (
            json!({"shell": "true", "user": "no-such-user"}),
            422,
            "user",
        ),
    ] {
        let answer = client.post(&execs, &wish).await;
        let code = if status == 400 {
            "invalid_request"
        } else {
            "not_allowed"
        };
        let problem = answer.expect_problem(status, code, &[field]);
        assert_eq!(problem["field"], field, "{problem}");
    }
    let terminals = Client::path(&session, "/terminals");
    for (wish, status, code, field) in [
        (json!({"cols": 0}), 400, "invalid_request", "cols"),
        (json!({"cols": 70_000}), 400, "invalid_request", "cols"),
        (json!({"rows": 1001}), 400, "invalid_request", "rows"),
        (json!({"name": "a/b"}), 422, "not_allowed", "name"),
        (json!({"user": "no-such-user"}), 422, "not_allowed", "user"),
    ] {
        let answer = client.post(&terminals, &wish).await;
        let problem = answer.expect_problem(status, code, &[]);
        assert_eq!(problem["field"], field, "{problem}");
    }
    let large = json!({"shell": "true", "env": {"A": "x".repeat(200_000)}});
    client
        .post(&execs, &large)
        .await
        .expect_problem(413, "too_large", &["65536"]);
    let grace = json!({"grace": "2h"});
    let answer = client.post(&Client::path(&session, "/stop"), &grace).await;
    assert_eq!(
        answer.expect_problem(422, "not_allowed", &["1m"])["field"],
        "grace"
    );
}
on_backends!(bad_execs_and_terminals_are_refused: docker, process, embedded);
