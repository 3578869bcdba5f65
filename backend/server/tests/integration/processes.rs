//! What runs in a sandbox.

use hyper::Method;
use serde_json::{Value, json};

use crate::support::api::id;
use crate::support::backend::{Backend, on_backends};
use crate::support::http::Client;
use crate::support::server::TestServer;
use crate::support::wait::{LONG, until};

/// A session's processes.
async fn list(client: &Client, session: &str) -> Vec<Value> {
    let list = client
        .get(&Client::path(session, "/processes"))
        .await
        .expect(200);
    list["data"].as_array().unwrap().clone()
}

async fn processes_are_listed_as_a_tree(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    assert_eq!(
        list(client, &session).await,
        Vec::<Value>::new(),
        "nothing but ours runs"
    );
    let exec = Client::path(&session, "/execs/tree");
    let line = "sleep 1001 & (setsid sleep 1002 &); while :; do :; done";
    client
        .put(&exec, &json!({"shell": line, "background": true}))
        .await
        .expect(201);
    let processes = until("all run", LONG, async || {
        let all = list(client, &session).await;
        let busy = all.iter().any(|it| it["cpu_ms"].as_u64() > Some(100));
        (all.len() == 3 && busy).then_some(all)
    })
    .await;
    let named = |argument: &str| {
        let found = processes.iter().find(|it| it["argv"][1] == argument);
        found.unwrap_or_else(|| panic!("{argument} is not in {processes:?}"))
    };
    let (shell, child, away) = (named("-c"), named("1001"), named("1002"));
    assert_eq!(shell["argv"], json!(["/bin/sh", "-c", line]));
    assert_eq!(
        (&shell["parent"], &shell["state"]),
        (&Value::Null, &json!("running"))
    );
    assert_eq!(
        (&child["parent"], &child["state"]),
        (&shell["pid"], &json!("sleeping"))
    );
    // What forks away is below nobody that is told of.
    assert_eq!(
        (&away["parent"], &away["name"]),
        (&Value::Null, &json!("sleep"))
    );
    assert!(
        shell["memory"].as_u64() > Some(0) && shell["threads"] == 1,
        "{shell}"
    );
    let view = client.get(&exec).await.expect(200);
    assert_eq!(view["pid"], shell["pid"]);
    let seconds = |time: &Value| {
        time.as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
            .as_second()
    };
    let apart = seconds(&shell["started_at"]) - seconds(&view["started_at"]);
    assert!(apart.abs() <= 2, "{shell} {view}");

    // One is signalled, and then the tree below another.
    let signal = async |process: &Value, wish: Value| {
        let path = Client::path(&session, &format!("/processes/{}/signal", process["pid"]));
        client.post(&path, &wish).await
    };
    signal(away, json!({"signal": "SIGTERM"})).await.expect(204);
    signal(shell, json!({"signal": "SIGKILL", "tree": true}))
        .await
        .expect(204);
    until("all have ended", LONG, async || {
        list(client, &session).await.is_empty().then_some(())
    })
    .await;
    let late = signal(shell, json!({"signal": "SIGTERM"})).await;
    late.expect_problem(404, "process_not_found", &[]);
    let view = client.get(&exec).await.expect(200);
    assert_eq!(view["exit"]["signal"], "SIGKILL");
}
on_backends!(processes_are_listed_as_a_tree: docker, podman, exec, process, embedded, crun, rootless);

async fn ports_are_told(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let exec = Client::path(&session, "/execs/listens");
    let wish = json!({"argv": ["nc", "-l", "-p", "8123"], "background": true});
    client.put(&exec, &wish).await.expect(201);
    let ports = until("it listens", LONG, async || {
        let all = list(client, &session).await;
        let ports = all.first()?["ports"].clone();
        (ports != json!([])).then_some(ports)
    })
    .await;
    assert_eq!((&ports[0]["port"], &ports[1]), (&json!(8123), &Value::Null));
    let address = ports[0]["address"].as_str().unwrap();
    assert!(["0.0.0.0", "::"].contains(&address), "{ports}");
    client.delete(&exec).await.expect(204);
}
on_backends!(ports_are_told: docker, embedded, crun);

async fn what_is_not_there_cannot_be_signalled(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    for pid in ["999999999", "0", "-1", "x"] {
        let path = Client::path(&session, &format!("/processes/{pid}/signal"));
        let answer = client.post(&path, &json!({"signal": "SIGTERM"})).await;
        answer.expect_problem(404, "process_not_found", &[pid]);
    }
    // Ours are nobody's to signal here.
    let path = Client::path(&session, "/processes/1/signal");
    let answer = client.post(&path, &json!({"signal": "SIGTERM"})).await;
    answer.expect_problem(404, "process_not_found", &["1"]);
    let exec = Client::path(&session, "/execs/one");
    let wish = json!({"shell": "sleep 1000", "background": true});
    let exec = client.put(&exec, &wish).await.expect(201);
    let path = Client::path(&session, &format!("/processes/{}/signal", exec["pid"]));
    let answer = client.post(&path, &json!({"signal": "SIGNONE"})).await;
    assert_eq!(
        answer.expect_problem(422, "not_allowed", &["SIGNONE"])["field"],
        "signal"
    );
}
on_backends!(what_is_not_there_cannot_be_signalled: process, embedded);

async fn what_is_used_is_told(server: &TestServer) {
    let client = &server.client;
    let wish = json!({"memory": "128m", "pids": 64});
    let session = id(&client.create(wish).await);
    let exec = Client::path(&session, "/execs/busy");
    let line = "sleep 1000 & head -c 20000000 /dev/zero | tail -c 20000000 >/tmp/held; while :; do :; done";
    client
        .put(&exec, &json!({"shell": line, "background": true}))
        .await
        .expect(201);
    let path = Client::path(&session, "/stats");
    let stats = until("it is busy", LONG, async || {
        let stats = client.get(&path).await.expect(200);
        (stats["cpu_ms"].as_u64() > Some(200)).then_some(stats)
    })
    .await;
    let of = |name: &str| stats[name].as_u64().unwrap_or_default();
    assert!(of("memory") > 0 && of("pids") >= 2, "{stats}");
    assert!(
        of("disk_total") >= of("disk_used") && of("disk_used") > 0,
        "{stats}"
    );
    if server.backend != Backend::Process {
        assert_eq!(
            (of("memory_limit"), of("pids_limit")),
            (128 << 20, 64),
            "{stats}"
        );
    }
    let headers = [("accept", "application/x-ndjson")];
    let path = format!("{path}?interval=100ms");
    let streamed = client.stream(Method::GET, &path, &headers, None).await;
    let mut streamed = streamed.unwrap_or_else(|answer| panic!("{answer:?}"));
    let mut last = stats["cpu_ms"].as_u64();
    for _ in 0..3 {
        let now = streamed.next().await.expect("it goes on")["cpu_ms"].as_u64();
        assert!(now >= last && now.is_some(), "{now:?} after {last:?}");
        last = now;
    }
    let often = client.get(&path.replace("100ms", "1ms")).await;
    let problem = often.expect_problem(400, "invalid_request", &["100ms"]);
    assert_eq!(problem["field"], "interval");
}
on_backends!(what_is_used_is_told: docker, podman, process, embedded, crun);
