//! Lists, changes, and what is told about the server itself.

use http_body_util::Full;
use hyper::{Method, header};
use serde_json::{Value, json};

use crate::support::api::id;
use crate::support::backend::on_backends;
use crate::support::http::{Answer, Client};
use crate::support::server::TestServer;

async fn lists_are_filtered_and_paged(server: &TestServer) {
    let client = &server.client;
    let mut made = Vec::new();
    for number in 0..5 {
        let colour = if number % 2 == 0 { "red" } else { "blue" };
        let wish = json!({"name": format!("n{number}"), "labels": {"colour": colour}});
        made.push(id(&client.create(wish).await));
    }
    made.reverse();
    assert_eq!(client.sessions().await, made, "the newest is first");
    let list = async |query: &str| -> (Vec<String>, Value) {
        let page = client
            .get(&format!("/api/v1/sessions?{query}"))
            .await
            .expect(200);
        let data = page["data"].as_array().unwrap().iter().map(id).collect();
        (data, page["next_cursor"].clone())
    };
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let (page, next) = list(&format!("limit=2{cursor}")).await;
        pages.push(page);
        match next {
            Value::String(next) => cursor = format!("&cursor={next}"),
            next => break assert_eq!(next, Value::Null),
        }
    }
    let sizes: Vec<_> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(pages.concat(), made);
    assert_eq!(list("name=n3").await.0, [made[1].clone()]);
    assert_eq!(
        list("label=colour%3Dblue").await.0,
        [made[1].clone(), made[3].clone()]
    );
    assert_eq!(list("label=colour%3Dgreen").await.0, Vec::<String>::new());
    client.stop(&made[0], "1s").await;
    assert_eq!(list("state=stopped").await.0, [made[0].clone()]);
    assert_eq!(list("state=running").await.0, made[1..]);
    let both = list("state=running&label=colour%3Dred&limit=1").await;
    assert_eq!(both.0, [made[2].clone()]);
    assert!(both.1.is_string());
}
on_backends!(lists_are_filtered_and_paged: process);

async fn patch(client: &Client, session: &str, etag: &str, change: &Value) -> Answer {
    let request = client.request(Method::PATCH, &Client::path(session, ""));
    let request = request.header(header::IF_MATCH, etag);
    client
        .send(request.body(Full::new(change.to_string().into())).unwrap())
        .await
}

async fn a_change_needs_the_version_it_was_made_for(server: &TestServer) {
    let client = &server.client;
    let session = id(&client
        .create(json!({"name": "old", "labels": {"a": "b"}}))
        .await);
    let path = Client::path(&session, "");
    let etag = client.get(&path).await.header("etag").to_owned();
    let change = json!({"name": "new", "ttl": "1h", "idle_timeout": "30m"});
    let changed = patch(client, &session, &etag, &change).await;
    let view = changed.expect(200);
    assert_eq!(
        (&view["name"], &view["idle_timeout"]),
        (&json!("new"), &json!("30m"))
    );
    assert_eq!(view["labels"], json!({"a": "b"}), "what is absent stays");
    assert!(view["expires_at"].is_string(), "{view}");
    let second = changed.header("etag").to_owned();
    assert_ne!(second, etag);
    let stale = patch(client, &session, &etag, &json!({"name": "newer"})).await;
    stale.expect_problem(412, "version_mismatch", &["version"]);
    let odd = patch(client, &session, "W/what", &json!({})).await;
    odd.expect_problem(400, "invalid_request", &["If-Match"]);
    let nulls = json!({"name": null, "ttl": null, "idle_timeout": null, "labels": {}});
    let cleared = patch(client, &session, &second, &nulls).await.expect(200);
    for field in ["name", "expires_at", "idle_timeout"] {
        assert_eq!(cleared[field], Value::Null, "{field}");
    }
    assert_eq!(cleared["labels"], json!({}));
    let without = client
        .json(Method::PATCH, &path, &json!({"name": "free"}))
        .await;
    assert_eq!(without.expect(200)["name"], "free");
    let image = client
        .json(Method::PATCH, &path, &json!({"image": "other"}))
        .await;
    assert_eq!(
        image.expect_problem(400, "invalid_request", &["image"])["field"],
        "image"
    );
    assert_eq!(
        client.get(&path).await.header("etag"),
        without.header("etag")
    );
}
on_backends!(a_change_needs_the_version_it_was_made_for: process);

async fn the_server_tells_of_itself(server: &TestServer) {
    let client = &server.client;
    assert_eq!(client.get("/healthz").await.text(), "ok\n");
    assert_eq!(client.get("/readyz").await.text(), "ready\n");
    let info = client.get("/api/v1/info").await.expect(200);
    let isolation = if server.backend.engine().is_some() {
        "container"
    } else {
        "none"
    };
    assert_eq!(info["runtime"]["isolation"], isolation, "{info}");
    assert_eq!(info["defaults"]["pids"], 512, "{info}");
    let session = client.session().await;
    client.output(&session, "true").await;
    let metrics = client.get("/metrics").await;
    assert!(
        metrics.header("content-type").contains("openmetrics"),
        "{metrics:?}"
    );
    let text = metrics.text();
    for line in ["# EOF", "# TYPE", "running"] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert!(!text.contains(&session), "an id is no label: {text}");
    let document = client.get("/api/v1/openapi.json").await.expect(200);
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3."),
        "{document}"
    );
    let kept = include_str!("../../../../docs/openapi.json");
    let kept: Value = serde_json::from_str(kept).unwrap();
    assert!(
        document == kept,
        "docs/openapi.json is not what the server says; write it again"
    );
}
on_backends!(the_server_tells_of_itself: docker, process);

/// Headers that keep a browser from doing more than it should.
async fn answers_are_guarded(server: &TestServer) {
    for path in ["/", "/api/v1/info", "/nothing", "/healthz"] {
        let answer = server.client.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe-inline' 'script") && !policy.contains("'unsafe-eval'"));
    }
    // Nothing is changed by GET.
    let answer = server.client.get("/api/v1/sessions/x/stop").await;
    assert_eq!(answer.status, 405);
}
on_backends!(answers_are_guarded: process);
