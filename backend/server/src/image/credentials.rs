//! The operator's credentials for registries, from the Docker configuration.
//!
//! The format is that of `docker login`: `auths` with what is stored, `credHelpers` and `credsStore`
//! with programs that know more.
//! <https://docs.docker.com/reference/cli/docker/login/#credential-stores>

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use data_encoding::BASE64;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a credential helper may take.
const HELPER: Duration = Duration::from_secs(20);

/// Docker Hub's name in the configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What opens a registry. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user and a password.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that a credential helper gave.
    IdentityToken(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Configuration {
    auths: HashMap<String, Auth>,
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    identitytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

/// The credentials for the registry of `image`, if the operator has any.
///
/// # Errors
/// A configuration or helper that does not work; the message holds no secret.
pub async fn find(image: &str) -> Result<Option<Credentials>, String> {
    let Some(path) = path() else { return Ok(None) };
    let text = match tokio::fs::read_to_string(&path).await {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let configuration: Configuration = serde_json::from_str(&text).map_err(|error| {
        format!(
            "{} is not a Docker configuration: line {}",
            path.display(),
            error.line()
        )
    })?;
    let registry = registry(image);
    let helper = configuration
        .cred_helpers
        .get(&registry)
        .or(configuration.creds_store.as_ref());
    if let Some(helper) = helper
        && let Some(found) = ask(helper, &registry).await?
    {
        return Ok(Some(found));
    }
    let stored = configuration.auths.iter().find(|(name, _)| {
        let host = name
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .trim_end_matches('/');
        **name == registry || host == registry
    });
    Ok(stored.and_then(|(_, auth)| decode(auth)))
}

fn path() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let directory = variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".docker")))?;
    Some(directory.join("config.json"))
}

/// The registry that a reference names, as the configuration calls it.
pub fn registry(image: &str) -> String {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => {
            if host == "docker.io" {
                DOCKER_HUB.to_owned()
            } else {
                host.to_owned()
            }
        }
        _ => DOCKER_HUB.to_owned(),
    }
}

fn decode(auth: &Auth) -> Option<Credentials> {
    if let Some(token) = &auth.identitytoken {
        return Some(Credentials::IdentityToken(token.clone()));
    }
    let decoded = BASE64.decode(auth.auth.as_ref()?.as_bytes()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials::Password {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

async fn ask(helper: &str, registry: &str) -> Result<Option<Credentials>, String> {
    let program = format!("docker-credential-{helper}");
    let failed = |what: String| format!("{program}: {what}");
    let run = async {
        let mut child = Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(registry.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = timeout(HELPER, run)
        .await
        .map_err(|_| failed(format!("no answer in {} s", HELPER.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        // It knows nothing of this registry.
        return Ok(None);
    }
    let helped: Helped = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("its answer is not what a credential helper says".to_owned()))?;
    Ok(Some(if helped.username == "<token>" {
        Credentials::IdentityToken(helped.secret)
    } else {
        Credentials::Password {
            user: helped.username,
            password: helped.secret,
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_have_the_names_of_the_configuration() {
        for (image, name) in [
            ("debian", DOCKER_HUB),
            ("library/debian:12", DOCKER_HUB),
            ("docker.io/library/debian", DOCKER_HUB),
            ("ghcr.io/a/b", "ghcr.io"),
            ("127.0.0.1:5000/a", "127.0.0.1:5000"),
            ("localhost/a", "localhost"),
        ] {
            assert_eq!(registry(image), name, "{image}");
        }
    }

    #[test]
    fn a_stored_password_is_decoded() {
        let auth = Auth {
            auth: Some(BASE64.encode(b"user:pass:word")),
            identitytoken: None,
        };
        let password = Credentials::Password {
            user: "user".to_owned(),
            password: "pass:word".to_owned(),
        };
        assert!(decode(&auth) == Some(password));
    }
}
