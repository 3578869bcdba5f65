//! The command line as a client: a session's terminal in one of this machine.

use tokio::task::block_in_place;

use crate::support::api::IMAGE;
use crate::support::backend::on_backends;
use crate::support::client::CommandLine;
use crate::support::proxy::{Proxy, Then};
use crate::support::server::TestServer;

/// Leaves a terminal as it is.
const DETACH: &str = "\x10\x11";

async fn a_terminal_is_left_and_found_again(server: &TestServer) {
    let shellport = CommandLine::new(server);
    shellport.success(&["new", "--name=box"]).await;
    block_in_place(|| {
        let mut terminal = shellport.terminal(&["attach", "@box"]);
        terminal.send("stty -echo; echo rea''dy\r");
        terminal.expect("ready");
        assert!(!terminal.is_cooked(), "keys come through as they are");
        terminal.send("stty size\r");
        terminal.expect("24 80");
        terminal.resize(101, 31);
        // The signal may come a moment after.
        terminal.send("while [ \"$(stty size)\" != '31 101' ]; do sleep 0.05; done; echo wi''de\r");
        terminal.expect("wide");
        terminal.send("x=still-here; printf '\\033[31mred\\033[0m\\n'\r");
        terminal.expect("red");
        terminal.send(DETACH);
        let (code, _) = terminal.end();
        assert_eq!(code, 0);

        // The screen comes back, and then what happens.
        let mut terminal = shellport.terminal(&["attach", "@box/main"]);
        terminal.expect("red");
        terminal.send("echo $x\r");
        terminal.expect("still-here");
        terminal.send("exit 7\r");
        let (code, _) = terminal.end();
        assert_eq!(code, 7);
    });
    let missing = shellport.failure(&["attach", "@box/none"]).await;
    assert!(missing.contains("none"), "{missing}");
    shellport.success(&["rm", "-f", "@box"]).await;
}
on_backends!(a_terminal_is_left_and_found_again: docker, embedded, process);

async fn what_is_typed_over_a_broken_network_is_typed_once(server: &TestServer) {
    const LINES: usize = 300;
    // Bytes after which a connection is cut: a few acknowledgements, and more than a frame of output.
    const FEW: u64 = 1_200;
    const MANY: u64 = 100_000;
    let direct = CommandLine::new(server);
    direct.success(&["new", "--name=box"]).await;
    let (address, token) = (
        server.client.address.to_string(),
        server.client.token.clone(),
    );
    let proxy = Proxy::new(&address, FEW, Then::Cut, 8).await;
    let far = CommandLine::at(&proxy.address.to_string(), token.clone());
    block_in_place(|| {
        let mut terminal = far.terminal(&["attach", "@box"]);
        terminal.send("stty -echo; PS1=; rm -f /tmp/typed-cli; echo rea''dy; cat >/tmp/typed-cli; echo wri''tten\r");
        // What comes before that is for the shell.
        terminal.expect("ready");
        for line in 0..LINES {
            terminal.send(&format!("line {line} of what is typed\r"));
            if line % 50 == 0 {
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
        }
        terminal.send("\x04");
        terminal.expect("written");
        terminal.send(DETACH);
        terminal.end();
    });
    assert!(proxy.carried() > 2 * FEW, "{}", proxy.carried());

    // Output that breaks the connection has no hole either.
    let proxy = Proxy::new(&address, MANY, Then::Cut, 3).await;
    let far = CommandLine::at(&proxy.address.to_string(), token);
    block_in_place(|| {
        let mut terminal = far.terminal(&["attach", "@box"]);
        let count = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); echo \"number $i\"; done";
        terminal.send(&format!("{count}; echo fini''shed\r"));
        let seen = terminal.expect("finished");
        let numbers: Vec<_> = seen
            .lines()
            .filter_map(|line| Some(line.trim().rsplit_once("number ")?.1))
            .filter(|number| number.parse::<u32>().is_ok())
            .collect();
        let expected: Vec<_> = (1..=40_000).map(|number| number.to_string()).collect();
        assert!(
            numbers == expected,
            "{} of {}",
            numbers.len(),
            expected.len()
        );
        terminal.send("exit\r");
        terminal.end();
    });
    let typed = direct
        .success(&["exec", "@box", "cat", "/tmp/typed-cli"])
        .await;
    let typed: Vec<_> = typed.lines().collect();
    let expected: Vec<_> = (0..LINES)
        .map(|line| format!("line {line} of what is typed"))
        .collect();
    assert!(typed == expected, "{typed:?}");
    assert!(proxy.carried() > 3 * MANY, "{}", proxy.carried());
    direct
        .success(&["exec", "@box", "rm", "/tmp/typed-cli"])
        .await;
    direct.success(&["rm", "-f", "@box"]).await;
}
on_backends!(what_is_typed_over_a_broken_network_is_typed_once: docker, process => ["--allowed-hosts=127.0.0.1"]);

async fn a_program_has_a_terminal(server: &TestServer) {
    let shellport = CommandLine::new(server);
    shellport.success(&["new", "--name=box"]).await;
    block_in_place(|| {
        let line = "stty size; echo term-$TERM; trap 'exit 9' INT; echo rea''dy; while :; do sleep 0.1; done";
        let mut terminal = shellport.terminal(&["exec", "-it", "@box", "sh", "-c", line]);
        let seen = terminal.expect("ready");
        assert!(
            seen.contains("24 80") && seen.contains("term-xterm-256color"),
            "{seen}"
        );
        terminal.send("\x03");
        let (code, _) = terminal.end();
        assert_eq!(code, 9);
    });
    // It went with its program.
    let logs = shellport.success(&["exec", "@box", "true"]).await;
    assert_eq!(logs, "");
    let session = server
        .client
        .get("/api/v1/sessions?name=box")
        .await
        .expect(200);
    let id = session["data"][0]["id"].as_str().unwrap();
    let terminals = server
        .client
        .get(&format!("/api/v1/sessions/{id}/terminals"))
        .await
        .expect(200);
    assert_eq!(terminals["data"], serde_json::json!([]));
    shellport.success(&["rm", "-f", "@box"]).await;
}
on_backends!(a_program_has_a_terminal: docker, podman, embedded, process);

async fn what_a_terminal_has_said_can_be_read(server: &TestServer) {
    let shellport = CommandLine::new(server);
    shellport.success(&["new", "--name=box"]).await;
    let follow = block_in_place(|| {
        let mut terminal = shellport.terminal(&["attach", "@box"]);
        terminal.send(
            "stty -echo; PS1=; printf '\\033[1mone\\033[0m\\ntwo\\nthree\\n'; echo rea''dy\r",
        );
        terminal.expect("ready");
        terminal.send(DETACH);
        terminal.end();
        let mut command = shellport.command(&["logs", "--follow", "@box"]);
        command
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    });
    let said = shellport.success(&["logs", "@box"]).await;
    assert!(said.contains("one\ntwo\nthree\nready"), "{said}");
    assert_eq!(
        shellport.success(&["logs", "-n", "1", "@box/main"]).await,
        "ready"
    );
    block_in_place(|| {
        let mut terminal = shellport.terminal(&["attach", "@box"]);
        terminal.send("echo la''st; exit\r");
        terminal.end();
    });
    let said = follow.wait_with_output().await.unwrap();
    assert!(
        String::from_utf8_lossy(&said.stdout).contains("last"),
        "{said:?}"
    );
    shellport.success(&["rm", "-f", "@box"]).await;
}
on_backends!(what_a_terminal_has_said_can_be_read: docker, process);

async fn a_session_of_a_run_goes_with_its_shell(server: &TestServer) {
    let shellport = CommandLine::new(server);
    block_in_place(|| {
        let mut terminal = shellport.terminal(&["run", "--remote", "-it", IMAGE]);
        terminal.send("echo he''re; exit 4\r");
        terminal.expect("here");
        let (code, _) = terminal.end();
        assert_eq!(code, 4);
    });
    assert!(server.client.sessions().await.is_empty());
}
on_backends!(a_session_of_a_run_goes_with_its_shell: docker, embedded);
