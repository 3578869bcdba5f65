//! `shellport-agent bridge`: the agent's socket on standard input and output, for servers that can
//! only start a command in the sandbox.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, stdin, stdout};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

use crate::init::SOCKET;

/// Bytes that are copied at once.
const BUFFER: usize = 64 * 1024;

/// Copies both ways until the agent closes. When the server stops sending, or the agent stops
/// listening, what the agent still has to say is copied nevertheless.
///
/// # Errors
/// When there is no agent at the socket, or nobody at standard output.
pub fn main(directory: &Path) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let stream = UnixStream::connect(directory.join(SOCKET)).await?;
        let (mut from_agent, mut to_agent) = stream.into_split();
        let to_agent = async {
            let _ended = copy(&mut stdin(), &mut to_agent).await;
            drop(to_agent);
            pending::<Infallible>().await
        };
        tokio::select! {
            result = pass_on(&mut from_agent) => result,
            never = to_agent => match never {},
        }
    });
    // A read of standard input cannot be interrupted, and would keep the runtime from ending.
    runtime.shutdown_background();
    result
}

/// The agent may close while something for it is still unread. Then the end of what it says is an
/// error, and `tokio::io::copy` would drop what it has read before that.
async fn pass_on(from_agent: &mut OwnedReadHalf) -> io::Result<()> {
    let mut stdout = stdout();
    let mut buffer = vec![0; BUFFER];
    while let Ok(count) = from_agent.read(&mut buffer).await
        && count > 0
    {
        stdout.write_all(&buffer[..count]).await?;
        stdout.flush().await?;
    }
    Ok(())
}
