//! Sandboxes without a session are removed when the server starts; those of others are not touched.

use std::collections::HashMap;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::CreateContainerOptionsBuilder;

use crate::support::api::IMAGE;
use crate::support::backend::Backend;
use crate::support::engine::Engine;
use crate::support::server::{TestServer, directory};
use crate::support::wait::ok;

/// Makes and starts a container with the labels of this instance and session.
async fn container(engine: &Engine, instance: &str, session: &str) -> String {
    let labels = HashMap::from([
        ("shellport.instance".to_owned(), instance.to_owned()),
        ("shellport.session".to_owned(), session.to_owned()),
        ("shellport.schema".to_owned(), "1".to_owned()),
    ]);
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(vec!["sleep".to_owned(), "1000".to_owned()]),
        labels: Some(labels),
        ..ContainerCreateBody::default()
    };
    let name = format!("shellport-{instance}-{session}");
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let made = engine.docker.create_container(Some(options), body).await;
    ok("creating", made);
    name
}

async fn orphans_are_removed_and_others_are_not(backend: Backend) {
    let Some(engine) = backend.engine() else {
        return;
    };
    let session = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let directory = directory();
    let server = TestServer::start_in(directory.path(), backend, &[]).await;
    let server = ok("starting", server.unwrap());
    let instance = server.instance();
    let kept = server.client.session().await;
    server.shut_down().await;
    let orphan = container(&engine, &instance, session).await;
    let foreign_instance = format!("{instance}-other");
    let foreign = container(&engine, &foreign_instance, session).await;
    let run = directory
        .path()
        .join("run")
        .join("bbbbbbbbbbbbbbbbbbbbbbbbbb");
    std::fs::create_dir(&run).unwrap();
    let server = TestServer::start_in(directory.path(), backend, &[]).await;
    let server = ok("starting", server.unwrap());
    let containers = engine.containers(&instance).await;
    let foreigners = engine.containers(&foreign_instance).await;
    engine.remove(&foreign).await;
    assert_eq!(containers.len(), 1, "{orphan} is left");
    assert_eq!(foreigners.len(), 1);
    assert!(!run.exists(), "{} is left", run.display());
    assert_eq!(server.client.sessions().await, std::slice::from_ref(&kept));
    assert_eq!(server.client.output(&kept, "echo fine").await, "fine");
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn docker() {
    orphans_are_removed_and_others_are_not(Backend::Docker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn podman() {
    orphans_are_removed_and_others_are_not(Backend::Podman).await;
}
