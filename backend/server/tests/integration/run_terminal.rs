//! `shellport run` in a terminal, and its streams without one.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use sha2::{Digest, Sha256};

use crate::support::api::IMAGE;
use crate::support::backend::on_engines;
use crate::support::run::Containers;

/// How many containers start at once.
const MANY: usize = 100;

/// Bytes that have to come through as they are.
const MUCH: u64 = 64 << 20;

fn a_shell_is_at_home_in_a_terminal(containers: &Containers) {
    let mut terminal = containers.terminal(&["run", "-it", "--net=none", IMAGE, "sh"]);
    terminal.expect("# ");
    assert!(!terminal.is_cooked(), "keys come through as they are");
    terminal.send("stty size; echo done-$((1+1))\r");
    let seen = terminal.expect("done-2\r\n");
    assert!(seen.contains("24 80"), "{seen}");
    terminal.resize(133, 50);
    // The signal may come a moment after.
    terminal.send("while [ \"$(stty size)\" != '50 133' ]; do sleep 0.05; done; echo wi''de\r");
    terminal.expect("wide");
    // Ctrl-C ends what runs in front, and not the shell.
    terminal.send("sleep 1000; echo after-$?\r");
    terminal.expect("sleep 1000");
    std::thread::sleep(Duration::from_millis(300));
    terminal.send("\x03");
    terminal.expect("# ");
    terminal.send("echo code-$?\r");
    terminal.expect("code-130");
    // Ctrl-Z stops it, and it goes on in the background and in front.
    terminal.send("sleep 3; echo slept\r");
    terminal.expect("echo slept");
    std::thread::sleep(Duration::from_millis(300));
    terminal.send("\x1a");
    terminal.expect("topped");
    terminal.send("jobs; fg; echo ba''ck\r");
    terminal.expect("back");
    terminal.send("exit 7\r");
    let (code, _) = terminal.end();
    assert_eq!(code, 7);
}
on_engines!(a_shell_is_at_home_in_a_terminal);

fn a_full_screen_program_draws(containers: &Containers) {
    let mut terminal = containers.terminal(&["run", "-it", "--net=none", IMAGE, "vi", "/tmp/file"]);
    terminal.expect("~");
    terminal.send("ihello\x1b");
    terminal.expect("hello");
    terminal.send(":wq\r");
    let (code, _) = terminal.end();
    assert_eq!(code, 0);
}
on_engines!(a_full_screen_program_draws);

fn codes_are_the_programs(containers: &Containers) {
    for (line, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("nowhere", 127),
        ("kill -INT $$", 130),
        ("kill -KILL $$", 137),
    ] {
        let arguments = ["run", "--net=none", IMAGE, "sh", "-c", line];
        let output = containers.output(&arguments);
        assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
        let with_terminal = ["run", "-it", "--net=none", IMAGE, "sh", "-c", line];
        let (found, said) = containers.terminal(&with_terminal).end();
        assert_eq!(i32::try_from(found), Ok(code), "{line}: {said}");
    }
    let output = containers.output(&["run", "--net=none", IMAGE, "nowhere"]);
    assert_eq!(output.status.code(), Some(127), "{output:?}");
    let output = containers.output(&["run", "--net=none", IMAGE, "/etc"]);
    assert_eq!(output.status.code(), Some(126), "{output:?}");
    // Ctrl-C at a program that does not know of it.
    let line = "echo ready; exec sleep 1000";
    let mut terminal = containers.terminal(&["run", "-it", "--net=none", IMAGE, "sh", "-c", line]);
    terminal.expect("ready");
    std::thread::sleep(Duration::from_millis(200));
    // Nobody could let it go on again, so it does.
    terminal.send("\x1a");
    std::thread::sleep(Duration::from_millis(200));
    terminal.send("\x03");
    let (code, said) = terminal.end();
    assert_eq!(code, 130, "{said}");
}
on_engines!(codes_are_the_programs);

fn the_terminal_is_restored(containers: &Containers) {
    let mut terminal = containers.terminal(&["run", "-it", "--net=none", IMAGE, "sh"]);
    terminal.expect("# ");
    assert!(!terminal.is_cooked());
    terminal.signal(Signal::SIGHUP);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !terminal.is_cooked() {
        assert!(std::time::Instant::now() < deadline, "it is not restored");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, _) = terminal.end();
    assert_eq!(code, 129);
}
on_engines!(the_terminal_is_restored);

/// However the command ends, the container does.
fn a_container_does_not_outlive_its_command(containers: &Containers) {
    let line = "trap '' TERM HUP INT; echo ready; while :; do sleep 1; done";
    for signal in [Signal::SIGKILL, Signal::SIGHUP] {
        let arguments = ["run", "--net=none", IMAGE, "sh", "-c", line];
        let mut command = containers.command(&arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 5];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut ready)
            .unwrap();
        send(&child, signal);
        child.wait().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while containers
            .path()
            .join("containers")
            .read_dir()
            .unwrap()
            .count()
            > 0
        {
            assert!(std::time::Instant::now() < deadline, "{signal}: it is left");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // A signal that the program knows is its own business.
    let line = "trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 0.1; done";
    let mut command = containers.command(&["run", "--net=none", IMAGE, "sh", "-c", line]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 6]).unwrap();
    send(&child, Signal::SIGTERM);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "term\n");
    assert_eq!(child.wait().unwrap().code(), Some(5));
}
on_engines!(a_container_does_not_outlive_its_command);

fn send(child: &Child, signal: Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

fn streams_are_apart_and_whole(containers: &Containers) {
    let line = "echo out; echo err >&2";
    let output = containers.output(&["run", "--net=none", IMAGE, "sh", "-c", line]);
    assert_eq!(
        (&*output.stdout, &*output.stderr),
        (&b"out\n"[..], &b"err\n"[..])
    );
    // Without an input there is none, and with one it ends where it does.
    assert_eq!(containers.shell(&[], "wc -c"), "0");
    let mut command = containers.command(&[
        "run",
        "-i",
        "--net=none",
        IMAGE,
        "sh",
        "-c",
        "wc -c; echo end",
    ]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let pump = std::thread::spawn(move || {
        let piece = vec![7; 1 << 16];
        (0..MUCH >> 16).try_for_each(|_| stdin.write_all(&piece))
    });
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    pump.join().unwrap().unwrap();
    assert_eq!(said, format!("{MUCH}\nend\n"));
    assert!(child.wait().unwrap().success());
    // And out of it, to a reader that is slow at first.
    let line = format!("yes 0123456789abcde | head -c {MUCH}");
    let mut command = containers.command(&["run", "--net=none", IMAGE, "sh", "-c", &line]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let mut found = Sha256::new();
    let mut stdout = child.stdout.take().unwrap();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0_u64;
    loop {
        let count = stdout.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        bytes += count as u64;
        found.update(&buffer[..count]);
    }
    assert_eq!(bytes, MUCH);
    let mut expected = Sha256::new();
    (0..MUCH / 16).for_each(|_| expected.update(b"0123456789abcde\n"));
    assert_eq!(found.finalize(), expected.finalize());
    assert!(child.wait().unwrap().success());
}
on_engines!(streams_are_apart_and_whole);

/// Nobody reads any more: the program ends.
fn a_closed_pipe_ends_it(containers: &Containers) {
    let mut command = containers.command(&["run", "--net=none", IMAGE, "yes"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 100]).unwrap();
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(141));
}
on_engines!(a_closed_pipe_ends_it);

fn a_terminal_is_refused_where_there_is_none(containers: &Containers) {
    for flags in ["-t", "-it"] {
        let said = containers.refused(&["run", flags, "--net=none", IMAGE, "true"]);
        assert!(said.contains("--tty: there is no terminal here"), "{said}");
    }
}
on_engines!(a_terminal_is_refused_where_there_is_none);

fn a_hundred_at_once_say_each_their_own(containers: &Containers) {
    let terminals: Vec<_> = (0..MANY)
        .map(|_| containers.terminal(&["run", "-t", "--net=none", IMAGE, "echo", "hi"]))
        .collect();
    for terminal in terminals {
        let (code, said) = terminal.end();
        assert_eq!((code, &*said), (0, "hi\r\n"));
    }
}
on_engines!(a_hundred_at_once_say_each_their_own);
