//! The memory of what is idle.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::super::connection::prompt;
use super::super::processes::Memory;
use super::super::statistics::{bytes, median, number};
use super::super::wait::Result;
use super::super::ways::{RAW, Shellport, Viewer, Way};
use super::Bench;
use super::sessions;

/// Terminals with a viewer that are there before, and as many more as are then measured.
const TERMINALS: (usize, usize) = (10, 40);

/// The same of sessions, and of the viewers of one terminal.
const SESSIONS: (usize, usize) = (50, 200);

/// Until what was made is idle.
const SETTLE: Duration = Duration::from_secs(1);

/// The most bytes of each: what an idle session costs the server, an idle viewer the server, and an
/// agent takes.
const TARGETS: [(&str, f64); 3] = [
    ("server, each further session", 64.0 * 1024.0),
    ("server, each further viewer", 128.0 * 1024.0),
    ("agent", 3e6),
];

/// Measures it.
pub async fn run(bench: &mut Bench) -> Result<Value> {
    bench.report.title(
        "Memory",
        "By how much the serving side grows with each further terminal that idles and has a \
         viewer: its private memory, from 10 terminals to 50. The shells and their sandboxes are \
         not counted; Shellport's agents are, of which each serves 30 terminals here.",
    );
    let (mut rows, mut figures) = (Vec::new(), Map::new());
    let ways = bench.light_ways().into_iter();
    for way in ways.filter(|way| way.key() != RAW) {
        match terminals(&way).await {
            Ok(each) => {
                rows.push(vec![way.name().to_owned(), kib(each)]);
                figures.insert(way.key().to_owned(), json!(each));
            }
            Err(error) => bench.report.fault(&*way, error),
        }
    }
    let columns = ["each further terminal with a viewer", "private KiB"];
    bench.report.table(&columns, &rows);
    let server = Shellport::fresh(&bench.directory, "memory").await?;
    let own = own(&server).await;
    server.clear().await;
    let own = own?;
    bench.report.paragraph(
        "Shellport under process: from 50 idle sessions without a viewer to 250, and from 50 idle \
         viewers of one terminal to 250. An agent has nothing open but for the one with viewers; \
         PSS and RSS hold its program, which all agents share.",
    );
    let rows: Vec<_> = own
        .iter()
        .map(|(name, it)| {
            let cells = [it.private, it.shared_out, it.resident].map(kib);
            [vec![(*name).to_owned()], cells.to_vec()].concat()
        })
        .collect();
    let columns = ["Shellport, process", "private KiB", "PSS KiB", "RSS KiB"];
    bench.report.table(&columns, &rows);
    for (name, most) in TARGETS {
        if let Some((_, it)) = own.iter().find(|(it, _)| *it == name) {
            let what = format!("{name}: less than {} KiB", kib(most));
            let figure = format!("{} KiB", kib(it.private));
            bench.report.target(&what, figure, it.private < most);
        }
    }
    let own = own.into_iter().map(|(name, it)| {
        let json = json!({"private": it.private, "pss": it.shared_out, "rss": it.resident});
        (name.to_owned(), json)
    });
    Ok(json!({
        "bytes_per_terminal_with_viewer": figures,
        "shellport_process": own.collect::<Map<_, _>>(),
    }))
}

/// Private bytes of the serving side for each further terminal with a viewer.
async fn terminals(way: &Arc<dyn Way>) -> Result<f64> {
    let (before, more) = TERMINALS;
    let mut places = Vec::new();
    for _ in 0..before + more {
        places.push(way.place().await?);
    }
    let mut open = Vec::new();
    let mut private = Vec::new();
    for places in [&places[..before], &places[before..]] {
        for place in places {
            let mut terminal = way.connect(place).await?;
            prompt(&mut terminal).await?;
            open.push(terminal);
        }
        sleep(SETTLE).await;
        private.push(bytes(way.serving().await?.memory()?.private));
    }
    Ok((private[1] - private[0]) / number(more))
}

/// Bytes, as in [`Memory`], which may have become less.
struct Bytes {
    private: f64,
    shared_out: f64,
    resident: f64,
}

impl Bytes {
    /// The growth, divided among so many.
    fn growth(before: Memory, after: Memory, count: usize) -> Self {
        let each = |before, after| (bytes(after) - bytes(before)) / number(count);
        Self {
            private: each(before.private, after.private),
            shared_out: each(before.shared_out, after.shared_out),
            resident: each(before.resident, after.resident),
        }
    }

    fn medians(all: &[Memory]) -> Self {
        let of = |figure: fn(&Memory) -> u64| {
            let figures = all.iter().map(|it| bytes(figure(it)));
            median(&figures.collect::<Vec<_>>())
        };
        Self {
            private: of(|it| it.private),
            shared_out: of(|it| it.shared_out),
            resident: of(|it| it.resident),
        }
    }
}

/// What Shellport's parts take, by what they are called in the table.
async fn own(shellport: &Shellport) -> Result<Vec<(&'static str, Bytes)>> {
    let (before, more) = SESSIONS;
    let (server, client) = (shellport.pid().await?, shellport.client().await);
    let mut servers = Vec::new();
    let mut made = Vec::new();
    for count in [before, more] {
        made.extend(sessions::create(&client, count).await?);
        sleep(SETTLE).await;
        servers.push(Memory::of(server)?);
    }
    let agents: Result<Vec<_>> = shellport.agents().into_iter().map(Memory::of).collect();
    let agents = agents?;
    if agents.len() != before + more {
        return Err(format!("{} agents of {} sessions", agents.len(), before + more).into());
    }

    let place = shellport.place().await?;
    let mut terminal = shellport.connect(&place).await?;
    prompt(&mut terminal).await?;
    let known: Vec<u32> = shellport.agents();
    let mut viewers: Vec<Viewer> = Vec::new();
    let (mut with_viewers, mut watched) = (Vec::new(), Vec::new());
    for count in [before, more] {
        for _ in 0..count {
            viewers.push(shellport.join(&place).await?);
        }
        sleep(SETTLE).await;
        with_viewers.push(Memory::of(server)?);
        // The one with the viewers is the one that has grown.
        let all: Result<Vec<_>> = known.iter().map(|pid| Memory::of(*pid)).collect();
        watched.push(
            all?.into_iter()
                .max_by_key(|it| it.private)
                .unwrap_or_default(),
        );
    }
    sessions::delete(&client, made).await?;
    Ok(vec![
        (
            "server, each further session",
            Bytes::growth(servers[0], servers[1], more),
        ),
        (
            "server, each further viewer",
            Bytes::growth(with_viewers[0], with_viewers[1], more),
        ),
        (
            "agent, each further viewer",
            Bytes::growth(watched[0], watched[1], more),
        ),
        ("agent", Bytes::medians(&agents)),
    ])
}

fn kib(bytes: f64) -> String {
    format!("{:.0}", bytes / 1024.0)
}
