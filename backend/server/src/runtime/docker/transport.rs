//! Reaching the agent in a container.
//!
//! Where the engine sees this machine's files, the agent's program and a directory for its socket
//! are mounted into the container. Elsewhere the program is copied in, and the socket is reached
//! through a command that the engine runs in the container.

use std::io;
use std::path::Path;

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio_util::io::StreamReader;

use super::DockerRuntime;
use crate::agent::{AGENT, AGENT_DIRECTORY, SOCKETS};
use crate::id::SessionId;
use crate::runtime::{RuntimeError, Stream};

/// How the agent's program gets into a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// By mounts.
    Mounted,
    /// By copying.
    Copied,
}

/// Whether an engine's complaint is about a mount whose source it does not see.
pub(super) fn is_about_mount(cause: &str, agent: &Path, run: &Path) -> bool {
    let mentions = |path: &Path| cause.contains(&*path.to_string_lossy());
    mentions(agent) || mentions(run)
}

/// Copies the agent's program into a container that has not been started.
pub(super) async fn copy_agent(
    runtime: &DockerRuntime,
    id: &SessionId,
) -> Result<(), RuntimeError> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind, mode, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes)
    };
    let packed = add(
        "agent",
        tar::EntryType::Regular,
        0o755,
        DockerRuntime::agent_binary(),
    )
    .and_then(|()| add("run/", tar::EntryType::Directory, 0o777, b""))
    .and_then(|()| archive.into_inner())
    .map_err(|cause| RuntimeError::Host {
        step: "packing the agent",
        cause,
    })?;
    let options = UploadToContainerOptionsBuilder::default()
        .path(AGENT_DIRECTORY)
        .build();
    runtime
        .docker
        .upload_to_container(
            &runtime.name(id),
            Some(options),
            bollard::body_full(Bytes::from(packed)),
        )
        .await
        .map_err(|error| runtime.error("copying the agent", error))
}

/// Connects to the agent through a command in the container.
pub(super) async fn bridge(
    runtime: &DockerRuntime,
    id: &SessionId,
) -> Result<Box<dyn Stream>, RuntimeError> {
    let failed = |error| runtime.error("connecting to the agent", error);
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(false),
        cmd: Some([AGENT, "bridge", SOCKETS].map(str::to_owned).to_vec()),
        ..CreateExecOptions::default()
    };
    let exec = runtime
        .docker
        .create_exec(&runtime.name(id), options)
        .await
        .map_err(failed)?;
    match runtime
        .docker
        .start_exec(&exec.id, None::<StartExecOptions>)
        .await
        .map_err(failed)?
    {
        StartExecResults::Attached { output, input } => {
            let output = output
                .map_ok(bollard::container::LogOutput::into_bytes)
                .map_err(io::Error::other);
            Ok(Box::new(tokio::io::join(StreamReader::new(output), input)))
        }
        StartExecResults::Detached => Err(RuntimeError::Engine {
            step: "connecting to the agent",
            cause: "the engine did not attach".to_owned(),
        }),
    }
}
