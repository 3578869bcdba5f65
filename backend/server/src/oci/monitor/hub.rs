//! The standard streams of a container, and those who are attached to them.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::frame::{CHUNK, Frame};
use super::log::Log;
use super::stream::Stream;

/// How long output may come after the end of the container: the kernel hands on what a terminal was
/// told a moment later.
const REST: Duration = Duration::from_secs(2);

/// The container's ends of its streams.
#[derive(Debug)]
pub enum Ends {
    /// Pipes.
    Pipes {
        /// Its input, if it has one.
        stdin: Option<OwnedFd>,
        /// Its output.
        stdout: OwnedFd,
        /// What it says beside.
        stderr: OwnedFd,
    },
    /// The master of its terminal.
    Terminal(OwnedFd),
}

/// What is known of the streams.
#[derive(Debug)]
pub struct Hub {
    terminal: Option<Stream>,
    input: RefCell<Option<Stream>>,
    /// One at a time writes: what one client sends stays together.
    writing: Mutex<()>,
    attached: RefCell<Vec<mpsc::Sender<Frame>>>,
    log: RefCell<Option<Log>>,
    readers: RefCell<Vec<JoinHandle<()>>>,
    /// The container has ended.
    ended: CancellationToken,
}

impl Hub {
    /// Takes over the streams.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(ends: Ends, log: Option<Log>) -> io::Result<Rc<Self>> {
        let (terminal, input, outputs) = match ends {
            Ends::Terminal(master) => {
                let master = Stream::new(master)?;
                (
                    Some(master.clone()),
                    Some(master.clone()),
                    vec![(1, master)],
                )
            }
            Ends::Pipes {
                stdin,
                stdout,
                stderr,
            } => (
                None,
                stdin.map(Stream::new).transpose()?,
                vec![(1, Stream::new(stdout)?), (2, Stream::new(stderr)?)],
            ),
        };
        let hub = Rc::new(Self {
            terminal,
            input: RefCell::new(input),
            writing: Mutex::default(),
            attached: RefCell::default(),
            log: RefCell::new(log),
            readers: RefCell::default(),
            ended: CancellationToken::new(),
        });
        for (number, output) in outputs {
            let reader = tokio::task::spawn_local(Rc::clone(&hub).read(number, output));
            hub.readers.borrow_mut().push(reader);
        }
        Ok(hub)
    }

    /// Gives the output from now on to `client`, who holds everybody up while it does not take it.
    pub fn attach(&self, client: mpsc::Sender<Frame>) {
        self.attached.borrow_mut().push(client);
    }

    /// Writes input.
    pub async fn write(&self, bytes: &[u8]) {
        let _turn = self.writing.lock().await;
        let input = self.input.borrow().clone();
        // A program that does not want its input loses it, as with a pipe in a shell.
        if let Some(input) = input
            && input.write_all(bytes).await.is_err()
            && self.terminal.is_none()
        {
            *self.input.borrow_mut() = None;
        }
    }

    /// Ends the input.
    pub async fn end_input(&self) {
        let _turn = self.writing.lock().await;
        // A terminal ends with a character, which whoever types sends.
        if self.terminal.is_none() {
            *self.input.borrow_mut() = None;
        }
    }

    /// Sets the terminal's size.
    pub fn resize(&self, cols: u16, rows: u16) {
        if let Some(terminal) = &self.terminal {
            let size = Winsize {
                ws_col: cols,
                ws_row: rows,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            // The program may have ended.
            let _ = tcsetwinsize(terminal.fd(), size);
        }
    }

    /// Waits until everything has been read of a container that has ended.
    pub async fn finish(&self) {
        self.ended.cancel();
        let readers: Vec<_> = self.readers.borrow_mut().drain(..).collect();
        for reader in readers {
            let _ = reader.await;
        }
        self.attached.borrow_mut().clear();
    }

    async fn read(self: Rc<Self>, number: u8, output: Stream) {
        let mut buffer = vec![0; CHUNK];
        let rest = async || {
            self.ended.cancelled().await;
            sleep(REST).await;
        };
        loop {
            let read = tokio::select! {
                biased;
                read = output.read(&mut buffer) => read,
                // The streams are open, but whoever has them is none of the container.
                () = rest() => return,
            };
            let Ok(count @ 1..) = read else {
                return;
            };
            self.tell(number, &buffer[..count]).await;
        }
    }

    async fn tell(&self, number: u8, bytes: &[u8]) {
        if let Some(log) = self.log.borrow_mut().as_mut()
            && let Err(error) = log.add(number, bytes)
        {
            tracing::warn!(%error, "the container's output cannot be kept");
        }
        let clients = self.attached.borrow().clone();
        if clients.is_empty() {
            return;
        }
        let bytes = Bytes::copy_from_slice(bytes);
        for client in clients {
            let frame = match number {
                1 => Frame::Stdout(bytes.clone()),
                _ => Frame::Stderr(bytes.clone()),
            };
            if client.send(frame).await.is_err() {
                self.attached
                    .borrow_mut()
                    .retain(|it| !it.same_channel(&client));
            }
        }
    }
}
