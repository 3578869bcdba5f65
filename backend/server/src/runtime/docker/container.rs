//! What a container is made from. Everything is set here, from nothing; no field of a request is
//! passed through.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    Mount, MountType, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};

use super::engine::EngineKind;
use super::transport::Placement;
use crate::agent::{AGENT, AGENT_DIRECTORY, SOCKETS};
use crate::profile::{self, ImageDefaults, STRICT_TMPFS, STRICT_TMPFS_SIZE};
use crate::session::{Network, Profile, Spec};

/// How many arguments are the agent's own; what follows is the sandbox's command.
const AGENT_ARGUMENTS: usize = 4;

/// What a container is made from.
pub(super) struct Parts<'a> {
    pub spec: &'a Spec,
    pub image: &'a ImageDefaults,
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
    let argv = profile::argv(spec, parts.image);
    let (entrypoint, command) = argv.split_at(AGENT_ARGUMENTS);
    let env = profile::env(spec, parts.image);
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: Some(entrypoint.to_vec()),
        cmd: Some(command.to_vec()),
        env: Some(
            env.iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        ),
        working_dir: profile::cwd(spec, parts.image),
        user: profile::user(spec),
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

fn host_config(parts: &Parts<'_>) -> HostConfig {
    let spec = parts.spec;
    let strict = spec.profile == Profile::Strict;
    let memory = i64::try_from(spec.memory).ok();
    #[expect(clippy::cast_possible_truncation, reason = "the policy bounds it")]
    let nano_cpus = (spec.cpus * 1e9) as i64;
    HostConfig {
        cap_drop: Some(strings(&["ALL"])),
        cap_add: Some(strings(profile::capabilities(spec.profile))),
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
        network_mode: Some(network_mode(parts).to_owned()),
        log_config: Some(log_config(parts.kind)),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        mounts: Some(mounts(parts)),
        ..HostConfig::default()
    }
}

/// Places to write on a read-only root. Docker gives them the
/// mode of the directory below, so they get an owner; Podman knows no owner by number, but "the user".
fn tmpfs(kind: EngineKind) -> HashMap<String, String> {
    let who = match kind {
        EngineKind::Docker => "uid=1000,gid=1000",
        EngineKind::Podman => "U",
    };
    let options = format!("rw,exec,nosuid,nodev,mode=1777,size={STRICT_TMPFS_SIZE},{who}");
    STRICT_TMPFS
        .map(|path| (path.to_owned(), options.clone()))
        .into()
}

fn network_mode<'a>(parts: &Parts<'a>) -> &'a str {
    match parts.spec.network {
        Network::Host => "host",
        Network::Bridge | Network::None => parts.network.unwrap_or("none"),
    }
}

fn ulimits() -> Vec<ResourcesUlimits> {
    profile::ulimits()
        .map(|(name, limit)| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            ResourcesUlimits {
                name: Some(name.to_ascii_lowercase()),
                soft: Some(limit),
                hard: Some(limit),
            }
        })
        .into()
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
