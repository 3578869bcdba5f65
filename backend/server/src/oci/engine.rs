//! The engines that make containers: programs with the OCI runtimes' command line.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde::Deserialize;
use tokio::process::Command;

use super::cgroup::{self, Version};
use super::container::Container;
use super::directory::Directory;
use crate::programs;

/// The name of the engine in our own program.
pub const EMBEDDED: &str = "embedded";

/// Engines that are looked for by name.
pub const KNOWN: [&str; 5] = [EMBEDDED, "crun", "runc", "youki", "runsc"];

/// A program with an OCI runtime's command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    name: String,
    program: PathBuf,
    /// What comes before the command.
    prefix: Vec<OsString>,
    /// Whether it would make groups wherever it sees how.
    hides_cgroups: bool,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Not one of [`KNOWN`], nor a path.
    #[error("{0:?} is no engine; it can be {known}, or the path of one", known = KNOWN.join(", "))]
    Unknown(String),
    /// It is not installed.
    #[error("the engine {0} is not installed")]
    Absent(String),
    /// The machine has cgroups of version 1, and this user may make none.
    #[error(
        "without root, the embedded engine needs a machine with cgroups of version 2 alone; crun and \
         runc do not (--oci-engine or --runtime)"
    )]
    Cgroups,
    /// It does not run.
    #[error("the engine {0} does not run: {1}")]
    Broken(String, String),
    /// It refused.
    #[error("{engine} {command}: {cause}")]
    Failed {
        /// Its name.
        engine: String,
        /// What it was told to do.
        command: &'static str,
        /// What it said.
        cause: String,
    },
}

impl Engine {
    /// The engine of this name, or at this path; `program` is this one.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(name: &str, program: &Path) -> Result<Self, EngineError> {
        let engine = |program: PathBuf, prefix: Vec<OsString>| Self {
            name: name.to_owned(),
            program,
            prefix,
            hides_cgroups: false,
        };
        if name == EMBEDDED {
            return Ok(engine(program.to_owned(), vec!["oci".into()]));
        }
        if name.starts_with('/') {
            return if Path::new(name).is_file() {
                Ok(engine(name.into(), Vec::new()))
            } else {
                Err(EngineError::Absent(name.to_owned()))
            };
        }
        if !KNOWN.contains(&name) {
            return Err(EngineError::Unknown(name.to_owned()));
        }
        programs::find(name)
            .map(|program| engine(program, Vec::new()))
            .ok_or_else(|| EngineError::Absent(name.to_owned()))
    }

    /// The engine of this container; `program` is this one.
    ///
    /// # Errors
    /// When it is no longer there.
    pub fn of(container: &Container, program: &Path) -> Result<Self, EngineError> {
        let engine = Self::find(&container.engine, program)?;
        match container.cgroup {
            Some(_) => Ok(engine),
            None => engine.without_cgroups(),
        }
    }

    /// It, making no cgroups.
    ///
    /// # Errors
    /// When it cannot.
    pub fn without_cgroups(mut self) -> Result<Self, EngineError> {
        if self.name == EMBEDDED {
            if cgroup::version() != Version::Two {
                return Err(EngineError::Cgroups);
            }
            self.hides_cgroups = true;
        }
        // Others do by themselves what they must.
        if self.program.file_name().is_some_and(|name| name == "crun") {
            self.prefix.push("--cgroup-manager=disabled".into());
        }
        Ok(self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Prepares this process's mount namespace for it.
    ///
    /// # Errors
    /// Where it cannot be used.
    pub fn prepare(&self) -> io::Result<()> {
        if self.hides_cgroups {
            cgroup::hide()?;
        }
        Ok(())
    }

    /// Its version, such as `crun 1.14.1`.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn version(&self) -> Result<String, EngineError> {
        if self.name == EMBEDDED {
            return Ok("embedded (libcontainer)".to_owned());
        }
        let broken = |cause: String| EngineError::Broken(self.name.clone(), cause);
        let output = Command::new(&self.program)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|error| broken(error.to_string()))?;
        if !output.status.success() {
            return Err(broken(said(&output)));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().next().unwrap_or_default();
        Ok(line.replace(" version", ""))
    }

    /// A command for the container in `directory`.
    pub fn command(&self, directory: &Directory, command: &'static str) -> Call {
        let log = directory.engine_log();
        let mut call = Command::new(&self.program);
        call.args(&self.prefix)
            .arg("--root")
            .arg(directory.engine_state())
            .arg("--log")
            .arg(&log)
            .arg("--log-format=json")
            .arg(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        Call {
            engine: self.name.clone(),
            name: command,
            log,
            command: call,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// A command for an engine.
#[derive(Debug)]
pub struct Call {
    engine: String,
    name: &'static str,
    log: PathBuf,
    /// The command itself, to be completed. Standard streams that it gets are the container's, so it
    /// complains in a log.
    pub command: Command,
}

impl Call {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Carries it out.
    ///
    /// # Errors
    /// What the engine said, when it refused.
    pub async fn run(mut self) -> Result<(), EngineError> {
        let failed = |cause: String| EngineError::Failed {
            engine: self.engine.clone(),
            command: self.name,
            cause,
        };
        // What is in there is about an earlier command.
        let _ = std::fs::remove_file(&self.log);
        let status = self.command.status().await;
        let status = status.map_err(|error| failed(error.to_string()))?;
        if status.success() {
            return Ok(());
        }
        let cause = complaint(&self.log);
        Err(failed(
            cause.unwrap_or_else(|| format!("it ended with {status}")),
        ))
    }
}

/// The most that is heard of an engine's complaint, in bytes.
const MAX_SAID: u64 = 64 * 1024;

/// A line of an engine's log.
#[derive(Deserialize)]
struct Line {
    msg: String,
    level: String,
}

/// The last error in an engine's log.
fn complaint(log: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(log).ok()?;
    file.take(MAX_SAID).read_to_string(&mut text).ok()?;
    let lines = text.lines().rev();
    let mut lines = lines.filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines
        .find(|line| matches!(line.level.as_str(), "error" | "fatal"))
        .map(|line| line.msg)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}
