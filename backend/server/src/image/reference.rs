//! The names of images.

use oci_client::Reference;

use super::ImageError;

/// The registry of names without one.
const DOCKER_HUB: &str = "docker.io/";

/// The repository of Docker Hub's own images.
const LIBRARY: &str = "docker.io/library/";

/// The whole reference that `name` means, as Docker reads it: `debian` is
/// `docker.io/library/debian:latest`.
///
/// # Errors
/// When it is not one.
pub fn parse(name: &str) -> Result<Reference, ImageError> {
    name.parse()
        .map_err(|error: oci_client::ParseError| ImageError::Name {
            name: name.chars().take(300).collect(),
            cause: error.to_string(),
        })
}

/// A reference as people write it.
pub fn familiar(reference: &str) -> &str {
    reference
        .strip_prefix(LIBRARY)
        .or_else(|| reference.strip_prefix(DOCKER_HUB))
        .unwrap_or(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        for (name, whole, short) in [
            ("debian", "docker.io/library/debian:latest", "debian:latest"),
            ("a/b:c", "docker.io/a/b:c", "a/b:c"),
            ("ghcr.io/a/b", "ghcr.io/a/b:latest", "ghcr.io/a/b:latest"),
            (
                "127.0.0.1:5000/a",
                "127.0.0.1:5000/a:latest",
                "127.0.0.1:5000/a:latest",
            ),
        ] {
            let reference = parse(name).unwrap().whole();
            assert_eq!(reference, whole);
            assert_eq!(familiar(&reference), short);
        }
        for name in ["", "A", "a b", "a:b:c:d", "../a", "a@sha256:12"] {
            let error = parse(name).unwrap_err().to_string();
            assert!(error.contains("not the name of an image"), "{error}");
        }
    }
}
