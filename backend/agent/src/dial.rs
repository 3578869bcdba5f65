//! Connections to ports on which programs of the sandbox listen.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shellport_wire::agent::{Refusal, RefusalCode};
use tokio::io::{AsyncWriteExt, copy};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::link::{FrameReader, FrameWriter};
use crate::process::addresses;

/// How long a program may take to accept. On loopback it is the kernel that does.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked at whether the server is still there, and how often it may be found gone.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 10;

/// Connects to whoever listens on `port`: on loopback, or else on an address of the sandbox's own.
///
/// # Errors
/// When nobody does.
pub async fn connect(port: u16) -> Result<TcpStream, Refusal> {
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    for address in loopback {
        if let Some(stream) = to(address, port).await {
            return Ok(stream);
        }
    }
    for address in addresses(port) {
        if let Some(stream) = to(address, port).await {
            return Ok(stream);
        }
    }
    Err(Refusal {
        code: RefusalCode::NotListening,
        message: format!("nothing in the sandbox listens on port {port}"),
    })
}

async fn to(address: IpAddr, port: u16) -> Option<TcpStream> {
    let connecting = TcpStream::connect(SocketAddr::new(address, port));
    let stream = timeout(PATIENCE, connecting).await.ok()?.ok()?;
    // Nothing is to wait for more.
    let _ = stream.set_nodelay(true);
    Some(stream)
}

/// Carries bytes both ways, each until its end. When the server has gone altogether, what it has sent is passed on for
/// a while, whoever reads it.
///
/// # Errors
/// Those of the connections.
pub async fn join(mut tcp: TcpStream, reader: FrameReader, writer: FrameWriter) -> io::Result<()> {
    let (mut from_server, mut to_server) = (reader.into_bytes(), writer.into_bytes());
    let server = from_server.get_ref().as_ref().as_fd();
    let server = server.try_clone_to_owned()?;
    let (mut from_port, mut to_port) = tcp.split();
    let both = async {
        let down = async {
            copy(&mut from_port, &mut to_server).await?;
            to_server.shutdown().await
        };
        let up = async {
            copy(&mut from_server, &mut to_port).await?;
            to_port.shutdown().await
        };
        tokio::try_join!(up, down).map(drop)
    };
    tokio::select! {
        ended = both => ended,
        // One that is silent may only have nothing to say, so it has to be looked at.
        () = gone(&server) => Ok(()),
    }
}

/// Returns when whoever is at the other end of a socket has been gone for a while.
async fn gone(socket: &OwnedFd) {
    let mut looks = 0;
    while looks < LOOKS {
        sleep(LOOK).await;
        let mut polled = [PollFd::new(socket, PollFlags::empty())];
        let asked = poll(&mut polled, Some(&Timespec::default()));
        if asked.is_ok() && polled[0].revents().contains(PollFlags::HUP) {
            looks += 1;
        }
    }
}
