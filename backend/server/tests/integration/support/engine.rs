//! An engine, seen from outside of Shellport.

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{ContainerInspectResponse, ContainerSummary, Network};
use bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptions, ListContainersOptionsBuilder,
    ListNetworksOptionsBuilder, ListVolumesOptions, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder,
};

use super::wait::ok;

/// An engine.
pub struct Engine {
    /// The connection, for what a single test needs.
    pub docker: Docker,
}

impl Engine {
    /// The engine at this address.
    pub fn connect(address: &str) -> Self {
        Self {
            docker: ok("connecting", Docker::connect_with_host(address)),
        }
    }

    /// The containers of an instance of the server, running or not.
    pub async fn containers(&self, instance: &str) -> Vec<ContainerSummary> {
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&by_instance(instance))
            .build();
        ok("listing", self.docker.list_containers(Some(options)).await)
    }

    /// The networks of an instance of the server.
    pub async fn networks(&self, instance: &str) -> Vec<Network> {
        let options = ListNetworksOptionsBuilder::default()
            .filters(&by_instance(instance))
            .build();
        ok("listing", self.docker.list_networks(Some(options)).await)
    }

    /// The names of all volumes.
    pub async fn volumes(&self) -> Vec<String> {
        let answer = self.docker.list_volumes(None::<ListVolumesOptions>).await;
        let volumes = ok("listing", answer).volumes.unwrap_or_default();
        volumes.into_iter().map(|volume| volume.name).collect()
    }

    /// The name of a session's container.
    pub async fn container_of(&self, session: &str) -> String {
        let found = self.find_container_of(session).await;
        found.unwrap_or_else(|| panic!("{session} has no container"))
    }

    /// The name of a session's container, when it has one.
    pub async fn find_container_of(&self, session: &str) -> Option<String> {
        let label = format!("shellport.session={session}");
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&HashMap::from([("label", vec![label])]))
            .build();
        let found = ok("listing", self.docker.list_containers(Some(options)).await);
        assert!(found.len() <= 1, "more than one container for {session}");
        found.into_iter().next().and_then(|container| container.id)
    }

    /// Everything that the engine knows of a session's container.
    pub async fn inspect(&self, session: &str) -> ContainerInspectResponse {
        let name = self.container_of(session).await;
        let options = None::<InspectContainerOptions>;
        ok(
            "inspecting",
            self.docker.inspect_container(&name, options).await,
        )
    }

    /// Kills a container, as an operator might.
    pub async fn kill(&self, name: &str) {
        let options = None::<KillContainerOptions>;
        ok("killing", self.docker.kill_container(name, options).await);
    }

    /// Removes a container, as an operator might.
    pub async fn remove(&self, name: &str) {
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let removed = self.docker.remove_container(name, Some(options)).await;
        ok("removing", removed);
    }

    /// Removes an image, if it is there.
    pub async fn forget_image(&self, image: &str) {
        let options = RemoveImageOptionsBuilder::default().force(true).build();
        let _ = self.docker.remove_image(image, Some(options), None).await;
    }

    /// Removes everything of an instance, after a test that failed.
    pub async fn purge(&self, instance: &str) {
        for container in self.containers(instance).await {
            let options = RemoveContainerOptionsBuilder::default()
                .force(true)
                .v(true)
                .build();
            let id = container.id.unwrap_or_default();
            let _ = self.docker.remove_container(&id, Some(options)).await;
        }
        for network in self.networks(instance).await {
            let id = network.id.unwrap_or_default();
            let _ = self.docker.remove_network(&id).await;
        }
    }
}

fn by_instance(instance: &str) -> HashMap<&'static str, Vec<String>> {
    HashMap::from([("label", vec![format!("shellport.instance={instance}")])])
}
