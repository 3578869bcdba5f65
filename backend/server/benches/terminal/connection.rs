//! A terminal that is reached somehow, and what every measurement does with it.

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

use super::wait::{Result, STEP, within};
use super::ways::{Place, Way};
use super::workload::READY;

/// A connection to a terminal. The terminal may end with it.
#[async_trait]
pub trait Connection: Send {
    /// Types.
    async fn send(&mut self, bytes: &[u8]) -> Result<()>;

    /// The next output, at least a byte of it; none when the program has ended. Whoever asks for
    /// more is done with what came before.
    async fn receive(&mut self) -> Result<Option<&[u8]>>;
}

/// Any of them.
pub type Terminal = Box<dyn Connection>;

/// The next output of a terminal that is not to end.
pub async fn next(terminal: &mut Terminal) -> Result<&[u8]> {
    Ok(terminal.receive().await?.ok_or("the terminal has ended")?)
}

/// Reads until one of these has come, and throws away what came before and behind.
pub async fn until(terminal: &mut Terminal, what: &str, wanted: &[&str]) -> Result<()> {
    within(what, STEP, async {
        let mut searches: Vec<_> = wanted.iter().map(|it| Search::new(it)).collect();
        loop {
            let bytes = next(terminal).await?;
            if searches.iter_mut().any(|search| search.finds(bytes)) {
                return Ok(());
            }
        }
    })
    .await?
}

/// Reads until the shell waits for a command.
pub async fn prompt(terminal: &mut Terminal) -> Result<()> {
    until(terminal, "the prompt", &["# ", "$ "]).await
}

/// Connects, and has the shell become one of the [programs](super::workload::PROGRAMS), with its
/// arguments; waits until it is ready.
pub async fn connect_to(way: &dyn Way, place: &Place, program: &str) -> Result<Terminal> {
    let mut terminal = way.connect(place).await?;
    prompt(&mut terminal).await?;
    let line = format!("exec sh {}/{program}\n", way.directory());
    terminal.send(line.as_bytes()).await?;
    until(&mut terminal, "the program's start", &[READY]).await?;
    Ok(terminal)
}

/// Ends the shell, or a flood's program that waits, and reads to the end.
pub async fn end(mut terminal: Terminal) -> Result<()> {
    terminal.send(b"exit\n").await?;
    within("the shell's end", STEP, async {
        while terminal.receive().await?.is_some() {}
        Ok(())
    })
    .await?
}

/// Looks for a text in bytes that come in pieces.
pub struct Search {
    wanted: Vec<u8>,
    tail: Vec<u8>,
}

impl Search {
    /// Of this text.
    pub fn new(wanted: &str) -> Self {
        Self {
            wanted: wanted.as_bytes().to_vec(),
            tail: Vec::new(),
        }
    }

    /// Whether the text has come, with this piece at the latest.
    pub fn finds(&mut self, bytes: &[u8]) -> bool {
        self.tail.extend_from_slice(bytes);
        let length = self.wanted.len();
        if self.tail.windows(length).any(|it| it == self.wanted) {
            return true;
        }
        let known = self.tail.len().saturating_sub(length - 1);
        self.tail.drain(..known);
        false
    }
}

/// Works beside what goes on, on a thread of its own when its connections block.
pub fn beside<T: Send + 'static>(
    blocks: bool,
    work: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    if blocks {
        let runtime = Handle::current();
        spawn_blocking(move || runtime.block_on(work))
    } else {
        tokio::spawn(work)
    }
}
