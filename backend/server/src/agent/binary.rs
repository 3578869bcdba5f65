//! The agent's program, which the server carries inside itself.

use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

static BINARY: &[u8] = include_bytes!(env!("SHELLPORT_AGENT_BINARY"));

/// The program, a static ELF file.
pub fn binary() -> &'static [u8] {
    BINARY
}

/// Puts the program into `directory` and returns its path. The name tells its content, so that a
/// newer server does not replace a file from which older sandboxes run.
///
/// # Errors
/// Those of writing.
pub fn install(directory: &Path) -> io::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    BINARY.hash(&mut hasher);
    let name = format!("shellport-agent-{:016x}", hasher.finish());
    let path = directory.join(name);
    if fs::metadata(&path).is_ok_and(|file| file.len() == BINARY.len() as u64) {
        return Ok(path);
    }
    fs::create_dir_all(directory)?;
    // A name of its own, since others may be doing the same.
    let mut unready = NamedTempFile::new_in(directory)?;
    unready.write_all(BINARY)?;
    fs::set_permissions(unready.path(), Permissions::from_mode(0o755))?;
    unready.persist(&path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_install_one_whole_program() {
        let directory = tempfile::tempdir().unwrap();
        let installed = std::thread::scope(|scope| {
            let start = || {
                let path = install(directory.path())?;
                fs::read(path)
            };
            let all: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
            all.into_iter()
                .map(|one| one.join().unwrap())
                .collect::<Vec<_>>()
        });
        for program in installed {
            assert!(program.unwrap() == BINARY);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
