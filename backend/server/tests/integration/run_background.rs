//! Containers in the background, and what is done with them.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::api::IMAGE;
use crate::support::backend::on_engines;
use crate::support::rootless;
use crate::support::run::Containers;

/// Starts `line` in the background, in a container called `name`.
fn start(containers: &Containers, name: &str, flags: &[&str], line: &str) {
    let named = format!("--name={name}");
    let before = ["run", "-d", "--net=none", &named];
    let arguments = [&before, flags, &[IMAGE, "sh", "-c", line]].concat();
    assert_eq!(containers.success(&arguments), name);
}

/// What `ps` says of a container.
fn look(containers: &Containers, name: &str) -> Value {
    let all = containers.success(&["ps", "--all", "--json"]);
    let all: Vec<Value> = serde_json::from_str(&all).unwrap();
    let found = all.into_iter().find(|it| it["name"] == name);
    found.unwrap_or(Value::Null)
}

fn it_runs_and_is_looked_at(containers: &Containers) {
    start(containers, "one", &["--rm"], "echo hello; sleep 1000");
    assert_eq!(look(containers, "one")["state"], "running");
    assert_eq!(containers.success(&["ps", "-q"]), "one");
    let table = containers.success(&["ps"]);
    assert!(table.contains("sh -c echo hello"), "{table}");
    let again = containers.output(&["run", "-d", "--name=one", IMAGE]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        said.contains("--name: there is a container \"one\" already"),
        "{said}"
    );
    let stats = containers.success(&["stats", "--no-stream", "--json", "one"]);
    let stats: Value = serde_json::from_str(&stats).unwrap();
    if rootless::is_inside() {
        // There is no cgroup that could count.
        assert_eq!(stats[0]["memory"], Value::Null, "{stats}");
    } else {
        assert!(stats[0]["memory"].as_u64().unwrap() > 0, "{stats}");
        assert!(stats[0]["pids"].as_u64().unwrap() >= 2, "{stats}");
    }
    let refused = containers.output(&["rm", "one"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("stop it first"));
    containers.success(&["stop", "one"]);
    assert_eq!(look(containers, "one"), Value::Null, "--rm removes it");
}
on_engines!(it_runs_and_is_looked_at);

fn it_ends_with_its_monitor(containers: &Containers) {
    let flags = [
        "run",
        "-d",
        "--net=none",
        "--no-init",
        "--user=7",
        "--name=alone",
        IMAGE,
    ];
    containers.success(&[&flags[..], &["sleep", "1000"]].concat());
    let directory = containers.path().join("containers/alone");
    let pid = fs::read_to_string(directory.join("pid")).unwrap();
    let wanted = format!("monitor\0{}\0", directory.display());
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let mut monitors = entries.filter(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).ends_with(&wanted)
    });
    let monitor = monitors.next().unwrap().file_name();
    let monitor = Pid::from_raw(monitor.to_str().unwrap().parse().unwrap());
    kill(monitor, Signal::SIGKILL).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let line = format!("/proc/{}/cmdline", pid.trim());
    // A zombie's is empty.
    while fs::read(&line).is_ok_and(|line| !line.is_empty()) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(look(containers, "alone")["state"], "lost");
    containers.success(&["rm", "alone"]);
}
on_engines!(it_ends_with_its_monitor);

fn it_stays_after_its_end(containers: &Containers) {
    start(
        containers,
        "two",
        &[],
        "echo out; echo err >&2; echo kept >/file; exit 7",
    );
    let deadline = Instant::now() + Duration::from_secs(20);
    while look(containers, "two")["state"] == "running" {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    let view = look(containers, "two");
    assert_eq!(view["state"], "exited", "{view}");
    assert_eq!(view["exit"]["code"], 7, "{view}");
    let logs = containers.output(&["logs", "two"]);
    assert_eq!(
        (&*logs.stdout, &*logs.stderr),
        (&b"out\n"[..], &b"err\n"[..])
    );
    let followed = containers.output(&["logs", "-f", "-t", "two"]);
    let followed = String::from_utf8(followed.stdout).unwrap();
    assert!(
        followed.starts_with("20") && followed.ends_with("Z out\n"),
        "{followed}"
    );
    let file = containers.path().join("file");
    containers.success(&["cp", "two:/file", file.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept\n");
    let refused = containers.output(&["exec", "two", "true"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("does not run"));
    assert_eq!(containers.success(&["rm", "two"]), "two");
    let refused = containers.output(&["rm", "two"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no container \"two\""));
}
on_engines!(it_stays_after_its_end);

fn more_programs_run_in_it(containers: &Containers) {
    start(containers, "three", &["-e", "A=1"], "sleep 1000");
    let line = "echo $A $B; pwd; echo err >&2; exit 3";
    let output = containers.output(&["exec", "-e", "B=2", "-w", "/tmp", "three", "sh", "-c", line]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(
        (&*output.stdout, &*output.stderr),
        (&b"1 2\n/tmp\n"[..], &b"err\n"[..])
    );
    assert_eq!(
        containers.success(&[
            "exec",
            "-u",
            "7:8",
            "three",
            "sh",
            "-c",
            "echo $(id -u) $(id -g)"
        ]),
        "7 8"
    );
    let output = containers.output(&["exec", "three", "nowhere"]);
    assert_eq!(output.status.code(), Some(127), "{output:?}");
    let mut command = containers.command(&["exec", "-i", "three", "wc", "-c"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &vec![0; 100_000]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"100000\n");
    let mut terminal = containers.terminal(&["exec", "-it", "three", "sh"]);
    terminal.expect("# ");
    terminal.send("stty size; tty; exit 9\r");
    let (code, said) = terminal.end();
    assert_eq!(code, 9, "{said}");
    assert!(
        said.contains("24 80") && said.contains("/dev/pts/"),
        "{said}"
    );
    let status = containers.success(&[
        "exec",
        "three",
        "grep",
        "-E",
        "CapEff|NoNew|Seccomp:",
        "/proc/self/status",
    ]);
    assert!(status.contains("00000000000004fb"), "{status}");
    assert!(
        status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"),
        "{status}"
    );
    containers.success(&["rm", "--force", "three"]);
}
on_engines!(more_programs_run_in_it);

fn it_is_attached_to_and_left(containers: &Containers) {
    let arguments = [
        "run",
        "-dit",
        "--rm",
        "--net=none",
        "--name=four",
        IMAGE,
        "sh",
    ];
    containers.success(&arguments);
    let mut terminal = containers.terminal(&["attach", "four"]);
    terminal.send("echo first-$((1+1))\r");
    terminal.expect("first-2");
    terminal.send("\x10\x11");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(look(containers, "four")["state"], "running");
    let mut terminal = containers.terminal(&["attach", "four"]);
    terminal.send("stty size; exit 6\r");
    let (code, said) = terminal.end();
    assert_eq!(code, 6, "{said}");
    // One in front is left as well.
    let mut terminal =
        containers.terminal(&["run", "-it", "--net=none", "--name=five", IMAGE, "sh"]);
    terminal.expect("# ");
    terminal.send("\x10\x11");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(look(containers, "five")["state"], "running");
    containers.success(&["kill", "five"]);
    assert_eq!(look(containers, "five"), Value::Null);
}
on_engines!(it_is_attached_to_and_left);

fn files_are_copied_both_ways(containers: &Containers) {
    start(
        containers,
        "six",
        &["--rm"],
        "ln -s /etc/passwd /tmp/link; mkdir /tmp/in; sleep 1000",
    );
    let here = containers.path().join("tree");
    fs::create_dir_all(here.join("below")).unwrap();
    fs::write(here.join("below/file"), "text").unwrap();
    let tree = here.to_str().unwrap();
    containers.success(&["cp", tree, "six:/tmp"]);
    assert_eq!(
        containers.success(&["exec", "six", "cat", "/tmp/tree/below/file"]),
        "text"
    );
    let back = containers.path().join("back");
    containers.success(&["cp", "six:/tmp/tree", back.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(back.join("below/file")).unwrap(), "text");
    let archive = containers.output(&["cp", "six:/tmp/tree", "-"]).stdout;
    let mut unpack = containers.command(&["cp", "-", "six:/tmp/in"]);
    let mut child = unpack.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &archive).unwrap();
    assert!(child.wait().unwrap().success());
    let copied = containers.success(&["exec", "six", "cat", "/tmp/in/tree/below/file"]);
    assert_eq!(copied, "text");
    // A link in the container leads nowhere outside.
    let out = containers.path().join("link");
    containers.success(&["cp", "six:/tmp/link", out.to_str().unwrap()]);
    assert!(out.is_symlink());
    let refused = containers.output(&["cp", "six:/nowhere", "/tmp"]);
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("/nowhere: No such file"),
        "{refused:?}"
    );
    let refused = containers.output(&["cp", "/etc/hosts", "/tmp"]);
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("NAME:PATH"),
        "{refused:?}"
    );
    containers.success(&["kill", "six"]);
}
on_engines!(files_are_copied_both_ways);

/// What a monitor leaves that was killed is removed with the container.
fn a_killed_monitor_leaves_nothing_for_long(containers: &Containers) {
    start(containers, "seven", &[], "sleep 1000");
    let path = containers.path().join("containers/seven");
    let wanted = format!("monitor\0{}\0", path.display());
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let monitor = entries
        .filter(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).ends_with(&wanted)
        })
        .find_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(monitor),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while look(containers, "seven")["state"] != "lost" {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    containers.success(&["rm", "seven"]);
}
on_engines!(a_killed_monitor_leaves_nothing_for_long);

/// Whoever removes a container's directory under it has removed the container.
fn a_directory_that_is_gone_keeps_nothing_alive(containers: &Containers) {
    start(containers, "eight", &[], "sleep 1000");
    let path = containers.path().join("containers/eight");
    fs::remove_dir_all(path.join("engine")).unwrap();
    let mut stop = containers.command(&["kill", "eight"]);
    assert!(stop.output().unwrap().status.success());
    containers.success(&["rm", "eight"]);
}
on_engines!(a_directory_that_is_gone_keeps_nothing_alive);
