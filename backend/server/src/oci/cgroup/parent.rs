//! Where this process may make groups for its containers.
//!
//! Root takes the hierarchies' roots. An ordinary user may have a part of a version 2 hierarchy, because
//! systemd gives its users and services that ask for it (`Delegate=`) one. A group with processes cannot
//! share anything out among the groups below it, so containers' groups go beside this process's own, or
//! else below it once this process has moved to one of its own there.
//! See <https://docs.kernel.org/admin-guide/cgroup-v2.html>, "Delegation" and "No Internal Process
//! Constraint".

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use rustix::fs::{Access, access};

use super::{ROOT, Version, hierarchies, version};
use crate::rootless;

/// What there is no limit without.
const NEEDED: [&str; 2] = ["memory", "pids"];

/// What is used where it is there: older systemds do not give it to users.
const WANTED: &str = "cpu";

/// Where this process goes when it is in the way.
const OWN: &str = "shellport";

/// A group below which containers' ones can be made, with limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// From the root of the hierarchies.
    path: PathBuf,
    /// Whether CPU time can be limited as well.
    pub has_cpu: bool,
}

impl Parent {
    /// The parent of the containers of this process, which may move to a group of its own for that.
    /// None where nothing can be limited.
    pub fn take() -> Option<Self> {
        let root = Path::new(ROOT);
        match Found::by_this_process()? {
            Found::Root => Some(Self::root()),
            Found::Beside(parent) => parent.share_out(root).ok(),
            Found::Around(parent) => {
                let left = parent.leave(root);
                left.and_then(|()| parent.share_out(root)).ok()
            }
        }
    }

    /// What [`Self::take`] would probably give. Changes nothing.
    pub fn find() -> Option<Self> {
        Some(match Found::by_this_process()? {
            Found::Root => Self::root(),
            Found::Beside(parent) | Found::Around(parent) => parent,
        })
    }

    /// The group of this name there, from the root of the hierarchies.
    pub fn group(&self, name: &str) -> String {
        self.path.join(name).to_string_lossy().into_owned()
    }

    fn root() -> Self {
        Self {
            path: "/".into(),
            has_cpu: true,
        }
    }

    /// Moves this process out of it, into a group below.
    fn leave(&self, root: &Path) -> io::Result<()> {
        let own = inside(root, &self.path).join(OWN);
        match fs::create_dir(&own) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::write(own.join("cgroup.procs"), "0")
    }

    /// Lets the groups below have limits.
    fn share_out(self, root: &Path) -> io::Result<Self> {
        let file = inside(root, &self.path).join("cgroup.subtree_control");
        for controller in NEEDED {
            fs::write(&file, format!("+{controller}"))?;
        }
        let has_cpu = self.has_cpu && fs::write(&file, format!("+{WANTED}")).is_ok();
        Ok(Self { has_cpu, ..self })
    }
}

/// Where a group for containers' ones is.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// The hierarchies' own roots.
    Root,
    /// This process is in one beside those to come.
    Beside(Parent),
    /// This process is in it, alone.
    Around(Parent),
}

impl Found {
    fn by_this_process() -> Option<Self> {
        let is_root = geteuid().is_root() && rootless::is_initial();
        if version() != Version::Two {
            // Root always wants limits: where there are none it gets an error.
            let all = hierarchies();
            let writable = !all.is_empty() && all.iter().all(|it| may(it));
            return (is_root || writable).then_some(Self::Root);
        }
        let root = Path::new(ROOT);
        // Only the machine's own root has processes and shares out all the same.
        if is_root && !root.join("cgroup.type").exists() {
            return Some(Self::Root);
        }
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = own.lines().find_map(|line| line.strip_prefix("0::"));
        let found = own.and_then(|own| Self::near(root, Path::new(own), std::process::id()));
        found.or_else(|| is_root.then_some(Self::Root))
    }

    /// The one for the process `pid`, which is in the group `own` of the hierarchy at `root`.
    fn near(root: &Path, own: &Path, pid: u32) -> Option<Self> {
        let words = |group: &Path, file| words(&inside(root, group).join(file));
        let beside = || {
            let above = own.parent()?;
            let shared = words(above, "cgroup.subtree_control");
            let is_free = NEEDED
                .iter()
                .all(|&it| shared.iter().any(|word| word == it))
                || words(above, "cgroup.procs").is_empty();
            usable(root, above).filter(|_| is_free).map(Self::Beside)
        };
        let around = || {
            let is_alone = words(own, "cgroup.procs") == [pid.to_string()];
            usable(root, own).filter(|_| is_alone).map(Self::Around)
        };
        beside().or_else(around)
    }
}

/// The group at `path`, when this process may do everything there and can limit what is needed.
fn usable(root: &Path, path: &Path) -> Option<Parent> {
    let group = inside(root, path);
    let files = ["cgroup.procs", "cgroup.subtree_control"];
    let controllers = words(&group.join("cgroup.controllers"));
    let has = |wanted: &str| controllers.iter().any(|it| it == wanted);
    let is_usable = may(&group)
        && files.iter().all(|file| may(&group.join(file)))
        && NEEDED.into_iter().all(has);
    is_usable.then(|| Parent {
        path: path.to_owned(),
        has_cpu: has(WANTED),
    })
}

fn may(path: &Path) -> bool {
    access(path, Access::WRITE_OK).is_ok()
}

fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn words(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hierarchy with these groups: path, processes, controllers, what is shared out.
    fn hierarchy(groups: &[(&str, &str, &str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, processes, controllers, shared) in groups {
            let group = inside(root.path(), Path::new(path));
            fs::create_dir_all(&group).unwrap();
            for (file, text) in [
                ("procs", processes),
                ("controllers", controllers),
                ("subtree_control", shared),
            ] {
                fs::write(group.join(format!("cgroup.{file}")), text).unwrap();
            }
        }
        root
    }

    fn near(root: &tempfile::TempDir, own: &str) -> Option<Found> {
        Found::near(root.path(), Path::new(own), 7)
    }

    fn at(path: &str, has_cpu: bool) -> Parent {
        let path = path.into();
        Parent { path, has_cpu }
    }

    #[test]
    fn beside_itself_where_that_is_shared_out() {
        let root = hierarchy(&[
            ("/app.slice", "1\n", "memory pids", "memory pids"),
            ("/app.slice/a.scope", "7\n9\n", "memory pids", ""),
        ]);
        let found = near(&root, "/app.slice/a.scope");
        assert_eq!(found, Some(Found::Beside(at("/app.slice", false))));
    }

    #[test]
    fn beside_itself_where_nobody_is() {
        let root = hierarchy(&[
            ("/service", "", "cpu memory pids", ""),
            ("/service/own", "7\n", "", ""),
        ]);
        let found = near(&root, "/service/own");
        let Some(Found::Beside(parent)) = found else {
            panic!("{found:?}")
        };
        assert_eq!(parent, at("/service", true));
        assert!(parent.share_out(root.path()).unwrap().has_cpu);
    }

    #[test]
    fn below_itself_when_it_is_alone() {
        let groups = |processes| {
            hierarchy(&[
                ("/", "1\n", "cpu memory pids", ""),
                ("/service", processes, "memory pids", ""),
            ])
        };
        let root = groups("7\n");
        let found = near(&root, "/service");
        let Some(Found::Around(parent)) = found else {
            panic!("{found:?}")
        };
        parent.leave(root.path()).unwrap();
        let moved = root.path().join("service/shellport/cgroup.procs");
        assert_eq!(fs::read_to_string(moved).unwrap(), "0");
        assert_eq!(near(&groups("7\n8\n"), "/service"), None);
    }

    #[test]
    fn nowhere_without_memory_or_processes() {
        for controllers in ["cpu memory", "cpu pids", ""] {
            let root = hierarchy(&[
                ("/slice", "", controllers, controllers),
                ("/slice/own", "7\n", controllers, ""),
            ]);
            assert_eq!(near(&root, "/slice/own"), None);
        }
        assert_eq!(near(&hierarchy(&[]), "/"), None);
    }
}
