//! Archives that are made to do harm: none of them changes anything outside its layer.

use std::fs;
use std::path::{Path, PathBuf};

use shellport::image::import::import;
use shellport::image::{Image, ImageError};
use tar::{EntryType, Header};

use crate::support::archive::{Archive, Layer, gzip, layout};
use crate::support::images::{TestStore, can_unpack, pack};
use crate::support::tree::tree;
use crate::support::wait::{LONG, within};

/// Imports an archive; whatever comes of it, nothing beside the store may have changed.
async fn harmless(name: &str, archive: &[u8]) -> (TestStore, Result<Image, ImageError>) {
    let store = TestStore::new();
    // As far up as an archive may try to get, and where absolute names may lead.
    for directory in ["", "data/", "data/images/", "data/images/places/"] {
        store.write(&format!("{directory}canary"), b"alive");
    }
    fs::create_dir(store.path().join("outside")).unwrap();
    store.write("outside/canary", b"alive");
    let outside = || {
        let mut all = tree(store.path());
        let own = [
            "layers",
            "blobs",
            "references",
            "places",
            "locks",
            "lock",
            "archive",
        ];
        all.retain(|path, _| {
            let path = path.strip_prefix("data/images").unwrap_or(path);
            path.ends_with("canary") && path.components().count() < 3
                || !own.iter().any(|name| path.starts_with(name))
        });
        // The times of directories that the store uses change.
        all.retain(|path, _| !Path::new("data/images").starts_with(path));
        all
    };
    let before = outside();
    let path = store.write("archive", archive);
    let imported = import(&store.store, fs::File::open(path).unwrap(), Some("test"));
    let imported = within(name, LONG, imported).await;
    assert_eq!(outside(), before, "{name}");
    assert_eq!(
        store.names("places"),
        ["canary"],
        "{name}: something is left"
    );
    let imported = imported.map(|mut images| images.remove(0));
    (store, imported)
}

/// What is in the layer, without owners and times.
fn names(store: &TestStore, image: &Image) -> Vec<PathBuf> {
    let root = store.only_layer(image);
    let mut names: Vec<_> = tree(&root).into_keys().collect();
    names.retain(|name| !name.as_os_str().is_empty());
    names
}

#[tokio::test]
async fn names_that_lead_out_are_refused() {
    if !can_unpack() {
        return;
    }
    let evil = "evil";
    for (name, archive) in [
        ("..", Archive::new().file("../canary", evil)),
        (
            ".. behind",
            Archive::new().directory("a").file("a/../../canary", evil),
        ),
        (
            "many ..",
            Archive::new().file("../../../../../../outside/canary", evil),
        ),
        ("absolute ..", Archive::new().file("/../canary", evil)),
        (".. at the end", Archive::new().directory("a/..")),
        ("hard link ..", Archive::new().link("a", "../../canary")),
        ("whiteout ..", Archive::new().file("../.wh.canary", "")),
        ("whiteout of ..", Archive::new().file("a/.wh...", "")),
        ("whiteout of .", Archive::new().file("a/.wh..", "")),
        ("whiteout of nothing", Archive::new().file("a/.wh.", "")),
        ("opaque ..", Archive::new().file("../.wh..wh..opq", "")),
        (
            "pax path",
            Archive::new()
                .pax(&[("path", b"../canary")])
                .file("innocent", evil),
        ),
        (
            "pax linkpath",
            Archive::new()
                .pax(&[("linkpath", b"../../canary")])
                .link("a", "innocent"),
        ),
        (
            "long name",
            Archive::new()
                .add(
                    EntryType::GNULongName,
                    "././@LongLink",
                    "",
                    b"../canary\0",
                    0,
                )
                .file("innocent", evil),
        ),
        (
            "long link",
            Archive::new()
                .add(
                    EntryType::GNULongLink,
                    "././@LongLink",
                    "",
                    b"../../canary\0",
                    0,
                )
                .link("a", "innocent"),
        ),
    ] {
        let (store, imported) = harmless(name, &archive.bytes()).await;
        let error = imported.unwrap_err().to_string();
        let expected = [".. in it", "the removal of nothing"];
        assert!(
            expected.iter().any(|it| error.contains(it)),
            "{name}: {error}"
        );
        assert!(store.names("layers").is_empty(), "{name}");
        assert!(store.names("references").is_empty(), "{name}");
    }
}

/// A link in a layer is one of the layer, wherever else it would lead on this machine.
#[tokio::test]
async fn links_lead_nowhere_else() {
    if !can_unpack() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let there = outside.path().to_str().unwrap();
    fs::write(outside.path().join("canary"), "alive").unwrap();
    let canary = format!("{there}/canary");
    let deep = "../".repeat(20) + &there[1..];
    for (name, archive) in [
        (
            "absolute link",
            Archive::new().symlink("d", there).file("d/canary", "evil"),
        ),
        (
            "relative link",
            Archive::new().symlink("d", &deep).file("d/canary", "evil"),
        ),
        (
            "link to the root",
            Archive::new()
                .symlink("d", "/")
                .file(&format!("d{there}/canary"), "evil"),
        ),
        (
            "chain of links",
            Archive::new()
                .symlink("a", there)
                .symlink("b", "a")
                .file("b/canary", "evil"),
        ),
        (
            "link over a directory",
            Archive::new()
                .directory("d")
                .symlink("d", there)
                .file("d/canary", "evil"),
        ),
        (
            "link as a file",
            Archive::new().symlink("f", &canary).file("f", "evil"),
        ),
        (
            "hard link",
            Archive::new().link("h", &canary).file("h", "evil"),
        ),
        (
            "hard link by a link",
            Archive::new()
                .symlink("s", there)
                .link("h", "s/canary")
                .file("h", "evil"),
        ),
        (
            "hard link to a link",
            Archive::new()
                .symlink("s", &canary)
                .link("h", "s")
                .file("h", "evil"),
        ),
        (
            "whiteout by a link",
            Archive::new().symlink("s", there).file("s/.wh.canary", ""),
        ),
        (
            "opaque by a link",
            Archive::new()
                .symlink("s", there)
                .file("s/.wh..wh..opq", ""),
        ),
        (
            "mode of a link",
            Archive::new().symlink("s", there).directory("s"),
        ),
        (
            "loop",
            Archive::new()
                .symlink("a", "b")
                .symlink("b", "a")
                .file("a/x", "evil"),
        ),
        ("absolute name", Archive::new().file(&canary, "inside")),
        (
            "fifo",
            Archive::new()
                .add(EntryType::Fifo, "p", "", b"", 0o644)
                .file("p", "a file"),
        ),
    ] {
        let before = tree(outside.path());
        let (store, imported) = harmless(name, &archive.bytes()).await;
        assert_eq!(tree(outside.path()), before, "{name}");
        // Whatever has been taken is in the layer.
        if let Ok(image) = imported {
            assert!(!names(&store, &image).is_empty(), "{name}");
        } else {
            assert!(store.names("layers").is_empty(), "{name}");
        }
    }
}

#[tokio::test]
async fn devices_and_marks_of_the_overlay_are_left_out() {
    if !can_unpack() {
        return;
    }
    let mut device = Header::new_gnu();
    device.as_old_mut().name[..4].copy_from_slice(b"disk");
    device.set_entry_type(EntryType::Block);
    device.set_size(0);
    device.set_mode(0o666);
    device.set_device_major(8).unwrap();
    device.set_device_minor(0).unwrap();
    device.set_cksum();
    let redirect: &[(&str, &[u8])] = &[
        ("SCHILY.xattr.trusted.overlay.redirect", b"/../../other"),
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.user.mine", b"kept"),
    ];
    let archive = Archive::new()
        .raw(&device, b"")
        .add(EntryType::Char, "removed", "", b"", 0o666)
        .pax(redirect)
        .directory("d")
        .file("d/f", "x");
    let (store, imported) = harmless("devices", &archive.bytes()).await;
    let image = imported.unwrap();
    assert_eq!(names(&store, &image), [Path::new("d"), Path::new("d/f")]);
    let listed = tree(&store.only_layer(&image));
    let attributes = &listed[Path::new("d")];
    assert!(attributes.contains("user.mine=\"kept\""), "{attributes}");
    assert!(!attributes.contains("overlay"), "{attributes}");
}

#[tokio::test]
async fn what_takes_too_much_is_refused() {
    if !can_unpack() {
        return;
    }
    let zeros = vec![0; 80 << 20];
    let large = Archive::new().add(EntryType::Regular, "large", "", &zeros, 0o644);
    let mut sparse = Header::new_gnu();
    sparse.as_old_mut().name[..6].copy_from_slice(b"sparse");
    sparse.set_entry_type(EntryType::GNUSparse);
    sparse.set_size(0);
    sparse.set_mode(0o644);
    sparse.set_uid(0);
    sparse.set_gid(0);
    sparse.set_mtime(0);
    {
        let gnu = sparse.as_gnu_mut().unwrap();
        gnu.set_real_size(1 << 60);
        gnu.sparse[0].set_offset(1 << 60);
        gnu.sparse[0].set_length(0);
    }
    sparse.set_cksum();
    let long = Archive::new()
        .add(
            EntryType::GNULongName,
            "././@LongLink",
            "",
            &vec![b'a'; 100 << 20],
            0,
        )
        .file("x", "");
    let behind = [Archive::new().file("x", "").bytes(), vec![0; 200 << 20]].concat();
    let component = "a".repeat(300);
    let deep = "a/".repeat(400);
    for (name, archive, words) in [
        ("a large file", gzip(&large.bytes()), "larger than"),
        (
            "a sparse file",
            Archive::new().raw(&sparse, b"").bytes(),
            "larger than",
        ),
        ("a long name", gzip(&long.bytes()), "name is too long"),
        ("much behind the end", gzip(&behind), "longer than a layer"),
        (
            "many directories",
            Archive::new()
                .pax(&[("path", deep.as_bytes())])
                .directory("x")
                .bytes(),
            "too many directories",
        ),
        (
            "many directories by links",
            Archive::new()
                .pax(&[("path", &deep.as_bytes()[..400])])
                .directory("x")
                .pax(&[("linkpath", &deep.as_bytes()[..400])])
                .symlink("l", "x")
                .pax(&[("path", format!("l/{}", &deep[..400]).as_bytes())])
                .directory("x")
                .bytes(),
            "too many directories",
        ),
        (
            "a long part of a name",
            Archive::new()
                .pax(&[("path", component.as_bytes())])
                .file("x", "")
                .bytes(),
            "name too long",
        ),
    ] {
        let (store, imported) = harmless(name, &archive).await;
        let error = imported.unwrap_err().to_string().to_lowercase();
        assert!(error.contains(words), "{name}: {error}");
        assert!(store.names("layers").is_empty(), "{name}");
    }
}

/// What takes more memory than a layer may ends the process that unpacks, and nothing else.
#[tokio::test]
async fn a_process_that_takes_too_much_memory_ends_alone() {
    if !can_unpack() {
        return;
    }
    // The name is made of small pieces of zeros, compressed to almost nothing.
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..13].copy_from_slice(b"././@LongLink");
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(700 << 20);
    header.set_cksum();
    let mut archive = header.as_bytes().to_vec();
    archive.resize(512 + (700 << 20), b'a');
    let store = TestStore::new();
    let path = store.write("archive", &gzip(&archive));
    drop(archive);
    let program = env!("CARGO_BIN_EXE_shellport").into();
    let root = store.path().join("data/images");
    let roomy = shellport::image::Store::open(&root, program, 1 << 40).unwrap();
    let imported = import(&roomy, fs::File::open(path).unwrap(), Some("test"));
    let error = within("the end", LONG, imported).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("memory"), "{error}");
    assert!(store.names("places").is_empty());
}

/// A hard link to a file of a layer below is a copy of that, and counts as one.
#[tokio::test]
async fn links_to_what_is_below_count() {
    if !can_unpack() {
        return;
    }
    let store = TestStore::new();
    let megabytes = vec![b'x'; 10 << 20];
    let mut below = Archive::new().add(EntryType::Regular, "f", "", &megabytes, 0o644);
    let mut above = Archive::new();
    for number in 0..20 {
        below = below.link(&format!("l{number}"), "f");
        above = above.link(&format!("m{number}"), &format!("l{number}"));
    }
    let layers = [Layer::gzip(&below.bytes()), Layer::gzip(&above.bytes())];
    let directory = store.path().join("layout");
    layout(&directory, "test:1", &layers, |_| {});
    let archive = pack(&directory);
    let imported = import(&store.store, fs::File::open(archive).unwrap(), None).await;
    let error = imported.unwrap_err().to_string();
    assert!(error.contains("larger than"), "{error}");
    assert_eq!(store.names("layers").len(), 1);
}

#[tokio::test]
async fn what_is_broken_is_refused() {
    if !can_unpack() {
        return;
    }
    let whole = Archive::new().file("a", &"text".repeat(1000)).bytes();
    let compressed = gzip(&whole);
    let noise: Vec<u8> = (0..40_000_u32)
        .map(|it| (it.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for (name, archive) in [
        ("noise", noise),
        ("a cut archive", whole[..2000].to_vec()),
        (
            "cut compression",
            compressed[..compressed.len() / 2].to_vec(),
        ),
        (
            "a broken sum",
            [&compressed[..compressed.len() - 6], &[1; 6]].concat(),
        ),
        ("a header of zstd alone", b"\x28\xb5\x2f\xfd".to_vec()),
        (
            "a root that is a file",
            Archive::new().file("./", "x").bytes(),
        ),
        (
            "a root that is a link",
            Archive::new().symlink("/", "/etc").bytes(),
        ),
        (
            "a link without a target",
            Archive::new().symlink("a", "").bytes(),
        ),
        (
            "a hard link to nothing",
            Archive::new().link("a", "b").bytes(),
        ),
        (
            "a hard link to itself",
            Archive::new().link("a", "a").bytes(),
        ),
        (
            "a file below a file",
            Archive::new().file("a", "").file("a/b", "").bytes(),
        ),
        (
            "an unknown kind",
            Archive::new()
                .add(EntryType::new(b'Q'), "a", "", b"", 0)
                .bytes(),
        ),
    ] {
        let (store, imported) = harmless(name, &archive).await;
        let error = imported.unwrap_err().to_string();
        assert!(
            error.starts_with("a layer cannot be unpacked: "),
            "{name}: {error}"
        );
        assert!(store.names("layers").is_empty(), "{name}");
    }
}

/// An archive of an archive has links as well.
#[tokio::test]
async fn links_in_a_layout_lead_nowhere_else() {
    if !can_unpack() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, r#"[{"Config":"x","Layers":[]}]"#).unwrap();
    let secret = secret.to_str().unwrap();
    let up = "../".repeat(20) + &secret[1..];
    for target in [secret, &up, "/proc/self/environ", "/dev/zero"] {
        let saved = r#"[{"Config":"config","RepoTags":["test:1"],"Layers":["layer"]}]"#;
        let archive = Archive::new()
            .file("manifest.json", saved)
            .symlink("config", target)
            .symlink("layer", target);
        let (_, imported) = harmless(target, &archive.bytes()).await;
        let error = imported.unwrap_err().to_string();
        assert!(error.starts_with("config: "), "{target}: {error}");
    }
    let pipe = Archive::new()
        .file(
            "manifest.json",
            r#"[{"Config":"config","RepoTags":null,"Layers":[]}]"#,
        )
        .add(EntryType::Fifo, "config", "", b"", 0o644);
    let (_, imported) = harmless("a fifo", &pipe.bytes()).await;
    assert!(imported.unwrap_err().to_string().contains("not a file"));
}
