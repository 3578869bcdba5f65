//! Who listens on which port.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use shellport_wire::process::{Listener, Port, Process};

/// The state of a TCP socket that listens, as the kernel writes it (`TCP_LISTEN` in `tcp_states.h`).
const LISTEN: &str = "0A";

/// The ports on which anybody listens, by the number of the socket.
pub fn listening() -> HashMap<u64, Port> {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let lines = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    lines
        .iter()
        .flat_map(|text| text.lines().skip(1))
        .filter_map(parse)
        .collect()
}

/// Those of one process. Of another user's, only root may look.
pub fn of(pid: i32, listening: &HashMap<u64, Port>) -> Vec<Port> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let mut ports: Vec<Port> = descriptors
        .filter_map(|descriptor| {
            let target = fs::read_link(descriptor.ok()?.path()).ok()?;
            let socket = target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?;
            listening.get(&socket.parse().ok()?).cloned()
        })
        .collect();
    ports.sort();
    ports.dedup();
    ports
}

/// Those of all of these processes, by number.
pub fn of_all(processes: &[Process]) -> Vec<Listener> {
    let mut all: BTreeMap<u16, Listener> = BTreeMap::new();
    for process in processes {
        for Port { port, address } in &process.ports {
            let listener = all.entry(*port).or_insert_with(|| Listener {
                port: *port,
                addresses: Vec::new(),
                pid: process.pid,
                name: process.name.clone(),
            });
            if !listener.addresses.contains(address) {
                listener.addresses.push(address.clone());
            }
        }
    }
    all.into_values().collect()
}

/// The addresses on which anybody listens on this port.
pub fn addresses(port: u16) -> Vec<IpAddr> {
    let all = listening().into_values().filter(|it| it.port == port);
    all.filter_map(|it| it.address.parse().ok()).collect()
}

/// A line of the kernel's table: `sl local_address rem_address st … inode …`, the address in hexadecimal words of
/// the machine's own byte order.
fn parse(line: &str) -> Option<(u64, Port)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let (address, port) = fields.get(1)?.split_once(':')?;
    let words: Option<Vec<u32>> = (0..address.len() / 8)
        .map(|word| u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok())
        .collect();
    let bytes: Vec<u8> = words?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let address = match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(bytes) => Ipv4Addr::from(bytes).to_string(),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[..]).ok()?).to_string(),
    };
    let port = Port {
        port: u16::from_str_radix(port, 16).ok()?,
        address,
    };
    Some((fields.get(9)?.parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_the_kernel_are_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0";
        let port = |port, address: &str| Port {
            port,
            address: address.to_owned(),
        };
        assert_eq!(parse(line), Some((4711, port(8080, "127.0.0.1"))));
        let line = "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 12 1";
        assert_eq!(parse(line), Some((12, port(80, "::1"))));
        let line = "   0: 0100007F:1F90 0100007F:0001 01 0:0 0:0 0 0 0 4711 1";
        assert_eq!(parse(line), None);
        assert_eq!(parse(""), None);
    }
}
