//! What keeps containers' networks apart.
//!
//! netavark can do that too, but takes one network's rule away with another's (seen with 1.4.0). So
//! there is one rule for all of them, where nobody else has any: what comes from one of our bridges
//! does not go out on another.

use std::fs;
use std::io;
use std::process::Stdio;

use tokio::process::Command;

use super::address::INTERFACE;
use crate::programs;

/// The rule, for iptables: the kernel comes by here before it asks the chains of others.
const RULE: [&str; 9] = [
    "FORWARD",
    "-i",
    "shellport+",
    "-o",
    "shellport+",
    "-m",
    "comment",
    "--comment",
    "shellport",
];

/// The table, for nft.
const TABLE: [&str; 2] = ["inet", "shellport"];

/// Sees to it that networks are kept apart. Nobody else does meanwhile.
///
/// # Errors
/// When the machine has neither iptables nor nft, or they refuse.
pub async fn separate() -> io::Result<()> {
    if iptables(&["--check"]).await.is_ok() {
        return Ok(());
    }
    match iptables(&["--insert"]).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => return result,
    }
    let [family, name] = TABLE;
    nft(&["add", "table", family, name]).await?;
    nft(&["flush", "table", family, name]).await?;
    let hook = "{ type filter hook forward priority -150; }";
    nft(&["add", "chain", family, name, "forward", hook]).await?;
    let rule = ["iifname", "shellport*", "oifname", "shellport*", "drop"];
    nft(&[&["add", "rule", family, name, "forward"], &rule[..]].concat()).await
}

/// Removes the rule when it was for the last network. Nobody else adds one meanwhile.
///
/// # Errors
/// Those of the system.
pub async fn clean_up() -> io::Result<()> {
    // That of this process's own namespace, unlike what `/sys` shows.
    let interfaces = fs::read_to_string("/proc/self/net/dev")?;
    let mut names = interfaces.lines().map(str::trim_start);
    if names.any(|name| name.starts_with(INTERFACE)) {
        return Ok(());
    }
    match iptables(&["--delete"]).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let [family, name] = TABLE;
            nft(&["delete", "table", family, name]).await
        }
        result => result,
    }
}

async fn iptables(action: &[&str]) -> io::Result<()> {
    let table = ["--wait", "--table", "mangle"];
    let rule = [&table[..], action, &RULE, &["-j", "DROP"]].concat();
    run("iptables", &rule).await
}

async fn nft(arguments: &[&str]) -> io::Result<()> {
    run("nft", arguments).await
}

async fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let path = programs::find(program).ok_or(io::ErrorKind::NotFound)?;
    let output = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program}: {}", said.trim())))
}
