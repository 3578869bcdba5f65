//! Those who are connected to a monitor, and what they ask for.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

use super::SOCKET;
use super::frame::{Frame, Message, Reader, Writer, split};
use super::hub::Hub;
use crate::oci::directory::Directory;
use crate::oci::engine::Engine;

/// Frames of output that wait for a client.
const QUEUE: usize = 4;

/// Between asking processes to end and killing them, when whoever started them has gone.
const GRACE: Duration = Duration::from_secs(2);

/// Whom signals are for.
#[derive(Debug)]
pub enum Target {
    /// The first process of a container.
    Container {
        /// Its engine.
        engine: Engine,
        /// Its directory.
        directory: Directory,
        /// What the engine calls it.
        id: String,
        /// The process.
        pid: Pid,
    },
    /// Another process of one.
    Process(Pid),
}

/// What the connections share.
#[derive(Debug)]
pub struct Service {
    hub: Rc<Hub>,
    target: Target,
    /// What is watched goes on without the one who started it.
    kept: Cell<bool>,
    /// It may begin.
    pub begin: Notify,
    /// Whoever started it has gone, and has not said that it goes on.
    pub abandoned: Notify,
    clients: RefCell<Vec<Client>>,
}

/// Someone who is connected.
#[derive(Debug)]
struct Client {
    queue: mpsc::Sender<Frame>,
    /// Ends when the last frame has been sent, or the client has gone.
    sending: JoinHandle<()>,
}

impl Service {
    /// A service without connections.
    pub fn new(hub: Rc<Hub>, target: Target) -> Rc<Self> {
        Rc::new(Self {
            hub,
            target,
            kept: Cell::new(false),
            begin: Notify::new(),
            abandoned: Notify::new(),
            clients: RefCell::default(),
        })
    }

    /// The streams.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Nobody may say any more that it goes on.
    pub fn give_up(&self) {
        self.kept.set(false);
        self.abandoned.notify_one();
    }

    /// Ends what is watched: asks, waits, kills.
    pub async fn end(&self, ended: &AsyncFd<OwnedFd>) {
        for (signal, wait) in [
            (Signal::SIGHUP, Duration::ZERO),
            (Signal::SIGTERM, GRACE),
            (Signal::SIGKILL, Duration::MAX),
        ] {
            if let Err(error) = self.signal(signal as i32).await {
                tracing::warn!(%error, "there is no signal");
            }
            tokio::select! {
                _ = ended.readable() => return,
                () = sleep(wait) => {}
            }
        }
    }

    async fn signal(&self, signal: i32) -> io::Result<()> {
        match &self.target {
            Target::Container {
                engine,
                directory,
                id,
                pid,
            } => {
                let call = engine.command(directory, "kill").arg(id);
                let done = call.arg(signal.to_string()).run().await;
                match done.map_err(io::Error::other) {
                    // Whatever has become of the engine's state, the process is to end. It is a child, so
                    // nobody else has its number.
                    Err(_) if signal == Signal::SIGKILL as i32 => {
                        kill(*pid, Signal::SIGKILL).map_err(Into::into)
                    }
                    result => result,
                }
            }
            Target::Process(pid) => {
                let signal = Signal::try_from(signal)?;
                kill(*pid, signal).map_err(Into::into)
            }
        }
    }

    /// A connection's queue, which is sent as the client takes it.
    pub fn welcome(&self, mut writer: Writer) -> mpsc::Sender<Frame> {
        let (sender, mut queue) = mpsc::channel(QUEUE);
        let sending = spawn_local(async move {
            while let Some(frame) = queue.recv().await {
                let is_last = matches!(frame, Frame::Message(Message::Exited { .. }));
                if writer.send(frame).await.is_err() || is_last {
                    return;
                }
            }
        });
        self.clients.borrow_mut().push(Client {
            queue: sender.clone(),
            sending,
        });
        sender
    }

    /// Serves whoever connects.
    pub async fn accept(self: Rc<Self>, listener: UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (reader, writer) = split(stream);
                    let queue = self.welcome(writer);
                    spawn_local(Rc::clone(&self).serve(reader, queue, false));
                }
                // Out of descriptors: others will be closed.
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Does what a client says until it goes.
    pub async fn serve(
        self: Rc<Self>,
        mut reader: Reader,
        queue: mpsc::Sender<Frame>,
        is_launcher: bool,
    ) {
        while let Ok(Some(frame)) = reader.next().await {
            match frame {
                Frame::Stdin(bytes) => self.hub.write(&bytes).await,
                Frame::Message(Message::EndOfInput) => self.hub.end_input().await,
                Frame::Message(Message::Resize { cols, rows }) => self.hub.resize(cols, rows),
                Frame::Message(Message::Attach) => {
                    let _ = queue.send(Frame::Message(Message::Done)).await;
                    self.hub.attach(queue.clone());
                }
                Frame::Message(Message::Signal { signal }) => {
                    let answer = match self.signal(signal).await {
                        Ok(()) => Message::Done,
                        Err(error) => Message::Failed {
                            cause: error.to_string(),
                        },
                    };
                    let _ = queue.send(Frame::Message(answer)).await;
                }
                Frame::Message(Message::Keep) if is_launcher => self.kept.set(true),
                Frame::Message(Message::Start) if is_launcher => self.begin.notify_one(),
                _ => break,
            }
        }
        self.clients
            .borrow_mut()
            .retain(|it| !it.queue.same_channel(&queue));
        if is_launcher && !self.kept.get() {
            self.abandoned.notify_one();
        }
    }

    /// Says the last word to every client, and waits until they have heard it.
    pub async fn tell(&self, message: &Message) {
        let clients: Vec<_> = self.clients.borrow_mut().drain(..).collect();
        for client in clients {
            let _ = client.queue.send(Frame::Message(message.clone())).await;
            let _ = client.sending.await;
        }
    }
}

/// The socket at which a container's monitor is reached.
///
/// # Errors
/// Those of the system.
pub fn listen(directory: &Directory) -> io::Result<UnixListener> {
    let path = directory.path().join(SOCKET);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (_held, short) = directory.short(SOCKET)?;
    UnixListener::bind(short)
}
