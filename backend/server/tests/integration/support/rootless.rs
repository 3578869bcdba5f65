//! Tests as an ordinary user. A test runs itself again: in a mount namespace that looks like a machine
//! with cgroups of version 2 alone, and there as a user who is not root, with further ids or without.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::backend::skip;
use super::oci::{PROGRAM, archive};

/// Whoever has no name of his own.
const NOBODY: u32 = 65_534;

/// Says to a test that it runs again.
const AGAIN: &str = "SHELLPORT_TEST_ROOTLESS";

/// How long the inner test may take.
const LIMIT: &str = "300";

/// Everything goes to `/mnt`, because that user may not get to where it is; and the devices there are for
/// everyone, as they are on most machines.
const MACHINE: &str = r#"
test=$1 program=$2 directory=$3 images=$4 ids=$5 registry=${SHELLPORT_TEST_REGISTRY-}
shift 5
umount --recursive /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs -o mode=755 none /mnt
mkdir /mnt/home /mnt/tests "/mnt/tests/$(basename "$images")" /mnt/tests/oci
touch /mnt/shellport /mnt/test /mnt/subids
mount --bind "$program" /mnt/shellport
mount --bind "$test" /mnt/test
mount --bind "$images" "/mnt/tests/$(basename "$images")"
mount --bind "$directory" /mnt/tests/oci
chown 65534:65534 /mnt/home
mknod -m 666 /mnt/tun c 10 200
mknod -m 666 /mnt/fuse c 10 229
mount --bind /mnt/tun /dev/net/tun
mount --bind /mnt/fuse /dev/fuse
[ "$ids" = one ] || echo nobody:100000:65536 >/mnt/subids
for file in /etc/subuid /etc/subgid; do [ ! -e $file ] || mount --bind /mnt/subids $file; done
exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --reset-env -- \
  env HOME=/mnt/home SHELLPORT_TEST_ROOTLESS=1 SHELLPORT_TEST_PROGRAM=/mnt/shellport \
  SHELLPORT_TEST_DIR=/mnt/tests ${registry:+"SHELLPORT_TEST_REGISTRY=$registry"} RUST_BACKTRACE=1 "$@"
"#;

/// Whether the backend of this name is one of an ordinary user, and this test is not yet such a user's.
pub fn is_outside(backend: &str) -> bool {
    backend.starts_with("rootless") && std::env::var_os(AGAIN).is_none()
}

/// Whether this test is an ordinary user's.
pub fn is_inside() -> bool {
    std::env::var_os(AGAIN).is_some()
}

/// Runs the test of this name again as an ordinary user, within that user's namespace when `as_root`.
pub fn rerun(backend: &str, test: &str, as_root: bool) {
    let Some((directory, images)) = prepare(backend) else {
        return;
    };
    let ids = if backend == "rootless_single" {
        "one"
    } else {
        "many"
    };
    // The first part is this program's name.
    let (_, test) = test.split_once("::").unwrap();
    let mut command = Command::new("timeout");
    command
        .args([
            "--kill-after=5",
            LIMIT,
            "unshare",
            "--mount",
            "--propagation=private",
        ])
        .args(["sh", "-ec", MACHINE, "sh"])
        .arg(std::env::current_exe().unwrap())
        .arg(PROGRAM)
        .args([&directory, &images])
        .arg(ids);
    if as_root {
        command.args(["/mnt/shellport", "unshare"]);
    }
    let output = command
        .args(["/mnt/test", "--exact", "--nocapture", test])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    for line in said.lines().filter_map(|line| line.strip_prefix("skip: ")) {
        skip(&format!("{line}, as an ordinary user"));
    }
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{told}\n{said}", output.status);
    assert!(told.contains("1 passed"), "{told}");
}

/// The ordinary user's directory for images, and the archives that those are from.
fn prepare(backend: &str) -> Option<(PathBuf, PathBuf)> {
    let missing = |what: &str| {
        skip(&format!("no {backend} ({what})"));
        None
    };
    if !nix::unistd::geteuid().is_root() {
        return missing("only root can become somebody else");
    }
    let Some(tests) = std::env::var_os("SHELLPORT_TEST_DIR") else {
        return missing("SHELLPORT_TEST_DIR is not set");
    };
    for program in ["newuidmap", "slirp4netns", "setpriv"] {
        if shellport::programs::find(program).is_none() {
            return missing(&format!("{program} is not installed"));
        }
    }
    let tests = Path::new(&tests);
    // The ids of its files are others.
    let directory = tests.join(match backend {
        "rootless_single" => "rootless-single",
        _ => "rootless",
    });
    fs::create_dir_all(&directory).unwrap();
    chown(&directory, Some(NOBODY), Some(NOBODY)).unwrap();
    let images = archive()?.parent()?.to_owned();
    Some((directory, images))
}
