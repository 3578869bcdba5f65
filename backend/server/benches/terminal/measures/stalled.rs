//! A client that stops reading: what it costs the serving side, and whoever else is watching.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::super::connection::{Terminal, connect_to, next};
use super::super::statistics::{bytes, median, number};
use super::super::wait::{Result, STEP, within};
use super::super::ways::{RAW, Shellport, Way};
use super::super::workload::{FLOOD, Tally, WORKLOADS};
use super::Bench;
use super::peak::growth_during;

/// Blocks of a MiB in a flood: 500 MB.
const BLOCKS: usize = 477;

/// How often a flood is watched alone and beside a stalled viewer, in turn: 1 GB of each.
const FLOODS: usize = 2;

/// How long a client that is alone does not read.
const ALONE: Duration = Duration::from_secs(3);

/// Measures both.
pub async fn run(bench: &mut Bench) -> Result<Value> {
    bench.report.title(
        "A client that stops reading",
        "A coloured log floods a client that reads nothing for three seconds: by how much \
         the private memory of the serving side grows.",
    );
    let (mut rows, mut figures) = (Vec::new(), Map::new());
    let ways = bench.light_ways().into_iter();
    for way in ways.filter(|way| way.key() != RAW) {
        match alone(&way).await {
            Ok(growth) => {
                rows.push(vec![way.name().to_owned(), mib(growth)]);
                figures.insert(way.key().to_owned(), json!(growth));
            }
            Err(error) => bench.report.fault(&*way, error),
        }
    }
    bench.report.table(&["nobody reads", "MiB"], &rows);
    let shellport = Shellport::fresh(&bench.directory, "stalled").await?;
    let beside = beside_a_watcher(&shellport).await;
    shellport.clear().await;
    let [without, with] = beside?;
    let slower = (1.0 - with.rate / without.rate) * 100.0;
    bench.report.paragraph(
        "Shellport under process: floods of 1 GB together to a viewer that takes all it gets, \
         without and with a second one that does not read at all, in turn.",
    );
    let row = |name: &str, it: &Watched| {
        let rate = format!("{:.1}", it.rate / 1e6);
        vec![name.to_owned(), rate, mib(it.growth)]
    };
    let rows = [
        row("alone", &without),
        row("beside a stalled viewer", &with),
    ];
    let columns = ["watching a flood", "MB/s", "server and agent grow, MiB"];
    bench.report.table(&columns, &rows);
    bench.report.paragraph(&format!(
        "The stalled viewer makes it {slower:.1} % slower."
    ));
    let json = |it: &Watched| json!({"bytes_per_second": it.rate, "growth": it.growth});
    Ok(json!({
        "growth_when_nobody_reads": figures,
        "watcher_alone": json(&without),
        "watcher_beside_a_stalled_viewer": json(&with),
        "slower_percent": slower,
    }))
}

/// Growth while the only client does not read.
async fn alone(way: &Arc<dyn Way>) -> Result<u64> {
    let place = way.place().await?;
    let mut terminal = connect_to(&**way, &place, FLOOD).await?;
    let processes = way.serving().await?;
    let [_, log] = &*WORKLOADS;
    let stall = async {
        terminal.send(log.command(BLOCKS).as_bytes()).await?;
        sleep(ALONE).await;
        Ok(())
    };
    let ((), growth) = growth_during(&processes, stall).await?;
    // Else it would go on without a client.
    terminal.send(b"\x03").await?;
    sleep(Duration::from_millis(200)).await;
    Ok(growth)
}

/// How a watched flood went.
struct Watched {
    /// Bytes in a second.
    rate: f64,
    /// Bytes.
    growth: u64,
}

/// Without, and with a stalled viewer.
async fn beside_a_watcher(shellport: &Shellport) -> Result<[Watched; 2]> {
    let place = shellport.place().await?;
    let mut terminal = connect_to(shellport, &place, FLOOD).await?;
    let processes = shellport.serving().await?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..FLOODS {
        without.push(growth_during(&processes, watch(&mut terminal)).await?);
        let stalled = shellport.join(&place).await?;
        with.push(growth_during(&processes, watch(&mut terminal)).await?);
        drop(stalled);
    }
    Ok([without, with].map(|floods| Watched {
        rate: median(&floods.iter().map(|it| it.0).collect::<Vec<_>>()),
        growth: floods.iter().map(|it| it.1).max().unwrap_or_default(),
    }))
}

/// Bytes in a second of a flood that is read as fast as it comes.
async fn watch(terminal: &mut Terminal) -> Result<f64> {
    let [_, log] = &*WORKLOADS;
    within("the flood", STEP * 3, async {
        let start = Instant::now();
        terminal.send(log.command(BLOCKS).as_bytes()).await?;
        let mut tally = Tally::new(log, BLOCKS);
        while !tally.take(next(terminal).await?) {}
        match tally.fault() {
            None => Ok(number(log.len(BLOCKS)) / start.elapsed().as_secs_f64()),
            Some(fault) => Err(fault.into()),
        }
    })
    .await?
}

fn mib(count: u64) -> String {
    format!("{:.1}", bytes(count) / 1024.0 / 1024.0)
}
