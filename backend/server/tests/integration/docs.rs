//! The pages for people: what they say to type does what they say.

use std::process::Stdio;

use tokio::process::Command;

use crate::support::backend::on_backends;
use crate::support::oci;
use crate::support::server::TestServer;
use crate::support::wait::{LONG, ok, within};

const AUTOMATION: &str = include_str!("../../../../docs/automation.md");
const COMMAND_LINE: &str = include_str!("../../../../docs/command-line.md");

/// Between what two blocks print.
const BETWEEN: &str = "=== the next block ===";

/// A block to run, and what it prints.
struct Block<'a> {
    lines: &'a str,
    prints: &'a str,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block> = Vec::new();
    for part in page.split("\n```").skip(1).step_by(2) {
        let (kind, text) = part.split_once('\n').unwrap();
        match (kind, blocks.last_mut()) {
            ("sh", _) => blocks.push(Block {
                lines: text,
                prints: "",
            }),
            ("json", Some(block)) => block.prints = text,
            _ => panic!("a block of {kind:?}"),
        }
    }
    blocks
}

/// Whether `text` is `pattern`, in which `…` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(before) = last.replace(part) {
            let Some(at) = rest.find(before) else {
                return false;
            };
            rest = &rest[at + before.len()..];
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

/// Runs the blocks of a page one after the other in one shell, and compares what they print.
async fn follow(server: &TestServer, page: &str) -> String {
    let blocks = blocks(page);
    assert!(blocks.len() >= 5, "{}", blocks.len());
    let script: Vec<String> = blocks
        .iter()
        .map(|block| format!("{}\necho; echo '{BETWEEN}'\n", block.lines))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("page.sh");
    std::fs::write(&path, script.concat()).unwrap();
    std::os::unix::fs::symlink(oci::program(), directory.path().join("shellport")).unwrap();
    let programs = format!(
        "{}:{}",
        directory.path().display(),
        std::env::var("PATH").unwrap()
    );
    let client = &server.client;
    let running = Command::new("bash")
        .args(["-u", path.to_str().unwrap()])
        .current_dir(directory.path())
        .env("PATH", programs)
        .env("HOME", directory.path())
        .env("TOKEN", client.token.as_ref().unwrap())
        .env("API", format!("http://{}/api/v1", client.address))
        .env("SHELLPORT_SERVER", format!("http://{}", client.address))
        .env("SHELLPORT_DATA_DIR", server.path())
        .stdin(Stdio::null())
        .output();
    let output = ok("bash", within("the page", LONG, running).await);
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    let printed: Vec<&str> = printed.split(&format!("{BETWEEN}\n")).collect();
    assert_eq!(printed.len(), blocks.len() + 1, "{said}");
    for (block, printed) in blocks.iter().zip(printed) {
        let (printed, expected) = (printed.trim(), block.prints.trim());
        assert!(
            is_like(printed, expected),
            "{}\nprinted\n{printed}\nand not\n{expected}\n{said}",
            block.lines
        );
    }
    assert_eq!(client.sessions().await, Vec::<String>::new());
    said.into_owned()
}

async fn automation_is_as_it_is_told(server: &TestServer) {
    assert_eq!(follow(server, AUTOMATION).await, "");
}
on_backends!(automation_is_as_it_is_told: docker, podman, process, embedded, crun, rootless);

async fn the_command_line_is_as_it_is_told(server: &TestServer) {
    let said = follow(server, COMMAND_LINE).await;
    let gone = "shellport: there is no session @work; `shellport ls` lists those there are\n";
    assert_eq!(said, gone);
}
on_backends!(the_command_line_is_as_it_is_told: docker, podman, process, embedded);

#[test]
fn anything_stands_for_anything() {
    assert!(is_like("a 1 b 2 c", "a … b … c"));
    assert!(is_like("a", "a") && is_like("", "…") && is_like("ab", "a…b"));
    assert!(!is_like("a 1 c", "a … b … c"));
    assert!(!is_like("a b", "a") && !is_like("a", "a b"));
}
