//! Names that one process of a network namespace has at a time.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

use tokio::time::sleep;

/// How often a name that somebody else has is tried again.
const RETRY: Duration = Duration::from_millis(5);

/// A name, until it is dropped. It is that of a socket in the kernel's own namespace, so it holds where
/// interfaces and firewalls do, and ends with the process.
#[derive(Debug)]
pub struct Name(#[expect(dead_code, reason = "it is held")] UnixListener);

impl Name {
    /// Takes a name; none when somebody has it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn take(name: &str) -> io::Result<Option<Self>> {
        let address = SocketAddr::from_abstract_name(format!("shellport-{name}"))?;
        match UnixListener::bind_addr(&address) {
            Ok(socket) => Ok(Some(Self(socket))),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes a name as soon as nobody else has it. Safe to cancel.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn wait(name: &str) -> io::Result<Self> {
        loop {
            if let Some(name) = Self::take(name)? {
                return Ok(name);
            }
            sleep(RETRY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_has_it() {
        let tag = crate::id::random_tag();
        let first = Name::take(&tag).unwrap().unwrap();
        assert!(Name::take(&tag).unwrap().is_none());
        let second = Name::wait(&tag);
        let going = async {
            sleep(RETRY * 3).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(second, going);
        assert!(Name::take(&tag).unwrap().is_none());
        drop(second);
        assert!(Name::take(&tag).unwrap().is_some());
    }
}
