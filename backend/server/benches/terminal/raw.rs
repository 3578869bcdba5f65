//! A raw PTY on this machine: one thread that reads it and does nothing else.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use portable_pty::{Child, ChildKiller, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tokio::task::spawn_blocking;

use super::cpu::of_this_thread;
use super::measure::{Echo, Flood, GAP, check_echo, key};
use super::wait::{Result, STEP, within};
use super::workload::{READY, Tally, Workload};

/// Bytes asked for in one read.
const READ: usize = 64 * 1024;

/// A program on a PTY. It is ended when this is dropped.
pub struct Raw {
    pty: Arc<Mutex<Pty>>,
    killer: Box<dyn ChildKiller + Send + Sync>,
}

struct Pty {
    reader: Box<dyn Read + Send>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    buffer: Vec<u8>,
    _master: Box<dyn MasterPty + Send>,
}

impl Raw {
    /// Starts a script.
    pub fn start(script: &str) -> Result<Self> {
        let pair = native_pty_system().openpty(PtySize::default())?;
        let mut command = CommandBuilder::new("sh");
        command.args(["-c", script]);
        let child = pair.slave.spawn_command(command)?;
        let killer = child.clone_killer();
        let pty = Pty {
            reader: pair.master.try_clone_reader()?,
            writer: pair.master.take_writer()?,
            child,
            buffer: vec![0; READ],
            _master: pair.master,
        };
        Ok(Self {
            pty: Arc::new(Mutex::new(pty)),
            killer,
        })
    }

    /// Waits until the program is ready.
    pub async fn ready(&self) -> Result<()> {
        self.on_a_thread("the program's start", |pty| {
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains(READY) {
                seen.extend_from_slice(pty.receive()?);
            }
            sleep(Duration::from_millis(200));
            Ok(())
        })
        .await
    }

    /// Has a workload put out; the CPU is the reading thread's.
    pub async fn flood(&self, workload: &'static Workload, compare: bool) -> Result<Flood> {
        self.on_a_thread("a flood", move |pty| {
            let before = of_this_thread()?;
            let start = Instant::now();
            pty.send(workload.command().as_bytes())?;
            let mut tally = Tally::new(workload, compare);
            while !tally.take(pty.receive()?)? {}
            let time = start.elapsed();
            Ok(Flood {
                bytes: workload.len(),
                time,
                cpu: vec![("reader", of_this_thread()?.saturating_sub(before))],
            })
        })
        .await
    }

    /// Types so many keystrokes, each when the last has come back.
    pub async fn echo(&self, keystrokes: usize) -> Result<Echo> {
        self.on_a_thread("the echoes", move |pty| {
            let mut times = Vec::with_capacity(keystrokes);
            for index in 0..keystrokes {
                sleep(GAP);
                let key = key(index);
                let start = Instant::now();
                pty.send(&[key])?;
                let came = pty.receive()?;
                times.push(start.elapsed());
                check_echo(key, came)?;
            }
            Ok(times)
        })
        .await
    }

    /// Works on a thread of its own. When it takes too long the program is ended, and with it what
    /// the thread waits for.
    async fn on_a_thread<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce(&mut Pty) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let pty = Arc::clone(&self.pty);
        let thread =
            spawn_blocking(move || work(&mut pty.lock().unwrap_or_else(PoisonError::into_inner)));
        let done = within(what, STEP, thread).await;
        if done.is_err() {
            self.killer.clone_killer().kill()?;
        }
        done??
    }
}

impl Pty {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes)?;
        Ok(self.writer.flush()?)
    }

    fn receive(&mut self) -> Result<&[u8]> {
        match self.reader.read(&mut self.buffer)? {
            0 => Err("the program has ended".into()),
            count => Ok(&self.buffer[..count]),
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // First without the lock, which a thread may hold that waits for the program.
        let _ = self.killer.kill();
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
