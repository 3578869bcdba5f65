//! The command line as a client: sessions, programs in them, and what is told of them.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::api::IMAGE;
use crate::support::archive::Archive;
use crate::support::backend::on_backends;
use crate::support::client::CommandLine;
use crate::support::numbers::Numbers;
use crate::support::proxy::{Proxy, Then};
use crate::support::server::TestServer;
use crate::support::wait::{LONG, until, within};

/// Input that has to arrive as it is.
const MUCH: usize = 4 << 20;

async fn sessions_come_and_go(server: &TestServer) {
    let shellport = CommandLine::new(server);
    assert_eq!(
        shellport
            .success(&["new", "--name=work", "--memory=256m", "--label=a=b"])
            .await,
        "@work"
    );
    assert_eq!(
        shellport
            .success(&["new", "--name=work", "--memory=256m", "--reuse"])
            .await,
        "@work"
    );
    let all = shellport.success(&["ls", "--json"]).await;
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all.as_array().map(Vec::len), Some(1), "{all}");
    assert_eq!(
        (&all[0]["memory"], &all[0]["labels"]),
        (&json!(256 << 20), &json!({"a": "b"}))
    );
    let table = shellport.success(&["ls"]).await;
    assert!(
        table.contains("SESSION") && table.contains("@work") && table.contains("256.00 MiB"),
        "{table}"
    );
    assert_eq!(shellport.success(&["ls", "-q"]).await, "@work");
    let page = shellport.success(&["open", "--print", "@work"]).await;
    assert!(
        page.ends_with(&format!("/sessions/{}", all[0]["id"].as_str().unwrap())),
        "{page}"
    );

    let refused = shellport.failure(&["rm", "@work"]).await;
    assert!(refused.contains("@work runs"), "{refused}");
    assert_eq!(
        shellport.success(&["stop", "--time=1", "@work"]).await,
        "@work"
    );
    let refused = shellport.failure(&["exec", "@work", "true"]).await;
    assert!(
        refused.contains("is stopped") && refused.contains("shellport start @work"),
        "{refused}"
    );
    assert_eq!(shellport.success(&["start", "@work"]).await, "@work");
    assert_eq!(
        shellport.success(&["exec", "@work", "echo", "again"]).await,
        "again"
    );
    assert_eq!(
        shellport.success(&["rm", "--force", "@work"]).await,
        "@work"
    );
    assert_eq!(shellport.success(&["ls", "-q"]).await, "");
    let missing = shellport.failure(&["exec", "@work", "true"]).await;
    assert!(missing.contains("there is no session @work"), "{missing}");
}
on_backends!(sessions_come_and_go: docker, podman, embedded, process);

/// Input of a program that writes what it reads.
async fn goes_through_as_it_is(shellport: &CommandLine, input: &[u8]) {
    let cat = ["exec", "-i", "@box", "cat"];
    let output = shellport.with_input(&cat, input).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let count = output.stdout.len();
    assert!(
        Sha256::digest(&output.stdout) == Sha256::digest(input),
        "{count} bytes; {said}"
    );
}

async fn a_program_is_itself(server: &TestServer) {
    let shellport = CommandLine::new(server);
    shellport.success(&["new", "--name=box"]).await;
    let output = shellport
        .output(&["exec", "@box", "sh", "-c", "echo out; echo err >&2; exit 7"])
        .await;
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"out\n"[..], &b"err\n"[..])
    );
    for (line, code) in [("exit 255", 255), ("nowhere", 127), ("kill -KILL $$", 137)] {
        let output = shellport.output(&["exec", "@box", "sh", "-c", line]).await;
        assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
    }
    let seen = shellport
        .success(&[
            "exec",
            "-e",
            "WORD=a b",
            "-w",
            "/tmp",
            "@box",
            "sh",
            "-c",
            "echo $WORD; pwd",
        ])
        .await;
    assert_eq!(seen, "a b\n/tmp");
    // Input goes through as it is, and its end is one.
    let input = Numbers::any().bytes(MUCH);
    goes_through_as_it_is(&shellport, &input).await;
    let output = shellport
        .with_input(&["exec", "-i", "@box", "head", "-c", "3"], &input)
        .await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 3));
    // Without -i there is none.
    let output = shellport
        .with_input(&["exec", "@box", "wc", "-c"], b"unheard")
        .await;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0");
    let lost = shellport.failure(&["exec", "-t", "@box", "sh"]).await;
    assert!(lost.contains("--tty"), "{lost}");
    shellport.success(&["rm", "-f", "@box"]).await;
}
on_backends!(a_program_is_itself: docker, podman, embedded, process);

async fn signals_reach_the_program(server: &TestServer) {
    let shellport = CommandLine::new(server);
    shellport.success(&["new", "--name=box"]).await;
    let line = "trap 'echo heard; exit 5' TERM; echo ready; while :; do sleep 0.1; done";
    let mut command = shellport.command(&["exec", "@box", "sh", "-c", line]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(
        within("a line", LONG, output.next_line())
            .await
            .unwrap()
            .unwrap(),
        "ready"
    );
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(
        within("a line", LONG, output.next_line())
            .await
            .unwrap()
            .unwrap(),
        "heard"
    );
    assert_eq!(
        within("the end", LONG, child.wait()).await.unwrap().code(),
        Some(5)
    );

    // When nobody reads any more, the program ends.
    let mut command = shellport.command(&["exec", "@box", "sh", "-c", "echo first; exec yes"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(
        within("the end", LONG, child.wait()).await.unwrap().code(),
        Some(141)
    );
    let gone = async || (!shellport.success(&["ps", "@box"]).await.contains("yes")).then_some(());
    until("the program to end", LONG, gone).await;
    shellport.success(&["rm", "-f", "@box"]).await;
}
on_backends!(signals_reach_the_program: docker, embedded, process);

async fn a_broken_network_loses_nothing(server: &TestServer) {
    // In the midst of a second answer.
    const ENOUGH: u64 = 500_000;
    let address = server.client.address.to_string();
    let proxy = Proxy::new(&address, ENOUGH, Then::Cut, 6).await;
    let direct = CommandLine::new(server);
    direct.success(&["new", "--name=box"]).await;
    let far = CommandLine::at(&proxy.address.to_string(), server.client.token.clone());
    let input = Numbers::any().bytes(MUCH);
    goes_through_as_it_is(&far, &input).await;
    assert!(
        proxy.carried() > 6 * ENOUGH,
        "it was cut {} bytes on",
        proxy.carried()
    );
    direct.success(&["rm", "-f", "@box"]).await;
}
on_backends!(a_broken_network_loses_nothing: docker, process => ["--allowed-hosts=127.0.0.1"]);

async fn what_runs_is_listed(server: &TestServer) {
    let shellport = CommandLine::new(server);
    shellport.success(&["new", "--name=box"]).await;
    let mut running = shellport.command(&["exec", "@box", "sh", "-c", "sleep 4321 & wait"]);
    let mut running = running.spawn().unwrap();
    let listed = async || {
        shellport
            .success(&["ps", "@box"])
            .await
            .contains("  sleep 4321")
            .then_some(())
    };
    until("the program to be listed below its shell", LONG, listed).await;
    let all: Value =
        serde_json::from_str(&shellport.success(&["ps", "--json", "@box"]).await).unwrap();
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .any(|it| it["argv"] == json!(["sleep", "4321"])),
        "{all}"
    );
    let table = shellport.success(&["stats", "--no-stream", "@box"]).await;
    assert!(
        table.contains("@box") && table.contains("MEMORY"),
        "{table}"
    );
    let used: Value = serde_json::from_str(
        &shellport
            .success(&["stats", "--no-stream", "--json", "@box"])
            .await,
    )
    .unwrap();
    assert!(
        used[0]["memory"].as_u64() > Some(0) && used[0]["name"] == "box",
        "{used}"
    );
    shellport.success(&["kill", "@box"]).await;
    assert_eq!(
        within("the end", LONG, running.wait())
            .await
            .unwrap()
            .code(),
        Some(137)
    );
    let mixed = shellport.failure(&["stop", "@box", "box"]).await;
    assert!(mixed.contains("give them apart"), "{mixed}");
    shellport.success(&["rm", "-f", "@box"]).await;
}
on_backends!(what_runs_is_listed: docker, embedded, process);

async fn what_happens_is_told(server: &TestServer) {
    let shellport = CommandLine::new(server);
    shellport.success(&["new", "--name=box"]).await;
    let first = server
        .client
        .get("/api/v1/events?limit=1")
        .await
        .expect(200);
    let since = format!("--since={}", first["data"][0]["id"].as_str().unwrap());
    let mut all = shellport.command(&["events", "--json", "--types=exec_ended", &since, "@box"]);
    let mut all = all.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(all.stdout.take().unwrap()).lines();
    shellport
        .output(&["exec", "@box", "sh", "-c", "exit 9"])
        .await;
    let line = within("an event", LONG, lines.next_line())
        .await
        .unwrap()
        .unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&event["type"], &event["exit"]["code"]),
        (&json!("exec_ended"), &json!(9)),
        "{event}"
    );
    all.kill().await.unwrap();

    let mut people = shellport.command(&["events", &since]);
    let mut people = people.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(people.stdout.take().unwrap()).lines();
    let ended = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(" exec_ended ") {
                return line;
            }
        }
        panic!("the events have ended");
    };
    let line = within("an event", LONG, ended).await;
    assert!(line.contains("\"code\":9"), "{line}");
    people.kill().await.unwrap();
    let wrong = shellport.failure(&["events", "--types=nothing"]).await;
    assert!(wrong.contains("types"), "{wrong}");
    shellport.success(&["rm", "-f", "@box"]).await;
}
on_backends!(what_happens_is_told: docker, process);

async fn a_run_leaves_nothing(server: &TestServer) {
    let shellport = CommandLine::new(server);
    let output = shellport
        .output(&[
            "run",
            "--remote",
            "-e",
            "A=1",
            IMAGE,
            "sh",
            "-c",
            "echo $A; exit 3",
        ])
        .await;
    assert_eq!(
        (output.status.code(), &output.stdout[..]),
        (Some(3), &b"1\n"[..]),
        "{output:?}"
    );
    let output = shellport
        .with_input(&["run", "--remote", "-i", IMAGE, "cat"], b"through")
        .await;
    assert_eq!(output.stdout, b"through", "{output:?}");
    assert!(server.client.sessions().await.is_empty());

    let mut command = shellport.command(&[
        "run",
        "--remote",
        IMAGE,
        "sh",
        "-c",
        "echo ready; exec sleep 1000",
    ]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    within("a line", LONG, lines.next_line()).await.unwrap();
    kill(
        Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    assert_eq!(
        within("the end", LONG, child.wait()).await.unwrap().code(),
        Some(130)
    );
    assert!(server.client.sessions().await.is_empty());

    // In the midst of its making.
    for delay in [5, 20, 50, 100, 200, 400] {
        let mut command = shellport.command(&["run", "--remote", IMAGE, "sleep", "1000"]);
        let mut child = command.spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(delay)).await;
        let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        within("the end", LONG, child.wait()).await.unwrap();
        assert!(
            server.client.sessions().await.is_empty(),
            "after {delay} ms"
        );
    }

    let name = shellport
        .success(&["run", "--remote", "-d", "--name=kept", IMAGE])
        .await;
    assert_eq!(name, "@kept");
    assert_eq!(
        shellport.success(&["exec", "@kept", "echo", "there"]).await,
        "there"
    );
    shellport.success(&["rm", "-f", "@kept"]).await;
    for (flags, word) in [
        (&["--volume=/a:/b"][..], "--volume"),
        (&["--pids-limit=-1"], "--pids-limit"),
        (&[], "COMMAND"),
    ] {
        let refused = shellport
            .failure(&[&["run", "--remote"], flags, &[IMAGE]].concat())
            .await;
        assert!(refused.contains(word), "{refused}");
    }
    let missing = shellport
        .failure(&["run", "--remote", "shellport.invalid/none:1", "true"])
        .await;
    assert!(missing.contains("none"), "{missing}");
}
on_backends!(a_run_leaves_nothing: docker, embedded);

async fn a_port_leads_into_the_session(server: &TestServer) {
    let shellport = CommandLine::new(server);
    shellport.success(&["new", "--name=box"]).await;
    let serve = "mkdir -p /tmp/site-cli && echo a page >/tmp/site-cli/index.html && exec busybox httpd -f -p 8764 -h /tmp/site-cli";
    let mut web = shellport
        .command(&["exec", "@box", "sh", "-c", serve])
        .spawn()
        .unwrap();
    let listens = async || {
        shellport
            .success(&["ps", "@box"])
            .await
            .contains("8764")
            .then_some(())
    };
    until("the server to listen", LONG, listens).await;
    let mut forward = shellport.command(&["port-forward", "@box", "0:8764"]);
    let mut forward = forward.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(forward.stdout.take().unwrap()).lines();
    let line = within("where it listens", LONG, lines.next_line())
        .await
        .unwrap()
        .unwrap();
    let (address, _) = line.split_once(' ').unwrap();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        within("an answer", LONG, stream.read_to_string(&mut answer))
            .await
            .unwrap();
        assert!(answer.ends_with("a page\n"), "{answer}");
    }
    forward.kill().await.unwrap();
    web.kill().await.unwrap();
    let taken = shellport.failure(&["port-forward", "@box", "80:0"]).await;
    assert!(taken.contains("[ADDRESS:]PORT:PORT"), "{taken}");
    shellport
        .success(&["exec", "@box", "rm", "-r", "/tmp/site-cli"])
        .await;
    shellport.success(&["rm", "-f", "@box"]).await;
}
on_backends!(a_port_leads_into_the_session: docker, embedded, process);

async fn a_token_is_kept_for_its_user_alone(server: &TestServer) {
    let url = format!("http://{}", server.client.address);
    let token = server.client.token.clone().unwrap();
    let shellport = CommandLine::stranger();
    let unknown = shellport.failure(&["ls", "--server", &url]).await;
    assert!(unknown.contains("shellport login"), "{unknown}");
    let wrong = shellport.with_input(&["login", &url], b"wrong\n").await;
    assert!(!wrong.status.success());
    let file = shellport.home().join(".config/shellport/servers.json");
    assert!(!file.exists());
    // A token among the arguments would be seen by others.
    let page = shellport
        .failure(&["login", &format!("{url}/#token={token}")])
        .await;
    assert!(!page.contains(&token), "{page}");
    let right = shellport
        .with_input(&["login", &url], format!("{token}\n").as_bytes())
        .await;
    assert!(right.status.success(), "{right:?}");
    assert!(!String::from_utf8_lossy(&right.stdout).contains(&token));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(shellport.success(&["ls", "-q"]).await, "");
    assert_eq!(shellport.success(&["token"]).await, token);
    shellport.success(&["logout"]).await;
    assert!(!std::fs::read_to_string(&file).unwrap().contains(&token));
    assert!(
        !shellport
            .failure(&["ls", "--server", &url])
            .await
            .contains(&token)
    );
    // On the server's own machine its user needs none, and it goes nowhere else.
    let mut own = shellport.command(&["ls", "--server", &url]);
    let own = own.env("SHELLPORT_DATA_DIR", server.path()).output();
    assert!(own.await.unwrap().status.success());
    let mut found = shellport.command(&["ls"]);
    let found = found.env("SHELLPORT_DATA_DIR", server.path()).output();
    assert!(found.await.unwrap().status.success());
    let stranger = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://{}", stranger.local_addr().unwrap());
    let mut other = shellport.command(&["ls", "--server", &elsewhere]);
    let other = other.env("SHELLPORT_DATA_DIR", server.path());
    let other = other
        .env("SHELLPORT_SERVER", &url)
        .env("SHELLPORT_TOKEN", &token);
    let other = within("the command", LONG, other.output()).await.unwrap();
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(said.contains("there is no token for"), "{said}");
    let local = shellport.failure(&["ps", "--server", &url]).await;
    assert!(local.contains("--server"), "{local}");

    for wrong in ["ftp://x", "x", "http://user:pass@x"] {
        let said = shellport.failure(&["ls", "--server", wrong]).await;
        assert!(said.contains("is not the address of a server"), "{said}");
    }
    let nobody = CommandLine::at("127.0.0.1:9", Some(token));
    let said = nobody.failure(&["ls"]).await;
    assert!(
        said.contains("http://127.0.0.1:9 cannot be reached"),
        "{said}"
    );
}
on_backends!(a_token_is_kept_for_its_user_alone: process);

async fn images_are_the_servers(server: &TestServer) {
    let shellport = CommandLine::new(server);
    if server.backend.oci_engine().is_none() {
        let said = shellport.failure(&["image", "--remote", "ls"]).await;
        assert!(said.contains("--runtime oci"), "{said}");
        return;
    }
    let table = shellport.success(&["image", "--remote", "ls"]).await;
    assert!(table.contains(IMAGE), "{table}");
    let all: Value = serde_json::from_str(
        &shellport
            .success(&["image", "--remote", "ls", "--json"])
            .await,
    )
    .unwrap();
    assert!(all.as_array().is_some_and(|all| !all.is_empty()), "{all}");
    let one: Value = serde_json::from_str(
        &shellport
            .success(&["image", "--remote", "inspect", IMAGE])
            .await,
    )
    .unwrap();
    assert!(one["configuration"].is_object(), "{one}");
    let archive = Archive::new().file("etc/hello", "hello\n").bytes();
    let imported = shellport
        .with_input(
            &["image", "--remote", "import", "-", "cli.test/made:1"],
            &archive,
        )
        .await;
    assert!(
        String::from_utf8_lossy(&imported.stdout).contains("cli.test/made:1"),
        "{imported:?}"
    );
    let removed = shellport
        .success(&["image", "--remote", "rm", "cli.test/made:1"])
        .await;
    assert!(removed.contains("removed"), "{removed}");
    shellport.success(&["image", "--remote", "prune"]).await;
    let missing = shellport
        .failure(&["image", "--remote", "pull", "127.0.0.1:9/none:1"])
        .await;
    assert!(missing.contains("127.0.0.1:9"), "{missing}");
}
on_backends!(images_are_the_servers: docker, embedded);

#[tokio::test]
async fn words_are_completed() {
    let shellport = CommandLine::stranger();
    for shell in ["bash", "zsh", "fish"] {
        let script = shellport.success(&["completions", shell]).await;
        assert!(
            script.contains("port-forward") && script.contains("reuse"),
            "{shell}"
        );
    }
}
