//! The loopback interface of a container, which not every engine brings up.

use std::fs::File;
use std::io;

use libcontainer::network::NetworkError;
use libcontainer::network::link::LinkClient;
use libcontainer::network::wrapper::create_network_client;
use nix::sched::{CloneFlags, setns};

/// Brings it up in the network namespace of the process `pid`.
///
/// # Errors
/// Those of the kernel.
pub fn bring_up(pid: i32) -> io::Result<()> {
    let namespace = File::open(format!("/proc/{pid}/ns/net"))?;
    // A thread can be in another namespace than its process, and is not needed after that.
    let work = std::thread::spawn(move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        let up = || {
            let mut links = LinkClient::new(create_network_client())?;
            let link = links.get_by_name("lo")?;
            links.set_up(link.header.index)
        };
        up().map_err(|error: NetworkError| io::Error::other(error))
    });
    let done = work.join();
    done.unwrap_or_else(|_| {
        Err(io::Error::other(
            "bringing up the loopback interface panicked",
        ))
    })
}
