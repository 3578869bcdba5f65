//! What tests with the runtime `oci` need, and what they may not leave.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use shellport::oci::cgroup::hierarchies;
use shellport::oci::engine::Engine;

use super::backend::skip;
use super::images::succeed;
use super::rootless;

/// What the name of the directory begins with where the tests' images are.
const IMAGES: &str = "images-";

/// The program itself.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_shellport");

/// The flags of a server with this engine; none, and a line that says so, when it cannot be.
pub fn flags(engine: &str) -> Option<Vec<String>> {
    if !nix::unistd::geteuid().is_root() && !rootless::is_inside() {
        skip(&format!("no oci engine {engine} (not root)"));
        return None;
    }
    if let Err(error) = Engine::find(engine, Path::new(program())) {
        skip(&error.to_string());
        return None;
    }
    images()?;
    Some(vec![
        "--runtime=oci".to_owned(),
        format!("--oci-engine={engine}"),
        format!("--program={}", in_namespace()),
    ])
}

/// The program, where this test can get at it.
pub fn program() -> &'static str {
    static PLACE: OnceLock<Option<String>> = OnceLock::new();
    let place = PLACE.get_or_init(|| std::env::var("SHELLPORT_TEST_PROGRAM").ok());
    place.as_deref().unwrap_or(PROGRAM)
}

/// The program, with monitors in a network namespace of their own: podman's containers are in that of the
/// tests, and two users of netavark, each with a lock of its own, break each other's firewall.
fn in_namespace() -> &'static str {
    static WRAPPER: OnceLock<String> = OnceLock::new();
    let make = || {
        let variable = |name| std::env::var(name).ok();
        let (Some(namespace), Some(directory)) = (
            variable("SHELLPORT_TEST_OCI_NAMESPACE"),
            variable("SHELLPORT_TEST_DIR"),
        ) else {
            return program().to_owned();
        };
        let path = Path::new(&directory).join("run/shellport-in-namespace");
        let text = format!(
            "#!/bin/sh\n[ \"$1\" != monitor ] || exec nsenter --net={namespace} '{PROGRAM}' \"$@\"\n\
             exec '{PROGRAM}' \"$@\"\n"
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    WRAPPER.get_or_init(make)
}

/// A store with the tests' images, which all servers share.
pub fn images() -> Option<&'static Path> {
    static IMAGES: OnceLock<Option<PathBuf>> = OnceLock::new();
    IMAGES.get_or_init(import).as_deref()
}

/// The archive of the tests' images. Its directory's name tells their version.
pub fn archive() -> Option<PathBuf> {
    let Some(directory) = std::env::var_os("SHELLPORT_TEST_DIR") else {
        skip("no images (SHELLPORT_TEST_DIR is not set)");
        return None;
    };
    let entries = fs::read_dir(directory).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap();
        name.to_str().unwrap().starts_with(IMAGES)
    };
    let found = paths.find(is_it);
    Some(
        found
            .expect("tools/engines.sh has made images")
            .join("images.tar"),
    )
}

fn import() -> Option<PathBuf> {
    let archive = archive()?;
    let made = archive.parent()?;
    let data_dir = made.with_file_name("oci").join(made.file_name()?);
    // Other programs may be about to do the same.
    fs::create_dir_all(&data_dir).unwrap();
    let lock = fs::File::create(data_dir.join("lock")).unwrap();
    lock.lock().unwrap();
    let done = data_dir.join("done");
    if !done.exists() {
        let mut import = Command::new(program());
        import
            .args(["image", "import"])
            .arg(&archive)
            .env("SHELLPORT_DATA_DIR", &data_dir);
        succeed(&mut import);
        fs::write(&done, "").unwrap();
    }
    Some(data_dir.join("images"))
}

/// Fails when a directory, mount, cgroup or pin is left of a server.
pub fn assert_nothing_left(data_dir: &Path, instance: &str) {
    let sandboxes = fs::read_dir(data_dir.join("sandboxes")).unwrap();
    let sandboxes: Vec<_> = sandboxes.map(|it| it.unwrap().file_name()).collect();
    assert!(sandboxes.is_empty(), "sandboxes are left: {sandboxes:?}");
    assert_nothing_around(data_dir);
    for hierarchy in hierarchies() {
        let cgroup = hierarchy.join(format!("shellport-{instance}"));
        assert!(!cgroup.exists(), "{} is left", cgroup.display());
    }
}

/// Fails when a mount or a pin is left that has to do with this directory.
pub fn assert_nothing_around(data_dir: &Path) {
    let text = data_dir.to_str().unwrap();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(text), "mounts are left: {mounts}");
    for pin in fs::read_dir(images().unwrap().join("pins")).unwrap() {
        // Others come and go.
        let pin = fs::read_to_string(pin.unwrap().path()).unwrap_or_default();
        assert!(!pin.contains(text), "a pin is left: {pin}");
    }
}
