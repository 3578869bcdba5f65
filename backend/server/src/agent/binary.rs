//! The agent's program, which the server carries inside itself.

use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

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
    let unready = path.with_extension("new");
    fs::write(&unready, BINARY)?;
    fs::set_permissions(&unready, Permissions::from_mode(0o755))?;
    fs::rename(&unready, &path)?;
    Ok(path)
}
