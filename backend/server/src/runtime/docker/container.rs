//! What a container is made from. Everything is set here, from nothing; no field of a request is
//! passed through.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    ImageConfig, Mount, MountType, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use nix::sys::resource::{Resource, getrlimit};

use super::engine::EngineKind;
use super::transport::{AGENT, AGENT_DIRECTORY, Placement, SOCKETS};
use crate::session::{Profile, Spec};

/// What a package manager needs, and nothing else: to own, chmod and setuid files, to drop to
/// another user and end its processes, and to listen on a low port.
const CAPABILITIES: [&str; 8] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "SETGID",
    "SETUID",
    "KILL",
    "NET_BIND_SERVICE",
];

/// The user of the strict profile.
const STRICT_USER: &str = "1000:1000";

/// The home of the strict profile. It is there in no image, so the mount makes it.
const STRICT_HOME: &str = "/home/user";

/// Descriptors a process may have, unless the server's own limit is lower.
const NOFILE: u64 = 65_536;

/// Processes a user may have, unless the server's own limit is lower. The sandbox's own limit is in
/// its cgroup; this one is shared by all sandboxes with the same user.
const NPROC: u64 = 1_048_576;

/// What a container is made from.
pub(super) struct Parts<'a> {
    pub spec: &'a Spec,
    pub image: &'a ImageConfig,
    pub kind: EngineKind,
    /// The name of the network, or none for no network.
    pub network: Option<&'a str>,
    pub labels: Vec<(String, String)>,
    pub placement: Placement,
    /// The agent's program on this machine.
    pub agent: &'a Path,
    /// The directory of the agent's socket on this machine.
    pub directory: &'a Path,
}

/// The request that makes the container.
pub(super) fn body(parts: &Parts<'_>) -> ContainerCreateBody {
    let spec = parts.spec;
    let strict = spec.profile == Profile::Strict;
    let mut env: Vec<String> = spec
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let image_env = parts.image.env.iter().flatten();
    let mut names = spec.env.keys().map(String::as_str);
    let mut image_names = image_env.filter_map(|it| it.split('=').next());
    if !names.any(|name| name == "TERM") && !image_names.any(|name| name == "TERM") {
        // Podman would say `xterm`.
        env.push("TERM=xterm-256color".to_owned());
    }
    if strict && !spec.env.contains_key("HOME") {
        env.push(format!("HOME={STRICT_HOME}"));
    }
    let strict_cwd = || {
        let own = parts.image.working_dir.as_deref().unwrap_or_default();
        (strict && matches!(own, "" | "/")).then(|| STRICT_HOME.to_owned())
    };
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: Some(strings(&[AGENT, "init", SOCKETS, "--"])),
        cmd: Some(command(spec, parts.image)),
        env: Some(env),
        working_dir: spec.cwd.clone().or_else(strict_cwd),
        user: if strict {
            Some(STRICT_USER.to_owned())
        } else {
            spec.user.clone()
        },
        labels: Some(parts.labels.iter().cloned().collect()),
        // The agent listens to TERM, whatever the image's program would have listened to.
        stop_signal: Some("SIGTERM".to_owned()),
        healthcheck: Some(HealthConfig {
            test: Some(strings(&["NONE"])),
            ..HealthConfig::default()
        }),
        host_config: Some(host_config(parts)),
        ..ContainerCreateBody::default()
    }
}

/// The image's entrypoint with the command that was asked for, or else the image's own: what
/// `docker run IMAGE COMMAND` would run.
fn command(spec: &Spec, image: &ImageConfig) -> Vec<String> {
    let entrypoint = image.entrypoint.clone().unwrap_or_default();
    let command = spec.command.clone().or(image.cmd.clone());
    [entrypoint, command.unwrap_or_default()].concat()
}

fn host_config(parts: &Parts<'_>) -> HostConfig {
    let spec = parts.spec;
    let strict = spec.profile == Profile::Strict;
    let memory = i64::try_from(spec.memory).ok();
    #[expect(clippy::cast_possible_truncation, reason = "the policy bounds it")]
    let nano_cpus = (spec.cpus * 1e9) as i64;
    HostConfig {
        cap_drop: Some(strings(&["ALL"])),
        cap_add: Some(if strict {
            Vec::new()
        } else {
            strings(&CAPABILITIES)
        }),
        security_opt: Some(strings(&["no-new-privileges"])),
        privileged: Some(false),
        readonly_rootfs: Some(strict),
        tmpfs: strict.then(|| tmpfs(parts.kind)),
        memory,
        // As much with swap as without: no swap.
        memory_swap: memory,
        nano_cpus: Some(nano_cpus),
        pids_limit: Some(i64::from(spec.pids)),
        ulimits: Some(ulimits()),
        ipc_mode: Some("private".to_owned()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        network_mode: Some(parts.network.unwrap_or("none").to_owned()),
        log_config: Some(log_config(parts.kind)),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        mounts: Some(mounts(parts)),
        ..HostConfig::default()
    }
}

/// Places to write on a read-only root. They count against the memory limit. Docker gives them the
/// mode of the directory below, so they get an owner; Podman knows no owner by number, but "the user".
fn tmpfs(kind: EngineKind) -> HashMap<String, String> {
    let who = match kind {
        EngineKind::Docker => "uid=1000,gid=1000",
        EngineKind::Podman => "U",
    };
    let options = format!("rw,exec,nosuid,nodev,mode=1777,size=256m,{who}");
    ["/tmp", "/run", STRICT_HOME]
        .map(|path| (path.to_owned(), options.clone()))
        .into()
}

fn ulimits() -> Vec<ResourcesUlimits> {
    // Without the capability to raise them, an engine can only set limits below its own.
    let most = |resource, most: u64| {
        let own = getrlimit(resource).map_or(most, |(_, hard)| hard);
        i64::try_from(most.min(own)).unwrap_or(i64::MAX)
    };
    [
        ("nofile", most(Resource::RLIMIT_NOFILE, NOFILE)),
        ("nproc", most(Resource::RLIMIT_NPROC, pid_max().min(NPROC))),
        ("core", 0),
    ]
    .map(|(name, limit)| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(limit),
        hard: Some(limit),
    })
    .into()
}

/// The most processes that the kernel can name. Podman has lowered its own limit to it.
fn pid_max() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap_or_default();
    text.trim().parse().unwrap_or(NPROC)
}

/// A small log: it holds what the agent and the image's own command say.
fn log_config(kind: EngineKind) -> HostConfigLogConfig {
    let (driver, options) = match kind {
        EngineKind::Docker => (
            "local",
            &[("max-size", "1m"), ("max-file", "1"), ("compress", "false")][..],
        ),
        EngineKind::Podman => ("k8s-file", &[("max-size", "1m")][..]),
    };
    let options = options
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    HostConfigLogConfig {
        typ: Some(driver.to_owned()),
        config: Some(options.collect()),
    }
}

fn mounts(parts: &Parts<'_>) -> Vec<Mount> {
    let bind = |source: &Path, target: &str, read_only| Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        ..Mount::default()
    };
    match parts.placement {
        Placement::Mounted => vec![
            bind(parts.agent, AGENT, true),
            bind(parts.directory, SOCKETS, false),
        ],
        // A volume, because nothing can be copied into a read-only root.
        Placement::Copied => vec![Mount {
            typ: Some(MountType::VOLUME),
            target: Some(AGENT_DIRECTORY.to_owned()),
            ..Mount::default()
        }],
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_merge_as_docker_does_it() {
        let image = |entrypoint: &[&str], cmd: &[&str]| ImageConfig {
            entrypoint: (!entrypoint.is_empty()).then(|| strings(entrypoint)),
            cmd: (!cmd.is_empty()).then(|| strings(cmd)),
            ..ImageConfig::default()
        };
        let spec = |command: Option<&[&str]>| Spec {
            image: "x".to_owned(),
            profile: Profile::Standard,
            network: crate::session::Network::None,
            command: command.map(strings),
            env: std::collections::BTreeMap::new(),
            cwd: None,
            user: None,
            cpus: 1.0,
            memory: 1 << 30,
            pids: 512,
        };
        assert_eq!(command(&spec(None), &image(&[], &["bash"])), ["bash"]);
        assert_eq!(command(&spec(None), &image(&["e"], &["c"])), ["e", "c"]);
        assert_eq!(
            command(&spec(Some(&["x"])), &image(&["e"], &["c"])),
            ["e", "x"]
        );
        assert!(command(&spec(None), &image(&[], &[])).is_empty());
    }
}
