//! Where ports of sandboxes are reached.

use std::str::FromStr;

/// Below which name, and how, each port of a session has a host name of its own: `{port}-{session}.{host}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortsUrl {
    scheme: &'static str,
    /// In lower case.
    host: String,
    port: Option<u16>,
}

impl PortsUrl {
    /// Below `localhost`, which leads to this machine with whatever is before it (RFC 6761, 6.3).
    pub fn localhost(port: u16) -> Self {
        Self {
            scheme: "http",
            host: "localhost".to_owned(),
            port: Some(port),
        }
    }

    /// What is before its name in the host of an authority; none when that is another host.
    pub fn label<'a>(&self, authority: &'a str) -> Option<&'a str> {
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        let at = host.len().checked_sub(self.host.len() + 1)?;
        let (label, rest) = (host.get(..at)?, host.get(at..)?);
        let is_below = rest.starts_with('.') && rest[1..].eq_ignore_ascii_case(&self.host);
        is_below.then_some(label)
    }

    /// The address of the host with this label.
    pub fn at(&self, label: &str) -> String {
        let Self { scheme, host, port } = self;
        match port {
            Some(port) => format!("{scheme}://{label}.{host}:{port}/"),
            None => format!("{scheme}://{label}.{host}/"),
        }
    }
}

impl FromStr for PortsUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not an address such as https://ports.example.org");
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let scheme = match scheme {
            "http" => "http",
            "https" => "https",
            _ => return Err(wrong()),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.split_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (rest, None),
        };
        if scheme == "http" && host != "localhost" && !host.ends_with(".localhost") {
            return Err(format!(
                "{text:?}: over http, browsers do not say where a request comes from; below other names than localhost it \
                 has to be https"
            ));
        }
        let is_label = |label: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !label.is_empty() && label.bytes().all(allowed)
        };
        if !host.split('.').all(is_label) {
            return Err(wrong());
        }
        Ok(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_what_is_before_the_name() {
        let local = PortsUrl::localhost(8022);
        assert_eq!(local.at("3000-x"), "http://3000-x.localhost:8022/");
        assert_eq!(local.label("3000-x.LocalHost:8022"), Some("3000-x"));
        assert_eq!(local.label("3000-x.localhost"), Some("3000-x"));
        for other in [
            "localhost:8022",
            "localhost",
            "xlocalhost",
            "a.localhost.evil",
            "",
        ] {
            assert_eq!(local.label(other), None, "{other}");
        }
        let url: PortsUrl = "https://Ports.example.org/".parse().unwrap();
        assert_eq!(url.at("3000-x"), "https://3000-x.ports.example.org/");
        assert_eq!(url.label("a.b.ports.example.org"), Some("a.b"));
        for wrong in [
            "ports.example.org",
            "ftp://x",
            "https://",
            "https://x:99999",
            "https://a b",
            "http://ports.example.org",
        ] {
            assert!(
                wrong.parse::<PortsUrl>().unwrap_err().contains(wrong),
                "{wrong}"
            );
        }
    }
}
