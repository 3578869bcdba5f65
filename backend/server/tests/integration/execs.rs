//! Commands: streams apart, and an exit that is the truth.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::api::id;
use crate::support::backend::on_backends;
use crate::support::http::Client;
use crate::support::server::TestServer;
use crate::support::wait::{LONG, until, within};

fn exited(code: i32) -> Value {
    json!({"code": code, "signal": null, "reason": "exited"})
}

async fn streams_are_apart(server: &TestServer) {
    let session = server.client.session().await;
    let line = "echo out; echo err >&2; cat; echo $WORD; pwd";
    let wish = json!({"shell": line, "stdin": "in\n", "env": {"WORD": "a b"}, "cwd": "/tmp"});
    let outcome = server.client.exec(&session, wish).await;
    assert_eq!(outcome.stdout, "out\nin\na b\n/tmp\n");
    assert_eq!(outcome.stderr, "err\n");
    assert_eq!(outcome.exit, exited(0));
    assert!(!outcome.truncated);
}
on_backends!(streams_are_apart: docker, podman, exec, process, embedded, crun, runc, youki, runsc, rootless);

async fn ends_are_told_apart(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    for code in [0, 7, 127, 137] {
        let outcome = client.shell(&session, &format!("exit {code}")).await;
        assert_eq!(outcome.exit, exited(code));
    }
    // What the shell does not find, and what is not there to be started at all.
    let outcome = client.shell(&session, "no-such-program").await;
    assert_eq!(outcome.exit, exited(127));
    let outcome = client
        .exec(&session, json!({"argv": ["/no/such/program"]}))
        .await;
    assert_eq!(outcome.exit, exited(127));
    assert!(outcome.stderr.contains("/no/such/program"), "{outcome:?}");
    let killed = client.shell(&session, "kill -9 $$").await;
    let signaled = json!({"code": null, "signal": "SIGKILL", "reason": "signaled"});
    assert_eq!(killed.exit, signaled);
    let slow = json!({"shell": "echo begun; sleep 60", "timeout": "300ms"});
    let slow = client.exec(&session, slow).await;
    assert_eq!(slow.exit["reason"], "timeout", "{slow:?}");
    assert_eq!(slow.stdout, "begun\n");
    let stubborn =
        json!({"shell": "trap '' TERM HUP; sleep 60 & while :; do wait; done", "timeout": "300ms"});
    let stubborn = client.exec(&session, stubborn).await;
    let expected = json!({"code": null, "signal": "SIGKILL", "reason": "timeout"});
    assert_eq!(stubborn.exit, expected);
}
on_backends!(ends_are_told_apart: docker, podman, exec, process, embedded, crun, runc, youki, runsc, rootless, rootless_crun, rootless_runc, rootless_single);

async fn out_of_memory_is_told(server: &TestServer) {
    let client = &server.client;
    let session = id(&client.create(json!({"memory": "64m"})).await);
    let outcome = client
        .exec(&session, json!({"argv": ["tail", "/dev/zero"]}))
        .await;
    let expected = json!({"code": null, "signal": "SIGKILL", "reason": "oom"});
    assert_eq!(outcome.exit, expected);
    // The session goes on, and the next kill is told as what it is.
    let killed = client.shell(&session, "kill -9 $$").await;
    assert_eq!(killed.exit["reason"], "signaled", "{killed:?}");
}
on_backends!(out_of_memory_is_told: docker, podman, exec, embedded, crun, runc);

async fn long_output_is_cut_and_the_command_goes_on(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let outcome = client
        .shell(&session, "seq 1 400000; echo end >&2; exit 3")
        .await;
    assert!(outcome.truncated);
    assert_eq!(outcome.stdout.len(), 1024 * 1024);
    assert!(outcome.stdout.starts_with("1\n2\n3\n"));
    assert_eq!(outcome.stderr, "end\n");
    assert_eq!(outcome.exit, exited(3));
}
on_backends!(long_output_is_cut_and_the_command_goes_on: docker, exec, process, embedded);

async fn bytes_that_are_no_text_are_encoded(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let wish = json!({"shell": r"printf '\377\000x'; printf e >&2"});
    let answer = client.post(&Client::path(&session, "/execs"), &wish).await;
    let outcome = answer.expect(200);
    assert_eq!(outcome["encoding"], "base64", "{outcome}");
    assert_eq!(
        (&outcome["stdout"], &outcome["stderr"]),
        (&json!("/wB4"), &json!("ZQ=="))
    );
}
on_backends!(bytes_that_are_no_text_are_encoded: docker, process, embedded);

async fn much_input_arrives_whole(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let wish = json!({"argv": ["wc", "-c"], "stdin": "0123456789abcde\n".repeat(50_000)});
    let outcome = client.exec(&session, wish).await;
    assert_eq!(outcome.stdout_of_success().trim(), "800000");
}
on_backends!(much_input_arrives_whole: docker, podman, exec, process, embedded, crun, runc, rootless);

/// A client that goes takes its command with it, and the command's children.
async fn a_client_that_goes_ends_its_command(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let mark = format!("/tmp/shellport-test-{session}");
    let line = format!("sleep 1000 & echo $! > {mark}; wait");
    let path = Client::path(&session, "/execs");
    let running = tokio::spawn({
        let client = client.clone();
        async move { client.post(&path, &json!({"shell": line})).await }
    });
    let child = until("the command runs", LONG, async || {
        let text = client.shell(&session, &format!("cat {mark}")).await.stdout;
        text.trim().parse::<u32>().ok()
    })
    .await;
    running.abort();
    until("its child ends", LONG, async || {
        let line = format!("grep -q '^State:.[^Z]' /proc/{child}/status");
        let outcome = client.shell(&session, &line).await;
        (outcome.exit["code"] != 0).then_some(())
    })
    .await;
    client.output(&session, &format!("rm {mark}")).await;
}
on_backends!(a_client_that_goes_ends_its_command: docker, podman, exec, process, embedded, crun, runc, rootless);

/// A session that is deleted while a command is at work in it: nobody waits for it to come back.
async fn a_session_that_goes_takes_its_commands_along(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let path = Client::path(&session, "/execs");
    let wish = json!({"shell": "trap '' TERM; sleep 1000 & wait; sleep 1000"});
    let running = tokio::spawn({
        let client = client.clone();
        async move { client.post(&path, &wish).await }
    });
    until("the command runs", LONG, async || {
        let line = "grep -l sleep /proc/[0-9]*/cmdline | wc -l";
        let count: u32 = client.output(&session, line).await.parse().unwrap();
        // The shell that asks is one of them.
        (count > 1).then_some(())
    })
    .await;
    client.remove(&session).await;
    let answer = within("an answer", Duration::from_secs(5), running)
        .await
        .unwrap();
    if answer.status == 200 {
        assert_eq!(answer.json()["exit"]["reason"], "stopped", "{answer:?}");
    } else {
        answer.expect_problem(502, "agent_unreachable", &[]);
    }
}
on_backends!(a_session_that_goes_takes_its_commands_along: docker, podman, exec, process, embedded, crun, runc, rootless);

async fn no_zombie_is_left(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    // Each outlives its parent, so that it is the agent's to reap.
    let line = "i=0; while [ $i -lt 1000 ]; do (true &); i=$((i+1)); done";
    client.output(&session, line).await;
    until("every zombie is gone", Duration::from_secs(5), async || {
        let line = "grep -l '^State:.Z' /proc/[0-9]*/status | wc -l";
        (client.output(&session, line).await == "0").then_some(())
    })
    .await;
    assert_eq!(client.shell(&session, "exit 5").await.exit, exited(5));
}
on_backends!(no_zombie_is_left: docker, podman, exec, embedded, crun, runc, rootless);
