//! Random names.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use serde::{Deserialize, Serialize};

/// The id of a session: 128 random bits in 26 lowercase letters and digits. It names a session and
/// gives no right to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

/// A text that is no session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session id has {LENGTH} lowercase letters and digits")]
pub struct NoSessionId;

const LENGTH: usize = 26;

impl SessionId {
    /// A new one.
    pub fn random() -> Self {
        Self(BASE32_NOPAD.encode(&random::<16>()).to_ascii_lowercase())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = NoSessionId;

    fn from_str(text: &str) -> Result<Self, NoSessionId> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if text.len() == LENGTH && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoSessionId)
        }
    }
}

impl TryFrom<String> for SessionId {
    type Error = NoSessionId;

    fn try_from(text: String) -> Result<Self, NoSessionId> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// 256 random bits in 43 characters that may stand in an address or a subprotocol.
pub fn random_secret() -> String {
    BASE64URL_NOPAD.encode(&random::<32>())
}

/// 64 random bits in 13 lowercase letters and digits, to tell things apart that are no secrets.
pub fn random_tag() -> String {
    BASE32_NOPAD.encode(&random::<8>()).to_ascii_lowercase()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel always has random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = SessionId::random();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_ne!(id, SessionId::random());
        for text in ["", "..", "UPPERCASE0000000000000000A", "a/b"] {
            assert!(text.parse::<SessionId>().is_err(), "{text}");
        }
    }
}
