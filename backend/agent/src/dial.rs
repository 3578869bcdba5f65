//! Connections to ports on which programs of the sandbox listen.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use shellport_wire::agent::{Refusal, RefusalCode};
use tokio::io::{copy_bidirectional, join as joined};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::link::{FrameReader, FrameWriter};
use crate::process::addresses;

/// How long a program may take to accept. On loopback it is the kernel that does.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// Carries bytes both ways, each until its end.
///
/// # Errors
/// Those of the connections.
pub async fn join(mut tcp: TcpStream, reader: FrameReader, writer: FrameWriter) -> io::Result<()> {
    let mut server = joined(reader.into_bytes(), writer.into_bytes());
    copy_bidirectional(&mut server, &mut tcp).await?;
    Ok(())
}
