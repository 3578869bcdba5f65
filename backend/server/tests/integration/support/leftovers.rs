//! The check that nothing of a server is left: no container, network, socket or process.

use std::path::Path;
use std::time::Duration;

use super::backend::Backend;
use super::oci;
use super::wait::until;

/// Fails when something is left of the instance of the server in this data directory.
pub async fn assert_nothing_left(backend: Backend, data_dir: &Path) {
    let instance = instance(data_dir);
    if let Some(engine) = backend.engine() {
        let names: Vec<_> = engine.containers(&instance).await;
        let names: Vec<_> = names.into_iter().filter_map(|it| it.names).collect();
        assert!(names.is_empty(), "containers are left: {names:?}");
        let networks = engine.networks(&instance).await;
        let networks: Vec<_> = networks.into_iter().filter_map(|it| it.name).collect();
        assert!(networks.is_empty(), "networks are left: {networks:?}");
    }
    if backend.oci_engine().is_some() {
        oci::assert_nothing_left(data_dir, &instance);
    }
    let run = std::fs::read_dir(data_dir.join("run")).unwrap();
    let run: Vec<_> = run.map(|entry| entry.unwrap().file_name()).collect();
    assert!(run.is_empty(), "socket directories are left: {run:?}");
    // Whoever ends them need not be the one who waits for them.
    let limit = Duration::from_secs(10);
    until("processes of the data directory end", limit, async || {
        processes(data_dir).is_empty().then_some(())
    })
    .await;
}

/// The instance's name.
pub fn instance(data_dir: &Path) -> String {
    let name = std::fs::read_to_string(data_dir.join("instance")).unwrap();
    name.trim().to_owned()
}

/// The living processes with this directory in their command line.
fn processes(directory: &Path) -> Vec<u32> {
    let wanted = directory.to_string_lossy();
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            // A zombie's command line is empty.
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&*wanted)
        })
        .collect()
}
