//! What a sandbox is made from, seen from the engine and from inside.

use std::collections::BTreeSet;

use bollard::models::{ContainerInspectResponse, HostConfig, HostConfigCgroupnsModeEnum};
use serde_json::json;

use crate::support::api::id;
use crate::support::backend::{Backend, on_backends};
use crate::support::http::Client;
use crate::support::server::TestServer;

/// What `/proc` shows of the capabilities that a package manager needs.
const EIGHT: &str = "00000000000004fb";

async fn the_engine_shows_the_profile_and_nothing_else(server: &TestServer) {
    let session = server.client.session().await;
    let container = server.engine().inspect(&session).await;
    let host = container.host_config.clone().unwrap();
    nothing_of_the_host(server, &session, &container, &host);
    let capabilities = |list: &Option<Vec<String>>| -> BTreeSet<String> {
        let list = list.iter().flatten();
        list.map(|name| name.trim_start_matches("CAP_").to_owned())
            .collect()
    };
    // Podman tells capabilities as what differs from its own default; inside they are seen.
    if server.backend != Backend::Podman {
        let eight = "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETGID SETUID";
        let eight = eight.split(' ').map(str::to_owned).collect();
        assert_eq!(capabilities(&host.cap_add), eight);
        assert_eq!(
            capabilities(&host.cap_drop),
            BTreeSet::from(["ALL".to_owned()])
        );
        assert_eq!(
            host.cgroupns_mode,
            Some(HostConfigCgroupnsModeEnum::PRIVATE)
        );
    }
    assert_eq!(
        host.security_opt,
        Some(vec!["no-new-privileges".to_owned()])
    );
    assert_eq!(host.memory, Some(1 << 30));
    assert_eq!(host.memory_swap, Some(1 << 30), "no swap beyond memory");
    assert_eq!(host.nano_cpus, Some(1_000_000_000));
    assert_eq!(host.pids_limit, Some(512));
    assert_eq!(host.readonly_rootfs, Some(false));
    let log = host.log_config.clone().unwrap();
    if server.backend == Backend::Podman {
        // It shows every log of its own kind under this name.
        assert!(
            matches!(log.typ.as_deref(), Some("k8s-file" | "json-file")),
            "{log:?}"
        );
    } else {
        assert_eq!(log.typ.as_deref(), Some("local"));
        let config = log.config.unwrap();
        assert_eq!((&*config["max-size"], &*config["max-file"]), ("1m", "1"));
    }
    let ulimits: BTreeSet<String> = host
        .ulimits
        .iter()
        .flatten()
        .map(|limit| {
            assert_eq!(limit.soft, limit.hard);
            let name = limit.name.as_deref().unwrap().to_lowercase();
            name.trim_start_matches("rlimit_").to_owned()
        })
        .collect();
    assert_eq!(
        ulimits,
        ["core", "nofile", "nproc"].map(str::to_owned).into()
    );
    let labels = container.config.unwrap().labels.unwrap();
    let ours: BTreeSet<_> = labels
        .iter()
        .map(|(key, value)| (&**key, &**value))
        .collect();
    let instance = server.instance();
    let expected = [
        ("shellport.instance", &*instance),
        ("shellport.schema", "1"),
        ("shellport.session", &*session),
    ];
    assert_eq!(ours, expected.into());
}
on_backends!(the_engine_shows_the_profile_and_nothing_else: docker, podman, exec);

/// No device, namespace, file or port of the host but the agent's.
fn nothing_of_the_host(
    server: &TestServer,
    session: &str,
    container: &ContainerInspectResponse,
    host: &HostConfig,
) {
    fn empty<T>(what: &str, list: Option<&Vec<T>>) {
        assert!(list.is_none_or(Vec::is_empty), "{what}");
    }
    assert_ne!(host.privileged, Some(true));
    empty("devices", host.devices.as_ref());
    empty("device requests", host.device_requests.as_ref());
    empty("device rules", host.device_cgroup_rules.as_ref());
    empty("volumes of others", host.volumes_from.as_ref());
    empty("groups", host.group_add.as_ref());
    empty("hosts", host.extra_hosts.as_ref());
    empty("links", host.links.as_ref());
    assert!(
        host.port_bindings
            .as_ref()
            .is_none_or(std::collections::HashMap::is_empty)
    );
    assert_ne!(host.publish_all_ports, Some(true));
    for mode in [&host.pid_mode, &host.uts_mode, &host.userns_mode] {
        let mode = mode.as_deref().unwrap_or_default();
        assert!(matches!(mode, "" | "private"), "{mode}");
    }
    // Podman's word for one of its own that another container could be let into.
    let ipc = host.ipc_mode.as_deref();
    let podman = server.backend == Backend::Podman && ipc == Some("shareable");
    assert!(podman || ipc == Some("private"), "{ipc:?}");
    let policy = host
        .restart_policy
        .clone()
        .unwrap()
        .name
        .map(|name| name.to_string());
    assert!(matches!(policy.as_deref(), Some("no" | "")), "{policy:?}");
    let network = host.network_mode.as_deref().unwrap();
    assert!(!matches!(network, "host" | "default" | ""), "{network}");
    let networks = container
        .network_settings
        .as_ref()
        .unwrap()
        .networks
        .as_ref()
        .unwrap();
    assert_eq!(networks.len(), 1, "{networks:?}");
    assert!(
        networks.keys().all(|name| name.starts_with("shellport-")),
        "{networks:?}"
    );
    let run = server.path().join("run").join(session);
    for mount in container.mounts.iter().flatten() {
        let target = mount.destination.as_deref().unwrap();
        match mount.typ.as_deref() {
            Some("volume") => {
                assert_eq!((server.backend, target), (Backend::Exec, "/.shellport"));
            }
            Some("bind") if target == "/.shellport/agent" => {
                let source = mount.source.as_deref().unwrap();
                assert!(
                    source.starts_with(server.path().to_str().unwrap()),
                    "{source}"
                );
                assert_eq!(mount.rw, Some(false));
            }
            Some("bind") => {
                assert_eq!(target, "/.shellport/run");
                assert_eq!(mount.source.as_deref(), run.to_str());
            }
            _ => panic!("{mount:?}"),
        }
    }
    let count = if server.backend == Backend::Exec {
        1
    } else {
        2
    };
    assert_eq!(container.mounts.as_ref().map(Vec::len), Some(count));
}

/// A line of `/proc/self/status` of a command in the session.
async fn status(client: &Client, session: &str, line: &str) -> String {
    let text = client.output(session, "cat /proc/self/status").await;
    let found = text
        .lines()
        .find_map(|it| it.strip_prefix(line)?.strip_prefix(':'));
    found
        .unwrap_or_else(|| panic!("no {line}: {text}"))
        .trim()
        .to_owned()
}

async fn standard_has_eight_capabilities(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(status(client, &session, set).await, EIGHT, "{set}");
    }
    assert_eq!(status(client, &session, "NoNewPrivs").await, "1");
    // The engine's default filter is kept.
    assert_eq!(status(client, &session, "Seccomp").await, "2");
    // A user of its own has none, and cannot get any.
    let wish = json!({"argv": ["cat", "/proc/self/status"], "user": "app"});
    let text = client.exec(&session, wish).await.stdout_of_success();
    assert!(text.contains("CapEff:\t0000000000000000"), "{text}");
    // Namespaces of its own.
    let line = "for it in ipc pid net uts mnt; do readlink /proc/self/ns/$it; done";
    let own = client.output(&session, line).await;
    for (namespace, link) in ["ipc", "pid", "net", "uts", "mnt"].iter().zip(own.lines()) {
        let host = std::fs::read_link(format!("/proc/self/ns/{namespace}")).unwrap();
        assert_ne!(host.to_str(), Some(link), "{namespace}");
    }
}
on_backends!(standard_has_eight_capabilities: docker, podman, exec, embedded, crun, runc, youki, runsc, rootless, rootless_crun, rootless_runc);

async fn strict_may_do_next_to_nothing(server: &TestServer) {
    let client = &server.client;
    let wish = json!({"profile": "strict", "image": "shellport-test/debian:1"});
    let session = client.create(wish).await;
    assert_eq!(
        (&session["profile"], &session["network"]),
        (&json!("strict"), &json!("none"))
    );
    let session = id(&session);
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(
            status(client, &session, set).await,
            "0000000000000000",
            "{set}"
        );
    }
    assert_eq!(status(client, &session, "NoNewPrivs").await, "1");
    assert_eq!(client.output(&session, "id -u; id -g").await, "1000\n1000");
    let places = "for p in /tmp /run \"$HOME\" .; do echo x > \"$p/file\" && cat \"$p/file\"; done; pwd; echo $HOME";
    let outcome = client.shell(&session, places).await;
    assert!(outcome.stdout.starts_with("x\nx\nx\nx\n"), "{outcome:?}");
    let root = client
        .shell(
            &session,
            "echo x > /etc/file; echo x > /usr/file; echo x > /file",
        )
        .await;
    assert_ne!(root.exit["code"], 0, "{root:?}");
    for place in ["etc", "usr", "file"] {
        assert!(root.stderr.contains(place), "{root:?}");
    }
    let interfaces = client.output(&session, "ls /sys/class/net").await;
    assert_eq!(interfaces, "lo");
    let wish = json!({"profile": "strict", "user": "root"});
    let refused = client.post("/api/v1/sessions", &wish).await;
    assert_eq!(
        refused.expect_problem(422, "not_allowed", &["strict"])["field"],
        "user"
    );
    let wish = json!({"profile": "strict", "network": "bridge"});
    let refused = client.post("/api/v1/sessions", &wish).await;
    assert_eq!(
        refused.expect_problem(422, "not_allowed", &["none"])["field"],
        "network"
    );
}
on_backends!(strict_may_do_next_to_nothing: docker, podman, exec, embedded, crun, runc, youki, runsc, rootless, rootless_crun, rootless_runc);

async fn a_package_can_be_installed(server: &TestServer) {
    let client = &server.client;
    let session = id(&client
        .create(json!({"image": "shellport-test/debian:1"}))
        .await);
    let line = "apt-get update && apt-get install -y shellport-hello";
    let outcome = client
        .exec(&session, json!({"shell": line, "timeout": "50s"}))
        .await;
    assert_eq!(outcome.exit["code"], 0, "{outcome:?}");
    assert_eq!(
        client.output(&session, "shellport-hello").await,
        "hello from a package"
    );
    let owner = client
        .output(&session, "stat -c '%U %a' /var/lib/hello")
        .await;
    assert_eq!(owner, "hello 2750");
}
on_backends!(a_package_can_be_installed: docker, podman, embedded, crun, runc, rootless);

async fn sandboxes_do_not_reach_each_other(server: &TestServer) {
    let client = &server.client;
    let (one, other) = tokio::join!(client.session(), client.session());
    let address = "ip -4 -o addr show eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'";
    let address = client.output(&one, address).await;
    assert!(address.contains('.'), "{address}");
    let listen = "nc -ll -p 7777 -e echo hello >/dev/null 2>&1 & \
                  for i in 1 2 3 4 5 6 7 8 9; do nc -w 1 127.0.0.1 7777 </dev/null && exit; sleep 0.2; done";
    let own = client.shell(&one, listen).await;
    assert!(
        own.stdout.contains("hello"),
        "the listener itself works: {own:?}"
    );
    let own = client
        .shell(&one, &format!("nc -w 2 {address} 7777 </dev/null"))
        .await;
    assert!(
        own.stdout.contains("hello"),
        "on its own address, too: {own:?}"
    );
    let line = format!("nc -w 2 {address} 7777 </dev/null");
    let foreign = client
        .exec(&other, json!({"shell": line, "timeout": "10s"}))
        .await;
    assert!(!foreign.stdout.contains("hello"), "{foreign:?}");
    assert_ne!(foreign.exit["code"], 0, "{foreign:?}");
}
on_backends!(sandboxes_do_not_reach_each_other: docker, podman, embedded, crun, runc, rootless);

async fn a_network_can_be_done_without(server: &TestServer) {
    let client = &server.client;
    let session = client.create(json!({"network": "none"})).await;
    assert_eq!(session["network"], "none");
    let interfaces = client.output(&id(&session), "ls /sys/class/net").await;
    assert_eq!(interfaces, "lo");
}
on_backends!(a_network_can_be_done_without: docker, podman, embedded, crun, runc, rootless, rootless_crun, rootless_runc, rootless_single);

/// The operator's own choice is the loosest there is.
async fn an_operator_can_ask_for_strict(server: &TestServer) {
    let client = &server.client;
    let session = client.create(json!({})).await;
    assert_eq!(session["profile"], "strict");
    let refused = client
        .post("/api/v1/sessions", &json!({"profile": "standard"}))
        .await;
    let problem = refused.expect_problem(422, "not_allowed", &["standard", "strict"]);
    assert_eq!(problem["field"], "profile");
    let info = client.get("/api/v1/info").await.expect(200);
    assert_eq!(info["profiles"], json!(["strict"]), "{info}");
}
on_backends!(an_operator_can_ask_for_strict: docker, embedded=> ["--default-profile=strict", "--loosest-profile=strict"]);
