//! Archives as nobody should make them, and others.

use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::io::Write;
use tar::{Builder, EntryType, Header};

/// An archive that is being made. Names are taken as they are.
pub struct Archive(Builder<Vec<u8>>);

impl Archive {
    /// An empty one.
    pub fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    /// Adds an entry with this owner and mode.
    pub fn add(mut self, kind: EntryType, name: &str, link: &str, data: &[u8], mode: u32) -> Self {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        header.set_mode(mode);
        header.set_uid(u64::from(mode % 7));
        header.set_gid(u64::from(mode % 11));
        header.set_mtime(1_600_000_000 + u64::from(mode));
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    /// Adds a file.
    pub fn file(self, name: &str, data: &str) -> Self {
        self.add(EntryType::Regular, name, "", data.as_bytes(), 0o644)
    }

    /// Adds a directory.
    pub fn directory(self, name: &str) -> Self {
        self.add(EntryType::Directory, name, "", b"", 0o755)
    }

    /// Adds a symbolic link.
    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Symlink, name, target, b"", 0o777)
    }

    /// Adds a hard link.
    pub fn link(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Link, name, target, b"", 0o644)
    }

    /// Says more about the next entry.
    pub fn pax(mut self, extensions: &[(&str, &[u8])]) -> Self {
        let extensions = extensions.iter().copied();
        self.0.append_pax_extensions(extensions).unwrap();
        self
    }

    /// Adds a header as it is, with what follows it.
    pub fn raw(mut self, header: &Header, data: &[u8]) -> Self {
        self.0.append(header, data).unwrap();
        self
    }

    /// Its bytes.
    pub fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// `bytes`, compressed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The digest of `bytes`.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes)))
}

/// A layer of an image that is being made.
pub struct Layer {
    /// As it is in the layout.
    pub blob: Vec<u8>,
    /// The end of its media type.
    pub kind: &'static str,
    /// The digest of its archive.
    pub diff_id: String,
}

impl Layer {
    /// Of an archive, compressed with gzip.
    pub fn gzip(archive: &[u8]) -> Self {
        Self {
            blob: gzip(archive),
            kind: "tar+gzip",
            diff_id: digest(archive),
        }
    }
}

/// Makes an OCI layout at `directory`, of one image called `tag`; what its configuration says can be
/// changed. The digest of its manifest.
pub fn layout(
    directory: &Path,
    tag: &str,
    layers: &[Layer],
    change: impl Fn(&mut Value),
) -> String {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = digest(bytes);
        fs::write(blobs.join(&digest["sha256:".len()..]), bytes).unwrap();
        digest
    };
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let diff_ids: Vec<_> = layers.iter().map(|layer| &layer.diff_id).collect();
    let mut configuration = json!({
        "architecture": architecture, "os": "linux",
        "config": {"Env": ["A=b"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    change(&mut configuration);
    let configuration = configuration.to_string();
    let described: Vec<_> = layers
        .iter()
        .map(|layer| {
            let kind = format!("application/vnd.oci.image.layer.v1.{}", layer.kind);
            json!({"mediaType": kind, "digest": put(&layer.blob), "size": layer.blob.len()})
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": put(configuration.as_bytes()),
            "size": configuration.len(),
        },
        "layers": described,
    });
    let manifest = manifest.to_string();
    let digest = put(manifest.as_bytes());
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": tag},
        }],
    });
    fs::write(directory.join("index.json"), index.to_string()).unwrap();
    fs::write(
        directory.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    digest
}
