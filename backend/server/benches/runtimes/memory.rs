//! The memory of everything on the machine.

use std::fs;

use super::wait::Result;

/// Bytes that all processes use, what they share counted once: the sum of what proc(5) calls PSS.
pub fn in_use() -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        // One that has ended, or is the kernel's own.
        let Ok(text) = fs::read_to_string(entry.path().join("smaps_rollup")) else {
            continue;
        };
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        total += number.and_then(|it| it.parse::<u64>().ok()).unwrap_or(0) * 1024;
    }
    Ok(total)
}
