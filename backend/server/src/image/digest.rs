//! Digests: what blobs, layers and images are called by.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The digest of some bytes: SHA-256, the only algorithm that registries use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    hex: String,
}

/// What is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not sha256: with 64 hexadecimal digits")]
pub struct DigestError(String);

impl Digest {
    /// That of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hash(Sha256::new_with_prefix(bytes))
    }

    /// What `hash` has come to.
    pub fn from_hash(hash: Sha256) -> Self {
        Self {
            hex: HEXLOWER.encode(&hash.finalize()),
        }
    }

    /// That of a layer on top of others, as the image specification counts it.
    /// <https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid>
    pub fn chain(below: Option<&Self>, diff_id: &Self) -> Self {
        match below {
            None => diff_id.clone(),
            Some(below) => Self::of(format!("{below} {diff_id}").as_bytes()),
        }
    }

    /// Its 64 digits, which are the name of a file.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// As many digits as people need.
    pub fn short(&self) -> &str {
        &self.hex[..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.hex)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(is_digit) => Ok(Self {
                hex: hex.to_owned(),
            }),
            _ => Err(DigestError(text.chars().take(200).collect())),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<&oci_spec::image::Digest> for Digest {
    type Error = DigestError;

    fn try_from(digest: &oci_spec::image::Digest) -> Result<Self, DigestError> {
        digest.as_ref().parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_of_all_below() {
        let [a, b] = [Digest::of(b"a"), Digest::of(b"b")];
        assert_eq!(Digest::chain(None, &a), a);
        let both = Digest::of(format!("sha256:{} sha256:{}", a.hex(), b.hex()).as_bytes());
        assert_eq!(Digest::chain(Some(&a), &b), both);
    }

    #[test]
    fn only_a_digest_is_one() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(empty.parse(), Ok(Digest::of(b"")));
        for text in [
            "",
            "sha256:",
            "sha256:../../../../../../../../../../../../../../../../../../../etc/passwd0",
            &empty.to_uppercase(),
            &empty[..70],
            &empty.replace("sha256", "sha512"),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
