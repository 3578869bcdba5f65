//! A raw PTY on this machine: one thread that reads it and does nothing else.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;

use async_trait::async_trait;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::super::LIMIT;
use super::super::connection::{Connection, Terminal};
use super::super::processes::Processes;
use super::super::wait::Result;
use super::{Place, RAW, Way};

/// Bytes asked for in one read.
const READ: usize = 64 * 1024;

/// Shells on PTYs of our own.
pub struct Raw {
    directory: String,
}

impl Raw {
    /// With the programs in this directory.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.display().to_string(),
        }
    }
}

#[async_trait]
impl Way for Raw {
    fn name(&self) -> &'static str {
        "raw PTY"
    }

    fn key(&self) -> &'static str {
        RAW
    }

    fn directory(&self) -> &str {
        &self.directory
    }

    fn blocks(&self) -> bool {
        true
    }

    async fn connect(&self, _: &Place) -> Result<Terminal> {
        Ok(Box::new(Pty::start(CommandBuilder::new("sh"))?))
    }

    async fn serving(&self) -> Result<Processes> {
        Ok(Processes::own_thread("reader"))
    }

    async fn clear(&self) {}
}

/// A program on a PTY. It is ended when this is dropped.
pub struct Pty {
    reader: Box<dyn Read + Send>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    buffer: Vec<u8>,
    _master: Box<dyn MasterPty + Send>,
    _guard: SyncSender<()>,
}

impl Pty {
    /// Starts a program.
    pub fn start(command: CommandBuilder) -> Result<Self> {
        let pair = native_pty_system().openpty(PtySize::default())?;
        let child = pair.slave.spawn_command(command)?;
        // A read that blocks has no limit of its own: this ends what it waits for.
        let mut killer = child.clone_killer();
        let (guard, dropped) = sync_channel(0);
        thread::spawn(move || {
            if dropped.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                let _ = killer.kill();
            }
        });
        Ok(Self {
            reader: pair.master.try_clone_reader()?,
            writer: pair.master.take_writer()?,
            child,
            buffer: vec![0; READ],
            _master: pair.master,
            _guard: guard,
        })
    }

    /// The program's process.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.child.process_id().ok_or("the program has ended")?)
    }
}

#[async_trait]
impl Connection for Pty {
    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes)?;
        Ok(self.writer.flush()?)
    }

    async fn receive(&mut self) -> Result<Option<&[u8]>> {
        match self.reader.read(&mut self.buffer) {
            Ok(0) => Ok(None),
            Ok(count) => Ok(Some(&self.buffer[..count])),
            // What a PTY says when nobody has its other side any more.
            Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => self.receive().await,
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
