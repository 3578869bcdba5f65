//! Every flag of `shellport run`, by its effect from inside.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use shellport::oci::disk;

use crate::support::api::IMAGE;
use crate::support::backend::{on_engines, skip};
use crate::support::run::Containers;

fn variables_come_from_flags_files_and_here(containers: &Containers) {
    let file = containers.path().join("env");
    fs::write(&file, "# a comment\nA=file\nB=file\nHERE\n").unwrap();
    let file = format!("--env-file={}", file.display());
    let arguments = [
        "run",
        "--net=none",
        &file,
        "-e",
        "A=flag",
        "-e",
        "COPIED",
        "-e",
        "ABSENT",
        IMAGE,
        "env",
    ];
    let mut command = containers.command(&arguments);
    let output = command
        .env("HERE", "here")
        .env("COPIED", "yes")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in ["A=flag", "B=file", "HERE=here", "COPIED=yes", "HOME=/root"] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    assert!(
        !text.contains("ABSENT") && !text.contains("SHELLPORT"),
        "{text}"
    );
    assert!(
        !text.contains("CONSOLE_SOCKET") && !text.contains("CONTAINER_WRAPPED"),
        "{text}"
    );
}
on_engines!(variables_come_from_flags_files_and_here);

fn volumes_are_mounted(containers: &Containers) {
    let directory = containers.path().join("volume");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("in"), "from here").unwrap();
    let volume = format!("{}:/data", directory.display());
    let line = "cat /data/in; echo from there >/data/out";
    assert_eq!(containers.shell(&["-v", &volume], line), "from here");
    assert_eq!(
        fs::read_to_string(directory.join("out")).unwrap(),
        "from there\n"
    );
    let read_only = format!("{volume}:ro");
    let line = "cat /data/in; echo x 2>/dev/null >/data/in || echo refused";
    let said = containers.shell(&["-v", &read_only], line);
    assert!(said.ends_with("refused"), "{said}");
}
on_engines!(volumes_are_mounted);

fn users_are_the_images(containers: &Containers) {
    let line = "echo $(id -u) $(id -g)";
    assert_eq!(containers.shell(&[], line), "0 0");
    assert_eq!(containers.shell(&["-u", "1234"], line), "1234 0");
    assert_eq!(containers.shell(&["-u", "1234:56"], line), "1234 56");
    let image = [
        "run",
        "--net=none",
        "shellport-test/user:1",
        "sh",
        "-c",
        line,
    ];
    let own = containers.success(&image);
    assert!(!own.starts_with('0'), "{own}");
    assert_eq!(containers.shell(&["-u", "root"], line), "0 0");
    let said = containers.refused(&["run", "--net=none", "-u", "nobody-here", IMAGE, "id"]);
    assert!(
        said.contains("\"nobody-here\" is not a user of the image"),
        "{said}"
    );
}
on_engines!(users_are_the_images);

fn limits_are_enforced(containers: &Containers) {
    let flags = ["-m", "96.5m", "--pids-limit=20", "--cpus=0.5"];
    let line = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max \
                /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || \
                cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max";
    let said = containers.shell(&flags, line);
    let numbers: Vec<_> = said.split_whitespace().collect();
    // Whole pages.
    assert_eq!(numbers[..3], ["101187584", "20", "50000"], "{said}");
    let line = "head -c 200m /dev/zero | tail >/dev/null; echo $?; \
                for i in $(seq 40); do sleep 5 & done 2>&1 | grep -c fork; true";
    let said = containers.shell(&flags, line);
    assert!(said.starts_with("137"), "{said}");
    // They are read-only: nobody raises their own.
    let line = "for file in $(find /sys/fs/cgroup -name '*limit_in_bytes' -o -name memory.max); do \
                echo 1g 2>/dev/null >$file && echo raised $file; done; true";
    assert_eq!(containers.shell(&flags, line), "");
}
on_engines!(limits_are_enforced: embedded, crun, runc);

fn files_are_limited(containers: &Containers) {
    if let Some(missing) = disk::missing() {
        return skip(&format!("no limited files ({missing} is not here)"));
    }
    let line = "dd if=/dev/zero of=/big bs=1M count=100 2>&1 | grep -c 'No space left'";
    assert_eq!(containers.shell(&["--disk=48m"], line), "1");
    let run = [
        "run",
        "-d",
        "--net=none",
        "--disk=48m",
        "--name=full",
        IMAGE,
    ];
    let fill = ["sh", "-c", "cat /dev/zero >/big; sleep 1000"];
    containers.success(&[&run[..], &fill].concat());
    containers.success(&[
        "exec",
        "full",
        "sh",
        "-c",
        "until [ -s /big ]; do sleep 0.1; done",
    ]);
    containers.success(&["kill", "full"]);
    // Its files can still be had.
    let copy = containers.path().join("big");
    containers.success(&["cp", "full:/big", copy.to_str().unwrap()]);
    assert!(fs::metadata(&copy).unwrap().len() > 0);
    containers.success(&["rm", "full"]);
}
on_engines!(files_are_limited: embedded, crun);

/// The container is made by then, and has no cgroup by which it could be found.
fn a_network_that_fails_leaves_nothing(containers: &Containers) {
    let programs = containers.path().join("programs");
    fs::create_dir(&programs).unwrap();
    let broken = programs.join("slirp4netns");
    fs::write(&broken, "#!/bin/sh\necho broken >&2\nexit 1\n").unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut run = containers.command(&["run", "--net=bridge", IMAGE, "true"]);
    let output = run.env("PATH", path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("slirp4netns: broken"),
        "{said}"
    );
}
on_engines!(a_network_that_fails_leaves_nothing: rootless, rootless_crun, rootless_runc);

/// Those of the user may be among them.
fn cgroups_are_hidden(containers: &Containers) {
    let run = ["run", "--net=host", IMAGE, "sh", "-c"];
    let line = "ls -A /sys/fs/cgroup | wc -l; test -e /sys/class/net/lo && echo lo";
    let said = containers.success(&[&run[..], &[line]].concat());
    assert_eq!(said, "0\nlo");
}
on_engines!(cgroups_are_hidden: rootless, rootless_crun, rootless_runc);

fn limits_that_cannot_be_are_refused(containers: &Containers) {
    for flag in ["--memory=1g", "--pids-limit=20", "--cpus=0.5"] {
        let said = containers.refused(&["run", flag, IMAGE]);
        let (name, _) = flag.split_once('=').unwrap();
        assert!(said.contains(&format!("{name}: this user")), "{said}");
    }
    let said = containers.refused(&["run", "--disk=1g", IMAGE]);
    assert!(said.contains("--disk: root is needed"), "{said}");
}
on_engines!(limits_that_cannot_be_are_refused: rootless);

fn names_places_and_entrypoints_are_as_wished(containers: &Containers) {
    let line = "hostname; cat /etc/hostname; grep -c box /etc/hosts";
    assert_eq!(
        containers.shell(&["--hostname=box.local"], line),
        "box.local\nbox.local\n1"
    );
    assert_eq!(containers.shell(&["-w", "/var/new"], "pwd"), "/var/new");
    assert_eq!(containers.shell(&["--name=called"], "hostname"), "called");
    let entrypoint = ["run", "--net=none", "--entrypoint", "echo", IMAGE, "a", "b"];
    assert_eq!(containers.success(&entrypoint), "a b");
    let entrypoint = ["run", "--net=none", "--entrypoint", "pwd", IMAGE];
    assert_eq!(
        containers.success(&entrypoint),
        "/",
        "the image's command is dropped"
    );
    let said = containers.shell(&["--read-only"], "touch /file 2>&1 || echo refused");
    assert!(said.ends_with("refused"), "{said}");
    assert_eq!(containers.shell(&["--no-init"], "echo $$"), "1");
    assert_ne!(containers.shell(&[], "echo $$"), "1");
    let output = containers.output(&["run", "--net=none", "--debug", IMAGE, "true"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(" ms: made"), "{said}");
}
on_engines!(names_places_and_entrypoints_are_as_wished);

fn networks_are_as_wished(containers: &Containers) {
    let line = "ls /sys/class/net; ip -4 -o addr show | grep -v ' lo ' | wc -l";
    assert_eq!(containers.shell(&[], line), "lo\n0", "--net none");
    let up = "ip -o link show lo | grep -c LOOPBACK,UP";
    assert_eq!(containers.shell(&[], up), "1");
    let run = |net: &str, line: &str| containers.success(&["run", net, IMAGE, "sh", "-c", line]);
    assert_eq!(run("--net=bridge", "ls /sys/class/net"), "eth0\nlo");
    let routes = run(
        "--net=bridge",
        "ip route | grep -c default; grep -c . /etc/hosts",
    );
    assert!(routes.starts_with('1'), "{routes}");
    // The machine's own, with a list of resolvers that nobody can change.
    let said = run(
        "--net=host",
        "echo x 2>/dev/null >/etc/resolv.conf || echo refused",
    );
    assert_eq!(said, "refused");
}
on_engines!(networks_are_as_wished);

fn a_port_leads_into_it(containers: &Containers) {
    if std::env::var("SHELLPORT_TEST_OCI_NAMESPACE").is_err() {
        return;
    }
    let line = "nc -ll -p 80 -e echo hello & echo ready; wait";
    let arguments = [
        "run",
        "--net=bridge",
        "-p",
        "127.0.0.1:18080:80",
        IMAGE,
        "sh",
        "-c",
        line,
    ];
    let mut command = containers.command(&arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut [0; 6])
        .unwrap();
    // The port is one of the namespace that the container was started in.
    let namespace = std::env::var("SHELLPORT_TEST_OCI_NAMESPACE").unwrap();
    let said = std::thread::spawn(move || {
        let namespace = fs::File::open(namespace).unwrap();
        nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let mut said = String::new();
            let address = "127.0.0.1:18080".parse().unwrap();
            if let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
                stream
                    .set_read_timeout(Some(Duration::from_secs(1)))
                    .unwrap();
                let _ = stream.read_to_string(&mut said);
            }
            if !said.is_empty() || Instant::now() > deadline {
                return said;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let said = said.join().unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    child.wait().unwrap();
    assert_eq!(said, "hello\n");
}
on_engines!(a_port_leads_into_it);

/// Before anything is made, with the flag's name and what it takes.
fn wrong_values_are_refused(containers: &Containers) {
    for (flags, expected) in [
        (&["--memory=lots"][..], "--memory"),
        (&["--memory=1k"], "the least is 6m"),
        (&["--disk=1m"], "the least is 32m"),
        (&["--cpus=-1"], "--cpus"),
        (&["--cpus=0"], "0.01"),
        (&["--pids-limit=0"], "1 to 4194304"),
        (&["--name=a b"], "letters, digits"),
        (&["--hostname=a_b"], "letters, digits"),
        (&["--workdir=here"], "begins with /"),
        (&["--user=a b"], "name or number"),
        (&["--volume=/nowhere/at/all:/x"], "No such file"),
        (&["--volume=data:/x"], "a path has a /"),
        (&["--net=wide"], "host, bridge, none"),
        (&["--publish=80"], "PORT:PORT"),
        (
            &["--publish=47111:1", "--net=none"],
            "--publish: ports lead into",
        ),
        (&["--env==x"], "--env: \"=x\" is no variable"),
        (&["--env-file=/nowhere"], "--env-file: /nowhere"),
        (&["--runtime=none"], "embedded, crun, runc"),
        (&["--runtime=/nowhere"], "not installed"),
    ] {
        let net: &[&str] = if flags.iter().any(|it| it.contains("--net")) {
            &[]
        } else {
            &["--net=none"]
        };
        let arguments = [&["run"], net, flags, &[IMAGE, "true"]].concat();
        let said = containers.refused(&arguments);
        assert!(said.contains(expected), "{flags:?}: {said}");
    }
    let said = containers.refused(&["run", "--net=none", "--nonsense", IMAGE]);
    assert!(said.contains("--nonsense"), "{said}");
}
on_engines!(wrong_values_are_refused);
