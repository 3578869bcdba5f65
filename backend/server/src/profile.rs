//! What a sandbox's profile comes to, whichever runtime makes it.

use std::collections::BTreeMap;

use nix::sys::resource::{Resource, getrlimit};

use crate::agent::{AGENT, SOCKETS};
use crate::image::Image;
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

/// The user and the group of the strict profile.
pub const STRICT_ID: u32 = 1000;

/// The home of the strict profile. It is there in no image, so the mount makes it.
pub const STRICT_HOME: &str = "/home/user";

/// Where the strict profile can write, although its root is read-only. They count against the memory
/// limit.
pub const STRICT_TMPFS: [&str; 3] = ["/tmp", "/run", STRICT_HOME];

/// Bytes of each of them.
pub const STRICT_TMPFS_SIZE: u64 = 256 << 20;

/// Where programs are looked for in an image that does not say.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Descriptors a process may have, unless the server's own limit is lower.
const NOFILE: u64 = 65_536;

/// Processes a user may have, unless the server's own limit is lower. The sandbox's own limit is in
/// its cgroup; this one is shared by all sandboxes with the same user.
const NPROC: u64 = 1_048_576;

/// The part of an image's configuration that a sandbox takes over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageDefaults {
    /// What comes before a command.
    pub entrypoint: Vec<String>,
    /// The command, when none is asked for.
    pub command: Vec<String>,
    /// Variables as `NAME=VALUE`.
    pub env: Vec<String>,
    /// The working directory; empty for `/`.
    pub cwd: String,
    /// The user; empty for root.
    pub user: String,
}

impl From<&Image> for ImageDefaults {
    fn from(image: &Image) -> Self {
        let config = image.configuration.config().clone().unwrap_or_default();
        Self {
            entrypoint: config.entrypoint().clone().unwrap_or_default(),
            command: config.cmd().clone().unwrap_or_default(),
            env: config.env().clone().unwrap_or_default(),
            cwd: config.working_dir().clone().unwrap_or_default(),
            user: config.user().clone().unwrap_or_default(),
        }
    }
}

impl ImageDefaults {
    /// The variables.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let pairs = self.env.iter().filter_map(|it| it.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// Capabilities of a profile, without `CAP_`.
pub fn capabilities(profile: Profile) -> &'static [&'static str] {
    match profile {
        Profile::Standard => &CAPABILITIES,
        Profile::Strict => &[],
    }
}

/// What the sandbox runs: the agent, with the image's entrypoint and the command that was asked for, or
/// else the image's own: what `docker run IMAGE COMMAND` would run.
pub fn argv(spec: &Spec, image: &ImageDefaults) -> Vec<String> {
    let agent = [AGENT, "init", SOCKETS, "--"].map(str::to_owned).to_vec();
    [agent, command(spec, image)].concat()
}

fn command(spec: &Spec, image: &ImageDefaults) -> Vec<String> {
    let command = spec.command.as_ref().unwrap_or(&image.command);
    [image.entrypoint.as_slice(), command].concat()
}

/// Variables on top of the image's.
pub fn env(spec: &Spec, image: &ImageDefaults) -> BTreeMap<String, String> {
    let mut env = spec.env.clone();
    let is_given = |name: &str| {
        image
            .env
            .iter()
            .any(|it| it.split('=').next() == Some(name))
    };
    if !is_given("TERM") {
        // Podman would say `xterm`.
        env.entry("TERM".to_owned())
            .or_insert_with(|| "xterm-256color".to_owned());
    }
    if spec.profile == Profile::Strict {
        env.entry("HOME".to_owned())
            .or_insert_with(|| STRICT_HOME.to_owned());
    }
    env
}

/// The working directory, where it is not the image's own.
pub fn cwd(spec: &Spec, image: &ImageDefaults) -> Option<String> {
    let home = spec.profile == Profile::Strict && matches!(&*image.cwd, "" | "/");
    let home = home.then(|| STRICT_HOME.to_owned());
    spec.cwd.clone().or(home)
}

/// The user, where it is not the image's own.
pub fn user(spec: &Spec) -> Option<String> {
    match spec.profile {
        Profile::Strict => Some(format!("{STRICT_ID}:{STRICT_ID}")),
        Profile::Standard => spec.user.clone(),
    }
}

/// Limits of each process, by the names that getrlimit(2) has without `RLIMIT_`.
pub fn ulimits() -> [(&'static str, u64); 3] {
    // Without the capability to raise them, an engine can only set limits below its own.
    let most = |resource, most: u64| {
        let own = getrlimit(resource).map_or(most, |(_, hard)| hard);
        most.min(own)
    };
    [
        ("NOFILE", most(Resource::RLIMIT_NOFILE, NOFILE)),
        ("NPROC", most(Resource::RLIMIT_NPROC, pid_max().min(NPROC))),
        ("CORE", 0),
    ]
}

/// The most processes that the kernel can name. Podman has lowered its own limit to it.
fn pid_max() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap_or_default();
    text.trim().parse().unwrap_or(NPROC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn commands_merge_as_docker_does_it() {
        let image = |entrypoint: &[&str], command: &[&str]| ImageDefaults {
            entrypoint: strings(entrypoint),
            command: strings(command),
            ..ImageDefaults::default()
        };
        let spec = |command: Option<&[&str]>| Spec {
            image: "x".to_owned(),
            profile: Profile::Standard,
            network: crate::session::Network::None,
            command: command.map(strings),
            env: BTreeMap::new(),
            env_digest: String::new(),
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
