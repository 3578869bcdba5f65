//! What the serving side costs: time on a CPU, and memory.

use std::fs;
use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use super::wait::Result;

/// The parts of a serving side.
#[derive(Default)]
pub struct Processes(Vec<Part>);

struct Part {
    name: &'static str,
    pid: u32,
    meter: Meter,
}

/// Where the time of a part is read.
enum Meter {
    /// The thread that asks.
    Own,
    /// A whole process, threads that have ended included.
    Process(ClockId),
}

impl Processes {
    /// The thread that reads a PTY by itself.
    pub fn own_thread(name: &'static str) -> Self {
        Self(vec![Part {
            name,
            pid: std::process::id(),
            meter: Meter::Own,
        }])
    }

    /// Adds a process.
    pub fn add(&mut self, name: &'static str, pid: u32) -> Result<()> {
        let meter = Meter::Process(clock(pid)?);
        self.0.push(Part { name, pid, meter });
        Ok(())
    }

    /// The time that each part has used so far.
    pub fn cpu(&self) -> Result<Vec<Duration>> {
        self.0.iter().map(|part| part.meter.read()).collect()
    }

    /// The time that the parts of each name have used since `before`.
    pub fn cpu_since(&self, before: &[Duration]) -> Result<Vec<(&'static str, Duration)>> {
        let mut used: Vec<(&'static str, Duration)> = Vec::new();
        for ((part, now), before) in self.0.iter().zip(self.cpu()?).zip(before) {
            let time = now.saturating_sub(*before);
            match used.iter_mut().find(|(name, _)| *name == part.name) {
                Some((_, sum)) => *sum += time,
                None => used.push((part.name, time)),
            }
        }
        Ok(used)
    }

    /// The memory of all of them together.
    pub fn memory(&self) -> Result<Memory> {
        let mut pids: Vec<u32> = self.0.iter().map(|part| part.pid).collect();
        pids.dedup();
        let mut sum = Memory::default();
        for pid in pids {
            let it = Memory::of(pid)?;
            sum.private += it.private;
            sum.shared_out += it.shared_out;
            sum.resident += it.resident;
        }
        Ok(sum)
    }
}

impl Meter {
    fn read(&self) -> Result<Duration> {
        Ok(match self {
            Self::Own => clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into(),
            Self::Process(clock) => clock_gettime(*clock)?.into(),
        })
    }
}

/// The clock of a process's CPU time, which counts nanoseconds.
fn clock(pid: u32) -> Result<ClockId> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?));
    clock.map_err(|error| format!("process {pid}: {error}").into())
}

/// Bytes of memory.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    /// That nobody else has: what would be free without the process.
    pub private: u64,
    /// With its share of what others have as well (PSS).
    pub shared_out: u64,
    /// All of it that is in memory (RSS).
    pub resident: u64,
}

impl Memory {
    /// A process's.
    pub fn of(pid: u32) -> Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .map_err(|error| format!("process {pid}: {error}"))?;
        let field = |wanted: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(wanted));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|it| it.parse().ok()).unwrap_or(0) * 1024
        };
        Ok(Self {
            private: field("Private_Clean:") + field("Private_Dirty:"),
            shared_out: field("Pss:"),
            resident: field("Rss:"),
        })
    }
}

/// The processes of which this is true, told their name and their arguments.
pub fn find(wanted: impl Fn(&str, &[&str]) -> bool) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_wanted = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        let arguments: Vec<&str> = line.split_terminator('\0').collect();
        wanted(&name(*pid), &arguments)
    };
    pids.filter(is_wanted).collect()
}

/// The process that started this one.
pub fn parent(pid: u32) -> Result<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("PPid:"));
    Ok(line.unwrap_or_default().trim().parse()?)
}

fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}
