//! The ways to a terminal that are compared. Each starts the same shell, in which the same
//! [programs](super::workload::PROGRAMS) are started.

mod docker;
mod peers;
mod raw;
mod shellport;

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::connection::Terminal;
use super::processes::Processes;
use super::wait::Result;

pub use self::raw::Raw;
pub use self::shellport::{Shellport, Step, Viewer};

/// How a terminal is reached.
#[async_trait]
pub trait Way: Send + Sync {
    /// What it is called in the tables.
    fn name(&self) -> &'static str;

    /// What it is called in results and on the command line.
    fn key(&self) -> &'static str;

    /// Where the files of [`super::workload::files`] are, as its terminals see it.
    fn directory(&self) -> &str;

    /// Whether its connections block the thread that uses them.
    fn blocks(&self) -> bool {
        false
    }

    /// Whether a connection needs a container or a program of its own, so that there are not many.
    fn is_heavy(&self) -> bool {
        false
    }

    /// Whether it is somebody else's program, whose faults are told and fail nothing.
    fn is_peer(&self) -> bool {
        false
    }

    /// Makes what [`Self::connect`] connects to and is no part of connecting.
    async fn place(&self) -> Result<Place> {
        Ok(Place(String::new()))
    }

    /// Connects, which starts a shell. A place can be used again when its shell has ended.
    async fn connect(&self, place: &Place) -> Result<Terminal>;

    /// What serves the terminals in all places that were made so far.
    async fn serving(&self) -> Result<Processes>;

    /// Ends and removes everything that it has made.
    async fn clear(&self);
}

/// Where a shell is started by connecting.
pub struct Place(String);

/// The keys of all ways there are, in the order of the tables.
pub const KEYS: [&str; 10] = [
    RAW,
    "docker-attach",
    "docker-exec",
    "docker-cli",
    "shellport-docker",
    "shellport-oci",
    "shellport-process",
    "terminado",
    "wetty",
    "node-pty",
];

/// The way that all others are compared with.
pub const RAW: &str = "raw";

/// Why a way cannot be measured here, which is no fault.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Absent(String);

/// Starts the ways with these keys, behind those that are there already. One that is absent is told
/// and left out, and so is a peer that does not start.
pub async fn start(
    ways: &mut Vec<Arc<dyn Way>>,
    keys: &[&'static str],
    directory: &Path,
) -> Result<()> {
    for key in keys {
        match start_one(key, directory).await {
            Ok(way) => ways.push(way),
            Err(error) if error.is::<Absent>() => println!("skip: no {key}: {error}"),
            Err(error) => return Err(format!("{key}: {error}").into()),
        }
    }
    Ok(())
}

async fn start_one(key: &'static str, directory: &Path) -> Result<Arc<dyn Way>> {
    Ok(match key {
        RAW => Arc::new(Raw::new(directory)),
        "docker-attach" => Arc::new(docker::Attach::new().await?),
        "docker-exec" => Arc::new(docker::Exec::new().await?),
        "docker-cli" => Arc::new(docker::Cli::new().await?),
        "shellport-docker" => Arc::new(Shellport::on_docker(directory).await?),
        "shellport-oci" => Arc::new(Shellport::on_oci(directory).await?),
        "shellport-process" => Arc::new(Shellport::on_process(directory).await?),
        "terminado" => Arc::new(peers::terminado(directory).await.map_err(absent)?),
        "wetty" => Arc::new(peers::wetty(directory).await.map_err(absent)?),
        "node-pty" => Arc::new(peers::node_pty(directory).await.map_err(absent)?),
        other => return Err(format!("there is no way {other}").into()),
    })
}

fn absent(why: impl Display) -> Absent {
    Absent(why.to_string())
}

/// The address of the tests' Docker Engine.
fn docker_address() -> std::result::Result<String, Absent> {
    let variable = "SHELLPORT_TEST_DOCKER";
    std::env::var(variable).map_err(|_| Absent(format!("{variable} is not set")))
}
