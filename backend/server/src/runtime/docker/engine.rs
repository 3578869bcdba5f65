//! Finding an engine.

use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use tokio::time::timeout;

use crate::runtime::{Isolation, RuntimeError, RuntimeInfo};
use crate::session::Network;

/// How long an engine that was named may take to say that it is there: it may be busy.
const NAMED: Duration = Duration::from_secs(30);

/// How long one may take that is only looked for.
const LOOKED_FOR: Duration = Duration::from_secs(5);

/// Which engine it is; they differ where they should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Docker Engine.
    Docker,
    /// Podman.
    Podman,
}

/// An engine that answers.
pub struct Engine {
    pub(super) docker: Docker,
    pub(super) kind: EngineKind,
    version: String,
    endpoint: String,
}

impl Engine {
    /// Whether it runs on this machine, so that it may see this machine's files.
    pub(super) fn is_local(&self) -> bool {
        self.endpoint.starts_with("unix://")
    }

    /// Its name, version and address.
    pub fn describe(&self) -> String {
        let info = self.info();
        format!("{} at {}", info.engine, info.endpoint)
    }

    pub(super) fn info(&self) -> RuntimeInfo {
        let name = match self.kind {
            EngineKind::Docker => "Docker Engine",
            EngineKind::Podman => "Podman",
        };
        RuntimeInfo {
            name: "docker",
            engine: format!("{name} {}", self.version),
            endpoint: self.endpoint.clone(),
            isolation: Isolation::Container,
            networks: vec![Network::Host, Network::Bridge, Network::None],
            limitations: Vec::new(),
        }
    }
}

/// The engine at `address`, else the one `DOCKER_HOST` names, else the first at one of the usual
/// sockets.
///
/// # Errors
/// The address that was asked for does not answer, or none of the usual ones does.
pub async fn find(address: Option<&str>) -> Result<Engine, RuntimeError> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(address) = address.map(str::to_owned).or(variable("DOCKER_HOST")) {
        return connect(&address, NAMED).await;
    }
    let user = variable("XDG_RUNTIME_DIR");
    let mut sockets = vec!["/var/run/docker.sock".to_owned()];
    sockets.extend(user.as_ref().map(|user| format!("{user}/docker.sock")));
    sockets.push("/run/podman/podman.sock".to_owned());
    sockets.extend(user.map(|user| format!("{user}/podman/podman.sock")));
    let mut causes = Vec::new();
    for socket in &sockets {
        if !Path::new(socket).exists() {
            continue;
        }
        match connect(&format!("unix://{socket}"), LOOKED_FOR).await {
            Ok(engine) => return Ok(engine),
            Err(error) => causes.push(error.to_string()),
        }
    }
    if causes.is_empty() {
        causes.push("there is no socket there".to_owned());
    }
    Err(RuntimeError::Unreachable {
        endpoint: sockets.join(", "),
        cause: causes.join("; "),
    })
}

async fn connect(address: &str, limit: Duration) -> Result<Engine, RuntimeError> {
    let unreachable = |cause: String| RuntimeError::Unreachable {
        endpoint: address.to_owned(),
        cause,
    };
    let ask = async {
        let docker = Docker::connect_with_host(address)?
            .negotiate_version()
            .await?;
        let version = docker.version().await?;
        Ok::<_, bollard::errors::Error>((docker, version))
    };
    let (docker, version) = timeout(limit, ask)
        .await
        .map_err(|_| unreachable(format!("no answer in {} s", limit.as_secs())))?
        .map_err(|error| unreachable(error.to_string()))?;
    let podman = version
        .components
        .iter()
        .flatten()
        .any(|component| component.name.starts_with("Podman"));
    Ok(Engine {
        docker,
        kind: if podman {
            EngineKind::Podman
        } else {
            EngineKind::Docker
        },
        version: version.version.unwrap_or_else(|| "unknown".to_owned()),
        endpoint: address.to_owned(),
    })
}
