//! The networks of containers: a bridge for each, where root makes them, and else a process for each
//! that does for it what any program may do.

mod address;
mod bridge;
mod files;
mod firewall;
mod loopback;
mod name;
mod user;

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

pub use self::bridge::{clear, netavark};
pub use self::files::write_files;
pub use self::loopback::bring_up;
use super::container::Network;
use super::directory::Directory;
use crate::{programs, rootless};

/// What makes networks here.
#[derive(Clone, Debug)]
pub enum Tool {
    /// For root.
    Netavark(PathBuf),
    /// For everyone.
    Slirp4netns(PathBuf),
}

/// What makes networks here, if it is installed.
pub fn tool() -> Option<Tool> {
    if rootless::is_initial() {
        netavark().map(Tool::Netavark)
    } else {
        programs::find("slirp4netns").map(Tool::Slirp4netns)
    }
}

/// What has to be installed for networks.
pub fn missing() -> &'static str {
    if rootless::is_initial() {
        "netavark"
    } else {
        "slirp4netns"
    }
}

/// A network that nobody else takes.
#[derive(Debug)]
pub enum Reserved {
    /// A bridge.
    Bridge(bridge::Reserved),
    /// A process.
    User(user::Reserved),
}

/// A network that a container is connected to.
#[derive(Debug)]
pub enum Connected {
    /// A bridge.
    Bridge(bridge::Connected),
    /// A process.
    User(user::Connected),
}

/// A network for one container, when it wants one.
///
/// # Errors
/// When what makes it is not installed, or every network is taken.
pub fn reserve(network: &Network) -> io::Result<Option<Reserved>> {
    let Network::Bridge { ports } = network else {
        return Ok(None);
    };
    let ports = ports.clone();
    Ok(Some(match tool() {
        Some(Tool::Netavark(program)) => Reserved::Bridge(bridge::reserve(program, ports)?),
        Some(Tool::Slirp4netns(program)) => Reserved::User(user::Reserved { program, ports }),
        None => {
            let what = format!(
                "network: a bridge needs {}, which is not installed",
                missing()
            );
            return Err(io::Error::other(what));
        }
    }))
}

impl Reserved {
    /// The container's address.
    pub fn address(&self) -> Ipv4Addr {
        match self {
            Self::Bridge(bridge) => bridge.address(),
            Self::User(_) => user::ADDRESS,
        }
    }

    /// Whom the container asks for names, when that is not whom the machine asks.
    pub fn resolver(&self) -> Option<Ipv4Addr> {
        match self {
            Self::Bridge(_) => None,
            Self::User(_) => Some(user::RESOLVER),
        }
    }

    /// Connects the container `id`, whose first process is `pid` and whose files are in `directory`.
    ///
    /// # Errors
    /// What the program says that does it.
    pub async fn connect(self, directory: &Directory, id: &str, pid: i32) -> io::Result<Connected> {
        Ok(match self {
            Self::Bridge(bridge) => Connected::Bridge(bridge.connect(directory, id, pid).await?),
            Self::User(user) => Connected::User(user.connect(directory, pid).await?),
        })
    }
}

impl Connected {
    /// Removes the network.
    ///
    /// # Errors
    /// What the program says that does it.
    pub async fn disconnect(self) -> io::Result<()> {
        match self {
            Self::Bridge(bridge) => bridge.disconnect().await,
            Self::User(user) => user.disconnect().await,
        }
    }
}
