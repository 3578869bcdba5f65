//! What is left of a container whose monitor was killed.

use std::io;
use std::time::Duration;

use super::cgroup::Cgroup;
use super::directory::Directory;
use super::engine::Engine;

/// How long the kernel may take to let go of a cgroup.
const REMOVAL: Duration = Duration::from_secs(20);

/// Removes it, but for the directory.
///
/// # Errors
/// When the kernel does not let go of the cgroup.
pub async fn clear(directory: &Directory, engine: &Engine) -> io::Result<()> {
    let Ok(container) = directory.container() else {
        return Ok(());
    };
    let delete = engine.command(directory, "delete").arg("--force");
    // It may know nothing of it.
    let _ = delete.arg(&container.id).run().await;
    match &container.cgroup {
        Some(cgroup) => Cgroup::new(cgroup).end(REMOVAL).await,
        None => Ok(()),
    }
}
