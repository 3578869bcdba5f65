//! Problems that it takes some doing to see.

use serde_json::json;

use crate::support::api::id;
use crate::support::backend::on_backends;
use crate::support::http::Client;
use crate::support::plain::Plain;
use crate::support::server::TestServer;
use crate::support::wait::LONG;

async fn input_that_nobody_reads_is_told(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let terminals = Client::path(&session, "/terminals");
    let deaf = json!({"name": "deaf", "command": ["sh", "-c", "stty raw -echo; exec sleep 1000"]});
    client.post(&terminals, &deaf).await.expect(201);
    let wait = json!({"idle": "1s"});
    client
        .post(&format!("{terminals}/deaf/wait"), &wait)
        .await
        .expect(200);
    let much = json!({"text": "x".repeat(300_000)});
    let answer = client.post(&format!("{terminals}/deaf/input"), &much).await;
    let problem = answer.expect_problem(504, "input_stuck", &["reads nothing"]);
    assert_eq!(problem["retryable"], true, "{problem}");
}
on_backends!(input_that_nobody_reads_is_told: process, docker);

async fn viewers_are_counted(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let first = Plain::attach(client, &session, "main", "").await;
    let second = Plain::attach(client, &session, "main", "").await;
    let Err(refused) = Plain::try_attach(client, &session, "main", "").await else {
        panic!("a third one");
    };
    refused.expect_problem(503, "too_many_viewers", &["as many viewers"]);
    drop((first, second));
}
on_backends!(viewers_are_counted: process => ["--max-connections=2"]);

async fn terminals_are_counted(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let terminals = Client::path(&session, "/terminals");
    let wish = json!({"command": ["sleep", "1000"]});
    for _ in 0..1000 {
        let answer = client.post(&terminals, &wish).await;
        if answer.status != 201 {
            answer.expect_problem(429, "too_many", &["terminals"]);
            return;
        }
    }
    panic!("a thousand terminals");
}
on_backends!(terminals_are_counted: process);

async fn a_sandbox_without_room_is_told(server: &TestServer) {
    let client = &server.client;
    let session = id(&client.create(json!({"pids": 40})).await);
    let execs = Client::path(&session, "/execs");
    let wish = json!({"argv": ["sleep", "1000"], "background": true});
    for _ in 0..50 {
        let answer = client.post(&execs, &wish).await;
        if answer.status == 201 {
            continue;
        }
        answer.expect_problem(409, "start_failed", &["cannot start a process"]);
        return client.remove(&session).await;
    }
    panic!("fifty processes");
}
on_backends!(a_sandbox_without_room_is_told: docker, podman, embedded);

async fn a_session_that_failed_is_not_started(server: &TestServer) {
    let client = &server.client;
    let wish = json!({"image": "127.0.0.1:9/none:1"});
    let failed = id(&client.post("/api/v1/sessions", &wish).await.expect(201));
    client.wait_for(&failed, "failed", LONG).await;
    let start = Client::path(&failed, "/start");
    let answer = client.post(&start, &json!({})).await;
    answer.expect_problem(409, "wrong_state", &["failed"]);
    client.remove(&failed).await;
}
on_backends!(a_session_that_failed_is_not_started: docker, embedded);
