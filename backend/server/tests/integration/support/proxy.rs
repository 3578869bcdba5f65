//! A way to a server on which connections break.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens on a connection that has carried enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on.
    GoOn,
    /// It is closed.
    Cut,
    /// Nothing more comes.
    Stall,
}

/// A proxy, until it is dropped.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    carried: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// One to the server at `target`. What has carried so many bytes to a client breaks, the first
    /// `times` times.
    pub async fn new(target: &str, enough: u64, then: Then, times: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let carried = Arc::new(AtomicU64::new(0));
        let left = Arc::new(AtomicU64::new(times));
        let (target, counter) = (target.to_owned(), Arc::clone(&carried));
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&target).await.unwrap();
                let (counter, left) = (Arc::clone(&counter), Arc::clone(&left));
                tokio::spawn(carry(client, server, enough, then, counter, left));
            }
        });
        Self {
            address,
            carried,
            task,
        }
    }

    /// Bytes that came to clients.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(
    client: TcpStream,
    server: TcpStream,
    enough: u64,
    then: Then,
    carried: Arc<AtomicU64>,
    left: Arc<AtomicU64>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    });
    let mut buffer = vec![0; 16 * 1024];
    let mut count = 0;
    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
        if to_client.write_all(&buffer[..read]).await.is_err() {
            break;
        }
        carried.fetch_add(read as u64, Ordering::Relaxed);
        count += read as u64;
        let breaks = then != Then::GoOn && count >= enough;
        let one_less = |left: u64| left.checked_sub(1);
        if breaks
            && left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
                .is_ok()
        {
            if then == Then::Stall {
                std::future::pending::<()>().await;
            }
            break;
        }
    }
    requests.abort();
}
