//! What is left of a container whose monitor was killed.

use std::io;
use std::path::Path;

use super::cgroup::Cgroup;
use super::directory::Directory;
use super::engine::Engine;
use super::monitor;

/// Removes it, but for the directory. `program` is this one.
///
/// # Errors
/// When the kernel does not let go of the cgroup.
pub async fn clear(directory: &Directory, engine: &Engine, program: &Path) -> io::Result<()> {
    let Ok(container) = directory.container() else {
        return Ok(());
    };
    let delete = engine.command(directory, "delete").arg("--force");
    // It may know nothing of it.
    let _ = delete.arg(&container.id).run().await;
    if let Some(cgroup) = &container.cgroup {
        Cgroup::new(cgroup).end().await?;
    }
    monitor::clear(program, directory).await
}
