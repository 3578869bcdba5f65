//! What can be said of a wish before anything is made.

use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use super::RunCommand;
use crate::cli::container::CommandError;
use crate::oci::cgroup::Parent;
use crate::oci::container::Network;
use crate::oci::{disk, network};
use crate::session::Network as Net;

impl RunCommand {
    /// Refuses what cannot be here.
    pub(super) fn check(&self, cgroup: Option<&Parent>) -> Result<(), CommandError> {
        let is_limited = cgroup.is_some();
        let has_cpu = cgroup.is_some_and(|cgroup| cgroup.has_cpu);
        let limits_pids = self.pids_limit.is_some_and(|most| most >= 0);
        for (flag, is_given, can_be) in [
            ("--cpus", self.cpus.is_some(), has_cpu),
            ("--memory", self.memory.is_some(), is_limited),
            ("--pids-limit", limits_pids, is_limited),
        ] {
            if is_given && !can_be {
                let what = "this user may make no cgroup with such a limit; leave it out, be root, or \
                            start it with systemd-run --user --scope";
                return Err(CommandError::flag(flag, what));
            }
        }
        if let (Some(_), Some(missing)) = (self.disk, disk::missing()) {
            let what = format!("{missing} is needed for that, and not here; leave it out");
            return Err(CommandError::flag("--disk", what));
        }
        self.check_terminal()?;
        for port in &self.publish {
            let address = port.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let address = SocketAddr::new(address, port.host);
            let free = match &*port.protocol {
                "udp" => UdpSocket::bind(address).map(drop),
                _ => TcpListener::bind(address).map(drop),
            };
            free.map_err(|error| CommandError::flag("--publish", format!("{address}: {error}")))?;
        }
        Ok(())
    }

    /// Refuses a terminal where there is none.
    pub(super) fn check_terminal(&self) -> Result<(), CommandError> {
        let input = io::stdin().is_terminal();
        let missing = !input && (self.interactive || !io::stdout().is_terminal());
        if self.tty && !self.detach && missing {
            let what = "there is no terminal here that the program could have; leave it out";
            return Err(CommandError::flag("--tty", what));
        }
        Ok(())
    }

    /// What it can reach.
    pub(super) fn network(&self) -> Result<Network, CommandError> {
        let bridge = || Network::Bridge {
            ports: self.publish.clone(),
        };
        let installed = network::tool().is_some();
        let network = match self.net {
            Some(Net::Bridge) if !installed => {
                let tool = network::missing();
                let what = format!(
                    "a bridge needs {tool}, which is not installed; it takes none and host"
                );
                return Err(CommandError::flag("--net", what));
            }
            Some(Net::Host) => Network::Host,
            Some(Net::Bridge) => bridge(),
            None if installed => bridge(),
            Some(Net::None) | None => Network::None,
        };
        if !self.publish.is_empty() && !matches!(network, Network::Bridge { .. }) {
            let what = "ports lead into a network of the container's own; it takes --net bridge";
            return Err(CommandError::flag("--publish", what));
        }
        Ok(network)
    }
}
