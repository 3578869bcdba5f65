//! The image `host`, which needs no download: this machine's programs, read-only, and nothing else of
//! it but what they need to run.
//!
//! `/usr` is mounted as it is. Around it is a tree of our own with a fresh `/etc`, into which a list of
//! known files is copied that everyone on this machine may read: alternatives, certificates, and how
//! libraries and some programs are set up. No secret, home or socket of the machine is among them.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::container::Bind;
use crate::id::random_tag;
use crate::image::Digest;
use crate::profile::{DEFAULT_PATH, ImageDefaults};

/// The image's name.
pub const NAME: &str = "host";

/// To be changed with what is made here.
const VERSION: &str = "1";

/// Of `/etc`: files, and directories with all that everyone may read in them. A `*` at the end stands
/// for any version.
const COPIED: [&str; 33] = [
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "inputrc",
    "java*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "lsb-release",
    "magic",
    "magic.mime",
    "mime.types",
    "nanorc",
    "os-release",
    "perl",
    "pki/ca-trust/extracted",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "protocols",
    "python*",
    "redhat-release",
    "rpc",
    "services",
    "shells",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "vim",
];

/// Beside `/usr`, where distributions have programs; links into it on most.
const BESIDE: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Directories, and their modes.
const DIRECTORIES: [(&str, u32); 24] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("home/user", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("run/lock", 0o1777),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/local", 0o755),
    ("var/log", 0o755),
    ("var/mail", 0o755),
    ("var/opt", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
];

/// Files of our own.
const FILES: [(&str, &str); 7] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    (
        "etc/group",
        "root:x:0:\ntty:x:5:\nmail:x:8:\nutmp:x:43:\nstaff:x:50:\nuser:x:1000:\nnogroup:x:65534:\n",
    ),
    ("etc/hostname", ""),
    ("etc/hosts", ""),
    ("etc/resolv.conf", ""),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n\
         protocols: files\nservices: files\n",
    ),
    (
        "etc/profile",
        "PS1='\\u@\\h:\\w\\$ '\n[ -z \"$BASH_VERSION\" ] || [ ! -r /etc/bash.bashrc ] || . /etc/bash.bashrc\n",
    ),
];

/// More bytes than any file has that is copied.
const MAX_FILE: u64 = 16 << 20;

/// The image, made below `directory` when it is not there as the machine is now: its only layer.
///
/// # Errors
/// Those of the file system.
pub fn ensure(directory: &Path) -> io::Result<PathBuf> {
    let path = directory.join(format!("{NAME}-{}", fingerprint()));
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(directory)?;
    let unready = directory.join(format!("{NAME}-unready-{}", random_tag()));
    let made = make(&unready).and_then(|()| match fs::rename(&unready, &path) {
        // Somebody else was faster.
        Err(_) if path.exists() => fs::remove_dir_all(&unready),
        result => result,
    });
    if made.is_err() {
        let _ = fs::remove_dir_all(&unready);
    }
    made.map(|()| path)
}

/// What of this machine is mounted over the image.
pub fn binds() -> Vec<Bind> {
    // What is no link has files of its own.
    let own = BESIDE.iter().filter(|name| {
        let path = Path::new("/").join(name);
        path.is_dir() && !path.is_symlink()
    });
    ["usr"]
        .iter()
        .chain(own)
        .map(|name| Bind {
            source: Path::new("/").join(name),
            target: Path::new("/").join(name),
            read_only: true,
        })
        .collect()
}

/// How the image is to be run.
pub fn defaults() -> ImageDefaults {
    let shell = ["/bin/bash", "/bin/sh"];
    let shell = shell.iter().find(|it| Path::new(it).exists());
    ImageDefaults {
        command: vec![(*shell.unwrap_or(&"/bin/sh")).to_owned()],
        env: vec![format!("PATH={DEFAULT_PATH}"), "LANG=C.UTF-8".to_owned()],
        cwd: "/root".to_owned(),
        ..ImageDefaults::default()
    }
}

/// Changes when what is copied does.
fn fingerprint() -> String {
    let state = |path: PathBuf| {
        let found = fs::metadata(&path).ok()?;
        Some((path, found.mtime(), found.mtime_nsec(), found.size()))
    };
    let states: Vec<_> = sources().into_iter().filter_map(state).collect();
    let text = format!("{VERSION} {states:?}");
    Digest::of(text.as_bytes()).short().to_owned()
}

/// What is there of [`COPIED`].
fn sources() -> Vec<PathBuf> {
    let etc = Path::new("/etc");
    let mut found = Vec::new();
    for name in COPIED {
        match name.strip_suffix('*') {
            None => found.push(etc.join(name)),
            Some(prefix) => {
                let entries = fs::read_dir(etc).into_iter().flatten().flatten();
                let named = entries.filter(|entry| {
                    let name = entry.file_name();
                    name.to_str().is_some_and(|name| name.starts_with(prefix))
                });
                found.extend(named.map(|entry| entry.path()));
            }
        }
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    found.sort();
    found
}

fn make(root: &Path) -> io::Result<()> {
    directory(root, 0o755)?;
    for (name, mode) in DIRECTORIES {
        directory(&root.join(name), mode)?;
    }
    for name in BESIDE {
        let path = Path::new("/").join(name);
        match fs::read_link(&path) {
            Ok(target) => symlink(target, root.join(name))?,
            Err(_) if path.is_dir() => directory(&root.join(name), 0o755)?,
            Err(_) => {}
        }
    }
    symlink("/run", root.join("var/run"))?;
    symlink("/run/lock", root.join("var/lock"))?;
    symlink("/proc/self/mounts", root.join("etc/mtab"))?;
    rustix::fs::chown(
        root.join("home/user"),
        Some(rustix::fs::Uid::from_raw(1000)),
        Some(rustix::fs::Gid::from_raw(1000)),
    )
    .or_else(|error| match error {
        // Without privileges everything is one user's.
        rustix::io::Errno::PERM | rustix::io::Errno::INVAL => Ok(()),
        error => Err(error),
    })?;
    for (name, text) in FILES {
        file(&root.join(name), text.as_bytes())?;
    }
    for source in sources() {
        let target = root.join(source.strip_prefix("/").unwrap_or(&source));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        copy(&source, &target)?;
    }
    Ok(())
}

/// Copies what everyone may read. Links stay links, so that nothing comes along from where they lead.
fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let found = source.symlink_metadata()?;
    if found.is_symlink() {
        return symlink(fs::read_link(source)?, target);
    }
    if found.is_dir() {
        if found.mode() & 0o005 != 0o005 {
            return Ok(());
        }
        directory(target, 0o755)?;
        for entry in fs::read_dir(source)? {
            let entry = entry?;
            copy(&entry.path(), &target.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if !found.is_file() || found.mode() & 0o004 == 0 {
        return Ok(());
    }
    let mut bytes = Vec::new();
    File::open(source)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    file(target, &bytes)?;
    fs::set_permissions(target, Permissions::from_mode(found.mode() & 0o755))
}

fn directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    // Whatever the umask is.
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)?;
    fs::set_permissions(path, Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_copied() {
        let directory = tempfile::tempdir().unwrap();
        let root = ensure(directory.path()).unwrap();
        assert_eq!(ensure(directory.path()).unwrap(), root, "made once");
        for name in [
            "etc/shadow",
            "etc/ssh",
            "etc/ssl/private",
            "etc/machine-id",
            "root/.ssh",
        ] {
            assert!(root.join(name).symlink_metadata().is_err(), "{name}");
        }
        let users = fs::read_to_string(root.join("etc/passwd")).unwrap();
        assert!(users.lines().count() == 3, "{users}");
        assert!(root.join("usr").read_dir().unwrap().next().is_none());
        let tmp = fs::metadata(root.join("tmp")).unwrap();
        assert_eq!(tmp.mode() & 0o7777, 0o1777);
        assert!(binds().iter().all(|bind| bind.read_only));
    }

    #[test]
    fn what_not_everyone_may_read_stays_away() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::create_dir(&from).unwrap();
        for (name, mode) in [("open", 0o644), ("closed", 0o640)] {
            fs::write(from.join(name), name).unwrap();
            fs::set_permissions(from.join(name), Permissions::from_mode(mode)).unwrap();
        }
        symlink("closed", from.join("link")).unwrap();
        copy(&from, &to).unwrap();
        assert!(to.join("open").exists());
        assert!(!to.join("closed").exists());
        assert!(to.join("link").is_symlink());
    }
}
