//! What happens to sessions and in them.

use hyper::Method;
use serde_json::{Value, json};

use crate::support::api::id;
use crate::support::backend::on_backends;
use crate::support::http::Client;
use crate::support::server::TestServer;
use crate::support::stream::{EVENTS, LINES, Streamed};
use crate::support::wait::{LONG, until};

async fn follow(client: &Client, path: &str, accept: &str, headers: &[(&str, &str)]) -> Streamed {
    let headers = [&[("accept", accept)], headers].concat();
    let streamed = client.stream(Method::GET, path, &headers, None).await;
    streamed.unwrap_or_else(|answer| panic!("{answer:?}"))
}

/// A session's whole life, and what happens in it.
async fn a_life_is_told(server: &TestServer) {
    let client = &server.client;
    let mut all = follow(client, "/api/v1/events", LINES, &[]).await;
    let session = client.session().await;
    let created = all.next_of("session_created").await;
    assert_eq!(created["session"], *session);
    let mut running = all.next_of("session_state").await;
    while running["state"] != "running" {
        running = all.next_of("session_state").await;
    }
    let mut one = follow(client, &Client::path(&session, "/events"), EVENTS, &[]).await;
    let wish = json!({"argv": ["sh", "-c", "echo out; exit 7"]});
    client
        .put(&Client::path(&session, "/execs/seven"), &wish)
        .await
        .expect(200);
    for stream in [&mut all, &mut one] {
        let started = stream.next_of("exec_started").await;
        assert_eq!(
            (&started["exec"], &started["argv"]),
            (&json!("seven"), &wish["argv"])
        );
        let ended = stream.next_of("exec_ended").await;
        assert_eq!(ended["exit"]["code"], 7, "{ended}");
        assert_eq!(ended["ends"], json!({"stdout": 4, "stderr": 0}));
    }
    let wish = json!({"name": "t", "command": ["sh", "-c", "read line; exit 3"]});
    client
        .post(&Client::path(&session, "/terminals"), &wish)
        .await
        .expect(201);
    let opened = one.next_of("terminal_opened").await;
    assert_eq!(
        (&opened["terminal"], &opened["argv"]),
        (&json!("t"), &wish["command"])
    );
    let input = Client::path(&session, "/terminals/t/input");
    client
        .post(&input, &json!({"keys": ["Enter"]}))
        .await
        .expect(200);
    assert_eq!(one.next_of("terminal_ended").await["exit"]["code"], 3);
    client.delete(&Client::path(&session, "/terminals/t")).await;
    assert_eq!(one.next_of("terminal_closed").await["terminal"], "t");
    client
        .post(&Client::path(&session, "/stop"), &json!({}))
        .await;
    let mut stopped = one.next_of("session_state").await;
    while stopped["state"] != "stopped" {
        stopped = one.next_of("session_state").await;
    }
    client.delete(&session_path(&session)).await;
    one.next_of("session_deleted").await;
    assert!(one.next().await.is_none(), "nothing comes after");
    all.next_of("session_deleted").await;
}
on_backends!(a_life_is_told: docker, podman, exec, process, embedded, crun);

fn session_path(session: &str) -> String {
    Client::path(session, "")
}

/// Pages, from any event on, and what is asked for only.
async fn events_go_on_behind_any(server: &TestServer) {
    let client = &server.client;
    let first = client.get("/api/v1/events").await.expect(200);
    assert_eq!(first["data"], json!([]));
    let session = client.session().await;
    for number in 0..3 {
        let path = Client::path(&session, &format!("/execs/e{number}"));
        client
            .put(&path, &json!({"argv": ["true"]}))
            .await
            .expect(200);
    }
    let since = |next: &Value| format!("since={}", next.as_str().unwrap());
    let types = "types=exec_ended,session_created";
    let path = format!("/api/v1/events?{types}&{}", since(&first["next"]));
    let page = until("all have been told", LONG, async || {
        let page = client.get(&path).await.expect(200);
        (page["data"].as_array().unwrap().len() == 4).then_some(page)
    })
    .await;
    let told: Vec<&Value> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["exec"])
        .collect();
    assert_eq!(
        told,
        [&Value::Null, &json!("e0"), &json!("e1"), &json!("e2")]
    );
    // Page by page.
    let two = client.get(&format!("{path}&limit=2")).await.expect(200);
    let rest = format!("/api/v1/events?{types}&{}&limit=2", since(&two["next"]));
    let rest = client.get(&rest).await.expect(200);
    let both = [&two["data"], &rest["data"]]
        .map(|it| it.as_array().unwrap().clone())
        .concat();
    assert_eq!(json!(both), page["data"]);
    // Waiting for what comes.
    let waits = format!(
        "/api/v1/events?types=exec_ended&{}&wait=20s",
        since(&page["next"])
    );
    let (come, ()) = tokio::join!(client.get(&waits), async {
        let path = Client::path(&session, "/execs/late");
        client
            .put(&path, &json!({"argv": ["true"]}))
            .await
            .expect(200);
    });
    assert_eq!(come.expect(200)["data"][0]["exec"], "late");
    // A browser that comes back.
    let last = page["data"][2]["id"].as_str().unwrap();
    let path = Client::path(&session, "/events");
    let mut streamed = follow(client, &path, EVENTS, &[("last-event-id", last)]).await;
    assert_eq!(streamed.next_of("exec_ended").await["exec"], "e2");
    assert!(streamed.last.is_some());
    // Of another server there are none, which is told.
    let path = format!("{path}?since=another-7");
    let mut streamed = follow(client, &path, LINES, &[]).await;
    assert_eq!(
        streamed.next().await.unwrap(),
        json!({"type": "gap", "id": null, "at": null, "session": null, "missed": null})
    );
    assert_eq!(
        streamed.next_of("session_created").await["session"],
        *session
    );
    for (query, field) in [
        ("since=nonsense", "since"),
        ("limit=0", "limit"),
        ("types=exec_end", "types"),
        ("wait=1h", "wait"),
    ] {
        let refused = client.get(&format!("/api/v1/events?{query}")).await;
        let problem = refused.expect_problem(400, "invalid_request", &[]);
        assert_eq!(problem["field"], field);
    }
}
on_backends!(events_go_on_behind_any: process, docker, embedded);

/// The image's own command is heard of when it ends.
async fn a_main_process_is_told(server: &TestServer) {
    let client = &server.client;
    let mut all = follow(client, "/api/v1/events", LINES, &[]).await;
    let wish = json!({"command": ["sh", "-c", "sleep 0.5; exit 4"]});
    let session = id(&client.create(wish).await);
    assert_eq!(all.next_of("main_ended").await["exit"]["code"], 4);
    until("the session shows it", LONG, async || {
        let view = client.look(&session).await;
        (view["main"]["exit"]["code"] == 4).then_some(())
    })
    .await;
}
on_backends!(a_main_process_is_told: docker, embedded, crun);
