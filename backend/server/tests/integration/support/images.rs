//! A store of images, and what it is compared with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use shellport::image::{Digest, Image, Store};
use tempfile::TempDir;

use super::backend::skip;
use super::wait::ok;

/// More than any layer of a test has.
const MAX_LAYER: u64 = 64 << 20;

/// Whether layers can be unpacked here, and compared.
pub fn can_unpack() -> bool {
    if !nix::unistd::geteuid().is_root() {
        skip("images without a daemon are unpacked by root");
        return false;
    }
    let umoci = Command::new("umoci").arg("--version").output();
    if umoci.is_err() {
        skip("no umoci to compare images with");
    }
    umoci.is_ok()
}

/// A directory with a store in it.
pub struct TestStore {
    /// The store.
    pub store: Store,
    directory: TempDir,
}

impl TestStore {
    /// An empty one.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_shellport"));
        let root = directory.path().join("data/images");
        let store = ok("a store", Store::open(&root, program, MAX_LAYER));
        Self { store, directory }
    }

    /// The directory around it.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file beside the store.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs `shellport image` on it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shellport"));
        command
            .arg("image")
            .args(arguments)
            .env("SHELLPORT_DATA_DIR", self.path().join("data"));
        command
    }

    /// Runs `shellport image` on it, which has to succeed; what it prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `shellport image` on it, which has to fail; what it says.
    pub fn fail(&self, arguments: &[&str]) -> String {
        failed(&self.command(arguments).output().unwrap())
    }

    /// The names below a directory of the store.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let path = self.path().join("data/images").join(directory);
        let entries = fs::read_dir(path).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// The files of an image of one layer.
    pub fn only_layer(&self, image: &Image) -> PathBuf {
        assert_eq!(image.layers.len(), 1);
        self.layer(&image.layers[0])
    }

    /// The files of a layer.
    pub fn layer(&self, digest: &Digest) -> PathBuf {
        self.store.layer(digest).unwrap()
    }

    /// Shows an image's files, as a sandbox would see them, to `look`.
    pub fn merged<T>(&self, image: &Image, look: impl FnOnce(&Path) -> T) -> T {
        let target = self.path().join("merged");
        fs::create_dir_all(&target).unwrap();
        let layers = image.layers.iter().rev();
        let layers: Vec<_> = layers
            .map(|layer| self.layer(layer).to_str().unwrap().to_owned())
            .collect();
        if layers.len() == 1 {
            return look(Path::new(&layers[0]));
        }
        let options = format!("ro,lowerdir={}", layers.join(":"));
        let mut mount = Command::new("mount");
        mount.args(["-t", "overlay", "overlay", "-o", &options]);
        succeed(mount.arg(&target));
        let _mounted = Mounted(target.clone());
        look(&target)
    }
}

/// Puts the files of a directory into an archive beside it.
pub fn pack(directory: &Path) -> PathBuf {
    let archive = directory.with_extension("tar");
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(&archive).arg("-C").arg(directory);
    succeed(tar.arg("."));
    archive
}

/// What a command that has to fail says.
pub fn failed(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("shellport: "), "{said}");
    said
}

/// Runs a command that has to succeed.
pub fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        succeed(Command::new("umount").arg(&self.0));
    }
}
