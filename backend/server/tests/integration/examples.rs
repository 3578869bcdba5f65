//! The examples do what they say.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use crate::support::backend::{on_backends, skip};
use crate::support::server::TestServer;
use crate::support::wait::{LONG, ok, within};

/// Where a picture ends that shows more than one colour: an empty page of this size has less.
const LEAST: usize = 3_000;

async fn a_coding_agent_finds_its_way(server: &TestServer) {
    if !PathBuf::from("/usr/bin/node").exists() {
        return skip("no Node.js in /usr/bin, which the image host would have");
    }
    let client = &server.client;
    let directory = tempfile::tempdir().unwrap();
    let picture = directory.path().join("page.png");
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let browser = "chromium --no-sandbox --disable-background-networking";
    let has_browser = PathBuf::from("/usr/bin/chromium").exists();
    let mut command = Command::new("python3");
    command
        .arg(root.join("examples/coding-agent.py"))
        .args(["--image", "host", "--browser", browser])
        .env("TOKEN", client.token.as_ref().unwrap())
        .env("API", format!("http://{}/api/v1", client.address))
        .stdin(Stdio::null());
    if has_browser {
        command.arg("--screenshot").arg(&picture);
    } else {
        skip("no chromium for the example's picture");
    }
    let output = ok(
        "python3",
        within("the example", LONG, command.output()).await,
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for line in [
        "the tests want 6 and get -6",
        "price.js is patched",
        "they pass",
        "node listens at http://3000-",
        "it says <h1>Total: 6</h1>",
    ] {
        assert!(printed.contains(line), "{line:?} is not in {printed}");
    }
    if has_browser {
        let picture = std::fs::read(&picture).unwrap();
        assert!(
            picture.starts_with(b"\x89PNG") && picture.len() > LEAST,
            "{} bytes",
            picture.len()
        );
    }
    assert_eq!(client.sessions().await, Vec::<String>::new());
}
on_backends!(a_coding_agent_finds_its_way: embedded, crun);
