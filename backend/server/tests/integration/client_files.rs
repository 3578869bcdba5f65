//! The command line as a client: files into a session and out of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use crate::support::backend::on_backends;
use crate::support::client::CommandLine;
use crate::support::numbers::Numbers;
use crate::support::server::TestServer;

async fn a_file_is_the_same_there_and_back(server: &TestServer) {
    let shellport = CommandLine::new(server);
    shellport.success(&["new", "--name=box"]).await;
    shellport
        .success(&["exec", "@box", "mkdir", "/tmp/cli-files"])
        .await;
    let bytes = Numbers::any().bytes(3 << 20);
    fs::write(shellport.home().join("blob"), &bytes).unwrap();
    fs::set_permissions(shellport.home().join("blob"), Permissions::from_mode(0o751)).unwrap();
    // Into a directory, under its own name, and under another one.
    shellport
        .success(&["cp", "blob", "@box:/tmp/cli-files"])
        .await;
    shellport
        .success(&["cp", "blob", "@box:/tmp/cli-files/other"])
        .await;
    let modes = shellport
        .success(&[
            "exec",
            "@box",
            "stat",
            "-c",
            "%a",
            "/tmp/cli-files/blob",
            "/tmp/cli-files/other",
        ])
        .await;
    assert_eq!(modes, "751\n751");
    shellport
        .success(&["cp", "@box:/tmp/cli-files/other", "back"])
        .await;
    let back = shellport.home().join("back");
    assert!(fs::read(&back).unwrap() == bytes, "the bytes differ");
    assert_eq!(
        fs::metadata(&back).unwrap().permissions().mode() & 0o777,
        0o751
    );
    fs::create_dir(shellport.home().join("here")).unwrap();
    shellport
        .success(&["cp", "@box:/tmp/cli-files/blob", "here"])
        .await;
    assert!(fs::read(shellport.home().join("here/blob")).unwrap() == bytes);

    let missing = shellport
        .failure(&["cp", "@box:/tmp/cli-files/none", "x"])
        .await;
    assert!(missing.contains("/tmp/cli-files/none"), "{missing}");
    assert!(!shellport.home().join("x").exists());
    for (source, target, word) in [
        ("@box:/tmp/../etc", "x", "`..`"),
        ("@box:/a", "@box:/b", "SOURCE TARGET"),
        ("@box:/a", "container:/b", "SOURCE TARGET"),
        ("none", "@box:/tmp", "none"),
        ("@box:/tmp/cli-files/blob", "no/such/place", "no/such"),
    ] {
        let refused = shellport.failure(&["cp", source, target]).await;
        assert!(refused.contains(word), "{source} {target}: {refused}");
    }
    shellport
        .success(&["exec", "@box", "rm", "-r", "/tmp/cli-files"])
        .await;
    shellport.success(&["rm", "-f", "@box"]).await;
}
on_backends!(a_file_is_the_same_there_and_back: docker, embedded, process);

async fn a_tree_is_the_same_there_and_back(server: &TestServer) {
    let shellport = CommandLine::new(server);
    shellport.success(&["new", "--name=box"]).await;
    shellport
        .success(&["exec", "@box", "mkdir", "/tmp/cli-trees"])
        .await;
    let tree = shellport.home().join("tree");
    fs::create_dir_all(tree.join("sub/empty")).unwrap();
    fs::write(tree.join("sub/file"), "text\n").unwrap();
    fs::set_permissions(tree.join("sub/file"), Permissions::from_mode(0o640)).unwrap();
    symlink("sub/file", tree.join("link")).unwrap();
    symlink("/etc/nowhere", tree.join("out")).unwrap();
    shellport
        .success(&["cp", "tree", "@box:/tmp/cli-trees"])
        .await;
    shellport
        .success(&["cp", "tree", "@box:/tmp/cli-trees/renamed"])
        .await;
    let seen = shellport
        .success(&[
            "exec",
            "@box",
            "cat",
            "/tmp/cli-trees/tree/link",
            "/tmp/cli-trees/renamed/sub/file",
        ])
        .await;
    assert_eq!(seen, "text\ntext");
    shellport
        .success(&["cp", "@box:/tmp/cli-trees/tree", "back"])
        .await;
    let back = shellport.home().join("back");
    assert_eq!(fs::read_to_string(back.join("sub/file")).unwrap(), "text\n");
    assert_eq!(
        fs::metadata(back.join("sub/file"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o640
    );
    assert!(back.join("sub/empty").is_dir());
    assert_eq!(
        fs::read_link(back.join("out")).unwrap().to_str(),
        Some("/etc/nowhere")
    );

    // Archives in standard streams.
    let output = shellport
        .output(&["cp", "@box:/tmp/cli-trees/tree", "-"])
        .await;
    let mut archive = tar::Archive::new(&output.stdout[..]);
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|it| it.unwrap().path().unwrap().into_owned())
        .collect();
    assert!(
        names.iter().any(|name| name.ends_with("sub/file")),
        "{names:?}"
    );
    shellport
        .success(&["exec", "@box", "mkdir", "/tmp/cli-trees/third"])
        .await;
    let taken = shellport
        .with_input(&["cp", "-", "@box:/tmp/cli-trees/third"], &output.stdout)
        .await;
    assert!(taken.status.success(), "{taken:?}");
    let third = shellport
        .success(&[
            "exec",
            "@box",
            "sh",
            "-c",
            "cd /tmp/cli-trees/third && find . -name file",
        ])
        .await;
    assert!(third.contains("sub/file"), "{third}");
    let nonsense = shellport
        .with_input(
            &["cp", "-", "@box:/tmp/cli-trees/third"],
            b"no archive at all",
        )
        .await;
    assert!(!nonsense.status.success(), "{nonsense:?}");
    // What nobody writes to does not keep it from ending.
    let mut waiting = shellport.command(&["cp", "-", "@box:/nowhere/at/all"]);
    let mut waiting = waiting
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _kept = waiting.stdin.take();
    let ended = tokio::time::timeout(crate::support::wait::LONG, waiting.wait()).await;
    assert_ne!(ended.expect("it ends").unwrap().code(), Some(0));
    shellport
        .success(&["exec", "@box", "rm", "-r", "/tmp/cli-trees"])
        .await;
    shellport.success(&["rm", "-f", "@box"]).await;
}
on_backends!(a_tree_is_the_same_there_and_back: docker, embedded, process);
