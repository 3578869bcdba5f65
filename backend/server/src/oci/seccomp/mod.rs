//! Which system calls a container may make: what programs use, without what has opened ways out of
//! containers before (mounts, new namespaces, keyrings, `io_uring`, modules, tracing of the kernel).
//!
//! What is refused fails with `EPERM`; what nobody here has heard of fails with `ENOSYS`, so that
//! newer programs fall back to what they did before.

use nix::libc::{self, c_int};
use serde_json::{Value, json};

const ALLOWED: &str = include_str!("allowed.txt");
const REFUSED: &str = include_str!("refused.txt");

/// The execution domains that change nothing but what `uname` says: personality(2).
const PERSONALITIES: [u32; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Every namespace that clone(2) makes.
const NAMESPACES: c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP;

/// The filter, as `linux.seccomp` of an OCI configuration.
pub fn filter() -> Value {
    let all = |list: &str| json!(list.split_whitespace().collect::<Vec<_>>());
    let first = |value: i64, op| json!([{"index": 0, "value": value, "op": op}]);
    let mut rules = vec![
        json!({"names": all(ALLOWED), "action": "SCMP_ACT_ALLOW"}),
        json!({"names": all(REFUSED), "action": "SCMP_ACT_ERRNO", "errnoRet": libc::EPERM}),
        // Its flags are behind a pointer, which no filter can follow.
        json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS}),
        json!({
            "names": ["clone"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
        }),
        json!({
            "names": ["socket"],
            "action": "SCMP_ACT_ALLOW",
            "args": first(libc::AF_VSOCK.into(), "SCMP_CMP_NE"),
        }),
    ];
    rules.extend(PERSONALITIES.map(|personality| {
        json!({
            "names": ["personality"],
            "action": "SCMP_ACT_ALLOW",
            "args": first(personality.into(), "SCMP_CMP_EQ"),
        })
    }));
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": libc::ENOSYS,
        "architectures": architectures(),
        "syscalls": rules,
    })
}

/// What this machine's kernel runs: its own programs, and those of its smaller relatives.
fn architectures() -> &'static [&'static str] {
    match std::env::consts::ARCH {
        "x86_64" => &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "aarch64" => &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        _ => &["SCMP_ARCH_NATIVE"],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_call_is_both_allowed_and_refused() {
        let set = |list: &'static str| list.split_whitespace().collect::<BTreeSet<_>>();
        assert_eq!(set(ALLOWED).intersection(&set(REFUSED)).count(), 0);
        for call in ["read", "execve", "openat", "ptrace", "futex", "wait4"] {
            assert!(set(ALLOWED).contains(call), "{call}");
        }
        for call in [
            "mount",
            "unshare",
            "setns",
            "bpf",
            "keyctl",
            "io_uring_setup",
        ] {
            assert!(set(REFUSED).contains(call), "{call}");
        }
    }
}
