//! What a registry says of an image, checked.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};

use super::credentials::{self, Credentials};
use super::store::parse_manifest;
use super::{Digest, ImageError, platform};

/// The most bytes of a manifest or configuration. Registries refuse larger ones.
const MAX_BLOB: u64 = 4 << 20;

/// How long a registry may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(15);

/// How long a registry may send nothing.
const SILENCE: Duration = Duration::from_mins(1);

/// The registry of an image.
pub struct Registry {
    /// The image.
    pub image: Reference,
    /// What speaks to it.
    pub client: Client,
    auth: RegistryAuth,
}

impl Registry {
    pub async fn of(image: Reference) -> Result<Self, ImageError> {
        let registry = image.resolve_registry();
        let found = credentials::find(&image.whole()).await;
        let auth = match found.map_err(ImageError::Credentials)? {
            None => RegistryAuth::Anonymous,
            Some(Credentials::Password { user, password }) => RegistryAuth::Basic(user, password),
            Some(Credentials::IdentityToken(_)) => {
                return Err(ImageError::Credentials(format!(
                    "for {registry} there is an identity token, which only an engine can use; \
                     log in with a user and a password"
                )));
            }
        };
        // As Docker does it: what is on this machine needs no certificate.
        let plain = is_loopback(registry).then(|| registry.to_owned());
        let configuration = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(plain.into_iter().collect()),
            connect_timeout: Some(CONNECT),
            read_timeout: Some(SILENCE),
            user_agent: concat!("shellport/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        install_crypto();
        let failed = |error: OciDistributionError| ImageError::Registry {
            image: image.whole(),
            cause: error.to_string(),
        };
        let client = Client::try_from(configuration).map_err(failed)?;
        client.store_auth_if_needed(registry, &auth).await;
        Ok(Self {
            image,
            client,
            auth,
        })
    }

    /// The manifest for this machine, and its bytes.
    pub async fn manifest(&self) -> Result<(ImageManifest, Vec<u8>), ImageError> {
        let bytes = self.raw(&self.image).await?;
        let value: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| ImageError::malformed("the image's manifest")(&error))?;
        if value.get("manifests").is_none() {
            return Ok((parse_manifest(&bytes)?, bytes));
        }
        let index: ImageIndex = serde_json::from_value(value)
            .map_err(|error| ImageError::malformed("the image's index")(&error))?;
        let chosen = platform::choose(&self.image.whole(), index.manifests())?;
        let own = self.image.clone_with_digest(chosen.digest().to_string());
        let bytes = self.raw(&own).await?;
        check("a manifest", chosen, &bytes)?;
        Ok((parse_manifest(&bytes)?, bytes))
    }

    async fn raw(&self, image: &Reference) -> Result<Vec<u8>, ImageError> {
        let kinds = [
            OCI_IMAGE_MEDIA_TYPE,
            IMAGE_MANIFEST_MEDIA_TYPE,
            OCI_IMAGE_INDEX_MEDIA_TYPE,
            IMAGE_MANIFEST_LIST_MEDIA_TYPE,
        ];
        let pulled = self.client.pull_manifest_raw(image, &self.auth, &kinds);
        let (bytes, _) = pulled.await.map_err(|error| self.failed(&error))?;
        if bytes.len() as u64 > MAX_BLOB {
            return Err(too_long("the image's manifest"));
        }
        Ok(bytes.to_vec())
    }

    /// A small blob, whole.
    pub async fn blob(&self, wanted: &Descriptor) -> Result<Vec<u8>, ImageError> {
        if wanted.size() > MAX_BLOB {
            return Err(too_long("the image's configuration"));
        }
        let digest = wanted.digest().as_ref();
        let stream = self.client.pull_blob_stream(&self.image, digest).await;
        let mut stream = stream.map_err(|error| self.failed(&error))?.stream;
        let mut bytes = Vec::new();
        while let Some(more) = stream.next().await {
            let more = more.map_err(|error| self.failed(&error.into()))?;
            bytes.extend_from_slice(&more);
            if bytes.len() as u64 > MAX_BLOB {
                return Err(too_long("the image's configuration"));
            }
        }
        check("the image's configuration", wanted, &bytes)?;
        Ok(bytes)
    }

    fn failed(&self, error: &OciDistributionError) -> ImageError {
        use OciDistributionError as E;
        let registry = self.image.resolve_registry();
        let cause = match error {
            E::UnauthorizedError { .. } | E::AuthenticationFailure(_) => format!(
                "{registry} refuses: there is no such image, or it needs other credentials than \
                 the Docker configuration has"
            ),
            E::ImageManifestNotFoundError(_) | E::ServerError { code: 404, .. } => {
                format!("{registry} has no such image")
            }
            E::RegistryError { envelope, .. } => {
                let first = envelope.errors.first();
                first.map_or_else(
                    || format!("{registry} refuses"),
                    |error| format!("{registry} says {:?} {:?}", error.code, error.message),
                )
            }
            E::RequestError(cause) => {
                let mut text = format!("{registry} cannot be reached: {cause}");
                let mut source = std::error::Error::source(cause);
                while let Some(cause) = source {
                    text = format!("{text}: {cause}");
                    source = cause.source();
                }
                text
            }
            error => error.to_string(),
        };
        ImageError::Registry {
            image: self.image.whole(),
            cause,
        }
    }
}

fn too_long(what: &'static str) -> ImageError {
    ImageError::Malformed {
        what,
        cause: format!("it has more than {MAX_BLOB} bytes"),
    }
}

fn check(what: &'static str, wanted: &Descriptor, bytes: &[u8]) -> Result<(), ImageError> {
    let (expected, found) = (digest(wanted)?, Digest::of(bytes));
    if expected == found {
        return Ok(());
    }
    Err(ImageError::Digest {
        what,
        expected,
        found,
    })
}

/// Whether a registry is on this machine.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => registry.split(':').next().unwrap_or(registry),
    };
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Chooses the cryptography of TLS, once; the default would need a C library.
pub fn install_crypto() {
    let provider = rustls::crypto::ring::default_provider();
    // Another one has been chosen by whoever uses this library.
    let _: Result<(), Arc<_>> = provider.install_default();
}

/// The digest of what a manifest names.
///
/// # Errors
/// When it is none.
pub fn digest(blob: &Descriptor) -> Result<Digest, ImageError> {
    Digest::try_from(blob.digest())
        .map_err(|error| ImageError::malformed("the image's manifest")(&error))
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn what_is_here_is_known() {
        for registry in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.8.0.1",
            "[::1]:5000",
        ] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in [
            "index.docker.io",
            "localhost.example",
            "10.0.0.1:5000",
            "[fe80::1]",
        ] {
            assert!(!is_loopback(registry), "{registry}");
        }
    }
}
