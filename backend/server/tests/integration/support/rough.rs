//! A way to a server on which nothing is certain but the order of bytes: connections break, stall and
//! falter at random bytes, in both directions.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::numbers::Numbers;

/// The most bytes that a connection carries to the client before it is cut, and to the server.
const ENOUGH: [u64; 2] = [220_000, 4_000];

/// The most bytes between two pauses.
const STEADY: [u64; 2] = [200_000, 4_000];

/// A proxy, until it is dropped.
pub struct Rough {
    /// Where it listens.
    pub address: SocketAddr,
    cuts: Arc<AtomicU64>,
    frozen: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Rough {
    /// One to the server at `target` that cuts so many connections, and then only falters.
    pub async fn new(target: SocketAddr, mut numbers: Numbers, times: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(AtomicU64::new(0));
        let (frozen, freezes) = watch::channel(false);
        let counter = Arc::clone(&cuts);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(target).await.unwrap();
                let numbers = Numbers(numbers.below(u64::MAX));
                let cuts = (counter.load(Ordering::Relaxed) < times).then(|| Arc::clone(&counter));
                tokio::spawn(carry(client, server, numbers, cuts, freezes.clone()));
            }
        });
        Self {
            address,
            cuts,
            frozen,
            task,
        }
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// From now on nothing is carried, and nobody is told; or it is again.
    pub fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }
}

impl Drop for Rough {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries a connection to its end, or until it is cut, which is counted.
async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    mut numbers: Numbers,
    cuts: Option<Arc<AtomicU64>>,
    freezes: watch::Receiver<bool>,
) {
    let mut enough = [u64::MAX; 2];
    if cuts.is_some() {
        let direction = usize::from(numbers.below(2) == 0);
        enough[direction] = 1 + numbers.below(ENOUGH[direction]);
    }
    let both = {
        let (mut from_client, mut to_server) = (client.split(), server.split());
        let (from_server, to_client) = (&mut to_server.0, &mut from_client.1);
        let down = pump(
            from_server,
            to_client,
            enough[0],
            STEADY[0],
            numbers,
            freezes.clone(),
        );
        let (from_client, to_server) = (&mut from_client.0, &mut to_server.1);
        let up = pump(
            from_client,
            to_server,
            enough[1],
            STEADY[1],
            numbers,
            freezes,
        );
        tokio::try_join!(down, up)
    };
    if both.is_err()
        && let Some(cuts) = cuts
    {
        // Neither side knows yet.
        if numbers.below(4) == 0 {
            sleep(Duration::from_millis(numbers.below(30))).await;
        }
        cuts.fetch_add(1, Ordering::Relaxed);
    }
}

/// Carries one direction to its end, or until it has carried `enough`, which is an error.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    enough: u64,
    steady: u64,
    mut numbers: Numbers,
    mut freezes: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut carried = 0;
    let mut pause = 1 + numbers.below(steady);
    loop {
        let room = usize::try_from(enough.min(pause) - carried).unwrap_or(usize::MAX);
        let room = room.min(buffer.len());
        let read = from.read(&mut buffer[..room]).await?;
        let thawed = freezes.wait_for(|frozen| !frozen).await;
        drop(thawed.map_err(io::Error::other)?);
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        carried += read as u64;
        if carried == enough {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if carried == pause {
            sleep(Duration::from_millis(numbers.below(3))).await;
            pause += 1 + numbers.below(steady);
        }
    }
}
