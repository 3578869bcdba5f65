//! A tree of files, as something that can be compared.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr};

/// What is at each path below `root`: kind, mode, owner, time, contents, links and attributes.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut inodes = HashMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_owned();
        let kind = metadata.file_type();
        let contents = if kind.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
            "directory".to_owned()
        } else if kind.is_symlink() {
            format!("link to {}", fs::read_link(&path).unwrap().display())
        } else if kind.is_file() {
            let digest = super::archive::digest(&fs::read(&path).unwrap());
            format!("{} bytes {digest}", metadata.len())
        } else if kind.is_fifo() {
            "fifo".to_owned()
        } else {
            format!("device {:?}", metadata.rdev())
        };
        found.insert(
            name.clone(),
            format!(
                "{contents} {:o} {}:{} {}.{:09} {}",
                metadata.mode(),
                metadata.uid(),
                metadata.gid(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                attributes(&path)
            ),
        );
        if !kind.is_dir() && metadata.nlink() > 1 {
            inodes
                .entry((metadata.dev(), metadata.ino()))
                .or_insert_with(Vec::new)
                .push(name);
        }
    }
    // Which names are of one file; the lowest of them stands for it.
    for mut names in inodes.into_values() {
        names.sort();
        for name in &names {
            let text = found.get_mut(name).unwrap();
            *text = format!("{text} same as {}", names[0].display());
        }
    }
    found
}

fn attributes(path: &Path) -> String {
    let mut names = vec![0; 4096];
    let length = llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut all: Vec<String> = names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let name = std::ffi::OsStr::from_bytes(name);
            let mut value = vec![0; 4096];
            let length = lgetxattr(path, name, &mut value[..]).unwrap();
            format!(
                "{}={:?}",
                name.display(),
                value[..length].escape_ascii().to_string()
            )
        })
        .collect();
    all.sort();
    all.join(",")
}
