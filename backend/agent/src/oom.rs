//! Telling the kernel's out-of-memory killer from any other SIGKILL.

use std::fs;

/// The places where a sandbox sees its own cgroup: version 2, then version 1.
///
/// <https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files> (`oom_kill` in
/// `memory.events`) and <https://docs.kernel.org/admin-guide/cgroup-v1/memory.html> (in
/// `memory.oom_control`).
const FILES: [&str; 2] = [
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
];

/// Counts the processes that the kernel has killed for lack of memory.
#[derive(Debug)]
pub struct OomCounter {
    claimed: u64,
}

impl OomCounter {
    /// Kills from before now are nobody's.
    pub fn new() -> Self {
        Self { claimed: kills() }
    }

    /// Whether the kernel has killed a process that nobody has claimed yet; claims it if so.
    ///
    /// The kernel only counts. A process that ended by SIGKILL claims one of the count, which is
    /// right as long as not two of them end so at once, one by the kernel and one by hand.
    pub fn claim(&mut self) -> bool {
        let killed = kills() > self.claimed;
        self.claimed += u64::from(killed);
        killed
    }
}

fn kills() -> u64 {
    FILES
        .iter()
        .find_map(|file| parse(&fs::read_to_string(file).ok()?))
        .unwrap_or(0)
}

fn parse(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|count| count.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_both_versions() {
        let v2 = "low 0\nhigh 0\nmax 12\noom 2\noom_kill 3\noom_group_kill 1\n";
        let v1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n";
        assert_eq!(parse(v2), Some(3));
        assert_eq!(parse(v1), Some(4));
        assert_eq!(parse("oom_kill_disable 0\n"), None);
    }
}
