//! Execs under names, and how they are ended.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::api::AGENT;
use crate::support::backend::on_backends;
use crate::support::http::Client;
use crate::support::server::TestServer;
use crate::support::stream::LINES;
use crate::support::wait::{LONG, until};

fn background(line: &str) -> Value {
    json!({"shell": line, "background": true})
}

/// Waits until a file is there, and returns the words in it.
async fn words(client: &Client, session: &str, path: &str) -> Vec<String> {
    until("a file", LONG, async || {
        let text = client.shell(session, &format!("cat {path}")).await.stdout;
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        (!words.is_empty()).then_some(words)
    })
    .await
}

/// Whether any of these processes lives in a session.
async fn any_lives(client: &Client, session: &str, processes: &[String]) -> bool {
    let files: Vec<String> = processes
        .iter()
        .map(|pid| format!("/proc/{pid}/status"))
        .collect();
    let line = format!("cat {} 2>/dev/null | grep '^State:.[^ZX]'", files.join(" "));
    client.shell(session, &line).await.exit["code"] == 0
}

async fn the_same_request_runs_once(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let mark = format!("/tmp/shellport-test-{session}");
    let exec = Client::path(&session, "/execs/once");
    let wish = json!({"shell": format!("echo run >> {mark}; sleep 0.5; cat {mark}; exit 6")});
    let both = (0..5).map(|_| client.put(&exec, &wish));
    let mut answers = join_all(both).await;
    // And when it has ended.
    answers.push(client.put(&exec, &wish).await);
    for answer in answers {
        let outcome = answer.expect(200);
        assert_eq!(
            (&outcome["id"], &outcome["stdout"]),
            (&json!("once"), &json!("run\n"))
        );
        assert_eq!(outcome["exit"]["code"], 6);
    }
    let other = client.put(&exec, &json!({"shell": "true"})).await;
    other.expect_problem(409, "exec_exists", &["once"]);
    let name = Client::path(&session, "/execs/not%20a%20name");
    client
        .put(&name, &wish)
        .await
        .expect_problem(422, "not_allowed", &["not a name"]);
    // Forgotten, the name is free.
    client.delete(&exec).await.expect(204);
    client
        .get(&exec)
        .await
        .expect_problem(404, "exec_not_found", &["once"]);
    let outcome = client
        .put(&exec, &json!({"shell": "true"}))
        .await
        .expect(200);
    assert_eq!(outcome["exit"]["code"], 0);
    client.output(&session, &format!("rm {mark}")).await;
}
on_backends!(the_same_request_runs_once: docker, podman, exec, process, embedded, crun, rootless);

async fn execs_are_listed(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let execs = Client::path(&session, "/execs");
    for number in 0..40 {
        let exec = format!("{execs}/exec-{number}");
        client
            .put(&exec, &json!({"argv": ["true"]}))
            .await
            .expect(200);
    }
    client
        .put(&format!("{execs}/runs"), &background("sleep 1000"))
        .await
        .expect(201);
    let first = client.get(&execs).await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = client
        .get(&format!("{execs}?cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(second["next_cursor"], Value::Null);
    let pages = [&first["data"], &second["data"]].map(|it| it.as_array().unwrap());
    let all: Vec<&Value> = pages.into_iter().flatten().collect();
    let names: Vec<&str> = all
        .iter()
        .map(|exec| exec["id"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = (0..40).map(|number| format!("exec-{number}")).collect();
    assert_eq!(names[..40], expected);
    assert_eq!((names[40], &all[40]["state"]), ("runs", &json!("running")));
    assert_eq!(all[40]["argv"], json!(["/bin/sh", "-c", "sleep 1000"]));
    assert_eq!(
        all[0]["exit"],
        json!({"code": 0, "signal": null, "reason": "exited"})
    );
}
on_backends!(execs_are_listed: process, docker);

async fn the_process_group_is_signalled(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let exec = Client::path(&session, "/execs/signalled");
    let line = "trap 'echo parent' USR1; (trap 'echo child; exit' USR1; echo ready; while :; do sleep 0.1; done) & wait; wait; exit 9";
    client.put(&exec, &background(line)).await.expect(201);
    let output = format!("{exec}/output?wait=10s");
    until("both are ready", LONG, async || {
        let page = client.get(&output).await.expect(200);
        (page["next"]["stdout"] == 6).then_some(())
    })
    .await;
    let signal = format!("{exec}/signal");
    client
        .post(&signal, &json!({"signal": "SIGUSR1"}))
        .await
        .expect(204);
    let outcome = client.put(&exec, &background(line)).await.expect(201);
    assert_eq!(outcome["id"], "signalled");
    until("its end", LONG, async || {
        let view = client.get(&exec).await.expect(200);
        (view["exit"]["code"] == 9).then_some(())
    })
    .await;
    let page = client
        .get(&format!("{exec}/output?stdout=6"))
        .await
        .expect(200);
    let told = page["data"][0]["data"].as_str().unwrap();
    assert!(
        told.contains("child") && told.contains("parent"),
        "{told:?}"
    );
    let late = client.post(&signal, &json!({"signal": "SIGUSR1"})).await;
    late.expect_problem(409, "exec_ended", &["signalled"]);
    let unknown = client.post(&signal, &json!({"signal": "SIGNONE"})).await;
    let problem = unknown.expect_problem(422, "not_allowed", &["SIGNONE"]);
    assert_eq!(problem["field"], "signal");
    client
        .post(&signal, &json!({}))
        .await
        .expect_problem(400, "invalid_request", &["signal"]);
}
on_backends!(the_process_group_is_signalled: docker, podman, exec, process, embedded, crun, rootless);

/// One that ignores the request to end, one that forks away and makes a session of its own, and one that only
/// holds its parent's pipes: a stop ends them all, whether the program itself has ended or not.
async fn a_stop_ends_everything(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let grace = Duration::from_secs(1);
    let stubborn = "trap '' TERM HUP INT; echo $$ >> FILE; while :; do sleep 1000; done";
    let away = "(setsid sh -c 'echo $$ >> FILE; (setsid sh -c \"trap true TERM; echo \\$\\$ >> FILE; while :; do sleep 1000; done\" &) ; exec sleep 1000' &); sleep 1000";
    let holds = "(sh -c 'echo $$ >> FILE; exec sleep 1000' &); echo $$ >> FILE; exit 0";
    for (name, line, count) in [
        ("stubborn", stubborn, 1),
        ("away", away, 2),
        ("holds", holds, 2),
    ] {
        let file = format!("/tmp/shellport-test-{session}-{name}");
        let exec = Client::path(&session, &format!("/execs/{name}"));
        client
            .put(&exec, &background(&line.replace("FILE", &file)))
            .await
            .expect(201);
        let processes = until("they run", LONG, async || {
            let words = words(client, &session, &file).await;
            (words.len() == count).then_some(words)
        })
        .await;
        assert!(any_lives(client, &session, &processes).await, "{name}");
        let begun = Instant::now();
        let stopped = client
            .post(&format!("{exec}/stop"), &json!({"grace": "1s"}))
            .await
            .expect(200);
        let took = begun.elapsed();
        assert!(took < grace + Duration::from_secs(1), "{name}: {took:?}");
        assert!(!any_lives(client, &session, &processes).await, "{name}");
        assert_eq!(stopped["state"], "exited", "{stopped}");
        let reason = if name == "holds" { "exited" } else { "stopped" };
        assert_eq!(stopped["exit"]["reason"], reason, "{stopped}");
        client.output(&session, &format!("rm {file}")).await;
    }
}
on_backends!(a_stop_ends_everything: docker, podman, exec, process, embedded, crun, runc, rootless);

/// What a program leaves behind goes on, as a server that was started by a script has to.
async fn what_is_left_behind_goes_on(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let file = format!("/tmp/shellport-test-{session}");
    let line = format!("(setsid sh -c 'echo $$ > {file}; exec sleep 1000' >/dev/null 2>&1 &)");
    client.output(&session, &line).await;
    let left = words(client, &session, &file).await;
    sleep(Duration::from_millis(300)).await;
    assert!(any_lives(client, &session, &left).await);
    client
        .output(&session, &format!("rm {file}; kill {}", left[0]))
        .await;
}
on_backends!(what_is_left_behind_goes_on: docker, process, embedded);

/// A time-out ends what has forked away as well, after the grace that was asked for.
async fn a_timeout_ends_everything(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let file = format!("/tmp/shellport-test-{session}");
    let line = format!(
        "trap '' TERM; (setsid sh -c 'echo $$ > {file}; exec sleep 1000' &); while :; do sleep 1000; done"
    );
    let begun = Instant::now();
    let wish = json!({"shell": line, "timeout": "1s", "grace": "500ms"});
    let outcome = client.exec(&session, wish).await;
    assert!(
        begun.elapsed() < Duration::from_millis(2500),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(outcome.exit["reason"], "timeout");
    let left = words(client, &session, &file).await;
    assert!(!any_lives(client, &session, &left).await);
    client.output(&session, &format!("rm {file}")).await;
}
on_backends!(a_timeout_ends_everything: docker, process, embedded, crun);

/// A client that goes ends its command at once, or after a time that it sets; a background command goes on.
async fn a_client_that_goes_decides(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let headers = [("accept", LINES)];
    let start = async |name: &str, mut wish: Value| {
        wish["shell"] = json!("echo begun; sleep 1000");
        let exec = Client::path(&session, &format!("/execs/{name}"));
        let streamed = client
            .stream(Method::PUT, &exec, &headers, Some(&wish))
            .await;
        let mut streamed = streamed.unwrap_or_else(|answer| panic!("{answer:?}"));
        streamed.next_of("output").await;
        exec
    };
    let at_once = start("at-once", json!({})).await;
    let lingers = start("lingers", json!({"linger": "1h"})).await;
    until("the first ends", LONG, async || {
        let view = client.get(&at_once).await.expect(200);
        (view["exit"]["reason"] == "stopped").then_some(())
    })
    .await;
    assert_eq!(client.get(&lingers).await.expect(200)["state"], "running");
    // It has been left for a second when somebody comes back.
    let mut wish = json!({"linger": "1h"});
    wish["shell"] = json!("echo begun; sleep 1000");
    let streamed = client
        .stream(Method::PUT, &lingers, &headers, Some(&wish))
        .await;
    let again = streamed
        .unwrap_or_else(|answer| panic!("{answer:?}"))
        .next_of("output")
        .await;
    assert_eq!(again["data"], "begun\n");

    let short = Client::path(&session, "/execs/short");
    let wish = json!({"shell": "sleep 1000", "background": true, "linger": "500ms"});
    client.put(&short, &wish).await.expect(201);
    until("nobody comes", LONG, async || {
        let view = client.get(&short).await.expect(200);
        (view["exit"]["reason"] == "stopped").then_some(())
    })
    .await;
}
on_backends!(a_client_that_goes_decides: docker, podman, process, embedded);

/// A keeper that is killed, as only root in the sandbox can: the program's end is still seen.
async fn a_keeper_that_is_killed_takes_no_truth_along(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    // Who of the three is first varies.
    for _ in 0..20 {
        let outcome = client
            .shell(&session, "kill -9 $PPID; sleep 0.05; echo still; exit 42")
            .await;
        assert_eq!(
            outcome.exit,
            json!({"code": 42, "signal": null, "reason": "exited"})
        );
        assert_eq!(outcome.stdout, "still\n");
        let outcome = client.shell(&session, "kill -9 $PPID $$").await;
        assert_eq!(outcome.exit["signal"], "SIGKILL", "{outcome:?}");
    }
    let name = client
        .output(&session, &format!("cat /proc/{AGENT}/comm"))
        .await;
    assert!(name.ends_with("agent"), "{name}");
}
on_backends!(a_keeper_that_is_killed_takes_no_truth_along: docker, process, embedded, crun);

async fn many_at_once_are_told_apart(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let path = Client::path(&session, "/execs");
    let wish = json!({"shell": "echo $$; cat /proc/self/stat >&2; exit $(( $$ % 200 ))"});
    let all = join_all((0..100).map(|_| client.post(&path, &wish))).await;
    let mut seen = std::collections::BTreeSet::new();
    for answer in all {
        let outcome = answer.expect(200);
        let pid: i64 = outcome["stdout"].as_str().unwrap().trim().parse().unwrap();
        assert_eq!(outcome["exit"]["code"], pid % 200, "{outcome}");
        assert!(seen.insert((pid, outcome["id"].to_string())), "{outcome}");
    }
    assert_eq!(seen.len(), 100);
}
on_backends!(many_at_once_are_told_apart: docker, podman, process, embedded, crun, rootless);

async fn forms_are_negotiated(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let path = Client::path(&session, "/execs");
    let headers = [("accept", "text/html")];
    let wish = json!({"argv": ["true"]});
    let refused = client
        .stream(Method::POST, &path, &headers, Some(&wish))
        .await;
    let refused = refused.err().expect("a refusal");
    refused.expect_problem(406, "not_acceptable", &["application/x-ndjson"]);
    for (wish, field) in [
        (
            json!({"argv": ["cat"], "stdin": "x", "stdin_open": true}),
            "stdin",
        ),
        (json!({"argv": ["true"], "shell": "true"}), "argv"),
        (json!({}), "argv"),
    ] {
        let problem = client
            .post(&path, &wish)
            .await
            .expect_problem(400, "invalid_request", &[]);
        assert_eq!(problem["field"], field);
    }
    for (field, value) in [("grace", "6m"), ("linger", "2h"), ("timeout", "2h")] {
        let mut wish = json!({"argv": ["true"]});
        wish[field] = json!(value);
        let problem = client
            .post(&path, &wish)
            .await
            .expect_problem(422, "not_allowed", &[value]);
        assert_eq!(problem["field"], field);
    }
}
on_backends!(forms_are_negotiated: process);
