//! The bundle of a container: its configuration, as the OCI Runtime Specification 1.0 has it.
//!
//! Everything is set here, from nothing.

use std::path::Path;

use oci_spec::runtime::Spec;
use serde_json::{Value, json};

use super::account::Account;
use super::cgroup;
use super::container::{Bind, Container, Network, Stdio, Tmpfs};
use super::seccomp;
use crate::profile::{DEFAULT_PATH, ulimits};
use crate::rootless;

/// What `config.json` says of a container whose program runs as `account`. `bundle` is the directory
/// it will be in, beside `rootfs` and the files of [`FILES`].
///
/// # Errors
/// None but those of a mistake here.
pub fn configuration(
    container: &Container,
    account: &Account,
    bundle: &Path,
) -> Result<Spec, serde_json::Error> {
    serde_json::from_value(json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs", "readonly": container.read_only},
        "hostname": container.hostname,
        "process": process(container, account),
        "mounts": mounts(container, bundle),
        "linux": {
            "cgroupsPath": container.cgroup,
            "namespaces": namespaces(container),
            "resources": container.cgroup.as_ref().map(|_| resources(container)),
            "seccomp": seccomp::filter(),
            "maskedPaths": MASKED,
            "readonlyPaths": read_only(container),
        },
    }))
}

/// Files of the bundle that are mounted into the container, and where.
pub const FILES: [(&str, &str); 3] = [
    ("hosts", "/etc/hosts"),
    ("hostname", "/etc/hostname"),
    ("resolv.conf", "/etc/resolv.conf"),
];

/// What tells of the machine, or reaches into its kernel.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What programs read, and nobody in a container may change.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// With the hierarchies of cgroups: not every engine heeds that those of version 1 are to be read
/// only, and whoever writes to them raises their own limits.
fn read_only(container: &Container) -> Vec<String> {
    let hierarchies = match container.cgroup {
        Some(_) => cgroup::hierarchies(),
        None => Vec::new(),
    };
    let hierarchies = hierarchies
        .iter()
        .map(|it| it.to_string_lossy().into_owned());
    let fixed = READ_ONLY.map(str::to_owned);
    fixed.into_iter().chain(hierarchies).collect()
}

/// Microseconds in which CPU time is shared out.
const CPU_PERIOD: u64 = 100_000;

/// The kernel's least CPU time in a period, in microseconds.
const MIN_QUOTA: i64 = 1_000;

/// A process of the container, which runs as `account`.
pub fn process(container: &Container, account: &Account) -> Value {
    let program = &container.program;
    let mut env = program.env.clone();
    env.entry("PATH".to_owned())
        .or_insert_with(|| DEFAULT_PATH.to_owned());
    env.entry("HOME".to_owned())
        .or_insert_with(|| account.home.clone());
    let env: Vec<_> = env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let capabilities: Vec<_> = container
        .capabilities
        .iter()
        .map(|name| format!("CAP_{name}"))
        .collect();
    // Whoever is not root has them as long as a program of root's could get them, and not before.
    let own = if account.uid == 0 {
        capabilities.clone()
    } else {
        Vec::new()
    };
    let rlimits: Vec<_> = ulimits()
        .into_iter()
        .map(
            |(name, limit)| json!({"type": format!("RLIMIT_{name}"), "soft": limit, "hard": limit}),
        )
        .collect();
    json!({
        "terminal": container.stdio == Stdio::Terminal,
        "user": {
            "uid": account.uid,
            "gid": account.gid,
            "additionalGids": account.groups,
        },
        "args": program.argv,
        "env": env,
        "cwd": program.cwd,
        "capabilities": {
            "bounding": capabilities,
            "effective": own,
            "permitted": own,
            "inheritable": [],
            "ambient": [],
        },
        "rlimits": rlimits,
        "noNewPrivileges": true,
        "oomScoreAdj": oom_score(),
    })
}

/// As likely to be killed as whoever makes the container; no process may make itself less likely.
fn oom_score() -> i64 {
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    own.trim().parse().unwrap_or(0)
}

fn namespaces(container: &Container) -> Value {
    let mut kinds = vec!["pid", "ipc", "uts", "mount"];
    if container.network != Network::Host {
        kinds.push("network");
    }
    if Path::new("/proc/self/ns/cgroup").exists() {
        kinds.push("cgroup");
    }
    kinds.iter().map(|kind| json!({"type": kind})).collect()
}

fn resources(container: &Container) -> Value {
    let limits = container.limits;
    let mut resources = json!({"devices": [{"allow": false, "access": "rwm"}]});
    if let Some(memory) = limits.memory {
        resources["memory"] = json!({"limit": memory});
        if cgroup::counts_swap() {
            // As much with swap as without: no swap.
            resources["memory"]["swap"] = json!(memory);
        }
    }
    if let Some(cpus) = limits.cpus {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "whoever asks for CPUs bounds them"
        )]
        let quota = (cpus * CPU_PERIOD as f64) as i64;
        resources["cpu"] = json!({"quota": quota.max(MIN_QUOTA), "period": CPU_PERIOD});
    }
    if let Some(pids) = limits.pids {
        resources["pids"] = json!({"limit": pids});
    }
    resources
}

fn mounts(container: &Container, bundle: &Path) -> Vec<Value> {
    let special = |target: &str, kind: &str, options: &[&str]| json!({"destination": target, "type": kind, "source": kind, "options": options});
    let mut terminals = vec![
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
    ];
    // The group `tty`, nearly everywhere.
    if rootless::has_group(5) {
        terminals.push("gid=5");
    }
    let devices = ["nosuid", "noexec", "nodev", "ro"];
    let mut mounts = vec![
        special("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        special(
            "/dev",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=64k"],
        ),
        special("/dev/pts", "devpts", &terminals),
        special(
            "/dev/shm",
            "tmpfs",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=64m"],
        ),
        special("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ];
    if container.network == Network::Host && !rootless::is_initial() {
        // A new one shows a network, so it belongs to whoever that does.
        let options = [&["rbind", "rprivate"], &devices[..]].concat();
        mounts.push(
            json!({"destination": "/sys", "type": "bind", "source": "/sys", "options": options}),
        );
        // Groups of the user are there, and `ro` does not reach so deep.
        let hidden = [&["size=0"], &devices[..]].concat();
        mounts.push(special("/sys/fs/cgroup", "tmpfs", &hidden));
    } else {
        mounts.push(special("/sys", "sysfs", &devices));
    }
    if container.cgroup.is_some() {
        let options = [&["relatime"], &devices[..]].concat();
        mounts.push(special("/sys/fs/cgroup", "cgroup", &options));
    }
    mounts.extend(container.tmpfs.iter().map(tmpfs));
    // Not over what the caller puts there.
    let is_own = |target: &str| {
        let mut binds = container.binds.iter();
        !binds.any(|it| it.target == Path::new(target))
    };
    let files = FILES.iter().filter(|(_, target)| is_own(target));
    mounts.extend(files.map(|(name, target)| {
        bind(&Bind {
            source: bundle.join(name),
            target: target.into(),
            read_only: container.read_only || container.network == Network::Host,
        })
    }));
    mounts.extend(container.binds.iter().map(bind));
    mounts
}

fn bind(bind: &Bind) -> Value {
    let access = if bind.read_only { "ro" } else { "rw" };
    json!({
        "destination": bind.target,
        "type": "bind",
        "source": bind.source,
        "options": ["rbind", "rprivate", "nosuid", "nodev", access],
    })
}

fn tmpfs(tmpfs: &Tmpfs) -> Value {
    let options = [
        "nosuid".to_owned(),
        "nodev".to_owned(),
        "mode=1777".to_owned(),
        format!("size={}", tmpfs.size),
        format!("uid={0}", tmpfs.owner),
        format!("gid={0}", tmpfs.owner),
    ];
    json!({"destination": tmpfs.target, "type": "tmpfs", "source": "tmpfs", "options": options})
}
