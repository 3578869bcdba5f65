//! The container that the flags and the image come to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::sync::watch;

use super::RunCommand;
use crate::agent::{self, AGENT};
use crate::cli::container::{CommandError, options};
use crate::cli::progress::{Show, show};
use crate::image::pull::{Progress, pull};
use crate::image::{ImageError, Pinned, Store, familiar};
use crate::oci::container::{Bind, Container, Limits, Network, Program, Stdio};
use crate::oci::host;
use crate::profile::{ImageDefaults, capabilities};
use crate::session::Profile;

/// Bytes that are kept of what a container says that runs in the background.
const LOG: u64 = 16 << 20;

impl RunCommand {
    /// The image, which is pulled when it is not there, and its layers. They stay as long as the container
    /// whose directory is `user`.
    pub(super) async fn find_image(
        &self,
        store: &Store,
        user: &Path,
    ) -> Result<(ImageDefaults, Vec<PathBuf>, Option<Pinned>), CommandError> {
        if self.image == host::NAME {
            let layer = host::ensure(&self.place.images()?);
            let layer = layer.map_err(CommandError::host("making the image \"host\""))?;
            return Ok((host::defaults(), vec![layer], None));
        }
        let pinned = match store.pin(&self.image, user).await {
            Err(ImageError::Missing(_)) => {
                let (progress, shown) = watch::channel(Progress::default());
                let work = async {
                    let pulled = pull(store, &self.image, &progress).await;
                    drop(progress);
                    pulled
                };
                let (pulled, ()) = tokio::join!(work, show(Show::Bars, shown));
                store.pin(familiar(&pulled?.reference), user).await?
            }
            pinned => pinned?,
        };
        let layers = pinned.layers.clone();
        Ok(((&pinned.image).into(), layers, Some(pinned)))
    }

    /// The container of this id and name.
    pub(super) fn container(
        &self,
        id: &str,
        name: &str,
        image: &ImageDefaults,
        layers: Vec<PathBuf>,
        given: BTreeMap<String, String>,
        network: Network,
    ) -> Result<Container, CommandError> {
        let command = command(image, self.entrypoint.as_deref(), &self.command);
        if command.is_empty() {
            let what = "the image has no command of its own; say one behind it";
            return Err(CommandError::flag("COMMAND", what));
        }
        let hostname = self.hostname.clone().unwrap_or_else(|| {
            let own = options::hostname(name);
            own.unwrap_or_else(|_| id.to_owned())
        });
        let mut env = image.variables();
        if self.tty {
            env.insert("TERM".to_owned(), "xterm-256color".to_owned());
        }
        env.insert("HOSTNAME".to_owned(), hostname.clone());
        env.extend(given);
        let how: &[&str] = if self.no_init {
            &[AGENT, "launch", "--"]
        } else {
            &[AGENT, "supervise", "--"]
        };
        let argv = how.iter().map(|&it| it.to_owned()).chain(command).collect();
        let agent = agent::install(&self.place.containers()?.with_file_name("agent"));
        let mut binds = vec![Bind {
            source: agent.map_err(CommandError::host("putting the agent's program down"))?,
            target: AGENT.into(),
            read_only: true,
        }];
        if self.image == host::NAME {
            binds.extend(host::binds());
        }
        binds.extend(self.volume.iter().cloned());
        let cwd = self.workdir.clone().unwrap_or_else(|| match &*image.cwd {
            "" => "/".to_owned(),
            cwd => cwd.to_owned(),
        });
        Ok(Container {
            id: id.to_owned(),
            image: self.image.clone(),
            created: jiff::Timestamp::now(),
            engine: self.runtime.clone(),
            layers,
            // The caller knows.
            pin: None,
            program: Program {
                argv,
                env,
                cwd,
                user: self.user.clone().unwrap_or_else(|| image.user.clone()),
            },
            stdio: if self.tty {
                Stdio::Terminal
            } else {
                Stdio::Pipes {
                    input: self.interactive,
                }
            },
            keep_output: if self.detach { LOG } else { 0 },
            remove: self.rm || !self.detach,
            capabilities: capabilities(Profile::Standard)
                .iter()
                .map(|&it| it.to_owned())
                .collect(),
            read_only: self.read_only,
            hostname,
            // The caller's, too.
            cgroup: None,
            limits: Limits {
                cpus: self.cpus,
                memory: self.memory,
                pids: self.pids_limit.and_then(|pids| u32::try_from(pids).ok()),
                disk: self.disk,
            },
            network,
            binds,
            tmpfs: Vec::new(),
        })
    }
}

/// The image's entrypoint with the command that was given, or else the image's own; another entrypoint
/// drops both.
fn command(image: &ImageDefaults, entrypoint: Option<&str>, given: &[String]) -> Vec<String> {
    let own = if given.is_empty() && entrypoint.is_none() {
        &image.command
    } else {
        given
    };
    let before = match entrypoint {
        None => image.entrypoint.clone(),
        Some("") => Vec::new(),
        Some(program) => vec![program.to_owned()],
    };
    [before.as_slice(), own].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_merge_as_docker_does_it() {
        let strings = |list: &[&str]| list.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let image = ImageDefaults {
            entrypoint: strings(&["e", "f"]),
            command: strings(&["c"]),
            ..ImageDefaults::default()
        };
        let merged = |entrypoint, given: &[&str]| command(&image, entrypoint, &strings(given));
        assert_eq!(merged(None, &[]), ["e", "f", "c"]);
        assert_eq!(merged(None, &["x"]), ["e", "f", "x"]);
        assert_eq!(merged(Some("o"), &[]), ["o"]);
        assert_eq!(merged(Some("o"), &["x"]), ["o", "x"]);
        assert_eq!(merged(Some(""), &["x"]), ["x"]);
    }
}
