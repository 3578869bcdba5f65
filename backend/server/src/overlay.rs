//! Overlays: what is written over trees that are only read.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount as system_mount};

use crate::{programs, rootless};

/// An overlay, by paths from the working directory: all of them have to fit into one page of memory.
#[derive(Debug)]
pub struct Overlay<'a> {
    /// The trees below, the highest first.
    pub lower: &'a [String],
    /// What is written.
    pub upper: &'a str,
    /// An empty directory beside that.
    pub work: &'a str,
}

impl Overlay<'_> {
    /// Mounts it at `target`: by the kernel, or else by fuse-overlayfs where that is installed. The latter
    /// is a process that ends when nobody has the mount any more.
    ///
    /// # Errors
    /// Where neither can.
    pub fn mount(&self, target: &str, flags: MsFlags) -> io::Result<()> {
        let Err(error) = self.mount_by_kernel(target, flags) else {
            return Ok(());
        };
        // An old kernel and no root, no overlayfs, or a file system that cannot have one above.
        let Some(program) = programs::find("fuse-overlayfs").filter(|_| {
            matches!(error, Errno::EPERM | Errno::ENODEV | Errno::EINVAL)
                && Path::new("/dev/fuse").exists()
        }) else {
            return Err(match error {
                Errno::ENODEV => io::Error::other(
                    "the kernel has no overlayfs (modprobe overlay), and there is no fuse-overlayfs",
                ),
                error => error.into(),
            });
        };
        let mut command = Command::new(program);
        command
            .arg("-o")
            .arg(self.options())
            .arg(target)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if flags.contains(MsFlags::MS_NODEV) {
            command.args(["-o", "nodev"]);
        }
        let output = command.output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let what = format!("overlayfs: {error}; fuse-overlayfs: {}", said.trim());
        Err(io::Error::other(what))
    }

    fn mount_by_kernel(&self, target: &str, flags: MsFlags) -> nix::Result<()> {
        // Whatever else overlayfs can do would be in the upper tree, and be understood by few.
        let mut options = self.options() + ",metacopy=off,index=off";
        options += if rootless::is_initial() {
            ",redirect_dir=off"
        } else {
            // Other attributes are the machine's root's. This excludes redirects.
            ",userxattr"
        };
        let kind = Some("overlay");
        system_mount(kind, target, kind, flags, Some(options.as_str()))
    }

    fn options(&self) -> String {
        format!(
            "lowerdir={},upperdir={},workdir={}",
            self.lower.join(":"),
            self.upper,
            self.work
        )
    }
}
