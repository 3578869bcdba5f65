//! The networks of sandboxes, on which they do not reach each other.
//!
//! Docker has one bridge for all of an instance's sandboxes, without communication between its
//! containers: its default address pools hold some thirty networks. Podman has no such bridge, but
//! keeps isolated networks from each other, so there each session has its own.

use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::models::{Network, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptionsBuilder;

use tokio::time::sleep;

use super::engine::EngineKind;
use super::{DockerRuntime, LABEL_INSTANCE, LABEL_SESSION, libpod};
use crate::id::SessionId;
use crate::runtime::RuntimeError;

/// The name of the network for a session's container; the network is there when this returns.
pub(super) async fn ensure(
    runtime: &DockerRuntime,
    id: &SessionId,
) -> Result<String, RuntimeError> {
    match runtime.kind {
        EngineKind::Docker => {
            let name = shared(runtime);
            let _turn = runtime.network_turn.lock().await;
            let request = NetworkCreateRequest {
                name: name.clone(),
                driver: Some("bridge".to_owned()),
                options: Some(
                    [("com.docker.network.bridge.enable_icc", "false")]
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .into(),
                ),
                labels: Some(runtime.labels(None).into_iter().collect()),
                ..NetworkCreateRequest::default()
            };
            match runtime.docker.inspect_network(&name, None).await {
                Ok(_) => return Ok(name),
                Err(EngineError::DockerResponseServerError {
                    status_code: 404, ..
                }) => {}
                Err(error) => return Err(runtime.error("looking for the network", error)),
            }
            match runtime.docker.create_network(request).await {
                // Another create was faster.
                Ok(_)
                | Err(EngineError::DockerResponseServerError {
                    status_code: 409, ..
                }) => Ok(name),
                Err(error) => Err(runtime.error("creating the network", error)),
            }
        }
        EngineKind::Podman => {
            let name = runtime.name(id);
            let labels = runtime.labels(Some(id));
            libpod::create_isolated_network(&runtime.info.endpoint, &name, labels)
                .await
                .map_err(|cause| RuntimeError::Engine {
                    step: "creating the network",
                    cause,
                })?;
            Ok(name)
        }
    }
}

/// Removes what [`ensure`] has made for this session alone.
pub(super) async fn release(runtime: &DockerRuntime, id: &SessionId) -> Result<(), RuntimeError> {
    match runtime.kind {
        EngineKind::Docker => Ok(()),
        EngineKind::Podman => remove(runtime, &runtime.name(id)).await,
    }
}

/// The sessions that have a network of their own.
pub(super) async fn sessions(runtime: &DockerRuntime) -> Result<Vec<SessionId>, RuntimeError> {
    let session = |network: Network| network.labels?.get(LABEL_SESSION)?.parse().ok();
    Ok(list(runtime)
        .await?
        .into_iter()
        .filter_map(session)
        .collect())
}

/// Removes the shared network, on which no sandbox is left. An engine may still be busy with the
/// last of them, so it is asked more than once.
pub(super) async fn close(runtime: &DockerRuntime) -> Result<(), RuntimeError> {
    for _ in 0..30 {
        remove_shared(runtime).await?;
        if list(runtime).await?.is_empty() {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn remove_shared(runtime: &DockerRuntime) -> Result<(), RuntimeError> {
    for network in list(runtime).await? {
        let of_session = network
            .labels
            .is_some_and(|it| it.contains_key(LABEL_SESSION));
        if let (false, Some(id)) = (of_session, network.id) {
            remove(runtime, &id).await?;
        }
    }
    Ok(())
}

async fn list(runtime: &DockerRuntime) -> Result<Vec<Network>, RuntimeError> {
    let label = format!("{LABEL_INSTANCE}={}", runtime.instance);
    let options = ListNetworksOptionsBuilder::default()
        .filters(&[("label", vec![label])].into())
        .build();
    let networks = runtime.docker.list_networks(Some(options)).await;
    networks.map_err(|error| runtime.error("listing networks", error))
}

fn shared(runtime: &DockerRuntime) -> String {
    format!("shellport-{}", runtime.instance)
}

async fn remove(runtime: &DockerRuntime, name: &str) -> Result<(), RuntimeError> {
    match runtime.docker.remove_network(name).await {
        // It is not there, or stopped containers still belong to it.
        Ok(())
        | Err(EngineError::DockerResponseServerError {
            status_code: 403 | 404,
            ..
        }) => Ok(()),
        Err(error) => Err(runtime.error("removing the network", error)),
    }
}
