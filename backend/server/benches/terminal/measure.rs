//! The two measurements of whatever is reached over a connection.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::cpu::Processes;
use super::wait::{Result, STEP, within};
use super::workload::{READY, Tally, Workload};

/// Between two keystrokes: a fast typist's are further apart, but what serves them is asleep again.
pub const GAP: Duration = Duration::from_millis(2);

/// A terminal that is reached somehow.
pub trait Connection {
    /// Types.
    async fn send(&mut self, bytes: &[u8]) -> Result<()>;

    /// The next output, at least a byte of it.
    async fn receive(&mut self) -> Result<&[u8]>;
}

/// How a flood of output went.
pub struct Flood {
    /// How much came.
    pub bytes: usize,
    /// Until the last of it was there.
    pub time: Duration,
    /// What it cost the serving side, by part.
    pub cpu: Vec<(&'static str, Duration)>,
}

/// How long each keystroke took to come back.
pub type Echo = Vec<Duration>;

/// Waits until the program is ready.
pub async fn ready(connection: &mut impl Connection) -> Result<()> {
    within("the program's start", STEP, async {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(READY) {
            seen.extend_from_slice(connection.receive().await?);
        }
        // And what the shell may say after it.
        sleep(Duration::from_millis(200)).await;
        Ok(())
    })
    .await?
}

/// Has a workload put out.
pub async fn flood(
    connection: &mut impl Connection,
    processes: &Processes,
    workload: &Workload,
    compare: bool,
) -> Result<Flood> {
    within("a flood", STEP, async {
        let before = processes.cpu()?;
        let start = Instant::now();
        connection.send(workload.command().as_bytes()).await?;
        let mut tally = Tally::new(workload, compare);
        while !tally.take(connection.receive().await?)? {}
        let time = start.elapsed();
        Ok(Flood {
            bytes: workload.len(),
            time,
            cpu: processes.cpu_since(&before)?,
        })
    })
    .await?
}

/// Types so many keystrokes, each when the last has come back.
pub async fn echo(connection: &mut impl Connection, keystrokes: usize) -> Result<Echo> {
    within("the echoes", STEP, async {
        let mut times = Vec::with_capacity(keystrokes);
        for index in 0..keystrokes {
            sleep(GAP).await;
            let key = key(index);
            let start = Instant::now();
            connection.send(&[key]).await?;
            let came = connection.receive().await?;
            times.push(start.elapsed());
            check_echo(key, came)?;
        }
        Ok(times)
    })
    .await?
}

/// Each key differs from the one before, so that nothing is taken for its echo.
pub fn key(index: usize) -> u8 {
    b"abcdefghijklmnopqrstuvwxyz"[index % 26]
}

/// Exactly the key, once.
pub fn check_echo(key: u8, came: &[u8]) -> Result<()> {
    if came == [key] {
        return Ok(());
    }
    let (key, came) = ([key], came.escape_ascii());
    Err(format!("{} came back as {came:?}", key.escape_ascii()).into())
}
