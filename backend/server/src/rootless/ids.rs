//! The ids that the administrator has given to a user beside the own one: subuid(5) and subgid(5).

use std::fs;
use std::io::{self, Read};
use std::process::Command;

use nix::unistd::{User, getegid, geteuid};

use crate::programs;

/// What maps them, and which the user has.
const KINDS: [(&str, &str); 2] = [("newuidmap", "/etc/subuid"), ("newgidmap", "/etc/subgid")];

/// A range of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u32,
    count: u32,
}

impl Range {
    fn overlaps(self, other: Self) -> bool {
        let end = |it: Self| u64::from(it.first) + u64::from(it.count);
        u64::from(self.first) < end(other) && u64::from(other.first) < end(self)
    }
}

/// Whether this user has ids beside the own one, and the machine the programs that map them.
pub fn has_subordinates() -> bool {
    KINDS
        .iter()
        .all(|(program, file)| programs::find(program).is_some() && !ranges(file).is_empty())
}

/// Maps this user's ids into the user namespace of the process `pid`, once there is a byte on standard
/// input. This process is outside of it.
///
/// # Errors
/// What the programs say that do it.
pub fn map(pid: u32) -> io::Result<()> {
    if io::stdin().read(&mut [0])? == 0 {
        return Err(io::Error::other("nobody wants it any more"));
    }
    let own = [geteuid().as_raw(), getegid().as_raw()];
    for ((program, file), own) in KINDS.into_iter().zip(own) {
        let path = programs::find(program).ok_or_else(|| io::Error::other(program))?;
        let map = lines(own, &ranges(file));
        let arguments = map.as_flattened().iter().map(u32::to_string);
        let mut command = Command::new(path);
        let output = command.arg(pid.to_string()).args(arguments).output()?;
        if !output.status.success() {
            return Err(io::Error::other(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            ));
        }
    }
    Ok(())
}

/// The lines of a map: root is the user, and what comes after has the further ids, without gaps.
fn lines(own: u32, ranges: &[Range]) -> Vec<[u32; 3]> {
    let mut next = 1_u32;
    let further = ranges.iter().filter_map(|range| {
        let line = [next, range.first, range.count];
        next = next.checked_add(range.count)?;
        Some(line)
    });
    [[0, own, 1]].into_iter().chain(further).collect()
}

/// What this user has in such a file.
fn ranges(file: &str) -> Vec<Range> {
    let user = geteuid();
    let name = User::from_uid(user).ok().flatten().map(|user| user.name);
    let text = fs::read_to_string(file).unwrap_or_default();
    of(&text, name.as_deref(), user.as_raw())
}

/// What the user with this name and id has in such a file's text.
fn of(text: &str, name: Option<&str>, id: u32) -> Vec<Range> {
    let range = |line: &str| {
        let mut fields = line.split(':');
        let user = fields.next()?;
        let first = fields.next()?.trim().parse().ok()?;
        let count = fields
            .next()?
            .trim()
            .parse()
            .ok()
            .filter(|count| *count > 0)?;
        let is_own = Some(user) == name || user.parse() == Ok(id);
        is_own.then_some(Range { first, count })
    };
    let mut found: Vec<Range> = Vec::new();
    for range in text.lines().filter_map(range) {
        // The kernel takes none twice; people do, by name and by number.
        if !found.iter().any(|it| it.overlaps(range)) {
            found.push(range);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_name_and_number() {
        let text = "other:100000:65536\nuser:165536:65536\n\nbroken\nuser:x:1\n1000:165536:65536\n1000:500000:10\nuser:7:0\n";
        let expected = [
            Range {
                first: 165_536,
                count: 65_536,
            },
            Range {
                first: 500_000,
                count: 10,
            },
        ];
        assert_eq!(of(text, Some("user"), 1000), expected);
        assert_eq!(of(text, None, 1000), expected);
        assert_eq!(of(text, Some("nobody"), 65_534), []);
        assert_eq!(
            lines(1000, &expected),
            [[0, 1000, 1], [1, 165_536, 65_536], [65_537, 500_000, 10]]
        );
    }
}
