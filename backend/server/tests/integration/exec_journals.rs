//! What an agent keeps of an exec, and for whom.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::agent::{Agent, Followed};
use crate::support::backend::on_backends;
use crate::support::server::TestServer;
use crate::support::wait::{LONG, until};

/// A minute, in which a test is over.
const MINUTE: u64 = 60_000;

/// What `seq 1 count` writes.
fn counted(count: u32) -> Vec<u8> {
    let lines: Vec<String> = (1..=count).map(|number| format!("{number}\n")).collect();
    lines.concat().into_bytes()
}

/// The request for an exec of this line, which goes on so long alone.
fn exec(name: &str, line: &str, linger: Option<u64>) -> Value {
    let argv = ["/bin/sh", "-c", line];
    json!({"request": "exec", "exec": name, "argv": argv, "linger_ms": linger})
}

async fn the_rest(
    server: &TestServer,
    session: &str,
    name: &str,
    followed: &mut Followed,
) -> Value {
    let mut agent = Agent::ask(server, session, followed.request(name)).await;
    followed.rest(&mut agent, Duration::ZERO).await
}

async fn a_follower_goes_on_where_it_was(server: &TestServer) {
    let session = server.client.session().await;
    // Far more than a journal holds, so that it has to wait for its follower.
    let request = exec("count", "seq 1 200000; echo end >&2; exit 3", Some(MINUTE));
    let mut followed = Followed::default();
    let mut agent = Agent::ask(server, &session, request).await;
    for length in [100_000, 300_000, 900_000] {
        followed.until(&mut agent, length).await;
        // Meanwhile more is on its way, and lost with the connection.
        tokio::time::sleep(Duration::from_millis(200)).await;
        agent = Agent::ask(server, &session, followed.request("count")).await;
    }
    let end = followed.rest(&mut agent, Duration::ZERO).await;
    assert!(followed.gaps.is_empty(), "{:?}", followed.gaps);
    assert!(followed.stdout == counted(200_000), "not what was written");
    assert_eq!(
        (&end["code"], &end["reason"]),
        (&json!(3), &json!("exited"))
    );
    assert_eq!(end["stderr"], 4);

    // What the journal still has can be read again, after a gap that is told.
    let mut again = Followed::default();
    let same = the_rest(server, &session, "count", &mut again).await;
    assert_eq!(same, end);
    assert_eq!(again.gaps.len(), 1, "{:?}", again.gaps);
    assert!(followed.stdout.ends_with(&again.stdout));
    assert!(again.stdout.len() >= 100_000, "{}", again.stdout.len());
}
on_backends!(a_follower_goes_on_where_it_was: docker, podman, process, embedded, crun, runc);

async fn a_slow_follower_holds_the_command_up(server: &TestServer) {
    let session = server.client.session().await;
    let request = exec("slow", "seq 1 150000", Some(MINUTE));
    let mut agent = Agent::ask(server, &session, request).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut slow = Followed::default();
    slow.rest(&mut agent, Duration::from_millis(20)).await;
    assert!(slow.gaps.is_empty(), "{:?}", slow.gaps);
    assert!(slow.stdout == counted(150_000), "not what was written");
}
on_backends!(a_slow_follower_holds_the_command_up: docker, process, embedded);

async fn a_stalled_follower_does_not_hold_another(server: &TestServer) {
    let session = server.client.session().await;
    let request = exec("two", "read go; seq 1 400000", Some(MINUTE));
    let mut request = request;
    request["stdin"] = json!(true);
    let mut stalled = Agent::ask(server, &session, request).await;
    let mut other = Agent::ask(server, &session, Followed::default().request("two")).await;
    stalled.input(0, b"go\n").await;
    let mut followed = Followed::default();
    followed.rest(&mut other, Duration::ZERO).await;
    assert!(followed.stdout == counted(400_000), "not what was written");
    // It is told what it has missed, and has the rest at its place.
    let mut late = Followed::default();
    late.rest(&mut stalled, Duration::ZERO).await;
    assert!(!late.gaps.is_empty());
    assert!(
        followed
            .stdout
            .ends_with(&late.stdout[late.stdout.len() - 1000..])
    );
}
on_backends!(a_stalled_follower_does_not_hold_another: docker, process, embedded);

async fn a_command_needs_no_follower(server: &TestServer) {
    let session = server.client.session().await;
    let done = format!("/tmp/shellport-test-{session}");
    let line = format!("seq 1 200000; touch {done}; exit 7");
    drop(Agent::ask(server, &session, exec("alone", &line, None)).await);
    until("its end", LONG, async || {
        let outcome = server.client.shell(&session, &format!("rm {done}")).await;
        (outcome.exit["code"] == 0).then_some(())
    })
    .await;
    let mut followed = Followed::default();
    let end = the_rest(server, &session, "alone", &mut followed).await;
    assert_eq!(end["code"], 7);
    let all = counted(200_000);
    assert_eq!(end["stdout"], all.len());
    assert!(followed.gaps.len() <= 1, "{:?}", followed.gaps);
    assert!(all.ends_with(&followed.stdout), "not what was written");
    assert!(
        followed.stdout.len() >= 200_000,
        "{}",
        followed.stdout.len()
    );
}
on_backends!(a_command_needs_no_follower: docker, process, embedded);

async fn a_command_that_is_left_is_ended_in_time(server: &TestServer) {
    let session = server.client.session().await;
    for (name, line) in [("idle", "sleep 1000"), ("full", "yes")] {
        drop(Agent::ask(server, &session, exec(name, line, Some(300))).await);
        // Following it before would keep it going.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let end = the_rest(server, &session, name, &mut Followed::default()).await;
        assert_eq!(end["reason"], "stopped", "{name}: {end}");
    }
}
on_backends!(a_command_that_is_left_is_ended_in_time: docker, process, embedded);

async fn input_goes_on_where_it_was(server: &TestServer) {
    let session = server.client.session().await;
    let mut request = exec("input", "cat", Some(MINUTE));
    request["stdin"] = json!(true);
    let mut agent = Agent::ask(server, &session, request).await;
    assert_eq!(agent.message().await["stdin"], 0);
    agent.input(0, b"one two ").await;
    let mut followed = Followed::default();
    followed.until(&mut agent, 8).await;
    drop(agent);

    let mut agent = Agent::ask(server, &session, followed.request("input")).await;
    assert_eq!(agent.message().await["stdin"], 8);
    // What has come before is not taken twice, whole or in part.
    agent.input(0, b"one ").await;
    agent.input(4, b"two three").await;
    agent.say(&json!({"type": "end"})).await;
    let end = followed.rest(&mut agent, Duration::ZERO).await;
    assert_eq!(followed.stdout, b"one two three");
    assert_eq!(end["code"], 0);
}
on_backends!(input_goes_on_where_it_was: docker, process, embedded);

/// What is waited for after the end is the reading of its output, which cannot change the end.
async fn an_end_stays_what_it_was(server: &TestServer) {
    let session = server.client.session().await;
    // More than a journal holds, and not more than that and a pipe.
    let request = exec("own", "seq 1 52000; exit 3", Some(MINUTE));
    let mut stalled = Agent::ask(server, &session, request).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stop = json!({"request": "stop_exec", "exec": "own", "grace_ms": 100});
    let answer = Agent::ask(server, &session, stop).await.message().await;
    assert_eq!(answer, json!({"response": "done"}));
    let mut followed = Followed::default();
    let end = followed.rest(&mut stalled, Duration::ZERO).await;
    assert_eq!(
        (&end["code"], &end["reason"]),
        (&json!(3), &json!("exited"))
    );
    assert_eq!(end["stdout"], counted(52_000).len());
}
on_backends!(an_end_stays_what_it_was: docker, process, embedded);

async fn an_exec_is_stopped_by_its_name(server: &TestServer) {
    let session = server.client.session().await;
    let line = "trap '' TERM; echo deaf; sleep 1000 & while :; do wait; done";
    let mut agent = Agent::ask(server, &session, exec("stubborn", line, Some(MINUTE))).await;
    let mut followed = Followed::default();
    followed.until(&mut agent, 5).await;
    let stop = json!({"request": "stop_exec", "exec": "stubborn", "grace_ms": 200});
    let answer = Agent::ask(server, &session, stop).await.message().await;
    assert_eq!(answer, json!({"response": "done"}));
    let end = followed.rest(&mut agent, Duration::ZERO).await;
    let expected = (&json!("SIGKILL"), &json!("stopped"));
    assert_eq!((&end["signal"], &end["reason"]), expected);
}
on_backends!(an_exec_is_stopped_by_its_name: docker, process, embedded);

async fn what_cannot_be_is_refused(server: &TestServer) {
    let session = server.client.session().await;
    drop(Agent::ask(server, &session, exec("one", "echo 1", None)).await);
    let empty = json!({"request": "exec", "exec": "two", "argv": []});
    let beyond = json!({"request": "follow", "exec": "one", "stdout": 9});
    for (request, code, words) in [
        (exec("one", "echo 2", None), "exists", "\"one\""),
        (exec("a b", "echo 2", None), "invalid", "\"a b\""),
        (empty, "invalid", "argv"),
        (beyond, "invalid", "stdout: 9"),
        (
            json!({"request": "follow", "exec": "no"}),
            "not_found",
            "\"no\"",
        ),
        (
            json!({"request": "stop_exec", "exec": "no", "grace_ms": 0}),
            "not_found",
            "\"no\"",
        ),
    ] {
        let answer = Agent::ask(server, &session, request).await.message().await;
        assert_eq!(answer["code"], code, "{answer}");
        assert!(
            answer["message"].as_str().unwrap().contains(words),
            "{answer}"
        );
    }
}
on_backends!(what_cannot_be_is_refused: process);

/// The oldest are forgotten, so that many execs take no more memory than a few.
async fn what_is_kept_is_bounded(server: &TestServer) {
    let session = server.client.session().await;
    for number in 0..70 {
        let request = exec(&format!("e{number}"), "seq 1 100", None);
        let mut agent = Agent::ask(server, &session, request).await;
        Followed::default().rest(&mut agent, Duration::ZERO).await;
    }
    let is_kept = async |name: &str| {
        let request = Followed::default().request(name);
        let answer = Agent::ask(server, &session, request).await.message().await;
        answer["response"] == "following"
    };
    assert!(is_kept("e69").await);
    assert!(!is_kept("e0").await);
    for number in 0..10 {
        let request = exec(
            &format!("f{number}"),
            "seq 1 100000; seq 1 100000 >&2",
            None,
        );
        let mut agent = Agent::ask(server, &session, request).await;
        Followed::default().rest(&mut agent, Duration::ZERO).await;
    }
    assert!(is_kept("f9").await);
    assert!(!is_kept("e69").await);
    assert!(!is_kept("f0").await);
}
on_backends!(what_is_kept_is_bounded: process);

/// The way to the agent ends while a command is at work, and nothing of that shows.
async fn a_connection_that_breaks_loses_nothing(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let line = "for n in 1 2 3 4 5 6 7 8; do seq 1 20000; sleep 0.2; done; cat; exit 9";
    let input = "the input ".repeat(10_000);
    let slow = client.exec(&session, json!({"shell": line, "stdin": input}));
    let breaks = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        // The agent's own end of it, as when the engine is started anew. Its own goes as well.
        let line = r#"count=0; pids=""
            for process in /proc/[0-9]*; do
                argument=$(tr '\0' '\n' < $process/cmdline | sed -n 2p)
                [ "$argument" = bridge ] && count=$((count + 1)) && pids="$pids ${process#/proc/}"
            done 2>/dev/null
            kill -9 $pids; echo $count"#;
        client.output(&session, line).await
    };
    let (outcome, broken) = tokio::join!(slow, breaks);
    assert!(
        broken.parse::<u32>().unwrap() >= 2,
        "{broken} connections were broken"
    );
    let expected = [counted(20_000).repeat(8), input.into_bytes()].concat();
    assert!(!outcome.truncated);
    assert!(
        outcome.stdout.as_bytes() == expected,
        "not what was written"
    );
    assert_eq!(outcome.exit["code"], 9);
}
on_backends!(a_connection_that_breaks_loses_nothing: exec);
