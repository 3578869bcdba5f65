//! What a sandbox uses: from its cgroup, or, where it has none of its own, from its processes.
//!
//! The files are those of <https://docs.kernel.org/admin-guide/cgroup-v2.html> and
//! <https://docs.kernel.org/admin-guide/cgroup-v1/>.

use std::fs;

use rustix::fs::statvfs;
use shellport_wire::process::{Process, Stats};

/// Where a sandbox sees its own cgroup.
const CGROUP: &str = "/sys/fs/cgroup";

/// From here on, a limit of version 1 is none: it is a multiple of the page size near the largest number.
const NO_LIMIT: u64 = 1 << 60;

/// What the sandbox uses now. It is only as large as these processes when it has no namespace of its own.
pub fn now(processes: &[Process], is_whole: bool) -> Stats {
    let sum = |of: fn(&Process) -> u64| processes.iter().map(of).sum();
    let mut stats = Stats {
        cpu_ms: sum(|it| it.cpu_ms),
        memory: sum(|it| it.memory),
        pids: sum(|it| u64::from(it.threads)),
        ..Stats::default()
    };
    if is_whole {
        from_cgroup(&mut stats);
        if let Some((received, sent)) = network(&read("/proc/self/net/dev").unwrap_or_default()) {
            (stats.received, stats.sent) = (Some(received), Some(sent));
        }
    }
    if let Ok(root) = statvfs("/") {
        stats.disk_total = root.f_blocks.saturating_mul(root.f_frsize);
        let free = root.f_bfree.saturating_mul(root.f_frsize);
        stats.disk_used = stats.disk_total.saturating_sub(free);
    }
    stats
}

fn from_cgroup(stats: &mut Stats) {
    let of = |name: &str| read(&format!("{CGROUP}/{name}"));
    let number = |name: &str| of(name)?.trim().parse::<u64>().ok();
    let field = |name: &str, key: &str| {
        of(name)?
            .lines()
            .find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok())
    };
    let limit = |name: &str| number(name).filter(|limit| *limit < NO_LIMIT);
    let microseconds = field("cpu.stat", "usage_usec ");
    let cpu = microseconds
        .map(|it| it / 1000)
        .or_else(|| Some(number("cpuacct/cpuacct.usage")? / 1_000_000));
    stats.cpu_ms = cpu.unwrap_or(stats.cpu_ms);
    // What the kernel would give back at once is not in use.
    let memory = number("memory.current")
        .zip(field("memory.stat", "inactive_file "))
        .or_else(|| {
            let usage = number("memory/memory.usage_in_bytes")?;
            Some((usage, field("memory/memory.stat", "total_inactive_file ")?))
        });
    if let Some((usage, idle)) = memory {
        stats.memory = usage.saturating_sub(idle);
    }
    stats.memory_limit = limit("memory.max").or_else(|| limit("memory/memory.limit_in_bytes"));
    let pids = number("pids.current").or_else(|| number("pids/pids.current"));
    stats.pids = pids.unwrap_or(stats.pids);
    stats.pids_limit = limit("pids.max").or_else(|| limit("pids/pids.max"));
    let transferred = of("io.stat")
        .map(|text| io(&text))
        .or_else(|| Some(blkio(&of("blkio/blkio.throttle.io_service_bytes")?)));
    if let Some((read, written)) = transferred {
        (stats.read, stats.written) = (Some(read), Some(written));
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// Bytes read and written, of all devices: `8:0 rbytes=1 wbytes=2 …`.
fn io(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        let values = text
            .split_whitespace()
            .filter_map(|word| word.strip_prefix(key));
        values.filter_map(|value| value.parse::<u64>().ok()).sum()
    };
    (sum("rbytes="), sum("wbytes="))
}

/// The same of version 1: `8:0 Read 1`.
fn blkio(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(key));
        lines
            .filter_map(|(_, value)| value.trim().parse::<u64>().ok())
            .sum()
    };
    (sum(" Read "), sum(" Write "))
}

/// Bytes received and sent on all interfaces but loopback; none when there is no other.
fn network(text: &str) -> Option<(u64, u64)> {
    let mut sum = None;
    for line in text.lines().skip(2) {
        let (name, fields) = line.split_once(':')?;
        let fields: Vec<u64> = fields
            .split_whitespace()
            .filter_map(|it| it.parse().ok())
            .collect();
        if name.trim() == "lo" {
            continue;
        }
        let (received, sent) = (*fields.first()?, *fields.get(8)?);
        let (before, after) = sum.unwrap_or((0, 0));
        sum = Some((before + received, after + sent));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_tables_are_read() {
        assert_eq!(
            io("8:0 rbytes=10 wbytes=5 rios=1\n8:16 rbytes=1 wbytes=2\n"),
            (11, 7)
        );
        assert_eq!(
            blkio("8:0 Read 10\n8:0 Write 5\n8:0 Total 15\nTotal 15\n"),
            (10, 5)
        );
        let head = "Inter-|   Receive  |  Transmit\n face |bytes\n";
        let lo = "    lo: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n";
        let eth = "  eth0: 100 1 0 0 0 0 0 0 50 1 0 0 0 0 0 0\n";
        assert_eq!(network(&format!("{head}{lo}{eth}")), Some((100, 50)));
        assert_eq!(network(&format!("{head}{lo}")), None);
    }

    #[test]
    fn without_a_cgroup_the_processes_count() {
        let stats = now(&[], false);
        assert_eq!((stats.cpu_ms, stats.memory, stats.received), (0, 0, None));
        assert!(stats.disk_total >= stats.disk_used && stats.disk_used > 0);
    }
}
