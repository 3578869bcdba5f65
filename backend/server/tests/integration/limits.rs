//! Limits, seen from inside of a sandbox, on either version of cgroups.

use serde_json::json;
use shellport::oci::disk;

use crate::support::api::id;
use crate::support::backend::{on_backends, skip};
use crate::support::http::Client;
use crate::support::server::TestServer;

async fn limits_are_seen_inside(server: &TestServer) {
    let client = &server.client;
    let wish = json!({"cpus": 0.5, "memory": "96Mi", "pids": 77});
    let session = client.create(wish).await;
    assert_eq!(session["memory"], 96 << 20);
    assert_eq!(
        (&session["cpus"], &session["pids"]),
        (&json!(0.5), &json!(77))
    );
    let session = id(&session);
    let memory = "cd /sys/fs/cgroup; cat memory.max memory/memory.limit_in_bytes 2>/dev/null";
    assert_eq!(inside(client, &session, memory).await, "100663296");
    let swap =
        "cd /sys/fs/cgroup; cat memory.swap.max memory/memory.memsw.limit_in_bytes 2>/dev/null";
    let swap = inside(client, &session, swap).await;
    // With version 1 memory and swap together, with version 2 swap alone.
    assert!(
        swap == "100663296" || swap == "0" || swap.is_empty(),
        "{swap}"
    );
    let pids = "cd /sys/fs/cgroup; cat pids.max pids/pids.max 2>/dev/null";
    assert_eq!(inside(client, &session, pids).await, "77");
    let cpu = "cd /sys/fs/cgroup; cat cpu.max 2>/dev/null || cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us";
    let cpu = inside(client, &session, cpu).await;
    let share: Vec<f64> = cpu
        .split_whitespace()
        .map(|it| it.parse().unwrap())
        .collect();
    assert!((share[0] / share[1] - 0.5).abs() < 0.01, "{cpu}");
    assert_eq!(client.output(&session, "ulimit -c").await, "0");
    assert_eq!(client.output(&session, "ulimit -H -c").await, "0");
    let files: u64 = client.output(&session, "ulimit -n").await.parse().unwrap();
    assert!(files <= 65_536, "{files}");
}
on_backends!(limits_are_seen_inside: docker, podman, exec, embedded, crun, runc);

/// A fork bomb of one session does not keep its own agent from answering, nor other sessions.
async fn too_many_processes_are_refused(server: &TestServer) {
    let client = &server.client;
    let session = id(&client.create(json!({"pids": 24})).await);
    let line = "i=0; while [ $i -lt 60 ]; do sleep 30 & i=$((i+1)); done";
    let outcome = client
        .exec(&session, json!({"shell": line, "timeout": "20s"}))
        .await;
    assert_ne!(outcome.exit["code"], 0, "{outcome:?}");
    let other = client.session().await;
    assert_eq!(client.output(&other, "echo fine").await, "fine");
    client.remove(&session).await;
}
on_backends!(too_many_processes_are_refused: docker, podman, embedded, crun, runc);

/// Another session has its own, and what is written stays over a stop.
async fn files_are_limited(server: &TestServer) {
    if let Some(missing) = disk::missing() {
        return skip(&format!("no limited files ({missing} is not here)"));
    }
    let client = &server.client;
    let (session, other) = tokio::join!(client.session(), client.session());
    let fill = "dd if=/dev/zero of=/big bs=1M count=100 2>&1 | grep -o 'No space left'";
    assert_eq!(client.output(&session, fill).await, "No space left");
    let size = "stat -c %s /big";
    let full: u64 = client.output(&session, size).await.parse().unwrap();
    assert!((40 << 20..64 << 20).contains(&full), "{full}");
    let line = "dd if=/dev/zero of=/small bs=1M count=30 2>/dev/null && echo fine";
    assert_eq!(client.output(&other, line).await, "fine");
    client.stop(&session, "1s").await;
    client.start(&session).await;
    assert_eq!(client.output(&session, size).await, full.to_string());
    assert_eq!(
        client
            .output(&session, "rm /big && df -m / | tail -n 1 | wc -l")
            .await,
        "1"
    );
    client.remove(&session).await;
    client.remove(&other).await;
    let devices = std::process::Command::new("losetup").output().unwrap();
    let devices = String::from_utf8_lossy(&devices.stdout).into_owned();
    assert!(
        !devices.contains(server.path().to_str().unwrap()),
        "{devices}"
    );
}
on_backends!(files_are_limited: embedded, crun, runc => [super::flag()]);

fn flag() -> &'static str {
    match disk::missing() {
        None => "--disk=64m",
        // A server that cannot do it would not start.
        Some(_) => "--max-sessions=2",
    }
}

/// Standard output, although a part of the line may fail.
async fn inside(client: &Client, session: &str, line: &str) -> String {
    client.shell(session, line).await.stdout.trim().to_owned()
}
