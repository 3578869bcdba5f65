//! A bridge for each container, so that containers do not reach each other. The bridge, its addresses
//! and what leads out of it are netavark's work.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::address::Subnet;
use super::firewall;
use super::name::Name;
use crate::image::Digest;
use crate::oci::container::Port;

/// Where distributions put netavark, which is no command for people.
const PLACES: [&str; 4] = [
    "/usr/lib/podman/netavark",
    "/usr/libexec/podman/netavark",
    "/usr/local/libexec/podman/netavark",
    "/usr/local/lib/podman/netavark",
];

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
    id: String,
    /// The container's namespace, which is still needed when the container has ended.
    namespace: std::fs::File,
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

    /// Connects the container `id`, whose first process is `pid`.
    ///
    /// # Errors
    /// What netavark says.
    pub async fn connect(self, id: &str, pid: i32) -> io::Result<Connected> {
        let connected = Connected {
            namespace: std::fs::File::open(format!("/proc/{pid}/ns/net"))?,
            id: id.to_owned(),
            reserved: self,
        };
        let _turn = turn().await?;
        firewall::separate().await?;
        if let Err(error) = connected.netavark("setup").await {
            let _ = connected.netavark("teardown").await;
            return Err(error);
        }
        Ok(connected)
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
        done
    }

    async fn netavark(&self, command: &str) -> io::Result<()> {
        let namespace = self.namespace.as_raw_fd();
        let mut child = Command::new(&self.reserved.program)
            .arg(command)
            .arg(format!("/proc/{}/fd/{namespace}", std::process::id()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let wish = serde_json::to_vec(&self.wish())?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&wish).await?;
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

    /// What netavark is told: the format is podman's.
    fn wish(&self) -> Value {
        let subnet = &self.reserved.subnet;
        // Rules of the firewall are called after it.
        let name = subnet.interface();
        let ports = self.reserved.ports.iter().map(|port| {
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
            "container_id": self.id,
            "container_name": self.id,
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
