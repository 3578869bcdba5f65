//! `shellport doctor`: whether this machine is one for sandboxes, and what to do about it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;
use indicatif::HumanBytes;
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
use nix::sys::utsname::uname;
use serde::Serialize;

use super::{say, say_json};
use crate::config::{ConfigError, data_dir};
use crate::oci::cgroup::{self, Parent, Version};
use crate::oci::engine::{EMBEDDED, Engine, KNOWN};
use crate::oci::network;
use crate::runtime::{Limitation, docker};
use crate::{programs, rootless};

/// The oldest kernel with everything that containers are made with here: openat2(2) and pidfds.
const KERNEL: [u32; 3] = [5, 6, 0];

/// Less is not enough for an image.
const DISK: u64 = 1 << 30;

/// The first versions without ways out of containers that are publicly known.
const SAFE: [(&str, &[[u32; 3]], &str); 2] = [
    // One for each line of releases.
    (
        "runc",
        &[[1, 2, 8], [1, 3, 3], [1, 4, 0]],
        "CVE-2024-21626, CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881",
    ),
    ("crun", &[[1, 20, 0]], "CVE-2025-24965"),
];

/// Look whether this machine is one for sandboxes, and say what to do where it is not.
#[derive(Args, Debug)]
pub struct DoctorCommand {
    /// Where everything is kept.
    #[arg(long, env = "SHELLPORT_DATA_DIR", value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,

    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    /// As it should be.
    Ok,
    /// Something will be missing.
    Warn,
    /// Shellport makes no containers by itself.
    Bad,
}

/// What was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    what: &'static str,
    found: String,
    /// What to do; nothing where nothing is to be done.
    advice: &'static str,
}

fn finding(
    level: Level,
    what: &'static str,
    found: impl Into<String>,
    advice: &'static str,
) -> Finding {
    let advice = if level == Level::Ok { "" } else { advice };
    Finding {
        level,
        what,
        found: found.into(),
        advice,
    }
}

impl DoctorCommand {
    /// Looks; fails when something is bad and no other engine answers.
    ///
    /// # Errors
    /// The configuration.
    pub async fn run(self) -> Result<ExitCode, ConfigError> {
        let data_dir = data_dir(self.data_dir.as_deref())?;
        let mut findings = vec![user(), kernel(), overlay(&data_dir), disk(&data_dir)];
        findings.extend([cgroups(), user_namespaces(), seccomp(), networks()]);
        findings.extend(engines().await);
        let daemon = daemon().await;
        let answers = daemon.level == Level::Ok;
        findings.push(daemon);
        if self.json {
            say_json(&findings);
        } else {
            findings.iter().for_each(show);
        }
        let bad = findings.iter().any(|it| it.level == Level::Bad);
        Ok(if bad && !answers {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

fn show(finding: &Finding) {
    let level = match finding.level {
        Level::Ok => "ok  ",
        Level::Warn => "warn",
        Level::Bad => "BAD ",
    };
    say(&format!("{level}  {:<18} {}", finding.what, finding.found));
    if !finding.advice.is_empty() {
        say(&format!("      {:<18} -> {}", "", finding.advice));
    }
}

fn user() -> Finding {
    if nix::unistd::geteuid().is_root() {
        return finding(Level::Ok, "user", "root", "");
    }
    // A further process does not change what this one can do.
    let program = std::env::current_exe().unwrap_or_default();
    let mut trying = Command::new(program);
    let tried = trying.args(["unshare", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim().trim_start_matches("shellport: ").to_owned();
            let advice = "allow user namespaces: sysctl user.max_user_namespaces=28633 \
                          kernel.unprivileged_userns_clone=1 \
                          kernel.apparmor_restrict_unprivileged_userns=0; or be root";
            return finding(Level::Bad, "user", said, advice);
        }
        Err(error) => return finding(Level::Bad, "user", error.to_string(), "be root"),
    }
    if rootless::has_subordinates() {
        finding(Level::Ok, "user", "not root, with further ids", "")
    } else {
        let found = "not root, without further ids";
        let advice = "sandboxes have one user only; install newuidmap (the package uidmap), and then \
                      usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER";
        finding(Level::Warn, "user", found, advice)
    }
}

fn kernel() -> Finding {
    let release = uname().map(|it| it.release().to_string_lossy().into_owned());
    let release = release.unwrap_or_default();
    let level = if numbers(&release) >= KERNEL {
        Level::Ok
    } else {
        Level::Bad
    };
    finding(level, "kernel", release, "Linux 5.6 or later is needed")
}

fn overlay(data_dir: &Path) -> Finding {
    // Where the kernel does not, this does.
    let level = match programs::find("fuse-overlayfs") {
        Some(_) => Level::Warn,
        None => Level::Bad,
    };
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let is_known = known
        .lines()
        .any(|line| line.trim_start_matches("nodev").trim() == "overlay");
    // The first mount loads it.
    let release = uname().ok();
    let release = release.and_then(|it| it.release().to_str().map(str::to_owned));
    let modules = release
        .and_then(|release| fs::read_to_string(format!("/lib/modules/{release}/modules.dep")).ok());
    let is_there = modules.is_some_and(|modules| modules.contains("/overlay.ko"));
    if !is_known && !is_there {
        let advice = "load it: modprobe overlay; fuse-overlayfs is slower";
        return finding(level, "overlay", "the kernel has no overlayfs", advice);
    }
    let there = existing(data_dir);
    match statfs(&there) {
        Ok(found) if found.filesystem_type() == OVERLAYFS_SUPER_MAGIC => {
            let advice = "give --data-dir a place on ext4, xfs or btrfs, such as a volume; fuse-overlayfs \
                          is slower";
            finding(
                level,
                "overlay",
                format!("{} is on an overlay itself", there.display()),
                advice,
            )
        }
        _ => finding(
            Level::Ok,
            "overlay",
            format!("can be mounted over {}", there.display()),
            "",
        ),
    }
}

fn disk(data_dir: &Path) -> Finding {
    let there = existing(data_dir);
    let free = statfs(&there).map_or(0, |it| {
        let size = u64::try_from(it.block_size()).unwrap_or(0);
        it.blocks_available().saturating_mul(size)
    });
    let level = if free < DISK { Level::Warn } else { Level::Ok };
    let found = format!("{} free at {}", HumanBytes(free), there.display());
    finding(
        level,
        "image store",
        found,
        "remove images that nobody needs: shellport image prune",
    )
}

/// The nearest directory above that is there.
fn existing(path: &Path) -> PathBuf {
    let mut all = path.ancestors();
    let there = all.find(|it| it.exists());
    there.unwrap_or(Path::new("/")).to_owned()
}

fn cgroups() -> Finding {
    let version = cgroup::version();
    let has = |controller: &str| match version {
        Version::Two => fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")
            .is_ok_and(|text| text.split_whitespace().any(|it| it == controller)),
        _ => Path::new("/sys/fs/cgroup").join(controller).exists(),
    };
    let missing: Vec<_> = ["memory", "cpu", "pids"]
        .into_iter()
        .filter(|it| !has(it))
        .collect();
    let name = match version {
        Version::One => "version 1",
        Version::Hybrid => "version 1, and an empty one of version 2",
        Version::Two => "version 2",
    };
    let limitation = match Parent::find() {
        None => Some((Limitation::NoLimits, "which this user may not use")),
        Some(parent) if !parent.has_cpu => {
            Some((Limitation::NoCpuLimit, "of which this user has no CPU time"))
        }
        Some(_) => None,
    };
    if let (true, Some((limitation, what))) = (missing.is_empty(), limitation) {
        let found = format!("{name}, {what}");
        return finding(Level::Warn, "cgroups", found, limitation.advice());
    }
    if missing.is_empty() {
        return finding(Level::Ok, "cgroups", name, "");
    }
    let found = format!("{name}, without {}", missing.join(", "));
    let advice =
        "containers cannot be limited in these; look at the kernel's command line (cgroup_enable=)";
    finding(Level::Bad, "cgroups", found, advice)
}

fn user_namespaces() -> Finding {
    let most = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    let most: u64 = most.trim().parse().unwrap_or(0);
    let level = if most > 0 { Level::Ok } else { Level::Warn };
    let advice = "containers of ordinary users need them: sysctl user.max_user_namespaces=28633";
    finding(level, "user namespaces", format!("up to {most}"), advice)
}

fn seccomp() -> Finding {
    let there = Path::new("/proc/sys/kernel/seccomp/actions_avail").exists();
    let (level, found) = if there {
        (Level::Ok, "there")
    } else {
        (Level::Bad, "the kernel has no filters of system calls")
    };
    finding(
        level,
        "seccomp",
        found,
        "a kernel with CONFIG_SECCOMP_FILTER is needed",
    )
}

fn networks() -> Finding {
    if !nix::unistd::geteuid().is_root() {
        return match programs::find("slirp4netns") {
            Some(path) => finding(Level::Ok, "networks", path.display().to_string(), ""),
            None => finding(
                Level::Warn,
                "networks",
                "without slirp4netns",
                "containers have loopback only, or the machine's network; install it",
            ),
        };
    }
    let mut firewalls = ["iptables", "nft"].into_iter();
    let firewall = firewalls.find(|name| programs::find(name).is_some());
    match (network::netavark(), firewall) {
        (Some(path), Some(firewall)) => {
            let found = format!("{} with {firewall}", path.display());
            finding(Level::Ok, "networks", found, "")
        }
        (path, firewall) => {
            let mut missing = Vec::new();
            missing.extend(path.is_none().then_some("netavark"));
            missing.extend(firewall.is_none().then_some("iptables"));
            let found = format!("without {}", missing.join(" and "));
            let advice = "containers have loopback only, or the machine's network; install them";
            finding(Level::Warn, "networks", found, advice)
        }
    }
}

/// The OCI engines that are there.
async fn engines() -> Vec<Finding> {
    let mut found = Vec::new();
    for name in KNOWN {
        let program = std::env::current_exe().unwrap_or_default();
        let engine = Engine::find(name, &program);
        let engine = engine.and_then(|engine| match Parent::find() {
            Some(_) => Ok(engine),
            None => engine.without_cgroups(),
        });
        let Ok(engine) = engine else {
            continue;
        };
        found.push(match engine.version().await {
            Err(error) => {
                finding(Level::Warn, "engine", error.to_string(), "it is not to be used: --oci-engine")
            }
            Ok(version) if name == EMBEDDED => finding(Level::Ok, "engine", version, ""),
            Ok(version) => match escapes(name, &version) {
                None => finding(Level::Ok, "engine", version, ""),
                Some(which) => {
                    let found = format!("{version}: {which}");
                    let advice = "containers get out of it, unless your distribution has mended it under the \
                                  old number; use a newer one, or embedded";
                    finding(Level::Warn, "engine", found, advice)
                }
            },
        });
    }
    found
}

/// Which ways out of containers are known of this version of an engine.
fn escapes(name: &str, version: &str) -> Option<&'static str> {
    let (_, safe, which) = SAFE.iter().find(|(engine, _, _)| *engine == name)?;
    let own = numbers(version);
    let line = safe.iter().find(|it| it[..2] == own[..2]);
    // A line of releases that is older than all that were mended was not.
    let least = line.or_else(|| safe.last())?;
    (own < *least).then_some(*which)
}

async fn daemon() -> Finding {
    match docker::find(None).await {
        Ok(engine) => finding(Level::Ok, "docker or podman", engine.describe(), ""),
        Err(_) => finding(
            Level::Warn,
            "docker or podman",
            "none answers",
            "none is needed where all of the above is ok",
        ),
    }
}

/// The first three numbers of a version.
fn numbers(text: &str) -> [u32; 3] {
    let begin = text
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(text.len());
    let mut parts = text[begin..].split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next().and_then(|it| it.parse().ok()).unwrap_or(0);
    [next(), next(), next()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_within_their_line() {
        assert_eq!(numbers("6.18.44-fc-v657"), [6, 18, 44]);
        assert_eq!(numbers("runc 1.1"), [1, 1, 0]);
        for (version, is_safe) in [
            ("runc 1.1.15", false),
            ("runc 1.2.7", false),
            ("runc 1.2.8", true),
            ("runc 1.3.0", false),
            ("runc 1.3.3", true),
            ("runc 1.4.0", true),
            ("runc 1.5.1", true),
        ] {
            assert_eq!(escapes("runc", version).is_none(), is_safe, "{version}");
        }
        assert!(escapes("crun", "crun 1.8.1").is_some());
        assert!(escapes("crun", "crun 1.21").is_none());
        assert!(escapes("youki", "youki 0.1").is_none());
    }
}
