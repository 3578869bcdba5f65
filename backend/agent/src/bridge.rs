//! `shellport-agent bridge`: the agent's socket on standard input and output, for servers that can
//! only start a command in the sandbox.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::path::Path;

use tokio::io::{copy, stdin, stdout};
use tokio::net::UnixStream;

use crate::init::SOCKET;

/// Copies both ways until the agent closes. When the server stops sending, or the agent stops
/// listening, what the agent still has to say is copied nevertheless.
///
/// # Errors
/// When there is no agent at the socket.
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
            result = async { copy(&mut from_agent, &mut stdout()).await } => result,
            never = to_agent => match never {},
        }
    });
    // A read of standard input cannot be interrupted, and would keep the runtime from ending.
    runtime.shutdown_background();
    result.map(drop)
}
