//! The files of a container that say what it is called and whom it asks for names.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use super::Reserved;
use crate::oci::container::{Container, Network};

/// What the machine asks; the first has the servers behind a resolver on loopback.
const RESOLVERS: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];

/// Writes `hosts`, `hostname` and `resolv.conf` into the bundle at `path`.
///
/// # Errors
/// Those of the file system.
pub fn write_files(
    path: &Path,
    container: &Container,
    network: Option<&Reserved>,
) -> io::Result<()> {
    let name = &container.hostname;
    let address = match network {
        Some(network) => network.address().to_string(),
        None => "127.0.1.1".to_owned(),
    };
    let hosts = format!(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{address}\t{name}\n"
    );
    fs::write(path.join("hosts"), hosts)?;
    fs::write(path.join("hostname"), format!("{name}\n"))?;
    fs::write(path.join("resolv.conf"), resolvers(container, network))
}

fn resolvers(container: &Container, network: Option<&Reserved>) -> String {
    let read = |path: &&str| fs::read_to_string(path).ok();
    if let Some(resolver) = network.and_then(Reserved::resolver) {
        return format!("nameserver {resolver}\n");
    }
    match container.network {
        Network::None => String::new(),
        Network::Host => fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
        Network::Bridge { .. } => RESOLVERS
            .iter()
            .find_map(read)
            .map(|text| reachable(&text))
            .unwrap_or_default(),
    }
}

/// Without the resolvers on loopback, which is another one in a container.
fn reachable(text: &str) -> String {
    let is_loopback = |line: &str| {
        let mut words = line.split_whitespace();
        let address = |word: &str| word.parse::<IpAddr>().ok();
        words.next() == Some("nameserver")
            && words
                .next()
                .and_then(address)
                .is_some_and(|it| it.is_loopback())
    };
    text.lines()
        .filter(|line| !is_loopback(line))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_on_loopback_are_left_out() {
        let text =
            "search example.org\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver ::1\n";
        assert_eq!(
            reachable(text),
            "search example.org\nnameserver 192.0.2.1\n"
        );
    }
}
