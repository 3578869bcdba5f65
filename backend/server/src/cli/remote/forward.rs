//! `shellport port-forward`: a port of this machine that leads to one of a session.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use bytes::Bytes;
use clap::Args;
use serde_json::json;
use shellport_wire::close;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::client::Client;
use super::sessions::{running, word};
use super::socket::{Heard, Socket};
use super::{RemoteError, ServerPlace};
use crate::cli::container::CommandError;
use crate::cli::say;

/// The most bytes of one message.
const MESSAGE: usize = 64 * 1024;

/// Lead ports of this machine to ports of a session, until Ctrl-C.
#[derive(Args, Debug)]
pub struct ForwardCommand {
    #[command(flatten)]
    place: ServerPlace,

    /// The session (@NAME).
    session: String,

    /// A port of the session, or [ADDRESS:]PORT:PORT; a first port of 0 is any that is free.
    #[arg(required = true, value_parser = parse, value_name = "PORT")]
    ports: Vec<Forward>,
}

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Forward {
    here: SocketAddr,
    there: u16,
}

impl ForwardCommand {
    /// Prints what leads where, and carries connections.
    ///
    /// # Errors
    /// When there is no such session, or an address of this machine is taken.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        let client = self.place.client()?;
        let session = running(&client, word(&self.session)?).await?;
        let mut listeners = Vec::new();
        for forward in &self.ports {
            let failed = |error| RemoteError::File(forward.here.to_string(), error);
            let listener = TcpListener::bind(forward.here).await.map_err(failed)?;
            let here = listener.local_addr().map_err(failed)?;
            say(&format!(
                "{here} leads to port {} of {}",
                forward.there,
                session.word()
            ));
            listeners.push(listen(
                listener,
                client.clone(),
                session.id.clone(),
                forward.there,
            ));
        }
        futures_util::future::join_all(listeners).await;
        Ok(ExitCode::SUCCESS)
    }
}

async fn listen(listener: TcpListener, client: Client, session: String, port: u16) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("a connection was not accepted: {error}");
                // Descriptors may be free again.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let (client, session) = (client.clone(), session.clone());
        tokio::spawn(async move {
            if let Err(error) = carry(stream, &client, &session, port).await {
                tracing::warn!("port {port}: {error}");
            }
        });
    }
}

/// Carries bytes both ways until both sides have ended.
async fn carry(
    stream: TcpStream,
    client: &Client,
    session: &str,
    port: u16,
) -> Result<(), RemoteError> {
    let port = port.to_string();
    let request = client.get(&["sessions", session, "ports", &port, "tunnel"]);
    let mut socket = Socket::open(client, request, None).await?;
    let broken = |error| RemoteError::File("the connection".to_owned(), error);
    let (mut reader, mut writer) = stream.into_split();
    let mut buffer = vec![0; MESSAGE];
    let mut is_open = true;
    loop {
        let sent = tokio::select! {
            count = reader.read(&mut buffer), if is_open => match count.map_err(broken)? {
                0 => {
                    is_open = false;
                    socket.say(&json!({"type": "end"})).await
                }
                count => socket.send(Bytes::copy_from_slice(&buffer[..count])).await,
            },
            heard = socket.next() => match heard {
                Heard::Bytes(bytes) => {
                    writer.write_all(&bytes).await.map_err(broken)?;
                    Ok(())
                }
                Heard::Text(_) => {
                    writer.shutdown().await.map_err(broken)?;
                    Ok(())
                }
                Heard::Closed(closed) => Err(closed),
            },
        };
        match sent {
            Ok(()) => {}
            Err(closed) if closed.code == Some(close::EXITED) => return Ok(()),
            Err(closed) => return Err(broken(io::Error::other(closed.reason))),
        }
    }
}

fn parse(text: &str) -> Result<Forward, String> {
    let wrong = || {
        format!(
            "{text:?} is not PORT or [ADDRESS:]PORT:PORT, such as 8080, 8080:80 or 0.0.0.0:8080:80"
        )
    };
    let port = |text: &str| text.parse::<u16>().map_err(|_| wrong());
    let (here, there) = text.rsplit_once(':').unwrap_or((text, text));
    let (address, here) = match here.rsplit_once(':') {
        Some((address, here)) => {
            let address = address.trim_matches(['[', ']']).parse::<IpAddr>();
            (address.map_err(|_| wrong())?, here)
        }
        None => (Ipv4Addr::LOCALHOST.into(), here),
    };
    let forward = Forward {
        here: SocketAddr::new(address, port(here)?),
        there: port(there)?,
    };
    if forward.there == 0 {
        return Err(wrong());
    }
    Ok(forward)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_written_as_people_do() {
        let parsed = |text| parse(text).map(|it| (it.here.to_string(), it.there));
        assert_eq!(parsed("8080"), Ok(("127.0.0.1:8080".to_owned(), 8080)));
        assert_eq!(parsed("0:80"), Ok(("127.0.0.1:0".to_owned(), 80)));
        assert_eq!(
            parsed("0.0.0.0:8080:80"),
            Ok(("0.0.0.0:8080".to_owned(), 80))
        );
        assert_eq!(parsed("[::1]:8080:80"), Ok(("[::1]:8080".to_owned(), 80)));
        for wrong in ["", "x", "0", "80:0", "1:2:3", "70000", ":80", "80:"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
