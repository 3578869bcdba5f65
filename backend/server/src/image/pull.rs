//! Bringing an image from a registry.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::credentials::{self, Credentials};
use super::download::download;
use super::store::{chains, parse_configuration, parse_manifest};
use super::{Digest, Image, ImageError, Store, parse, platform};

/// Layers that are brought at once.
const AT_ONCE: usize = 4;

/// The most layers of an image; Docker allows 127.
const MAX_LAYERS: usize = 256;

/// The most bytes of a manifest or configuration. Registries refuse larger ones.
const MAX_BLOB: u64 = 4 << 20;

/// How long a registry may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(15);

/// How long a registry may send nothing.
const SILENCE: Duration = Duration::from_mins(1);

/// How far the bringing of an image is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Its layers, the lowest first; none before they are known.
    pub layers: Vec<LayerProgress>,
}

/// How far one layer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerProgress {
    /// The digest of its blob.
    pub digest: Digest,
    /// What happens to it.
    pub step: Step,
    /// Bytes that are here.
    pub current: u64,
    /// Bytes of its blob.
    pub total: u64,
}

/// What happens to a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Others come first, or somebody else is bringing it.
    Waiting,
    /// It comes.
    Downloading,
    /// It is made into files.
    Unpacking,
    /// It is here.
    Done,
}

/// Where a pull tells how far it is.
pub type ProgressSink = watch::Sender<Progress>;

/// Brings the image `name` into `store`, or finds that all of it is there. Others that bring the
/// same layers wait for each other. Safe to cancel: the next pull goes on where this one was.
///
/// # Errors
/// A registry that does not have it or cannot be reached, and a disk that is full. What has come
/// until then is kept for the next pull.
pub async fn pull(store: &Store, name: &str, progress: &ProgressSink) -> Result<Image, ImageError> {
    let image = parse(name)?;
    let _using = store.using().await?;
    let registry = Registry::of(image.clone()).await?;
    let (manifest, bytes) = registry.manifest().await?;
    let configuration = registry.blob(manifest.config()).await?;
    let parsed = parse_configuration(&configuration)?;
    platform::check(&image.whole(), &parsed)?;
    let layers = platform::layers(&parsed)?;
    let blobs = manifest.layers();
    if blobs.len() != layers.len() || layers.len() > MAX_LAYERS {
        return Err(ImageError::Malformed {
            what: "the image's manifest",
            cause: format!(
                "it has {} layers, its configuration {}; the most is {MAX_LAYERS}",
                blobs.len(),
                layers.len()
            ),
        });
    }
    progress.send_replace(beginning(blobs)?);
    let plan = Plan {
        store,
        registry: &registry,
        blobs,
        diff_ids: &layers,
        layers: &chains(&layers),
        progress,
    };
    plan.carry_out().await?;
    store.add_blob(&configuration)?;
    let manifest = store.add_blob(&bytes)?;
    store.name(&image.whole(), manifest)
}

fn beginning(blobs: &[Descriptor]) -> Result<Progress, ImageError> {
    let layers = blobs.iter().map(|blob| {
        Ok(LayerProgress {
            digest: digest(blob)?,
            step: Step::Waiting,
            current: 0,
            total: blob.size(),
        })
    });
    Ok(Progress {
        layers: layers.collect::<Result<_, ImageError>>()?,
    })
}

/// The layers of an image, the lowest first, and what is done with them.
struct Plan<'a> {
    store: &'a Store,
    registry: &'a Registry,
    blobs: &'a [Descriptor],
    diff_ids: &'a [Digest],
    layers: &'a [Digest],
    progress: &'a ProgressSink,
}

impl Plan<'_> {
    /// Fetches several at once, and unpacks one on top of the other as they come.
    async fn carry_out(&self) -> Result<(), ImageError> {
        let (sender, mut fetched) = mpsc::channel(1);
        let fetch = async move {
            let all = stream::iter(0..self.blobs.len()).map(|index| self.fetch(index));
            let mut all = all.buffered(AT_ONCE);
            while let Some(file) = all.try_next().await? {
                // The other half has failed.
                if sender.send(file).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let unpack = async {
            let mut index = 0;
            while let Some(file) = fetched.recv().await {
                if let Some(file) = file {
                    self.unpack(index, file).await?;
                }
                self.note(index, Step::Done, self.blobs[index].size());
                index += 1;
            }
            Ok(())
        };
        tokio::try_join!(fetch, unpack).map(|_| ())
    }

    /// The blob of a layer; none when the layer is there.
    async fn fetch(&self, index: usize) -> Result<Option<File>, ImageError> {
        let blob = &self.blobs[index];
        let digest = digest(blob)?;
        let is_there = || self.store.layer(&self.layers[index]).is_some();
        if is_there() {
            return Ok(None);
        }
        let _turn = self.store.turn(&digest).await?;
        if is_there() {
            return Ok(None);
        }
        self.note(index, Step::Downloading, 0);
        let Registry { client, image, .. } = self.registry;
        let path = self.store.download(&digest);
        let note = |current| self.note(index, Step::Downloading, current);
        Ok(Some(download(client, image, blob, &path, note).await?))
    }

    async fn unpack(&self, index: usize, file: File) -> Result<(), ImageError> {
        let blob = &self.blobs[index];
        self.note(index, Step::Unpacking, blob.size());
        let (below, layer) = (&self.layers[..index], &self.layers[index]);
        let added = self
            .store
            .add_layer(below, layer, &self.diff_ids[index], file)
            .await;
        // Unpacked or not, it is of no more use.
        let path = self.store.download(&digest(blob)?);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            result => result.map_err(ImageError::store(&path))?,
        }
        added
    }

    fn note(&self, index: usize, step: Step, current: u64) {
        self.progress.send_modify(|progress| {
            let layer = &mut progress.layers[index];
            (layer.step, layer.current) = (step, current);
        });
    }
}

fn digest(blob: &Descriptor) -> Result<Digest, ImageError> {
    Digest::try_from(blob.digest())
        .map_err(|error| ImageError::malformed("the image's manifest")(&error))
}

/// The registry of an image.
struct Registry {
    image: Reference,
    client: Client,
    auth: RegistryAuth,
}

impl Registry {
    async fn of(image: Reference) -> Result<Self, ImageError> {
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
        let failed = |error: oci_client::errors::OciDistributionError| ImageError::Registry {
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
    async fn manifest(&self) -> Result<(ImageManifest, Vec<u8>), ImageError> {
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
    async fn blob(&self, wanted: &Descriptor) -> Result<Vec<u8>, ImageError> {
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

    fn failed(&self, error: &oci_client::errors::OciDistributionError) -> ImageError {
        use oci_client::errors::OciDistributionError as E;
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
                    |error| format!("{registry} says {:?} {}", error.code, error.message),
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
fn install_crypto() {
    let provider = rustls::crypto::ring::default_provider();
    // Another one has been chosen by whoever uses this library.
    let _: Result<(), Arc<_>> = provider.install_default();
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
