//! The sandbox's processes, from `/proc`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::unistd::{getpid, getppid};
use rustix::param::{clock_ticks_per_second, page_size};
use shellport_wire::process::{Port, Process};

use super::ports;
use crate::argv::shown;

/// Where the fields of `/proc/[pid]/stat` are, counted behind the name (proc(5) counts from 1, and two are before).
const STATE: usize = 0;
const PARENT: usize = 1;
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const THREADS: usize = 17;
const START: usize = 19;
const RESIDENT: usize = 21;

/// A process, ours or not.
struct Found {
    pid: i32,
    name: String,
    fields: Vec<String>,
    /// It is one of our own programs.
    is_ours: bool,
}

impl Found {
    fn number(&self, field: usize) -> u64 {
        let text = self.fields.get(field);
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    fn parent(&self) -> i32 {
        let text = self.fields.get(PARENT);
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

/// Every process of the sandbox but our own, parents before their children.
pub fn list() -> Vec<Process> {
    let found: BTreeMap<i32, Found> = all().into_iter().map(|one| (one.pid, one)).collect();
    let inside = below_agent(&found);
    let owners = ports::listening();
    let clock = Clock::new();
    let is_told = |pid: i32| inside.contains(&pid) && found.get(&pid).is_some_and(|it| !it.is_ours);
    let mut told: Vec<Process> = found
        .values()
        .filter(|one| is_told(one.pid))
        .map(|one| {
            let mut process = describe(one, &found, &owners, &clock);
            process.parent = process.parent.filter(|parent| is_told(*parent));
            process
        })
        .collect();
    // A child has a higher number, unless the numbers have begun again.
    told.sort_by_key(|process| (depth(process.pid, &found), process.pid));
    told
}

/// Whether the agent is the first process, so that the sandbox has namespaces and a cgroup of its own.
pub fn is_whole() -> bool {
    let found: BTreeMap<i32, Found> = all().into_iter().map(|one| (one.pid, one)).collect();
    agent(&found) == 1
}

/// The agent is the parent of this process's keeper.
fn agent(found: &BTreeMap<i32, Found>) -> i32 {
    let keeper = getppid().as_raw();
    found.get(&keeper).map_or(keeper, Found::parent)
}

fn describe(
    one: &Found,
    found: &BTreeMap<i32, Found>,
    owners: &HashMap<u64, Port>,
    clock: &Clock,
) -> Process {
    let pid = one.pid;
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let argv: Vec<String> = line
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    // Each argument ends with a NUL.
    let argv = shown(argv.strip_suffix(&[String::new()]).unwrap_or(&argv));
    let mut parent = one.parent();
    while let Some(above) = found.get(&parent).filter(|above| above.is_ours) {
        parent = above.parent();
    }
    let metadata = fs::metadata(format!("/proc/{pid}"));
    let state = one.fields.get(STATE).and_then(|text| text.chars().next());
    Process {
        pid,
        parent: Some(parent),
        uid: metadata.map(|it| it.uid()).unwrap_or_default(),
        state: state.unwrap_or('?'),
        name: one.name.clone(),
        argv,
        cpu_ms: clock.milliseconds(one.number(USER_TIME) + one.number(SYSTEM_TIME)),
        memory: one.number(RESIDENT) * clock.page,
        threads: u32::try_from(one.number(THREADS)).unwrap_or(u32::MAX),
        started_ms: clock.booted_ms + clock.milliseconds(one.number(START)),
        ports: ports::of(pid, owners),
    }
}

/// How many processes are above it.
fn depth(pid: i32, found: &BTreeMap<i32, Found>) -> usize {
    let mut depth = 0;
    let mut above = found.get(&pid).map(Found::parent);
    while let Some(next) = above.and_then(|pid| found.get(&pid)) {
        depth += 1;
        if depth > found.len() {
            break;
        }
        above = Some(next.parent());
    }
    depth
}

/// The processes below the agent. As the first process it is above every
/// other, those that entered the sandbox from outside included.
fn below_agent(found: &BTreeMap<i32, Found>) -> BTreeSet<i32> {
    let agent = agent(found);
    let own = getpid().as_raw();
    let is_inside = |pid: i32| {
        let mut above = pid;
        for _ in 0..=found.len() {
            let Some(parent) = found.get(&above).map(Found::parent) else {
                return agent == 1;
            };
            if parent == agent || (parent == 0 && agent == 1) {
                return true;
            }
            above = parent;
        }
        false
    };
    let others = found
        .keys()
        .copied()
        .filter(|pid| *pid != own && *pid != agent);
    others.filter(|pid| is_inside(*pid)).collect()
}

fn all() -> Vec<Found> {
    let program = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
    let ours: Option<PathBuf> = program("self");
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let line = fs::read(format!("/proc/{pid}/stat")).ok()?;
            let (name, fields) = parse(&String::from_utf8_lossy(&line))?;
            let exe = program(&pid.to_string());
            Some(Found {
                pid,
                name,
                fields,
                is_ours: exe.is_some() && exe == ours,
            })
        })
        .collect()
}

/// The name of a process stands in parentheses and may hold anything, parentheses included.
fn parse(line: &str) -> Option<(String, Vec<String>)> {
    let (before, after) = line.trim_end().rsplit_once(") ")?;
    let (_, name) = before.split_once(" (")?;
    let fields = after.split(' ').map(str::to_owned).collect();
    Some((name.to_owned(), fields))
}

/// What the kernel counts in.
struct Clock {
    ticks: u64,
    page: u64,
    booted_ms: u64,
}

impl Clock {
    fn new() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let booted = stat.lines().find_map(|line| line.strip_prefix("btime "));
        let booted: u64 = booted
            .and_then(|text| text.parse().ok())
            .unwrap_or_default();
        Self {
            ticks: clock_ticks_per_second().max(1),
            page: page_size() as u64,
            booted_ms: booted * 1000,
        }
    }

    fn milliseconds(&self, ticks: u64) -> u64 {
        ticks * 1000 / self.ticks
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_name_may_hold_anything() {
        let (name, fields) = parse("42 (a) R 9 (b) S 1 40 39\n").unwrap();
        assert_eq!(
            (&name[..], &fields[..]),
            ("a) R 9 (b", &["S", "1", "40", "39"].map(String::from)[..])
        );
        assert_eq!(parse("42 (sh"), None);
    }
}
