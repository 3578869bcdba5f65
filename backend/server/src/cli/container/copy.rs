//! `shellport cp`: files into a container and out of it.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::{Args, ValueEnum};
use nix::mount::{MntFlags, umount2};
use nix::unistd::{chdir, chroot};

use super::{CommandError, Place, join, program};
use crate::cli::remote::{self, ServerPlace, session_of};
use crate::oci::directory::{Directory, State};
use crate::oci::{monitor, root};

/// Copy files between this machine and a container, running or not, or a session of a server.
#[derive(Args, Debug)]
pub struct CopyCommand {
    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    server: ServerPlace,

    /// A path, NAME:PATH in a container, @NAME:PATH in a session, or - for a tar archive from standard input.
    source: String,

    /// A path, NAME:PATH in a container, @NAME:PATH in a session, or - for a tar archive to standard output.
    target: String,
}

/// One end of a copy.
enum End<'a> {
    Here(&'a Path),
    There(&'a str, &'a Path),
    /// An archive in a standard stream.
    Stream,
}

impl CopyCommand {
    /// Enters the container's user namespace. There must be no other thread.
    ///
    /// # Errors
    /// When there is no such container.
    pub fn join(&self) -> Result<(), CommandError> {
        if self.is_remote() {
            return Ok(());
        }
        match (end(&self.source), end(&self.target)) {
            (End::There(name, _), _) | (_, End::There(name, _)) => join(&self.place, name),
            // It will be refused.
            _ => Ok(()),
        }
    }

    /// Whether one end is a session of a server.
    fn is_remote(&self) -> bool {
        [&self.source, &self.target]
            .iter()
            .any(|text| matches!(end(text), End::There(name, _) if session_of(name).is_some()))
    }

    /// Copies.
    ///
    /// # Errors
    /// What is not there, or cannot be written.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        if self.is_remote() {
            let (source, target) = (remote_end(&self.source)?, remote_end(&self.target)?);
            return remote::copy(&self.server, source, target).await;
        }
        self.server.refuse()?;
        match (end(&self.source), end(&self.target)) {
            (End::There(name, path), End::Here(target)) => self.out_of(name, path, target)?,
            (End::Here(source), End::There(name, path)) => self.bring_in(source, name, path)?,
            (End::There(name, path), End::Stream) => {
                if io::stdout().is_terminal() {
                    let what = "- is for an archive, and standard output is a terminal";
                    return Err(CommandError::flag("TARGET", what));
                }
                let own = path.file_name().unwrap_or(".".as_ref());
                let (stdin, stdout) = (Stdio::null(), Stdio::inherit());
                finish(self.helper(name, Direction::Out, path, own, stdin, stdout)?)?;
            }
            (End::Stream, End::There(name, path)) => {
                let (stdin, stdout) = (Stdio::inherit(), Stdio::null());
                let own = ".".as_ref();
                finish(self.helper(name, Direction::Archive, path, own, stdin, stdout)?)?;
            }
            _ => {
                let what = "one of the two is in a container (NAME:PATH), the other one is not";
                return Err(CommandError::flag("SOURCE TARGET", what));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn out_of(&self, name: &str, path: &Path, target: &Path) -> Result<(), CommandError> {
        let failed = CommandError::host("copying");
        let (parent, own) = place(target, path)?;
        let mut child = self.helper(
            name,
            Direction::Out,
            path,
            &own,
            Stdio::null(),
            Stdio::piped(),
        )?;
        let mut archive = tar::Archive::new(child.stdout.take().expect("piped"));
        archive.set_preserve_permissions(true);
        // Whatever the container names stays below: that crate sees to it.
        let unpacked = archive.unpack(&parent);
        finish(child)?;
        unpacked.map_err(failed)
    }

    fn bring_in(&self, source: &Path, name: &str, path: &Path) -> Result<(), CommandError> {
        let failed = CommandError::host("copying");
        let found = source.symlink_metadata().map_err(|error| {
            CommandError::flag("SOURCE", format!("{}: {error}", source.display()))
        })?;
        let own = source.file_name().unwrap_or_default();
        let mut child = self.helper(
            name,
            Direction::In,
            path,
            own,
            Stdio::piped(),
            Stdio::null(),
        )?;
        let mut archive = tar::Builder::new(child.stdin.take().expect("piped"));
        archive.follow_symlinks(false);
        let added = if found.is_dir() {
            archive.append_dir_all("x", source)
        } else {
            archive.append_path_with_name(source, "x")
        };
        let written = added.and_then(|()| archive.into_inner().map(drop));
        finish(child)?;
        written.map_err(failed)
    }

    fn helper(
        &self,
        name: &str,
        direction: Direction,
        path: &Path,
        own: &std::ffi::OsStr,
        stdin: Stdio,
        stdout: Stdio,
    ) -> Result<std::process::Child, CommandError> {
        let directory = self.place.find(name)?;
        let mut command = Command::new(program()?);
        command
            .arg("archive")
            .arg(
                direction
                    .to_possible_value()
                    .expect("it has one")
                    .get_name(),
            )
            .arg(directory.path())
            .arg("--")
            .arg(path)
            .arg(own)
            .env_clear()
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped());
        command.spawn().map_err(CommandError::host("copying"))
    }
}

fn finish(child: std::process::Child) -> Result<(), CommandError> {
    let output = child
        .wait_with_output()
        .map_err(CommandError::host("copying"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(CommandError::Monitor(
        said.trim().trim_start_matches("shellport: ").to_owned(),
    ))
}

fn end(text: &str) -> End<'_> {
    if text == "-" {
        return End::Stream;
    }
    match text.split_once(':') {
        Some((name, path)) if !name.is_empty() && !name.contains('/') => {
            End::There(name, Path::new(path))
        }
        _ => End::Here(Path::new(text)),
    }
}

/// The same, where a session of a server is meant.
fn remote_end(text: &str) -> Result<remote::End<'_>, CommandError> {
    Ok(match end(text) {
        End::Here(path) => remote::End::Here(path),
        End::Stream => remote::End::Stream,
        End::There(name, path) => {
            let (Some(session), Some(path)) = (session_of(name), path.to_str()) else {
                let what = "files go between this machine and a session, not between a container and a session";
                return Err(CommandError::flag("SOURCE TARGET", what));
            };
            remote::End::There(session, path)
        }
    })
}

/// The directory in which a copy is made, and what it is called there: a directory takes it in.
pub fn place(target: &Path, source: &Path) -> Result<(PathBuf, std::ffi::OsString), CommandError> {
    let own = source.file_name().unwrap_or_default();
    if target.is_dir() {
        return Ok((target.to_owned(), own.to_owned()));
    }
    let parent = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    match (parent.is_dir(), target.file_name()) {
        (true, Some(name)) => Ok((parent.to_owned(), name.to_owned())),
        _ => Err(CommandError::flag(
            "TARGET",
            format!("there is no directory {}", parent.display()),
        )),
    }
}

/// Copy files between standard streams and a container's files, as an archive.
#[derive(Args, Debug)]
pub struct ArchiveCommand {
    /// Where to.
    direction: Direction,
    /// The container's directory.
    directory: PathBuf,
    /// A path in the container.
    path: PathBuf,
    /// What is copied is called so.
    name: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Direction {
    /// What comes is one file or directory, of whatever name.
    In,
    /// What comes is any archive, for a directory.
    Archive,
    Out,
}

impl ArchiveCommand {
    /// Does it, and confines this process to the container's files for good. There must be no other
    /// thread.
    #[expect(clippy::print_stderr, reason = "the parent reads it")]
    pub fn run(&self) -> ExitCode {
        match self.carry_out() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("shellport: {}: {error}", self.path.display());
                ExitCode::FAILURE
            }
        }
    }

    fn carry_out(&self) -> io::Result<()> {
        let _held = self.enter()?;
        let path = Path::new("/").join(&self.path);
        match self.direction {
            Direction::Out => {
                let mut archive = tar::Builder::new(io::stdout().lock());
                archive.follow_symlinks(false);
                if path.symlink_metadata()?.is_dir() {
                    archive.append_dir_all(&self.name, &path)?;
                } else {
                    archive.append_path_with_name(&path, &self.name)?;
                }
                archive.into_inner().map(drop)
            }
            Direction::In => {
                let target = if path.is_dir() {
                    path.join(&self.name)
                } else {
                    path
                };
                take_in(&target, 1)
            }
            Direction::Archive if path.is_dir() => {
                // What is linked to in an archive is from here.
                chdir(&path)?;
                take_in(Path::new("."), 0)
            }
            Direction::Archive => Err(io::Error::other("an archive needs a directory")),
        }
    }

    /// Enters the container's files: those that it sees, or those it has left.
    fn enter(&self) -> io::Result<Option<File>> {
        let directory = Directory::open(&self.directory).ok_or(io::ErrorKind::NotFound)?;
        let (held, root) = if directory.state()? == State::Running {
            let pid = directory
                .pid()
                .ok_or_else(|| io::Error::other("it is just ending"))?;
            (None, PathBuf::from(format!("/proc/{pid}/root")))
        } else {
            let held = directory.lock()?;
            if held.is_none() {
                return Err(io::Error::other("the container is just being started"));
            }
            let container = directory.container()?;
            monitor::isolate()?;
            root::assemble(&directory, &container)?;
            (held, directory.path().join("rootfs"))
        };
        chroot(&root)?;
        chdir("/")?;
        if held.is_some() {
            // It goes with this process, and with it a process that serves the overlay.
            umount2("/", MntFlags::MNT_DETACH)?;
        }
        Ok(held)
    }
}

/// Unpacks what comes, and calls it `target` in place of the first `skipped` parts of its path.
fn take_in(target: &Path, skipped: usize) -> io::Result<()> {
    let mut archive = tar::Archive::new(io::stdin().lock());
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(false);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let parts = path.components().filter(|it| *it != Component::CurDir);
        let below: PathBuf = parts.skip(skipped).collect();
        if below
            .components()
            .any(|it| !matches!(it, Component::Normal(_)))
        {
            return Err(io::Error::other("a path that leads elsewhere"));
        }
        let place = if below == Path::new("") {
            target.to_owned()
        } else {
            target.join(below)
        };
        // Whoever copies it owns it there, as root does here.
        let is_new = place
            .symlink_metadata()
            .is_err_and(|it| it.kind() == io::ErrorKind::NotFound);
        entry.unpack(&place)?;
        if is_new && place.symlink_metadata()?.uid() != 0 {
            std::os::unix::fs::lchown(&place, Some(0), Some(0))?;
        }
    }
    Ok(())
}
