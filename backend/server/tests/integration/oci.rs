//! What is particular to containers without a daemon.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use shellport::programs;

use crate::support::api::id;
use crate::support::backend::{on_backends, registry, skip};
use crate::support::http::Client;
use crate::support::oci::{archive, flags, images, program};
use crate::support::server::{TestServer, directory};
use crate::support::wait::{LONG, until};

/// A process of a sandbox: the container's first one.
fn init(server: &TestServer, session: &str) -> Pid {
    let path = server.path().join("sandboxes").join(session).join("pid");
    Pid::from_raw(fs::read_to_string(path).unwrap().trim().parse().unwrap())
}

/// The process that watches a sandbox.
fn monitor(server: &TestServer, session: &str) -> Pid {
    let path = server.path().join("sandboxes").join(session);
    let wanted = format!("monitor\0{}\0", path.display());
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let mut found = entries.filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let is_it = String::from_utf8_lossy(&line).ends_with(&wanted);
        let pid = entry.file_name().to_str()?.parse().ok()?;
        is_it.then_some(Pid::from_raw(pid))
    });
    found.next().expect("a monitor")
}

async fn the_image_host_is_this_machine_without_its_secrets(server: &TestServer) {
    let client = &server.client;
    let wish = json!({"image": "host", "memory": "1g", "pids": 512});
    let session = id(&client.create(wish).await);
    let own = client
        .output(&session, "/usr/bin/id -un; touch /usr/x 2>&1; true")
        .await;
    assert!(
        own.starts_with("root") && own.contains("Read-only"),
        "{own}"
    );
    let limits = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max \
                  2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max";
    assert_eq!(client.output(&session, limits).await, "1073741824\n512");
    let secrets = "ls -A /root /home /home/user /run/docker.sock /etc/shadow /etc/ssh \
                   /etc/ssl/private /var/lib 2>/dev/null | grep -v :";
    let secrets = client.output(&session, &format!("{secrets}; true")).await;
    assert_eq!(secrets.replace(['\n', ' '], ""), "user", "{secrets}");
    let users = client.output(&session, "wc -l </etc/passwd").await;
    assert_eq!(users, "3");
    let write = "echo x >/etc/new && echo y >/tmp/new && mkdir /opt/z && cat /etc/new /tmp/new";
    assert_eq!(client.output(&session, write).await, "x\ny");
    assert!(!std::path::Path::new("/etc/new").exists());
}
on_backends!(the_image_host_is_this_machine_without_its_secrets: embedded, crun, runc);

async fn what_happens_to_a_container_is_seen(server: &TestServer) {
    let client = &server.client;
    let (ended, orphaned) = tokio::join!(client.session(), client.session());
    kill(init(server, &ended), Signal::SIGKILL).unwrap();
    let view = client.wait_for(&ended, "stopped", LONG).await;
    assert_eq!(view["state_reason"], "exited", "{view}");
    client.start(&ended).await;
    assert_eq!(client.output(&ended, "echo fine").await, "fine");
    // A container without its monitor is none.
    let first = init(server, &orphaned);
    kill(monitor(server, &orphaned), Signal::SIGKILL).unwrap();
    until("it has ended", LONG, async || {
        kill(first, None).is_err().then_some(())
    })
    .await;
    let view = client.wait_for(&orphaned, "stopped", LONG).await;
    assert_eq!(view["state_reason"], "exited", "{view}");
    client.start(&orphaned).await;
    assert_eq!(client.output(&orphaned, "echo again").await, "again");
}
on_backends!(what_happens_to_a_container_is_seen: embedded, crun, runc, rootless, rootless_crun, rootless_runc);

async fn a_container_that_cannot_be_leaves_nothing(server: &TestServer) {
    let client = &server.client;
    for (wish, reason, word) in [
        (
            json!({"user": "no-such-user"}),
            "engine_error",
            "no-such-user",
        ),
        (
            json!({"image": "127.0.0.1:9/none:1"}),
            "image_not_available",
            "127.0.0.1:9",
        ),
    ] {
        let answer = client.post("/api/v1/sessions?wait=running", &wish).await;
        let session = answer.expect(201);
        assert_eq!(session["state"], "failed", "{session}");
        assert_eq!(session["state_reason"], reason, "{session}");
        let message = session["state_message"].as_str().unwrap();
        assert!(message.contains(word), "{message}");
        for directory in ["run", "sandboxes"] {
            assert!(!server.path().join(directory).join(id(&session)).exists());
        }
        client.remove(&id(&session)).await;
    }
}
on_backends!(a_container_that_cannot_be_leaves_nothing: embedded, crun, runc, rootless);

/// Where the kernel refuses to mount overlays, as over the files of most containers, a program does it.
#[test]
fn a_data_directory_can_be_on_an_overlay() {
    const LINES: &str = r#"
        mkdir lower upper work merged
        mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged
        export SHELLPORT_DATA_DIR=$PWD/merged/data
        $1 image import "$2" >/dev/null
        run="$1 run --net=none"
        $run shellport-test/user:1 sh -c 'id -u; echo x >/tmp/new; cat /tmp/new'
        $run shellport-test/debian:1 sh -c 'rm -r /etc/apt; ls /etc/apt 2>&1 | grep -c "No such"
            stat -c "%a %G" /usr/bin/passwd /var/mail; mount | head -n 1 | cut -d " " -f 1'
        $1 run -d --name=one --net=none shellport-test/busybox:1 sleep 1000
        kill -9 $(pgrep -f "monitor $PWD/merged")
        for i in $(seq 100); do
            ls /proc/*/cwd -l 2>/dev/null | grep -q "$PWD/merged/data/containers/one" || break
            sleep 0.1
        done
        [ $i -lt 100 ]
        $1 cp one:/etc/passwd copied
        sleep 0.5
        ! ls /proc/*/cwd -l 2>/dev/null | grep "$PWD/merged/data/containers/one"
        $1 rm one
    "#;
    if flags("embedded").is_none() {
        return;
    }
    let programs = ["fuse-overlayfs", "unshare", "pgrep"];
    if let Some(missing) = programs.iter().find(|it| programs::find(it).is_none()) {
        return skip(&format!(
            "no overlay on an overlay ({missing} is not installed)"
        ));
    }
    let directory = directory();
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--propagation=private", "sh", "-ec", LINES, "sh"])
        .arg(program())
        .arg(archive().unwrap())
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let expected = "1000\nx\n1\n4755 root\n2775 mail\nfuse-overlayfs\none\none\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

/// In a network namespace of its own, because names of bridges are taken again by others.
#[test]
fn a_network_goes_although_its_monitor_was_killed() {
    const LINES: &str = r#"
        ip link set lo up
        $1 run -d --name=one --net=bridge -p 127.0.0.1:8080:80 shellport-test/busybox:1 sleep 1000
        ip -o link show shellport0 | wc -l
        iptables -t nat -S | grep -c -e '-d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT'
        kill -9 $(pgrep -f "monitor $SHELLPORT_DATA_DIR")
        while [ "$($1 ps -a | grep -c lost)" = 0 ]; do sleep 0.1; done
        $1 rm one
        ip -o link | wc -l
        iptables -t nat -S | grep -c -e 10.231 -e 8080 || true
        iptables -t mangle -S | grep -c shellport || true
    "#;
    if flags("embedded").is_none() {
        return;
    }
    let needed = ["iptables", "ip", "unshare", "pgrep"];
    if shellport::oci::network::netavark().is_none()
        || needed.iter().any(|it| programs::find(it).is_none())
    {
        return skip("no bridge whose monitor was killed (netavark and iptables are needed)");
    }
    let directory = directory();
    std::os::unix::fs::symlink(images().unwrap(), directory.path().join("images")).unwrap();
    let output = std::process::Command::new("timeout")
        .args(["60", "unshare", "--net", "sh", "-ec", LINES, "sh"])
        .arg(program())
        .env("SHELLPORT_DATA_DIR", directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "one\n1\n1\none\n1\n0\n0\n",
        "{output:?}"
    );
}

/// By the server, in a process of its own, and with its progress.
async fn an_image_is_pulled(server: &TestServer) {
    let Some(registry) = registry() else { return };
    let image = format!("{registry}/shellport-test/pull:1");
    let client = &server.client;
    let data_dir = images().unwrap().parent().unwrap();
    let remove = || {
        std::process::Command::new(program())
            .args(["image", "rm", &image])
            .env("SHELLPORT_DATA_DIR", data_dir)
            .output()
            .unwrap()
    };
    // A run that failed may have left it.
    remove();
    let made = client
        .post("/api/v1/sessions", &json!({"image": image}))
        .await;
    let session = id(&made.expect(201));
    let mut steps: Vec<Value> = Vec::new();
    until("it runs", LONG, async || {
        let view = client.look(&session).await;
        assert_ne!(view["state"], "failed", "{view}");
        steps.push(view["progress"]["step"].clone());
        (view["state"] == "running").then_some(())
    })
    .await;
    assert!(steps.contains(&json!("pulling_image")), "{steps:?}");
    assert_eq!(client.output(&session, "ls /srv | wc -l").await, "5");
    // The name goes, and the layers stay as long as the session has them.
    let rm = remove();
    assert!(rm.status.success(), "{rm:?}");
    client.stop(&session, "1s").await;
    client.start(&session).await;
    assert_eq!(client.output(&session, "ls /srv | wc -l").await, "5");
    let path = Client::path(&session, "");
    assert_eq!(client.get(&path).await.expect(200)["runtime"], "oci");
}
on_backends!(an_image_is_pulled: embedded, rootless);

#[test]
fn the_doctor_looks_at_the_machine() {
    let directory = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(program())
        .args(["doctor", "--json"])
        .env("SHELLPORT_DATA_DIR", directory.path().join("not/yet"))
        .output()
        .unwrap();
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let level = |what: &str| {
        let mut found = findings.iter().filter(|it| it["what"] == what);
        found
            .next()
            .unwrap_or_else(|| panic!("no {what}: {findings:?}"))["level"]
            .clone()
    };
    for what in ["kernel", "seccomp", "image store"] {
        assert_eq!(level(what), "ok", "{findings:?}");
    }
    let is_root = nix::unistd::geteuid().is_root();
    assert_eq!(level("user"), if is_root { "ok" } else { "bad" });
    // What is not as it should be has a way out.
    for finding in &findings {
        let advised = finding["advice"] != "";
        assert_eq!(advised, finding["level"] != "ok", "{finding}");
    }
    assert!(!directory.path().join("not").exists(), "it only looks");
}
