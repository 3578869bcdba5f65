//! The addresses of containers' networks.

use std::fmt;
use std::fs;
use std::io;
use std::net::Ipv4Addr;

/// Ranges of private addresses that few others use, each with 65,536 of them. The first one is taken
/// to which the machine has no other route.
const RANGES: [[u8; 2]; 3] = [[10, 231], [172, 30], [192, 168]];

/// Addresses of one network.
const SIZE: u32 = 16;

/// Bits of an address that all of a network share.
const PREFIX: u32 = 28;

/// What the names of all bridges begin with.
pub const INTERFACE: &str = "shellport";

/// The addresses of one network: the bridge's, which is the gateway, and the container's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    base: Ipv4Addr,
    index: u32,
}

impl Subnet {
    /// Every network that there can be.
    ///
    /// # Errors
    /// When the machine's routes cannot be read.
    pub fn all() -> io::Result<impl Iterator<Item = Self>> {
        let routes = routes(&fs::read_to_string("/proc/net/route")?);
        let free = |[a, b]: &&[u8; 2]| {
            let base = u32::from(Ipv4Addr::new(*a, *b, 0, 0));
            !routes.iter().any(|(target, mask)| {
                let shorter = mask & 0xffff_0000;
                (target ^ base) & shorter == 0
            })
        };
        let [a, b] = RANGES.iter().find(free).unwrap_or(&RANGES[0]);
        let base = Ipv4Addr::new(*a, *b, 0, 0);
        Ok((0..0x1_0000 / SIZE).map(move |index| Self { base, index }))
    }

    /// The bridge's name on this machine; at most 15 bytes.
    pub fn interface(self) -> String {
        format!("{INTERFACE}{}", self.index)
    }

    /// The bridge's address.
    pub fn gateway(self) -> Ipv4Addr {
        self.at(1)
    }

    /// The container's address.
    pub fn container(self) -> Ipv4Addr {
        self.at(2)
    }

    fn at(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) + self.index * SIZE + offset)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{PREFIX}", self.at(0))
    }
}

/// Targets and masks of the routes that are neither the default one nor our own: proc(5), where they
/// stand as the machine keeps them in memory.
fn routes(table: &str) -> Vec<(u32, u32)> {
    let number = |field: Option<&str>| {
        let bytes = u32::from_str_radix(field?, 16).ok()?;
        Some(u32::from_be_bytes(bytes.to_ne_bytes()))
    };
    table
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with(INTERFACE))
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let target = number(fields.next())?;
            Some((target, number(fields.nth(5))?))
        })
        .filter(|(_, mask)| *mask != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_do_not_overlap() {
        let all: Vec<_> = Subnet::all().unwrap().collect();
        assert_eq!(all.len(), 4096);
        for pair in all.windows(2) {
            assert_eq!(u32::from(pair[1].at(0)) - u32::from(pair[0].at(0)), SIZE);
        }
        let last = all.last().unwrap();
        assert!(last.to_string().ends_with(".255.240/28"), "{last}");
        assert!(last.interface().len() <= 15);
    }

    #[test]
    fn routes_are_read_as_the_kernel_writes_them() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                     eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     eth0\t0000E70A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                     shellport0\t0000E80A\t00000000\t0001\t0\t0\t0\tF0FFFFFF\t0\t0\t0\n";
        let expected = (u32::from(Ipv4Addr::new(10, 231, 0, 0)), 0xffff_0000);
        assert_eq!(routes(table), [expected]);
    }
}
