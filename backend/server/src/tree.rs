//! Trees of files that somebody hostile has made.

use std::fs;
use std::io;
use std::path::Path;

/// Removes a directory that may hold others, nested as deep as a tenant likes: what is in them is
/// moved up instead of being descended into. Nobody else is at work in it any more.
///
/// # Errors
/// Those of the file system.
pub fn remove_tree(top: &Path) -> io::Result<()> {
    let mut moved = 0_u64;
    loop {
        let mut empty = true;
        for entry in fs::read_dir(top)? {
            empty = false;
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
                continue;
            }
            for inner in fs::read_dir(entry.path())? {
                let inner = inner?;
                if inner.file_type()?.is_dir() {
                    moved += 1;
                    let place = format!("{}.{moved}", std::process::id());
                    fs::rename(inner.path(), top.join(place))?;
                } else {
                    fs::remove_file(inner.path())?;
                }
            }
            fs::remove_dir(entry.path())?;
        }
        if empty {
            return fs::remove_dir(top);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_deep_tree_is_removed_and_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let kept = directory.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), "").unwrap();
        let top = directory.path().join("top");
        let mut deep = top.clone();
        for _ in 0..200 {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("file"), "").unwrap();
        symlink(&kept, deep.join("link")).unwrap();
        symlink(&kept, top.join("link")).unwrap();
        remove_tree(&top).unwrap();
        assert!(!top.exists());
        assert!(kept.join("file").exists());
    }
}
