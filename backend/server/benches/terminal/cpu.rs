//! Time on a CPU: of a thread of ours, and of other processes.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use super::wait::Result;

/// What /proc counts in: `USER_HZ`, which is 100 on every architecture that matters here.
const TICK: Duration = Duration::from_millis(10);

/// Processes, each with the name of its part.
pub struct Processes(pub Vec<(&'static str, u32)>);

impl Processes {
    /// The time that each has used since its start, threads that have ended included.
    pub fn cpu(&self) -> Result<Vec<Duration>> {
        self.0.iter().map(|(_, pid)| of_process(*pid)).collect()
    }

    /// The time that each has used since `before`.
    pub fn cpu_since(&self, before: &[Duration]) -> Result<Vec<(&'static str, Duration)>> {
        let now = self.cpu()?;
        let used = self.0.iter().zip(now).zip(before);
        Ok(used
            .map(|(((name, _), now), before)| (*name, now.saturating_sub(*before)))
            .collect())
    }
}

fn of_process(pid: u32) -> Result<Duration> {
    let fields = stat(pid)?;
    // utime and stime are the fields 14 and 15; these begin with the third.
    let ticks = |index: usize| fields.get(index).and_then(|it| it.parse::<u32>().ok());
    let (Some(user), Some(system)) = (ticks(11), ticks(12)) else {
        return Err(format!("/proc/{pid}/stat is not understood").into());
    };
    Ok(TICK * (user + system))
}

/// The fields of a process's stat after its name, which may hold anything.
fn stat(pid: u32) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|error| format!("process {pid}: {error}"))?;
    let (_, fields) = text.rsplit_once(')').unwrap_or_default();
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// The children of a process with this name.
pub fn children(parent: u32, name: &str) -> Vec<u32> {
    let parent = parent.to_string();
    find(|pid| {
        let fields = stat(pid).unwrap_or_default();
        fields.get(1) == Some(&parent) && self::name(pid) == name
    })
}

/// The processes whose name begins so and whose arguments have this word among them.
pub fn with_argument(prefix: &str, argument: &str) -> Vec<u32> {
    find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        name(pid).starts_with(prefix)
            && line
                .split(|&byte| byte == 0)
                .any(|word| word == argument.as_bytes())
    })
}

/// The processes with this name.
pub fn named(wanted: &str) -> Vec<u32> {
    find(|pid| name(pid) == wanted)
}

fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

fn find(wanted: impl Fn(u32) -> bool) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| wanted(pid)).collect()
}

/// The time that the calling thread has used.
pub fn of_this_thread() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let micros = |time: TimeVal| u64::try_from(time.num_microseconds()).unwrap_or_default();
    let sum = micros(usage.user_time()) + micros(usage.system_time());
    Ok(Duration::from_micros(sum))
}
