//! A sandbox that does what it can to whoever works on its files.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;

use crate::files::Files;
use crate::support::api::{IMAGE, id};
use crate::support::backend::on_backends;
use crate::support::http::Client;
use crate::support::server::TestServer;

/// Nothing of it may take longer.
const QUICK: Duration = Duration::from_secs(10);

async fn what_is_no_file_hangs_nobody(server: &TestServer) {
    let files = Files::new(&server.client).await;
    let line = "mkfifo pipe; ln -s pipe to-pipe; ln -s loop loop; mkdir dir; ln -s /dev/zero zero; ln -s dir/ slash";
    files.shell(line).await;
    let begun = Instant::now();
    for name in ["pipe", "to-pipe"] {
        files
            .get(name, "")
            .await
            .expect_problem(409, "wrong_kind", &["named pipe"]);
        files
            .put(name, "", "x")
            .await
            .expect_problem(409, "wrong_kind", &["named pipe"]);
        let path = files.at(name, "action=append");
        server.client.post_bytes(&path, "x").await.expect_problem(
            409,
            "wrong_kind",
            &["named pipe"],
        );
    }
    files
        .get("zero", "")
        .await
        .expect_problem(409, "wrong_kind", &["device"]);
    files
        .put("zero", "", "x")
        .await
        .expect_problem(409, "wrong_kind", &["device"]);
    files
        .get("loop", "")
        .await
        .expect_problem(409, "file_failed", &["loop"]);
    files
        .put("loop", "", "x")
        .await
        .expect_problem(409, "file_failed", &["links"]);
    files
        .put("dir", "", "x")
        .await
        .expect_problem(409, "wrong_kind", &["directory"]);
    files
        .get("dir/none/more", "")
        .await
        .expect_problem(404, "file_not_found", &[]);
    files.put("a", "", "x").await.expect(200);
    files
        .get("a/b", "")
        .await
        .expect_problem(409, "wrong_kind", &[]);
    let to = format!("to=/{}/pipe", files.directory);
    let copied = files
        .post("a", &format!("action=copy&replace=true&{to}"))
        .await;
    copied.expect(200);
    assert!(begun.elapsed() < QUICK * 2, "{:?}", begun.elapsed());
    files.finish().await;
}
on_backends!(what_is_no_file_hangs_nobody: docker, podman, process, embedded, crun, rootless);

async fn names_may_be_anything(server: &TestServer) {
    let files = Files::new(&server.client).await;
    let long = "n".repeat(255);
    files.put(&long, "", "long").await.expect(200);
    assert_eq!(files.get(&long, "").await.text(), "long");
    let longer = files.put(&"n".repeat(256), "", "x").await;
    longer.expect_problem(422, "not_allowed", &["nnn"]);
    // What is no UTF-8, spaces, a percent sign, a newline, quotes.
    for (encoded, shown) in [
        ("%FF%fe", "%FF%FE"),
        ("a%20b", "a b"),
        ("100%25", "100%25"),
        ("x%0Ay", "x\ny"),
        ("%22q%27", "\"q'"),
        ("%C3%A9", "é"),
    ] {
        files.put(encoded, "", encoded).await.expect(200);
        assert_eq!(files.get(encoded, "").await.text(), encoded);
        let list = files.get("", "limit=1000").await.expect(200);
        let data = list["data"].as_array().unwrap();
        assert!(
            data.iter().any(|entry| entry["name"] == shown),
            "{shown:?}: {list}"
        );
        files.delete(encoded, "").await.expect(204);
    }
    for wrong in ["%zz", "a%00b"] {
        let answer = files.get(wrong, "").await;
        assert_eq!(
            answer.expect_problem(400, "invalid_request", &["path"])["field"],
            "path"
        );
    }
    files.finish().await;
}
on_backends!(names_may_be_anything: docker, process, embedded);

/// A link leads somewhere in the sandbox, wherever it says.
async fn links_lead_only_inside(server: &TestServer) {
    let files = Files::new(&server.client).await;
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(outside.path(), "the machine's").unwrap();
    let path = outside.path().display().to_string();
    files
        .shell(&format!("ln -s {path} out; ln -s / root"))
        .await;
    files
        .get("out", "")
        .await
        .expect_problem(404, "file_not_found", &[]);
    files
        .put("out", "parents=true", "the sandbox's")
        .await
        .expect(200);
    assert_eq!(files.get("out", "").await.text(), "the sandbox's");
    let hostname = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    files
        .put("root/etc/hostname", "", "changed\n")
        .await
        .expect(200);
    assert_eq!(
        std::fs::read_to_string("/etc/hostname").unwrap_or_default(),
        hostname
    );
    assert_eq!(
        std::fs::read_to_string(outside.path()).unwrap(),
        "the machine's"
    );
    // And not by dots, of which a path in a URL has none left.
    let dots = Client::path(&files.session, "/files/../../../../../../etc/shadow");
    let answer = server.client.get(&dots).await;
    assert!(answer.status.as_u16() >= 400, "{answer:?}");
}
on_backends!(links_lead_only_inside: docker, embedded, crun);

/// A directory that is a link each other moment, while files are written through it.
async fn a_race_leads_nowhere(server: &TestServer) {
    let files = Files::new(&server.client).await;
    files.shell("mkdir real other; ln -s other link").await;
    let line = format!(
        "cd /{}; i=0; while [ $i -lt 3000 ]; do mv real r2 && mv link real && mv real link && mv r2 real; i=$((i+1)); done",
        files.directory
    );
    let race = json!({"shell": line, "background": true});
    let exec = Client::path(&files.session, "/execs/race");
    server.client.put(&exec, &race).await.expect(201);
    for number in 0..40 {
        let answer = files
            .put(&format!("real/{number}"), "", format!("{number}"))
            .await;
        match answer.status.as_u16() {
            200 => {}
            404 | 409 | 422 => drop(answer.json()),
            _ => panic!("{answer:?}"),
        }
    }
    server
        .client
        .post(&format!("{exec}/stop"), &json!({"grace": "1s"}))
        .await
        .expect(200);
    // Each is whole, wherever it came to be.
    let line =
        "for f in $(find . -type f); do [ \"$(cat $f)\" = \"$(basename $f)\" ] || echo $f; done";
    assert_eq!(files.shell(line).await, "");
    files.finish().await;
}
on_backends!(a_race_leads_nowhere: docker, process, embedded);

/// No room: the file is what it was, or not there, and the rest goes on.
async fn a_full_disk_is_told(server: &TestServer) {
    let client = &server.client;
    let session = client.session().await;
    let at = |name: &str| Client::path(&session, &format!("/files/dev/shm/{name}"));
    let put =
        async |name: &str, body: Vec<u8>| client.bytes(Method::PUT, &at(name), &[], body).await;
    put("kept", b"kept".to_vec()).await.expect(200);
    for name in ["kept", "new"] {
        put(name, vec![7; 80 << 20])
            .await
            .expect_problem(507, "no_space", &["shm"]);
    }
    let append = format!("{}?action=append", at("kept"));
    let answer = client.post_bytes(&append, vec![7; 80 << 20]).await;
    answer.expect_problem(507, "no_space", &["shm"]);
    assert_eq!(client.get(&at("kept")).await.text(), "kept");
    assert_eq!(client.output(&session, "ls -A /dev/shm").await, "kept");
    put("new", b"new".to_vec()).await.expect(200);
}
on_backends!(a_full_disk_is_told: docker, embedded, crun);

async fn rights_are_the_users(server: &TestServer) {
    let client = &server.client;
    let files = Files::new(client).await;
    files.put("mine", "mode=0600", "secret").await.expect(200);
    let other = files.get("mine", "user=65534").await;
    other.expect_problem(403, "file_forbidden", &["mine"]);
    files
        .put("new", "user=65534", "x")
        .await
        .expect_problem(403, "file_forbidden", &[]);
    let owned = files
        .put("theirs", "owner=65534:65534&mode=0600", "x")
        .await
        .expect(200);
    assert_eq!(
        (&owned["uid"], &owned["gid"]),
        (&json!(65534), &json!(65534))
    );
    assert_eq!(files.get("theirs", "user=65534").await.text(), "x");
    let unknown = files.get("mine", "user=nobody-here").await;
    assert_eq!(
        unknown.expect_problem(422, "not_allowed", &["nobody-here"])["field"],
        "user"
    );
    // The strict profile writes to nothing but its own directories.
    let session = id(&client
        .create(json!({"image": IMAGE, "profile": "strict"}))
        .await);
    let path = Client::path(&session, "/files/etc/x");
    let answer = client.bytes(Method::PUT, &path, &[], "x").await;
    answer.expect_problem(403, "file_forbidden", &["/etc"]);
    let path = Client::path(&session, "/files/tmp/x");
    client.bytes(Method::PUT, &path, &[], "x").await.expect(200);
}
on_backends!(rights_are_the_users: docker, podman, embedded, crun);

/// An archive that wants to be elsewhere.
async fn an_archive_stays_in_its_directory(server: &TestServer) {
    let files = Files::new(&server.client).await;
    let mut archive = Vec::new();
    let mut add = |name: &str, kind: tar::EntryType, link: Option<&str>, body: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(body.len() as u64);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        if let Some(link) = link {
            header.set_link_name(link).unwrap();
        }
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(body);
        archive.resize(archive.len().next_multiple_of(512), 0);
    };
    add("good", tar::EntryType::Regular, None, b"good");
    add("up", tar::EntryType::Symlink, Some(".."), b"");
    add("up/evil-1", tar::EntryType::Regular, None, b"evil");
    add("../evil-2", tar::EntryType::Regular, None, b"evil");
    add("hard", tar::EntryType::Link, Some("../victim"), b"");
    archive.resize(archive.len() + 1024, 0);
    files.put("victim", "", "victim").await.expect(200);
    let tar = [("content-type", "application/x-tar")];
    let answer = files.put_with("in", "parents=true", &tar, archive).await;
    if answer.status != 204 {
        answer.expect_problem(422, "not_allowed", &["archive"]);
    }
    assert_eq!(files.shell("cat in/good; ls").await, "goodin\nvictim");
    let elsewhere = "ls -d /tmp/evil-* 2>/dev/null | wc -l";
    assert_eq!(files.shell(elsewhere).await, "0");
    files.finish().await;
}
on_backends!(an_archive_stays_in_its_directory: docker, process, embedded);

async fn sizes_are_limited(server: &TestServer) {
    let files = Files::new(&server.client).await;
    files.put("a", "", vec![0; 1 << 20]).await.expect(200);
    files
        .put("b", "", vec![0; (1 << 20) + 1])
        .await
        .expect_problem(413, "too_large", &["1048576"]);
    files
        .get("b", "")
        .await
        .expect_problem(404, "file_not_found", &[]);
    files.finish().await;
}
on_backends!(sizes_are_limited: process => ["--max-file=1m"]);
