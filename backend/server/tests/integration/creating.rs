//! Creates that are repeated, cancelled, or fail.

use futures_util::future::join_all;
use http_body_util::Full;
use hyper::{Method, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::support::api::id;
use crate::support::backend::{on_backends, registry};
use crate::support::http::{Answer, Client};
use crate::support::server::TestServer;
use crate::support::wait::{LONG, until, within};

/// An engine has one store of images, so only one test at a time may need one not to be there.
static PULLING: Mutex<()> = Mutex::const_new(());

async fn create_with_key(client: &Client, key: &str, wish: &Value) -> Answer {
    let request = client
        .request(Method::POST, "/api/v1/sessions?wait=running")
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", key)
        .body(Full::new(wish.to_string().into()));
    client.send(request.unwrap()).await
}

async fn one_key_makes_one_session(server: &TestServer) {
    let client = &server.client;
    let wish = json!({"name": "once"});
    let all = join_all((0..10).map(|_| create_with_key(client, "key", &wish))).await;
    let mut fresh = 0;
    for answer in &all {
        match answer.status.as_u16() {
            201 => fresh += 1,
            200 => {}
            409 => drop(answer.expect_problem(409, "idempotency_key_busy", &["Idempotency-Key"])),
            _ => panic!("{answer:?}"),
        }
    }
    assert_eq!(fresh, 1, "{all:?}");
    let again = create_with_key(client, "key", &wish).await;
    let again = again.expect(200);
    assert_eq!(client.sessions().await, [id(&again)]);
    if let Some(engine) = server.backend.engine() {
        assert_eq!(engine.containers(&server.instance()).await.len(), 1);
    }
    let other = create_with_key(client, "key", &json!({"name": "another"})).await;
    other.expect_problem(422, "idempotency_key_reused", &["Idempotency-Key"]);
    let second = create_with_key(client, "another-key", &wish)
        .await
        .expect(201);
    assert_ne!(id(&second), id(&again));
    client.remove(&id(&again)).await;
    let spent = create_with_key(client, "key", &wish).await;
    spent.expect_problem(410, "idempotency_key_spent", &["deleted"]);
}
on_backends!(one_key_makes_one_session: docker, podman, process, embedded, crun, runc);

/// What a create that has failed says, and that nothing is left of it in the engine.
async fn fails(server: &TestServer, wish: Value, reason: &str, words: &[&str]) {
    let client = &server.client;
    let answer = client.post("/api/v1/sessions?wait=running", &wish).await;
    let session = answer.expect(201);
    assert_eq!(session["state"], "failed", "{session}");
    assert_eq!(session["state_reason"], reason, "{session}");
    let message = session["state_message"].as_str().unwrap();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
    let engine = server.engine();
    assert_eq!(engine.find_container_of(&id(&session)).await, None);
    let run = server.path().join("run").join(id(&session));
    assert!(!run.exists(), "{} is left", run.display());
    let networks = engine.networks(&server.instance()).await;
    let of_session = |network: &&bollard::models::Network| {
        let labels = network.labels.iter().flatten();
        labels.into_iter().any(|(_, value)| *value == id(&session))
    };
    assert_eq!(networks.iter().find(of_session), None);
    client.remove(&id(&session)).await;
}

async fn a_create_that_fails_leaves_nothing(server: &TestServer) {
    let nobody = json!({"user": "no-such-user"});
    fails(server, nobody, "engine_error", &["no-such-user"]).await;
    for malformed in ["UPPER/case", "upper//case", "upper:case:twice"] {
        let wish = json!({"image": malformed});
        let refused = server.client.post("/api/v1/sessions", &wish).await;
        let problem = refused.expect_problem(422, "not_allowed", &[malformed]);
        assert_eq!(problem["field"], "image");
    }
    if let Some(registry) = registry() {
        let image = format!("{registry}/shellport-test/nope:1");
        let missing = json!({"image": image});
        fails(server, missing, "image_not_available", &[&image]).await;
    }
}
on_backends!(a_create_that_fails_leaves_nothing: docker, podman, exec);

async fn an_image_is_pulled_with_progress(server: &TestServer) {
    let Some(registry) = registry() else { return };
    let _alone = PULLING.lock().await;
    let image = format!("{registry}/shellport-test/pull:1");
    server.engine().forget_image(&image).await;
    let client = &server.client;
    let made = client
        .post("/api/v1/sessions", &json!({"image": image}))
        .await;
    let session = id(&made.expect(201));
    let mut steps = Vec::new();
    until("it runs", LONG, async || {
        let view = client.look(&session).await;
        assert_ne!(view["state"], "failed", "{view}");
        if let Some(step) = view["progress"]["step"].as_str() {
            steps.push(step.to_owned());
            assert!(view["state_message"].is_string(), "{view}");
        }
        (view["state"] == "running").then_some(())
    })
    .await;
    assert!(
        steps.iter().any(|step| step == "pulling_image"),
        "{steps:?}"
    );
    assert_eq!(client.output(&session, "ls /srv | wc -l").await, "5");
    client.remove(&session).await;
    server.engine().forget_image(&image).await;
}
on_backends!(an_image_is_pulled_with_progress: docker, podman);

/// The registry takes the engine's connections and never says a word, so the pull cannot have ended.
async fn a_create_is_cancelled_while_it_pulls(server: &TestServer) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let image = format!("{}/a/b:1", silent.local_addr().unwrap());
    let client = &server.client;
    let made = client
        .post("/api/v1/sessions", &json!({"image": image}))
        .await;
    let session = id(&made.expect(201));
    let (_stalled, _) = within("the engine asks", LONG, silent.accept())
        .await
        .unwrap();
    let view = client.look(&session).await;
    assert_eq!(view["progress"]["step"], "pulling_image", "{view}");
    within("the delete", LONG, client.remove(&session)).await;
    assert_eq!(client.sessions().await, Vec::<String>::new());
    assert_eq!(server.engine().find_container_of(&session).await, None);
}
on_backends!(a_create_is_cancelled_while_it_pulls: docker, podman);

/// At whatever step a delete finds a create.
async fn a_create_is_cancelled_at_any_step(server: &TestServer) {
    let client = &server.client;
    for delay in [0, 5, 20, 60, 120, 250, 400] {
        let made = client
            .post("/api/v1/sessions", &json!({}))
            .await
            .expect(201);
        tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
        client.remove(&id(&made)).await;
        if let Some(engine) = server.backend.engine() {
            assert_eq!(engine.find_container_of(&id(&made)).await, None);
        }
        assert!(!server.path().join("run").join(id(&made)).exists());
    }
    assert_eq!(client.sessions().await, Vec::<String>::new());
}
on_backends!(a_create_is_cancelled_at_any_step: docker, podman, exec, process, embedded, crun, runc, rootless);

/// Copied into a volume of its own, the agent goes with the session.
async fn a_copied_agent_goes_with_its_session(server: &TestServer) {
    let session = server.client.session().await;
    let engine = server.engine();
    let mounts = engine.inspect(&session).await.mounts.unwrap();
    let volumes: Vec<_> = mounts.into_iter().filter_map(|mount| mount.name).collect();
    assert_eq!(volumes.len(), 1);
    assert!(engine.volumes().await.contains(&volumes[0]));
    server.client.remove(&session).await;
    assert!(!engine.volumes().await.contains(&volumes[0]));
}
on_backends!(a_copied_agent_goes_with_its_session: exec);
