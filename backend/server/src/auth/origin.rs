//! Which names the server answers to, against DNS rebinding, and which pages may use it, against
//! cross-site requests. No I/O.

use std::net::SocketAddr;

/// The names under which the server is reached.
#[derive(Clone, Debug)]
pub struct AllowedHosts {
    own: Vec<String>,
    added: Vec<String>,
    port: u16,
}

/// A request from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// The request is for another host.
    #[error("this server does not answer as {0:?}; start it with --allowed-hosts to let it")]
    Host(String),
    /// The request comes from a page of another host.
    #[error("pages of {0:?} may not use this server; start it with --allowed-hosts to let them")]
    Origin(String),
}

impl AllowedHosts {
    /// The names of a server that listens on `address`, and those that the operator has added.
    pub fn new(address: SocketAddr, added: &[String]) -> Self {
        let mut own: Vec<String> = ["localhost", "127.0.0.1", "[::1]"]
            .map(str::to_owned)
            .into();
        if !address.ip().is_unspecified() {
            own.push(match address {
                SocketAddr::V4(address) => address.ip().to_string(),
                SocketAddr::V6(address) => format!("[{}]", address.ip()),
            });
        }
        let added = added.iter().map(|host| host.trim().to_ascii_lowercase());
        Self {
            own,
            added: added.filter(|host| !host.is_empty()).collect(),
            port: address.port(),
        }
    }

    /// Checks the headers of a request.
    ///
    /// # Errors
    /// A `Host` that is missing or not the server's, or an `Origin` that is.
    pub fn check(&self, host: Option<&str>, origin: Option<&str>) -> Result<(), OriginError> {
        let host = host.unwrap_or_default();
        if !self.allows(host) {
            return Err(OriginError::Host(host.to_owned()));
        }
        match origin {
            None => Ok(()),
            Some(origin) => {
                let authority = origin
                    .strip_prefix("http://")
                    .or_else(|| origin.strip_prefix("https://"));
                if authority.is_some_and(|authority| self.allows(authority)) {
                    Ok(())
                } else {
                    Err(OriginError::Origin(origin.to_owned()))
                }
            }
        }
    }

    /// Names of our own come with our port; names that the operator has added may stand for a proxy
    /// on any.
    fn allows(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an address in brackets are no port's.
            Some((host, port)) if !port.ends_with(']') => match port.parse::<u16>() {
                Ok(port) => (host, Some(port)),
                Err(_) => return false,
            },
            _ => (&authority[..], None),
        };
        let is = |known: &String| known == host;
        let own = self.own.iter().any(is) && port.unwrap_or(80) == self.port;
        // An added name with a port is allowed with that port only.
        own || self.added.iter().any(is) || self.added.contains(&authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> AllowedHosts {
        AllowedHosts::new(
            "127.0.0.1:8022".parse().unwrap(),
            &["shell.example.org".to_owned()],
        )
    }

    #[test]
    fn own_names_are_allowed() {
        let hosts = hosts();
        for host in [
            "127.0.0.1:8022",
            "localhost:8022",
            "LOCALHOST:8022",
            "[::1]:8022",
            "shell.example.org",
            "shell.example.org:443",
        ] {
            assert_eq!(hosts.check(Some(host), None), Ok(()), "{host}");
            let origin = format!("https://{host}");
            assert_eq!(hosts.check(Some(host), Some(&origin)), Ok(()), "{origin}");
        }
    }

    #[test]
    fn others_are_not() {
        let hosts = hosts();
        for host in [
            "",
            "evil.example",
            "127.0.0.1:80",
            "127.0.0.1.evil.example:8022",
            "shell.example.org.evil.example",
            "shell.example.org:",
            "localhost:8022:1",
        ] {
            assert!(hosts.check(Some(host), None).is_err(), "{host}");
        }
        assert!(hosts.check(None, None).is_err());
        for origin in ["null", "", "https://evil.example", "file://localhost:8022"] {
            let error = hosts
                .check(Some("localhost:8022"), Some(origin))
                .unwrap_err();
            assert_eq!(error, OriginError::Origin(origin.to_owned()));
        }
    }
}
