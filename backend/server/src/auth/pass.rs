//! Passes: how a browser shows on every request that it may reach a port of a session.
//!
//! Nothing is kept of them: a pass says until when it is valid, and is authenticated with a key that comes from the
//! token. It is a cookie of the port's own host name and good for nothing else.

use std::time::{Duration, SystemTime};

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::Secret;
use crate::id::SessionId;

/// How long a pass is valid.
pub const LIFETIME: Duration = Duration::from_hours(24);

/// For one port of one session, from now on.
pub fn issue(token: &Secret, session: &SessionId, port: u16) -> String {
    let until = seconds(SystemTime::now() + LIFETIME);
    let mac = mac(token, session, port, until).finalize().into_bytes();
    format!("{until}.{}", BASE64URL_NOPAD.encode(&mac))
}

/// Whether `pass` is one for this port, and still valid.
pub fn is_valid(token: &Secret, session: &SessionId, port: u16, pass: &str) -> bool {
    let parts = pass.split_once('.').and_then(|(until, mac)| {
        let mac = BASE64URL_NOPAD.decode(mac.as_bytes()).ok()?;
        Some((until.parse().ok()?, mac))
    });
    let Some((until, authentic)) = parts else {
        return false;
    };
    let mac = mac(token, session, port, until);
    mac.verify_slice(&authentic).is_ok() && until > seconds(SystemTime::now())
}

fn mac(token: &Secret, session: &SessionId, port: u16, until: u64) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.reveal().as_bytes())
        .unwrap_or_else(|_| unreachable!("a key of any length is taken"));
    mac.update(format!("port {session} {port} {until}").as_bytes());
    mac
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_for_one_port_of_one_session() {
        let token = Secret::new("t".repeat(43));
        let session = SessionId::random();
        let pass = issue(&token, &session, 3000);
        assert!(is_valid(&token, &session, 3000, &pass));
        assert!(!is_valid(&token, &session, 3001, &pass));
        assert!(!is_valid(&token, &SessionId::random(), 3000, &pass));
        assert!(!is_valid(
            &Secret::new("u".repeat(43)),
            &session,
            3000,
            &pass
        ));
        let (until, mac) = pass.split_once('.').unwrap();
        let later = until.parse::<u64>().unwrap() + 1;
        assert!(!is_valid(&token, &session, 3000, &format!("{later}.{mac}")));
        for wrong in ["", ".", "1.", "x.y", until] {
            assert!(!is_valid(&token, &session, 3000, wrong), "{wrong:?}");
        }
        // One that was valid.
        let old = seconds(SystemTime::now()) - 1;
        let mac = super::mac(&token, &session, 3000, old)
            .finalize()
            .into_bytes();
        let old = format!("{old}.{}", BASE64URL_NOPAD.encode(&mac));
        assert!(!is_valid(&token, &session, 3000, &old));
    }
}
