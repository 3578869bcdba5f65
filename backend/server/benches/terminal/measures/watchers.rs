//! Many viewers of one terminal that floods.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::super::connection::{connect_to, next};
use super::super::statistics::bytes;
use super::super::wait::{Result, STEP, within};
use super::super::ways::{Shellport, Step, Viewer, Way};
use super::super::workload::{FLOOD, WORKLOADS};
use super::Bench;
use super::peak::growth_during;

/// How many.
const VIEWERS: usize = 200;

/// Blocks of a MiB in the flood.
const BLOCKS: usize = 4;

/// What came of it.
struct Watched {
    time: Duration,
    /// Bytes of output, to all of them together.
    delivered: u64,
    /// How often one was given the screen because it was too far behind.
    snapshots: u64,
    /// CPU time, by part.
    cpu: Vec<(&'static str, Duration)>,
    /// Bytes by which server and agent grew.
    growth: u64,
}

/// Measures it.
pub async fn run(bench: &mut Bench) -> Result<Value> {
    bench.report.title(
        "Many viewers",
        "A coloured log of 4 MiB floods one terminal with 200 viewers (Shellport under process), \
         all read by one thread: until each of them is at its end. Who falls behind the journal is \
         given the screen instead.",
    );
    let shellport = Shellport::fresh(&bench.directory, "watchers").await?;
    let done = measure(&shellport).await;
    shellport.clear().await;
    let it = done?;
    let seconds = it.time.as_secs_f64();
    let rate = bytes(it.delivered) / seconds;
    let parts = it.cpu.iter().map(|(name, time)| {
        let seconds = time.as_secs_f64();
        format!("{name} {seconds:.2}")
    });
    let parts = parts.collect::<Vec<_>>().join(", ");
    let growth = bytes(it.growth) / 1024.0 / 1024.0;
    let row = vec![
        "Shellport, process".to_owned(),
        format!("{seconds:.2}"),
        format!("{:.0}", rate / 1e6),
        it.snapshots.to_string(),
        parts,
        format!("{growth:.1}"),
    ];
    let columns = [
        "200 viewers",
        "s",
        "MB/s to all",
        "screens",
        "CPU s",
        "server and agent grow, MiB",
    ];
    bench.report.table(&columns, &[row]);
    Ok(json!({
        "viewers": VIEWERS,
        "seconds": seconds,
        "bytes_per_second": rate,
        "snapshots": it.snapshots,
        "growth": it.growth,
        "cpu_seconds": it.cpu.iter().map(|it| it.1.as_secs_f64()).sum::<f64>(),
    }))
}

async fn measure(shellport: &Shellport) -> Result<Watched> {
    let place = shellport.place().await?;
    let mut first = connect_to(shellport, &place, FLOOD).await?;
    let mut viewers = Vec::new();
    for _ in 1..VIEWERS {
        viewers.push(shellport.join(&place).await?);
    }
    let [_, log] = &*WORKLOADS;
    let processes = shellport.serving().await?;
    let before = processes.cpu()?;
    let start = Instant::now();
    let watch = async {
        first.send(log.command(BLOCKS).as_bytes()).await?;
        let mut watching = JoinSet::new();
        for viewer in viewers {
            watching.spawn(read(viewer, log.len(BLOCKS) as u64));
        }
        let mut seen = 0;
        while seen < log.len(BLOCKS) {
            seen += next(&mut first).await?.len();
        }
        let (mut delivered, mut snapshots) = (seen as u64, 0);
        while let Some(done) = watching.join_next().await {
            let (output, screens) = done??;
            delivered += output;
            snapshots += screens;
        }
        Ok((delivered, snapshots))
    };
    let watch = growth_during(&processes, watch);
    let ((delivered, snapshots), growth) = within("the flood", STEP * 2, watch).await??;
    Ok(Watched {
        time: start.elapsed(),
        delivered,
        snapshots,
        cpu: processes.cpu_since(&before)?,
        growth,
    })
}

/// Reads until so many bytes were put out; how many of them came as output, and how many screens.
async fn read(mut viewer: Viewer, length: u64) -> Result<(u64, u64)> {
    let end = viewer.offset() + length;
    let (mut output, before) = (0, viewer.snapshots());
    while viewer.offset() < end {
        match viewer.step().await? {
            Step::Output(length) => output += length as u64,
            Step::Ended => return Err("the terminal has ended".into()),
        }
    }
    Ok((output, viewer.snapshots() - before))
}
