//! A network without privileges: slirp4netns, a process for each container, opens on the machine what
//! the container wants to open outside. Containers reach neither each other nor the machine's loopback.

use std::fs::{self, File};
use std::io::{self, PipeWriter};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::FdFlags;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::oci::container::Port;
use crate::oci::directory::Directory;

/// The container's address: slirp4netns gives every one the same.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);

/// Where slirp4netns answers for the machine's own resolver.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// How long it may take to begin, or to take a port.
const LIMIT: Duration = Duration::from_secs(10);

/// The most bytes of an answer.
const MAX_ANSWER: u64 = 4096;

/// Where it is told about ports, and where it complains, in the container's directory.
const SOCKET: &str = "slirp4netns.sock";
const LOG: &str = "slirp4netns.log";

/// A network for one container.
#[derive(Debug)]
pub struct Reserved {
    pub(super) program: PathBuf,
    pub(super) ports: Vec<Port>,
}

/// The process that a container's network is. It ends with this one, which has its standard input.
#[derive(Debug)]
pub struct Connected(Child);

impl Reserved {
    pub(super) async fn connect(self, directory: &Directory, pid: i32) -> io::Result<Connected> {
        let path = directory.path();
        let _ = fs::remove_file(path.join(SOCKET));
        let (mut ready, its_ready) = ready()?;
        let child = Command::new(&self.program)
            .args(["--configure", "--mtu=65520", "--disable-host-loopback"])
            .args(["--enable-sandbox", "--enable-seccomp"])
            .args(["--exit-fd=0", "--netns-type=path"])
            .arg(format!("--ready-fd={}", its_ready.as_raw_fd()))
            .arg(format!("--api-socket={SOCKET}"))
            .arg(format!("/proc/{pid}/ns/net"))
            .arg("eth0")
            .current_dir(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(path.join(LOG))?)
            .kill_on_drop(true)
            .spawn()?;
        drop(its_ready);
        let mut byte = [0];
        let count = timeout(LIMIT, ready.read(&mut byte)).await;
        if !matches!(count, Ok(Ok(1))) {
            let said = fs::read_to_string(path.join(LOG)).unwrap_or_default();
            let last = said.lines().last().unwrap_or("it does not begin");
            return Err(io::Error::other(format!("slirp4netns: {last}")));
        }
        for port in &self.ports {
            let opened = timeout(LIMIT, open(directory, port)).await;
            opened.map_err(|_| io::Error::other("slirp4netns does not answer"))??;
        }
        Ok(Connected(child))
    }
}

impl Connected {
    pub(super) async fn disconnect(mut self) -> io::Result<()> {
        self.0.kill().await
    }
}

/// A pipe of which every process that is started inherits the end that is written: its own streams are
/// not for this.
fn ready() -> io::Result<(Receiver, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    rustix::io::fcntl_setfd(&writer, FdFlags::empty())?;
    Ok((Receiver::from_owned_fd(reader.into())?, writer))
}

/// Leads a port of the machine into the container.
async fn open(directory: &Directory, port: &Port) -> io::Result<()> {
    let (_held, socket) = directory.short(SOCKET)?;
    let mut stream = UnixStream::connect(socket).await?;
    let address = match port.address {
        Some(address) => address.to_string(),
        None => Ipv4Addr::UNSPECIFIED.to_string(),
    };
    let wish = json!({
        "execute": "add_hostfwd",
        "arguments": {
            "proto": port.protocol,
            "host_addr": address,
            "host_port": port.host,
            "guest_port": port.container,
        },
    });
    stream.write_all(&serde_json::to_vec(&wish)?).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    match answer.get("error") {
        None => Ok(()),
        Some(error) => Err(io::Error::other(format!(
            "slirp4netns: the port {address}:{}: {error}",
            port.host
        ))),
    }
}
