//! Images from archives: what is in them comes out, and only that.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};
use shellport::image::import::import;
use tar::EntryType;

use crate::support::archive::{Archive, Layer, digest, gzip, layout};
use crate::support::images::{TestStore, can_unpack, pack, succeed};
use crate::support::tree::tree;

/// Files of every kind, with everything that a file can have.
fn base() -> Vec<u8> {
    let capability =
        b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let long = format!("long/{}", "n".repeat(180));
    Archive::new()
        .add(EntryType::Directory, "./", "", b"", 0o755)
        .directory("bin")
        .add(EntryType::Regular, "bin/su", "", b"setuid", 0o4755)
        .add(EntryType::Regular, "bin/wall", "", b"setgid", 0o2755)
        .link("bin/su2", "bin/su")
        .symlink("sbin", "bin")
        .symlink("dangling", "/no/such/file")
        .add(EntryType::Directory, "tmp", "", b"", 0o1777)
        .add(EntryType::Fifo, "tmp/pipe", "", b"", 0o640)
        .pax(&[
            ("SCHILY.xattr.user.colour", b"green\0blue"),
            ("SCHILY.xattr.security.capability", capability),
            ("mtime", b"1350244992.023960108"),
        ])
        .add(EntryType::Regular, "bin/ping", "", b"ping", 0o755)
        .pax(&[("path", long.as_bytes())])
        .file("short", "a long name")
        .directory("removed")
        .file("removed/one", "1")
        .file("removed/two", "2")
        .directory("etc")
        .file("etc/passwd", "root:x:0:0::/:/bin/sh\n")
        .file("etc/gone", "gone")
        .directory("opaque")
        .file("opaque/hidden", "hidden")
        .directory("opaque/below")
        .file("opaque/below/hidden", "hidden")
        .file("was-file", "file")
        .directory("was-directory")
        .file("was-directory/inside", "x")
        .pax(&[
            ("SCHILY.xattr.user.gone", b"1"),
            ("SCHILY.xattr.user.kept", b"1"),
        ])
        .directory("attributes")
        .directory("usr")
        .directory("usr/lib")
        .file("usr/lib/old", "old")
        .symlink("lib", "usr/lib")
        .symlink("was-link", "etc")
        .bytes()
}

/// What one can do to the layers below.
fn change() -> Vec<u8> {
    Archive::new()
        .directory("etc")
        .file("etc/.wh.gone", "")
        .add(EntryType::Regular, "etc/passwd", "", b"changed", 0o600)
        .file(".wh.removed", "")
        .directory("opaque")
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/new", "new")
        .directory("was-file")
        .file("was-file/inside", "now a directory")
        .file("was-directory", "now a file")
        .directory("was-link")
        .file("was-link/inside", "now a directory")
        .pax(&[("SCHILY.xattr.user.kept", b"2")])
        .directory("attributes")
        .file("usr/lib/new", "new")
        .file("usr/lib/.wh..wh..opq", "")
        .link("usr/linked", "bin/ping")
        .file("bin/wall/.wh.nothing", "")
        .bytes()
}

/// The same again on top: what was removed comes back, as something else.
fn again() -> Vec<u8> {
    Archive::new()
        .directory("removed")
        .file("removed/three", "3")
        .file("etc/.wh.never-there", "")
        .file(".wh.sbin", "")
        .add(EntryType::Directory, "tmp", "", b"", 0o700)
        .bytes()
}

/// The three of them.
pub fn layers() -> Vec<Layer> {
    vec![
        Layer::gzip(&base()),
        Layer::gzip(&change()),
        Layer::gzip(&again()),
    ]
}

/// Every file, as another tool unpacks the image of this layout.
pub fn unpacked_by_umoci(directory: &Path) -> BTreeMap<PathBuf, String> {
    let bundle = directory.with_extension("bundle");
    let mut umoci = Command::new("umoci");
    let image = format!("{}:test", directory.display());
    succeed(umoci.args(["unpack", "--image", &image]).arg(&bundle));
    tree(&bundle.join("rootfs"))
}

/// Two trees are the same, but for the times of the root and of the one directory that no layer
/// names: those are of when they were made.
pub fn assert_same(mut ours: BTreeMap<PathBuf, String>, mut theirs: BTreeMap<PathBuf, String>) {
    for tree in [&mut ours, &mut theirs] {
        for directory in ["", "long"] {
            let text = tree.get_mut(Path::new(directory)).unwrap();
            let words: Vec<_> = text.split(' ').take(3).collect();
            *text = words.join(" ");
        }
    }
    for (path, text) in &ours {
        assert_eq!(theirs.get(path), Some(text), "{}", path.display());
    }
    assert_eq!(ours.len(), theirs.len(), "{theirs:?}");
}

#[tokio::test]
async fn a_tree_is_what_another_tool_makes_of_it() {
    if !can_unpack() {
        return;
    }
    let store = TestStore::new();
    let directory = store.path().join("layout");
    layout(&directory, "test", &layers(), |_| {});
    let theirs = unpacked_by_umoci(&directory);
    assert!(theirs.len() > 20, "{theirs:?}");
    let archive = pack(&directory);
    let images = import(&store.store, File::open(archive).unwrap(), Some("test")).await;
    let image = images.unwrap().remove(0);
    let ours = store.merged(&image, tree);
    assert_same(ours, theirs);
}

#[tokio::test]
async fn layers_may_be_compressed_or_not() {
    if !can_unpack() {
        return;
    }
    let archive = base();
    let frame = |bytes: &[u8]| compress_to_vec(bytes, CompressionLevel::Fastest);
    let skipped = b"\x50\x2a\x4d\x18\x04\0\0\0skip".to_vec();
    let frames = [frame(&archive[..1024]), skipped, frame(&archive[1024..])].concat();
    let two = [gzip(&archive[..1024]), gzip(&archive[1024..])].concat();
    for (name, blob, kind) in [
        ("plain", archive.clone(), "tar"),
        ("gzip", gzip(&archive), "tar+gzip"),
        ("gzip in two members", two, "tar+gzip"),
        ("zstd", frame(&archive), "tar+zstd"),
        ("zstd in many frames", frames, "tar+zstd"),
    ] {
        let store = TestStore::new();
        let layer = Layer {
            blob: blob.clone(),
            kind,
            diff_id: digest(&archive),
        };
        let directory = store.path().join("layout");
        layout(&directory, "test", &[layer], |_| {});
        let whole = pack(&directory);
        let said = store.run(&["import", whole.to_str().unwrap(), "from/layout"]);
        assert!(
            said.starts_with("from/layout:latest sha256:"),
            "{name}: {said}"
        );
        // The same files as an archive of their own, from standard input.
        let plain = store.write("plain", &blob);
        let mut command = store.command(&["import", "-", "from/files:1"]);
        succeed(command.stdin(File::open(plain).unwrap()));
        let images = store.store.list().await.unwrap();
        let [files, layout] = &images[..] else {
            panic!("{images:?}")
        };
        assert_eq!(files.reference, "docker.io/from/files:1");
        assert_eq!(files.layers, layout.layers, "{name}: one layer, held once");
        assert_eq!(store.names("layers").len(), 1);
    }
}

/// What `docker save` wrote before it wrote layouts, with a link in place of a layer.
#[tokio::test]
async fn what_docker_saves_is_understood() {
    if !can_unpack() {
        return;
    }
    let store = TestStore::new();
    let (lower, upper) = (base(), change());
    let configuration = json!({
        "architecture": if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" },
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest(&lower), digest(&upper)]},
    });
    let saved = json!([{
        "Config": "abc.json",
        "RepoTags": ["saved:1", "registry.example/saved:2"],
        "Layers": ["one/layer.tar", "two/layer.tar"],
    }]);
    let archive = Archive::new()
        .directory("one")
        .add(EntryType::Regular, "one/layer.tar", "", &lower, 0o644)
        .add(EntryType::Regular, "real.tar", "", &upper, 0o644)
        .directory("two")
        .symlink("two/layer.tar", "../real.tar")
        .file("abc.json", &configuration.to_string())
        .file("manifest.json", &saved.to_string());
    let path = store.write("saved.tar", &archive.bytes());
    let said = store.run(&["import", path.to_str().unwrap()]);
    assert_eq!(said.lines().count(), 2, "{said}");
    let listed = store.run(&["ls"]);
    for name in ["saved:1", "registry.example/saved:2", "ADDED"] {
        assert!(listed.contains(name), "{listed}");
    }
    let image = store.store.find("saved:1").await.unwrap();
    let text = store.merged(&image, |root| {
        fs::read_to_string(root.join("etc/passwd")).unwrap()
    });
    assert_eq!(text, "changed");
    // An id stands for the image, whatever it is called.
    let by_id = store.store.find(&image.id.hex()[..8]).await.unwrap();
    assert_eq!(by_id.id, image.id);
}

/// Whatever has become of the files, a name can be taken away, and the others are not in the way.
#[tokio::test]
async fn a_broken_image_is_told_and_can_be_removed() {
    if !can_unpack() {
        return;
    }
    let store = TestStore::new();
    for name in ["one", "two"] {
        let files = store.write(name, &Archive::new().file(name, name).bytes());
        store.run(&["import", files.to_str().unwrap(), name]);
    }
    let one = store.store.find("one").await.unwrap();
    fs::remove_file(store.path().join("data/images/blobs").join(one.id.hex())).unwrap();
    let output = store.command(&["ls"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(listed.contains("two:latest"), "{listed}");
    assert!(!listed.contains("one:latest"), "{listed}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("library/one:latest") && said.contains("broken"),
        "{said}"
    );
    store.run(&["rm", "one"]);
    assert_eq!(store.names("layers").len(), 1);
    assert_eq!(store.names("references").len(), 1);
}

#[tokio::test]
async fn images_are_listed_inspected_and_removed() {
    if !can_unpack() {
        return;
    }
    let store = TestStore::new();
    let shared = Archive::new().file("shared", "0123456789").bytes();
    for (name, own) in [("one", "1"), ("two", "22")] {
        let layers = [
            Layer::gzip(&shared),
            Layer::gzip(&Archive::new().file("own", own).bytes()),
        ];
        let directory = store.path().join(name);
        layout(&directory, &format!("{name}:latest"), &layers, |_| {});
        let archive = pack(&directory);
        store.run(&["import", archive.to_str().unwrap()]);
    }
    assert_eq!(store.names("layers").len(), 3, "one is shared");
    let listed: Value = serde_json::from_str(&store.run(&["ls", "--json"])).unwrap();
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["reference"])
        .collect();
    assert_eq!(
        names,
        [
            "docker.io/library/one:latest",
            "docker.io/library/two:latest"
        ]
    );
    assert_eq!(listed[1]["size"], 12);
    let inspected: Value = serde_json::from_str(&store.run(&["inspect", "one"])).unwrap();
    assert_eq!(inspected["configuration"]["config"]["Env"], json!(["A=b"]));
    assert_eq!(inspected["id"], listed[0]["id"]);
    let said = store.run(&["rm", "one"]);
    assert_eq!(said, "one:latest removed, 1 B freed\n");
    assert_eq!(store.names("layers").len(), 2);
    let two = store.store.find("two").await.unwrap();
    let text = store.merged(&two, |root| {
        fs::read_to_string(root.join("shared")).unwrap()
    });
    assert_eq!(text, "0123456789");
    store.run(&["rm", &two.id.hex()[..12]]);
    for directory in ["layers", "blobs", "references", "places"] {
        assert!(store.names(directory).is_empty(), "{directory}");
    }
    // Nobody listens any more.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut unheard = store.command(&["ls"]);
    assert!(unheard.stdout(writer).status().unwrap().success());
    for (arguments, words) in [
        (&["inspect", "one"][..], "there is no image \"one\""),
        (&["rm", "two"], "there is no image \"two\""),
        (&["inspect", "dead"], "there is no image \"dead\""),
        (&["import", "/no/such/file"], "/no/such/file"),
        (&["pull", "NOT A NAME"], "is not the name of an image"),
        (
            &["import", "/dev/null", "Not:a:name"],
            "is not the name of an image",
        ),
    ] {
        let said = store.fail(arguments);
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn a_layout_may_have_images_for_others() {
    if !can_unpack() {
        return;
    }
    let store = TestStore::new();
    let directory = store.path().join("layout");
    let layer = Layer::gzip(&Archive::new().file("a", "b").bytes());
    layout(&directory, "own:1", &[layer], |_| {});
    let path = directory.join("index.json");
    let mut index: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let own = index["manifests"][0].clone();
    let mut other = own.clone();
    other["platform"] = json!({"os": "linux", "architecture": "s390x"});
    other["digest"] = json!(digest(b"not there"));
    index["manifests"] = json!([other, own]);
    fs::write(&path, index.to_string()).unwrap();
    let archive = pack(&directory);
    let said = store.run(&["import", archive.to_str().unwrap()]);
    assert!(said.starts_with("own:1 "), "{said}");
    // A name that is none does not matter when another is given.
    index["manifests"][1]["annotations"] = json!({"org.opencontainers.image.ref.name": "No:Name"});
    fs::write(&path, index.to_string()).unwrap();
    let archive = pack(&directory);
    store.fail(&["import", archive.to_str().unwrap()]);
    store.run(&["import", archive.to_str().unwrap(), "given:1"]);
}

#[tokio::test]
async fn what_is_not_as_it_says_is_refused() {
    if !can_unpack() {
        return;
    }
    let layer = || Layer::gzip(&Archive::new().file("a", "b").bytes());
    for (field, value, words) in [
        ("/architecture", json!("s390x"), "linux/s390x"),
        ("/os", json!("windows"), "windows/"),
        (
            "/rootfs/diff_ids",
            json!([]),
            "it has 1 layers, its configuration 0",
        ),
        (
            "/rootfs/diff_ids/0",
            json!(digest(b"something else")),
            "is not what its digest",
        ),
        (
            "/rootfs/diff_ids/0",
            json!("sha256:../../../../etc"),
            "is not sha256: with 64 hexadecimal digits",
        ),
    ] {
        let store = TestStore::new();
        let directory = store.path().join("layout");
        layout(&directory, "test:1", &[layer()], |configuration| {
            *configuration.pointer_mut(field).unwrap() = value.clone();
        });
        refused(&store, &directory, words);
    }
    // A blob that is not what it is called.
    let store = TestStore::new();
    let directory = store.path().join("layout");
    let manifest = layout(&directory, "test:1", &[layer()], |_| {});
    let blob = directory
        .join("blobs/sha256")
        .join(&manifest["sha256:".len()..]);
    let text = fs::read_to_string(&blob).unwrap();
    fs::write(&blob, text.replace("schemaVersion", "schemaversion")).unwrap();
    refused(&store, &directory, "is not what its digest");
    // Files without a name.
    let files = store.write("files", &Archive::new().file("a", "b").bytes());
    let said = store.fail(&["import", files.to_str().unwrap()]);
    assert!(said.contains("no name"), "{said}");
}

fn refused(store: &TestStore, directory: &Path, words: &str) {
    let archive = pack(directory);
    let said = store.fail(&["import", archive.to_str().unwrap()]);
    assert!(said.contains(words), "{said}");
    for directory in ["layers", "references", "places"] {
        assert!(store.names(directory).is_empty(), "{words}: {directory}");
    }
}

/// A disk that is full: the error says so, and what was there stays whole.
#[tokio::test]
async fn a_full_disk_loses_nothing() {
    if !can_unpack() {
        return;
    }
    let store = TestStore::new();
    let small = store.write("small", &Archive::new().file("a", "b").bytes());
    let zeros = vec![0; 8 << 20];
    let large = Archive::new().add(EntryType::Regular, "a", "", &zeros, 0o644);
    let large = store.write("large", &large.bytes());
    let script = r#"
        mount -t tmpfs -o size=4m tmpfs "$1"
        "$2" image --data-dir "$1" import "$3" small >/dev/null
        "$2" image --data-dir "$1" import "$4" large && exit 1
        "$2" image --data-dir "$1" ls
        ls "$1/images/places" "$1/images/downloads"
        cat "$1"/images/layers/*/fs/a
    "#;
    let place = store.path().join("full");
    fs::create_dir(&place).unwrap();
    let mut shell = Command::new("unshare");
    shell.args(["-m", "sh", "-euc", script, "sh"]);
    shell
        .arg(&place)
        .arg(env!("CARGO_BIN_EXE_shellport"))
        .arg(small)
        .arg(large);
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("No space left on device"), "{output:?}");
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(listed.contains("small:latest"), "{output:?}");
    assert!(!listed.contains("large:latest"), "{output:?}");
    assert!(listed.ends_with("places:\nb"), "{output:?}");
}
