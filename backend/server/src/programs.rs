//! Programs of this machine.

use std::path::PathBuf;

/// Where programs are as well, some of which are the administrator's.
const PLACES: [&str; 6] = [
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
];

/// Where the program of this name is, if it is installed.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(PLACES.map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}
