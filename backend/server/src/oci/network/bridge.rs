//! A bridge for each container, so that containers do not reach each other. The bridge, its addresses
//! and what leads out of it are netavark's work.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::address::Subnet;
use super::firewall;
use super::name::Name;
use crate::image::Digest;
use crate::oci::container::Port;
use crate::oci::directory::Directory;

/// Where distributions put netavark, which is no command for people.
const PLACES: [&str; 4] = [
    "/usr/lib/podman/netavark",
    "/usr/libexec/podman/netavark",
    "/usr/local/libexec/podman/netavark",
    "/usr/local/lib/podman/netavark",
];

/// What netavark was told, in the container's directory.
const KEPT: &str = "network.json";

/// How long netavark may take; it waits for others that change the firewall.
const LIMIT: Duration = Duration::from_secs(30);

/// Where netavark is, if it is installed.
pub fn netavark() -> Option<PathBuf> {
    PLACES.iter().map(PathBuf::from).find(|it| it.is_file())
}

/// A network that nobody else on the machine takes.
#[derive(Debug)]
pub struct Reserved {
    program: PathBuf,
    subnet: Subnet,
    ports: Vec<Port>,
    _name: Name,
}

/// A network that a container is connected to.
#[derive(Debug)]
pub struct Connected {
    reserved: Reserved,
    directory: Directory,
    namespace: File,
    wish: Value,
}

/// A network for one container, made by the netavark at `program`.
///
/// # Errors
/// When every network is taken.
pub fn reserve(program: PathBuf, ports: Vec<Port>) -> io::Result<Reserved> {
    let interfaces = std::fs::read_to_string("/proc/self/net/dev")?;
    let names = interfaces.lines().filter_map(|line| line.split_once(':'));
    let taken: BTreeSet<_> = names.map(|(name, _)| name.trim().to_owned()).collect();
    for subnet in Subnet::all()? {
        if taken.contains(&subnet.interface()) {
            continue;
        }
        if let Some(name) = Name::take(&subnet.interface())? {
            return Ok(Reserved {
                program,
                subnet,
                ports,
                _name: name,
            });
        }
    }
    Err(io::Error::other("every network is taken"))
}

/// Nobody else changes the firewall as long as this is held: netavark looks at it and changes it in two
/// steps.
async fn turn() -> io::Result<Name> {
    let turn = timeout(LIMIT, Name::wait("netavark")).await;
    turn.map_err(|_| io::Error::other("others change the firewall all the time"))?
}

impl Reserved {
    /// The container's address.
    pub fn address(&self) -> Ipv4Addr {
        self.subnet.container()
    }

    /// Connects the container `id`, whose first process is `pid`. What netavark is told is kept in
    /// `directory` for as long as it holds.
    ///
    /// # Errors
    /// What netavark says.
    pub async fn connect(self, directory: &Directory, id: &str, pid: i32) -> io::Result<Connected> {
        let wish = self.wish(id);
        let connected = Connected {
            // It is still needed when the container has ended.
            namespace: File::open(format!("/proc/{pid}/ns/net"))?,
            directory: directory.clone(),
            reserved: self,
            wish,
        };
        directory.write(KEPT, &connected.wish)?;
        let _turn = turn().await?;
        firewall::separate().await?;
        if let Err(error) = connected.netavark("setup").await {
            let _ = connected.netavark("teardown").await;
            return Err(error);
        }
        Ok(connected)
    }

    /// What netavark is told: the format is podman's.
    fn wish(&self, id: &str) -> Value {
        let subnet = &self.subnet;
        // Rules of the firewall are called after it.
        let name = subnet.interface();
        let ports = self.ports.iter().map(|port| {
            json!({
                "host_ip": port.address.map(|it| it.to_string()).unwrap_or_default(),
                "host_port": port.host,
                "container_port": port.container,
                "protocol": port.protocol,
                "range": 1,
            })
        });
        let ports = ports.collect::<Vec<_>>();
        json!({
            "container_id": id,
            "container_name": id,
            "port_mappings": ports,
            "networks": {
                &name: {"interface_name": "eth0", "static_ips": [subnet.container()]},
            },
            "network_info": {
                &name: {
                    "name": name,
                    "id": Digest::of(name.as_bytes()).hex(),
                    "driver": "bridge",
                    "network_interface": name,
                    "subnets": [{"subnet": subnet.to_string(), "gateway": subnet.gateway()}],
                    "ipv6_enabled": false,
                    "internal": false,
                    "dns_enabled": false,
                    "ipam_options": {"driver": "host-local"},
                },
            },
        })
    }
}

impl Connected {
    /// Removes the network.
    ///
    /// # Errors
    /// What netavark says.
    pub async fn disconnect(&self) -> io::Result<()> {
        let _turn = turn().await?;
        let done = self.netavark("teardown").await;
        firewall::clean_up().await?;
        done?;
        forget(&self.directory)
    }

    async fn netavark(&self, command: &str) -> io::Result<()> {
        let program = &self.reserved.program;
        tell(program, command, &self.namespace, &self.wish).await
    }
}

/// Removes what is left of the network of a container whose monitor was killed.
///
/// # Errors
/// What netavark says.
pub async fn clear(directory: &Directory) -> io::Result<()> {
    let wish: Value = match directory.read(KEPT) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        wish => wish?,
    };
    let Some(program) = netavark() else {
        return Ok(());
    };
    // The container's own has gone, and netavark removes nothing without one: so it gets another.
    let namespace = new_namespace()?;
    let _turn = turn().await?;
    tell(&program, "setup", &namespace, &wish).await?;
    tell(&program, "teardown", &namespace, &wish).await?;
    firewall::clean_up().await?;
    forget(directory)
}

fn forget(directory: &Directory) -> io::Result<()> {
    match std::fs::remove_file(directory.path().join(KEPT)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// An empty network namespace, which is there as long as the file.
fn new_namespace() -> io::Result<File> {
    // Of a thread, which is not needed after that.
    let work = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        File::open("/proc/thread-self/ns/net")
    });
    let done = work.join();
    done.unwrap_or_else(|_| Err(io::Error::other("making a network namespace panicked")))
}

/// Runs netavark.
async fn tell(program: &Path, command: &str, namespace: &File, wish: &Value) -> io::Result<()> {
    let mut child = Command::new(program)
        .arg(command)
        .arg(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            namespace.as_raw_fd()
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&serde_json::to_vec(wish)?).await?;
    }
    let output = timeout(LIMIT, child.wait_with_output())
        .await
        .map_err(|_| io::Error::other(format!("netavark {command} does not end")))??;
    if output.status.success() {
        return Ok(());
    }
    // It complains as JSON where its answer would be.
    let said = serde_json::from_slice(&output.stdout).ok();
    let said = said.and_then(|it: Value| Some(it.get("error")?.as_str()?.to_owned()));
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned());
    Err(io::Error::other(format!(
        "netavark {command}: {}",
        said.trim()
    )))
}
