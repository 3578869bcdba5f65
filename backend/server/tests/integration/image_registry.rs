//! Images from registries: real ones, ones that break, and ones that lie.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use shellport::image::pull::{Progress, Step, pull};
use tar::EntryType;
use tokio::sync::watch;

use crate::image_archives::{assert_same, layers, unpacked_by_umoci};
use crate::support::archive::{Archive, Layer, digest, layout};
use crate::support::backend::{registry, skip};
use crate::support::images::{TestStore, can_unpack, failed, succeed};
use crate::support::proxy::{Proxy, Then};
use crate::support::tree::tree;
use crate::support::wait::{LONG, until, within};

/// Bytes that do not compress.
const LARGE: usize = 6 << 20;

/// Puts the image `test` of a layout into a registry.
fn push(directory: &Path, target: &str, credentials: Option<&str>) {
    let mut skopeo = Command::new("skopeo");
    skopeo.args([
        "copy",
        "--quiet",
        "--insecure-policy",
        "--dest-tls-verify=false",
    ]);
    if let Some(credentials) = credentials {
        skopeo.arg(format!("--dest-creds={credentials}"));
    }
    let source = format!("oci:{}:test", directory.display());
    succeed(skopeo.arg(source).arg(format!("docker://{target}")));
}

/// Two layers, one of them large.
fn large(seed: u32) -> Vec<Layer> {
    let mut state = seed;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24).to_le_bytes()[0]
    };
    let noise: Vec<u8> = (0..LARGE).map(|_| noise()).collect();
    let large = Archive::new().add(EntryType::Regular, "large", "", &noise, 0o644);
    vec![
        Layer::gzip(&large.bytes()),
        Layer::gzip(&Archive::new().file("small", "small").bytes()),
    ]
}

fn sink() -> watch::Sender<Progress> {
    watch::channel(Progress::default()).0
}

#[tokio::test]
async fn a_pulled_tree_is_what_another_tool_makes_of_it() {
    let (Some(registry), true) = (registry(), can_unpack()) else {
        return;
    };
    let store = TestStore::new();
    let directory = store.path().join("layout");
    layout(&directory, "test", &layers(), |_| {});
    let name = format!("{registry}/shellport-test/tree:1");
    push(&directory, &name, None);
    let progress = sink();
    let image = pull(&store.store, &name, &progress).await.unwrap();
    assert_same(store.merged(&image, tree), unpacked_by_umoci(&directory));
    let layers = progress.borrow().layers.clone();
    assert_eq!(layers.len(), 3);
    for layer in layers {
        assert_eq!((layer.step, layer.current), (Step::Done, layer.total));
    }
    assert!(store.names("downloads").is_empty() && store.names("fetched").is_empty());
    assert!(store.names("places").is_empty());
    // By its digest it is the same image.
    let exact = format!("{registry}/shellport-test/tree@{}", image.manifest);
    let same = pull(&store.store, &exact, &sink()).await.unwrap();
    assert_eq!((same.id, same.layers), (image.id, image.layers));
    let said = store.run(&["pull", "--json", &name]);
    let last: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["manifest"], image.manifest.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pulls_share_the_work() {
    let (Some(registry), true) = (registry(), can_unpack()) else {
        return;
    };
    let store = TestStore::new();
    let directory = store.path().join("layout");
    layout(&directory, "test", &large(1), |_| {});
    push(
        &directory,
        &format!("{registry}/shellport-test/shared:1"),
        None,
    );
    let proxy = Proxy::new(&registry, 0, Then::GoOn, 0).await;
    let name = format!("{}/shellport-test/shared:1", proxy.address);
    let mut other = tokio::process::Command::from(store.command(&["pull", "-q", &name]));
    let (first, second) = (sink(), sink());
    let (one, two, three) = tokio::join!(
        pull(&store.store, &name, &first),
        pull(&store.store, &name, &second),
        other.output(),
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.id, two.id);
    assert!(three.unwrap().status.success());
    assert_eq!(store.names("layers").len(), 2);
    let carried = proxy.carried();
    assert!(carried < LARGE as u64 * 3 / 2, "{carried} bytes came");
}

/// The digest of a layer's archive may be that of another one's blob.
#[tokio::test]
async fn a_layer_may_be_in_an_image_many_times() {
    let (Some(registry), true) = (registry(), can_unpack()) else {
        return;
    };
    let store = TestStore::new();
    let directory = store.path().join("layout");
    let archive = Archive::new().file("a", &"b".repeat(1 << 20)).bytes();
    let plain = || Layer {
        blob: archive.clone(),
        kind: "tar",
        diff_id: digest(&archive),
    };
    let gzip = || Layer::gzip(&archive);
    let layers = [gzip(), plain(), gzip(), plain(), plain(), gzip(), plain()];
    layout(&directory, "test", &layers, |_| {});
    let name = format!("{registry}/shellport-test/same:1");
    push(&directory, &name, None);
    let sink = sink();
    let pulled = within("a pull", LONG, pull(&store.store, &name, &sink)).await;
    assert_eq!(pulled.unwrap().layers.len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_goes_on_where_its_connection_broke() {
    let (Some(registry), true) = (registry(), can_unpack()) else {
        return;
    };
    let store = TestStore::new();
    let directory = store.path().join("layout");
    layout(&directory, "test", &large(2), |_| {});
    push(
        &directory,
        &format!("{registry}/shellport-test/broken:1"),
        None,
    );
    let proxy = Proxy::new(&registry, 1 << 20, Then::Cut, 4).await;
    let name = format!("{}/shellport-test/broken:1", proxy.address);
    let image = pull(&store.store, &name, &sink()).await.unwrap();
    assert_eq!(store.names("layers").len(), 2);
    let size = store.merged(&image, |root| {
        fs::metadata(root.join("large")).unwrap().len()
    });
    assert_eq!(size, LARGE as u64);
    let carried = proxy.carried();
    assert!(carried < LARGE as u64 * 3 / 2, "{carried} bytes came");
}

/// What was killed half way looks like nothing, and the next one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_was_killed_leaves_nothing_that_looks_whole() {
    let (Some(registry), true) = (registry(), can_unpack()) else {
        return;
    };
    let store = TestStore::new();
    let directory = store.path().join("layout");
    layout(&directory, "test", &large(3), |_| {});
    let name = "shellport-test/killed:1";
    push(&directory, &format!("{registry}/{name}"), None);
    let proxy = Proxy::new(&registry, 2 << 20, Then::Stall, 1).await;
    let from = format!("{}/{name}", proxy.address);
    let mut child = store.command(&["pull", "-q", &from]).spawn().unwrap();
    until("half of it came", LONG, async || {
        (proxy.carried() > 2 << 20).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(store.run(&["ls"]).lines().count(), 1, "heads alone");
    assert!(store.names("layers").is_empty());
    let proxy = Proxy::new(&registry, 0, Then::GoOn, 0).await;
    let from = format!("{}/{name}", proxy.address);
    pull(&store.store, &from, &sink()).await.unwrap();
    let carried = proxy.carried();
    assert!(carried < LARGE as u64 * 4 / 5, "{carried} bytes came");
}

#[tokio::test]
async fn a_registry_with_a_password_is_opened_with_it() {
    let variable = |name: &str| std::env::var(format!("SHELLPORT_TEST_AUTH_{name}")).ok();
    let known = (variable("REGISTRY"), variable("USER"), variable("PASSWORD"));
    let (Some(registry), Some(user), Some(password)) = known else {
        skip("no registry with a password (SHELLPORT_TEST_AUTH_REGISTRY is not set)");
        return;
    };
    if !can_unpack() {
        return;
    }
    let store = TestStore::new();
    let directory = store.path().join("layout");
    layout(&directory, "test", &layers(), |_| {});
    let name = format!("{registry}/shellport-test/secret:1");
    push(&directory, &name, Some(&format!("{user}:{password}")));
    let configured = |name: &str, configuration: serde_json::Value| {
        let directory = store.path().join(name);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("config.json"), configuration.to_string()).unwrap();
        directory
    };
    let encode = |text: String| data_encoding::BASE64.encode(text.as_bytes());
    let none = configured("none", json!({}));
    let auth = encode(format!("{user}:wrong-{password}"));
    let wrong = configured("wrong", json!({"auths": {&registry: {"auth": auth}}}));
    let auth = encode(format!("{user}:{password}"));
    let right = configured("right", json!({"auths": {&registry: {"auth": auth}}}));
    let helped = configured(
        "helped",
        json!({"credHelpers": {&registry: "shellport-test"}}),
    );
    let answer = json!({"ServerURL": registry, "Username": user, "Secret": password});
    let helper = helped.join("docker-credential-shellport-test");
    fs::write(
        &helper,
        format!("#!/bin/sh\ncat >/dev/null\necho '{answer}'\n"),
    )
    .unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", helped.display(), std::env::var("PATH").unwrap());
    let with = |configuration: &Path| {
        let mut command = store.command(&["pull", "-q", &name]);
        command
            .env("DOCKER_CONFIG", configuration)
            .env("PATH", &path);
        command.output().unwrap()
    };
    for configuration in [&none, &wrong] {
        let said = failed(&with(configuration));
        assert!(said.contains("credentials"), "{said}");
        assert!(!said.contains(&password), "{said}");
    }
    for configuration in [&right, &helped] {
        let output = with(configuration);
        assert!(output.status.success(), "{output:?}");
        store.run(&["rm", &name]);
    }
}

/// A registry that says whatever it is told to.
#[derive(Clone, Default)]
struct Liar(Arc<HashMap<String, Vec<u8>>>);

async fn answer(State(liar): State<Liar>, uri: Uri) -> Response {
    let Some(bytes) = liar.0.get(uri.path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let is_manifest = uri.path().contains("/manifests/");
    let kind = if is_manifest {
        "application/vnd.oci.image.manifest.v1+json"
    } else {
        "application/octet-stream"
    };
    ([(header::CONTENT_TYPE, kind)], bytes.clone()).into_response()
}

/// Serves an image of one layer, with some of its parts changed: where each part is, and what.
async fn lie(change: impl FnOnce(&mut HashMap<String, Vec<u8>>, &Parts)) -> String {
    let directory = tempfile::tempdir().unwrap();
    let layer = Layer::gzip(&Archive::new().file("a", "b").bytes());
    let blob = digest(&layer.blob);
    let manifest = layout(directory.path(), "test", &[layer], |_| {});
    let mut said = HashMap::from([("/v2/".to_owned(), Vec::new())]);
    for entry in fs::read_dir(directory.path().join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        said.insert(
            format!("/v2/liar/blobs/sha256:{name}"),
            fs::read(&path).unwrap(),
        );
    }
    let bytes = said[&format!("/v2/liar/blobs/{manifest}")].clone();
    let parts = Parts {
        tag: "/v2/liar/manifests/1".to_owned(),
        exact: format!("/v2/liar/manifests/{manifest}"),
        layer: format!("/v2/liar/blobs/{blob}"),
        manifest: bytes.clone(),
        digest: manifest,
    };
    said.insert(parts.tag.clone(), bytes.clone());
    said.insert(parts.exact.clone(), bytes);
    change(&mut said, &parts);
    let router = Router::new()
        .fallback(answer)
        .with_state(Liar(Arc::new(said)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("{address}/liar:1")
}

struct Parts {
    tag: String,
    exact: String,
    layer: String,
    manifest: Vec<u8>,
    digest: String,
}

fn index(parts: &Parts, platforms: &[(&str, &str)], digest: &str) -> Vec<u8> {
    let manifests: Vec<_> = platforms
        .iter()
        .map(|(os, architecture)| {
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest,
                "size": parts.manifest.len(),
                "platform": {"os": os, "architecture": architecture},
            })
        })
        .collect();
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    index.to_string().into_bytes()
}

#[tokio::test]
async fn what_a_registry_says_is_checked() {
    if !can_unpack() {
        return;
    }
    let own = if cfg!(target_arch = "x86_64") {
        "amd64"
    } else {
        "arm64"
    };
    let other = digest(b"other");
    let cases: Vec<(&str, String)> = vec![
        ("", lie(|_, _| {}).await),
        (
            "",
            lie(|said, parts| {
                let many = [("windows", own), ("linux", "s390x"), ("linux", own)];
                said.insert(parts.tag.clone(), index(parts, &many, &parts.digest));
            })
            .await,
        ),
        (
            "but for windows/amd64, linux/s390x",
            lie(|said, parts| {
                let many = [("windows", "amd64"), ("linux", "s390x")];
                said.insert(parts.tag.clone(), index(parts, &many, &parts.digest));
            })
            .await,
        ),
        (
            "digest",
            lie(|said, parts| {
                said.insert(parts.tag.clone(), index(parts, &[("linux", own)], &other));
                let path = format!("/v2/liar/manifests/{other}");
                said.insert(path, parts.manifest.clone());
            })
            .await,
        ),
        (
            "the image's manifest",
            lie(|said, parts| drop(said.insert(parts.tag.clone(), b"{}".to_vec()))).await,
        ),
        (
            "more than",
            lie(|said, parts| drop(said.insert(parts.tag.clone(), vec![b' '; 5 << 20]))).await,
        ),
        (
            "is not what its digest",
            lie(|said, parts| {
                let length = said[&parts.layer].len();
                said.insert(parts.layer.clone(), vec![0; length]);
            })
            .await,
        ),
        (
            "is not what its digest",
            lie(|said, parts| {
                let layer = said.get_mut(&parts.layer).unwrap();
                layer.insert(0, 0);
            })
            .await,
        ),
        (
            "liar:1",
            lie(|said, parts| drop(said.remove(&parts.layer))).await,
        ),
        (
            "no such image",
            lie(|said, parts| {
                said.remove(&parts.tag);
                said.remove(&parts.exact);
            })
            .await,
        ),
    ];
    for (words, name) in cases {
        let store = TestStore::new();
        let pulled = pull(&store.store, &name, &sink()).await;
        if words.is_empty() {
            pulled.unwrap();
            continue;
        }
        let error = pulled.unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
        for directory in ["layers", "references", "places"] {
            assert!(store.names(directory).is_empty(), "{words}: {directory}");
        }
    }
    let store = TestStore::new();
    let nobody = pull(&store.store, "127.0.0.1:9/a:1", &sink())
        .await
        .unwrap_err();
    let nobody = nobody.to_string();
    assert!(nobody.contains("127.0.0.1:9 cannot be reached"), "{nobody}");
}
