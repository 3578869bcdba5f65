//! A command in a sandbox of its own, in one call.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::api::IMAGE;
use crate::support::backend::on_backends;
use crate::support::heard::Heard;
use crate::support::server::TestServer;
use crate::support::stream::{EVENTS, LINES};
use crate::support::wait::{LONG, until};

const RUN: &str = "/api/v1/run";

async fn a_run_leaves_nothing(server: &TestServer) {
    let client = &server.client;
    let wish = json!({
        "image": IMAGE,
        "shell": "cat; /tmp/shellport-test-in/script; rm -r /tmp/shellport-test-in; pwd; echo err >&2; exit 7",
        "stdin": "in\n",
        "files": [
            {"path": "/tmp/shellport-test-in/script", "content": "#!/bin/sh\ncat /tmp/shellport-test-in/more; echo $WORD\n", "mode": "0755"},
            {"path": "/tmp/shellport-test-in/more", "content": "Lg==", "encoding": "base64"},
        ],
        "env": {"WORD": "a b"},
        "cwd": "/tmp",
    });
    let outcome = client.post(RUN, &wish).await.expect(200);
    assert_eq!(outcome["stdout"], "in\n.a b\n/tmp\n", "{outcome}");
    assert_eq!(outcome["stderr"], "err\n");
    assert_eq!(
        outcome["exit"],
        json!({"code": 7, "signal": null, "reason": "exited"})
    );
    assert_eq!(client.sessions().await, Vec::<String>::new());

    for form in [LINES, EVENTS] {
        let headers = [("accept", form)];
        let streamed = client
            .stream(Method::POST, RUN, &headers, Some(&wish))
            .await;
        let mut streamed = streamed.unwrap_or_else(|answer| panic!("{answer:?}"));
        let first = streamed.next().await.unwrap();
        assert_eq!(first["type"], "container_create", "{first}");
        let session = first["session"].as_str().unwrap().to_owned();
        let mut heard = Heard::default();
        let last = loop {
            let event = streamed.next().await.unwrap();
            match event["type"].as_str().unwrap() {
                "image_pull" => assert!(heard.stdout.is_empty(), "{event}"),
                "container_remove" => break event,
                _ => heard.take(&event),
            }
        };
        assert_eq!(heard.code(), 7);
        assert_eq!(heard.stdout, b"in\n.a b\n/tmp\n");
        assert_eq!(last["session"], session);
        assert!(streamed.next().await.is_none());
        assert_eq!(client.sessions().await, Vec::<String>::new());
    }
}
on_backends!(a_run_leaves_nothing: docker, podman, exec, process, embedded, crun, runc, rootless);

/// When the client goes, so does the sandbox, whatever it is in the middle of.
async fn a_client_that_goes_takes_the_sandbox_along(server: &TestServer) {
    let client = &server.client;
    let wish = json!({"image": IMAGE, "shell": "trap '' TERM; echo begun; sleep 1000"});
    let headers = [("accept", LINES)];
    for is_begun in [true, false] {
        let streamed = client
            .stream(Method::POST, RUN, &headers, Some(&wish))
            .await;
        let mut streamed = streamed.unwrap_or_else(|answer| panic!("{answer:?}"));
        if is_begun {
            streamed.next_of("output").await;
        } else {
            streamed.next_of("container_create").await;
            sleep(Duration::from_millis(50)).await;
        }
        drop(streamed);
        until("nothing is left", LONG, async || {
            client.sessions().await.is_empty().then_some(())
        })
        .await;
    }
}
on_backends!(a_client_that_goes_takes_the_sandbox_along: docker, podman, process, embedded, crun, rootless);

async fn what_cannot_run_is_told(server: &TestServer) {
    let client = &server.client;
    for (wish, status, code, field) in [
        (json!({"image": IMAGE}), 400, "invalid_request", "argv"),
        (
            json!({"image": IMAGE, "argv": ["x"], "memory": "1t"}),
            422,
            "not_allowed",
            "memory",
        ),
        (
            json!({"image": IMAGE, "argv": ["x"], "more": 1}),
            400,
            "invalid_request",
            "more",
        ),
    ] {
        let problem = client
            .post(RUN, &wish)
            .await
            .expect_problem(status, code, &[]);
        assert_eq!(problem["field"], field, "{problem}");
    }
    let nowhere = "127.0.0.1:1/none:1";
    let wish = json!({"image": nowhere, "argv": ["true"]});
    let answer = client.post(RUN, &wish).await;
    answer.expect_problem(422, "image_not_available", &["none"]);
    let headers = [("accept", LINES)];
    let streamed = client
        .stream(Method::POST, RUN, &headers, Some(&wish))
        .await;
    let mut streamed = streamed.unwrap_or_else(|answer| panic!("{answer:?}"));
    let error = streamed.next_of("process_error").await;
    assert_eq!(error["code"], "image_not_available", "{error}");
    let end = streamed.next().await.unwrap();
    assert_eq!(
        (&end["type"], &end["reason"]),
        (&json!("process_end"), &json!("lost"))
    );
    assert_eq!(streamed.next().await.unwrap()["type"], "container_remove");
    assert_eq!(client.sessions().await, Vec::<String>::new());
    let ended: Value = client.get("/api/v1/sessions").await.expect(200);
    assert_eq!(ended["data"], json!([]));
}
on_backends!(what_cannot_run_is_told: docker, embedded);
