//! The sandbox's processes, read from `/proc`, and signals to groups of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpid};
use tokio::time::{Instant, sleep};

/// How often a group that was asked to end is looked at again.
const POLL: Duration = Duration::from_millis(10);

/// A line of `/proc/[pid]/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    pid: i32,
    state: u8,
    parent: i32,
    group: i32,
    session: i32,
    /// The controlling terminal's device number, or 0.
    terminal: i32,
}

impl Stat {
    fn leads_terminal(&self) -> bool {
        self.pid == self.session && self.terminal != 0
    }
}

/// Which processes to end.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// Those of the session that this process leads, as a terminal's, with every job in it.
    Session(Pid),
    /// What is left of the session that this process has led. It has been waited for.
    Left(Pid),
    /// Everything below this process, which is an exec's keeper.
    Below(Pid),
    /// Everything but the agent itself. As PID 1 that is the whole sandbox, otherwise all of the
    /// agent's descendants.
    All,
}

/// Asks the processes in `scope` to end, waits for `grace`, then kills what is left.
///
/// Interactive shells ignore SIGTERM, so the leaders of terminals are hung up on as well; stopped
/// jobs are continued, because a stopped process does not see a signal.
pub async fn end(scope: Scope, grace: Duration) {
    send(scope, Signal::SIGTERM);
    for leader in members(scope).iter().filter(|stat| stat.leads_terminal()) {
        // It may have ended since.
        let _ = kill(Pid::from_raw(leader.pid), Signal::SIGHUP);
    }
    send(scope, Signal::SIGCONT);
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline {
        if members(scope).is_empty() {
            return;
        }
        sleep(POLL).await;
    }
    // A process that forks as fast as it is killed needs more than one pass.
    for _ in 0..100 {
        if members(scope).is_empty() {
            return;
        }
        send(scope, Signal::SIGKILL);
        sleep(POLL).await;
    }
}

/// Sends `signal` to every process in `scope`, group by group.
fn send(scope: Scope, signal: Signal) {
    match scope {
        Scope::Session(leader) | Scope::Left(leader) => {
            let (inside, starting): (Vec<_>, Vec<_>) = members(scope)
                .into_iter()
                .partition(|stat| stat.session == leader.as_raw());
            let groups: BTreeSet<i32> = inside.iter().map(|stat| stat.group).collect();
            for group in groups {
                let _ = killpg(Pid::from_raw(group), signal);
            }
            // Its group is still the agent's own.
            for stat in starting {
                let _ = kill(Pid::from_raw(stat.pid), signal);
            }
        }
        Scope::Below(_) | Scope::All => {
            for stat in members(scope) {
                let _ = kill(Pid::from_raw(stat.pid), signal);
            }
        }
    }
}

fn members(scope: Scope) -> Vec<Stat> {
    let all = list();
    match scope {
        Scope::Session(leader) => all
            .into_iter()
            .filter(|stat| stat.session == leader.as_raw() || is_starting(stat, leader))
            .collect(),
        // While anything is left of the session, its id is given to no other process.
        Scope::Left(leader) if Path::new(&format!("/proc/{leader}")).exists() => Vec::new(),
        Scope::Left(leader) => all
            .into_iter()
            .filter(|stat| stat.session == leader.as_raw())
            .collect(),
        Scope::Below(keeper) => descendants(&all, keeper.as_raw()),
        Scope::All => descendants(&all, getpid().as_raw())
            .into_iter()
            .filter(|stat| !is_bridge(stat))
            .collect(),
    }
}

/// Whether a process is the leader before it has made its session.
fn is_starting(stat: &Stat, leader: Pid) -> bool {
    stat.pid == leader.as_raw() && stat.parent == getpid().as_raw()
}

/// Whether a process is our own `bridge`, which entered the sandbox from outside. It carries what
/// is to be said to the end, and ends with the connection.
fn is_bridge(stat: &Stat) -> bool {
    let program = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
    let own = program("self");
    stat.parent == 0 && own.is_some() && program(&stat.pid.to_string()) == own
}

/// Every living process but the kernel's zombies.
fn list() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let pid = name.to_str()?.parse::<i32>().ok()?;
            parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
        })
        .filter(|stat| !matches!(stat.state, b'Z' | b'X'))
        .collect()
}

/// Processes below `root`. An orphan is a child of the agent, because the agent is PID 1 or a
/// subreaper; a process that entered the sandbox from outside has the parent 0.
fn descendants(all: &[Stat], root: i32) -> Vec<Stat> {
    let mut known = BTreeSet::from([root]);
    if root == 1 {
        known.insert(0);
    }
    loop {
        let before = known.len();
        known.extend(
            all.iter()
                .filter(|stat| known.contains(&stat.parent))
                .map(|stat| stat.pid)
                .collect::<Vec<_>>(),
        );
        if known.len() == before {
            break;
        }
    }
    all.iter()
        .filter(|stat| stat.pid != root && known.contains(&stat.pid))
        .copied()
        .collect()
}

/// The name of a process stands in parentheses and may hold anything, parentheses included.
fn parse(line: &str) -> Option<Stat> {
    let (before, _) = line.split_once(" (")?;
    let (_, after) = line.rsplit_once(") ")?;
    let mut fields = after.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    let mut number = || fields.next()?.parse().ok();
    Some(Stat {
        pid: before.parse().ok()?,
        state,
        parent: number()?,
        group: number()?,
        session: number()?,
        terminal: number()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = "42 (a) R 9 (b) S 1 40 39 34816 42 4194304 1 2 3";
        assert_eq!(
            parse(line),
            Some(Stat {
                pid: 42,
                state: b'S',
                parent: 1,
                group: 40,
                session: 39,
                terminal: 34816,
            })
        );
        assert_eq!(parse("42 (sh"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn descendants_are_found_in_any_order() {
        let stat = |pid, parent| Stat {
            pid,
            state: b'S',
            parent,
            group: pid,
            session: pid,
            terminal: 0,
        };
        let all = [stat(5, 4), stat(4, 2), stat(2, 1), stat(3, 1), stat(9, 0)];
        let below = |root| -> Vec<i32> {
            descendants(&all, root)
                .iter()
                .map(|stat| stat.pid)
                .collect()
        };
        assert_eq!(below(2), [5, 4]);
        assert_eq!(below(1), [5, 4, 2, 3, 9], "a process that entered counts");
    }
}
