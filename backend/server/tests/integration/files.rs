//! A session's files over HTTP.

use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::support::backend::on_backends;
use crate::support::http::{Answer, Client};
use crate::support::server::TestServer;
use crate::support::stream::LINES;
use crate::support::wait::{LONG, until, within};

/// The files of a session, below a directory of the test's own.
pub struct Files<'a> {
    pub client: &'a Client,
    pub session: String,
    /// Without its first slash.
    pub directory: String,
}

impl<'a> Files<'a> {
    pub async fn new(client: &'a Client) -> Self {
        let session = client.session().await;
        Self::of(client, session).await
    }

    pub async fn of(client: &'a Client, session: String) -> Self {
        let directory = format!("tmp/shellport-test-{session}");
        let files = Self {
            client,
            session,
            directory,
        };
        files.post("", "action=mkdir").await.expect(200);
        files
    }

    /// The address of what has this name in the directory.
    pub fn at(&self, name: &str, query: &str) -> String {
        let Self {
            session, directory, ..
        } = self;
        let name = if name.is_empty() {
            String::new()
        } else {
            format!("/{name}")
        };
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{query}")
        };
        Client::path(session, &format!("/files/{directory}{name}{query}"))
    }

    pub async fn get(&self, name: &str, query: &str) -> Answer {
        self.client.get(&self.at(name, query)).await
    }

    pub async fn put(&self, name: &str, query: &str, body: impl Into<Bytes>) -> Answer {
        self.put_with(name, query, &[], body).await
    }

    pub async fn put_with(
        &self,
        name: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let path = self.at(name, query);
        self.client.bytes(Method::PUT, &path, headers, body).await
    }

    pub async fn post(&self, name: &str, query: &str) -> Answer {
        self.client.post_bytes(&self.at(name, query), "").await
    }

    pub async fn delete(&self, name: &str, query: &str) -> Answer {
        self.client.delete(&self.at(name, query)).await
    }

    /// Runs a line of shell in the directory.
    pub async fn shell(&self, line: &str) -> String {
        let line = format!("cd /{} && {line}", self.directory);
        self.client.output(&self.session, &line).await
    }

    /// Removes the directory, which of a process session is the machine's.
    pub async fn finish(self) {
        self.delete("", "recursive=true").await.expect(204);
    }
}

async fn files_are_written_and_read(server: &TestServer) {
    let files = Files::new(&server.client).await;
    let written = files.put("a", "mode=0640", "hello\n").await.expect(200);
    assert_eq!(
        (&written["kind"], &written["size"]),
        (&json!("file"), &json!(6))
    );
    assert_eq!(
        (&written["mode"], &written["name"]),
        (&json!("0640"), &json!(format!("/{}/a", files.directory)))
    );
    let read = files.get("a", "").await;
    assert_eq!(
        (read.status.as_u16(), read.text()),
        (200, "hello\n".to_owned())
    );
    assert_eq!(read.header("content-length"), "6");
    assert_eq!(read.header("content-type"), "application/octet-stream");
    assert_eq!(read.header("etag"), written["etag"].as_str().unwrap());
    assert!(read.header("last-modified").ends_with("GMT"), "{read:?}");
    assert_eq!(files.shell("cat a; ls").await, "hello\na");

    // Written again, it keeps its permissions; appended to, it is longer.
    let again = files.put("a", "", "other").await.expect(200);
    assert_eq!(again["mode"], "0640");
    assert_ne!(again["etag"], written["etag"]);
    let path = files.at("a", "action=append");
    let longer = server
        .client
        .post_bytes(&path, " and more")
        .await
        .expect(200);
    assert_eq!(longer["size"], 14);
    assert_eq!(files.get("a", "").await.text(), "other and more");

    // Ranges.
    for (range, status, text, content) in [
        ("bytes=0-4", 206, "other", "bytes 0-4/14"),
        ("bytes=6-", 206, "and more", "bytes 6-13/14"),
        ("bytes=-4", 206, "more", "bytes 10-13/14"),
        ("bytes=10-99", 206, "more", "bytes 10-13/14"),
        ("bytes=99-", 416, "", ""),
        ("nonsense", 200, "other and more", ""),
    ] {
        let answer = server
            .client
            .bytes(Method::GET, &files.at("a", ""), &[("range", range)], "")
            .await;
        assert_eq!(answer.status.as_u16(), status, "{range}: {answer:?}");
        if status == 416 {
            answer.expect_problem(416, "range_not_satisfiable", &["14"]);
            continue;
        }
        assert_eq!(answer.text(), text, "{range}");
        assert_eq!(answer.header("content-range"), content, "{range}");
    }
    let tag = longer["etag"].as_str().unwrap();
    let known = [("if-none-match", tag)];
    let answer = server
        .client
        .bytes(Method::GET, &files.at("a", ""), &known, "")
        .await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0));

    // One that only looks has no content.
    let head = server
        .client
        .bytes(Method::HEAD, &files.at("a", ""), &[], "")
        .await;
    assert_eq!((head.header("content-length"), head.body.len()), ("14", 0));
    files
        .get("none", "")
        .await
        .expect_problem(404, "file_not_found", &["none"]);
    // A file of the kernel has no size, and a content.
    let path = Client::path(&files.session, "/files/proc/self/cmdline");
    let read = server.client.get(&path).await;
    assert!(
        String::from_utf8_lossy(&read.body).contains("file\0"),
        "{read:?}"
    );
    files.finish().await;
}
on_backends!(files_are_written_and_read: docker, podman, exec, process, embedded, crun, runc, rootless);

async fn much_is_carried_both_ways(server: &TestServer) {
    let files = Files::new(&server.client).await;
    let much: Vec<u8> = (0..24u32 << 20)
        .map(|byte| (byte.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let written = files.put("much", "", much.clone()).await.expect(200);
    assert_eq!(written["size"], much.len());
    let sum = files.shell("sha256sum much | cut -c1-64").await;
    let ours = data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(&much));
    assert_eq!(sum, ours);
    let read = files.get("much", "").await;
    assert!(read.body == much, "not what was written");
    files.finish().await;
}
on_backends!(much_is_carried_both_ways: docker, exec, process, embedded);

/// What is in the place of a file is there until the last byte has come.
async fn a_write_is_whole_or_not_there(server: &TestServer) {
    let client = &server.client;
    let files = Files::new(client).await;
    files.put("a", "", "old").await.expect(200);
    for (name, expected) in [("a", "old"), ("new", "")] {
        let mut stream = TcpStream::connect(client.address).await.unwrap();
        let head = format!(
            "PUT {} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-length: 1000000\r\n\r\n{}",
            files.at(name, ""),
            client.address,
            client.token.as_ref().unwrap(),
            "x".repeat(100_000)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        sleep(Duration::from_millis(300)).await;
        assert_eq!(
            files
                .shell(&format!("cat {name} 2>/dev/null || true"))
                .await,
            expected
        );
        drop(stream);
        until("nothing goes on", LONG, async || {
            let line = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '[f]ile {\"op\":\"write\"' || true";
            (files.shell(line).await == "0").then_some(())
        })
        .await;
        assert_eq!(
            files
                .shell(&format!("cat {name} 2>/dev/null || true"))
                .await,
            expected
        );
    }
    assert_eq!(files.shell("ls -A").await, "a");
    files.finish().await;
}
on_backends!(a_write_is_whole_or_not_there: docker, process, embedded, crun);

async fn conditions_are_kept(server: &TestServer) {
    let files = Files::new(&server.client).await;
    let new = [("if-none-match", "*")];
    let first = files.put_with("a", "", &new, "1").await.expect(200);
    let again = files.put_with("a", "", &new, "2").await;
    again.expect_problem(412, "file_changed", &["there already"]);
    let tag = first["etag"].as_str().unwrap().to_owned();
    let second = files
        .put_with("a", "", &[("if-match", &tag)], "3")
        .await
        .expect(200);
    let stale = files.put_with("a", "", &[("if-match", &tag)], "4").await;
    stale.expect_problem(412, "file_changed", &["changed"]);
    assert_eq!(files.get("a", "").await.text(), "3");
    let tags = format!("\"0\", {}", second["etag"].as_str().unwrap());
    files
        .put_with("a", "", &[("if-match", &tags)], "5")
        .await
        .expect(200);
    let none = files.put_with("b", "", &[("if-match", &tag)], "6").await;
    none.expect_problem(412, "file_changed", &["not there"]);
    files.finish().await;
}
on_backends!(conditions_are_kept: docker, process, embedded);

async fn directories_are_listed_and_changed(server: &TestServer) {
    let files = Files::new(&server.client).await;
    let deep = files.put("x/y/z", "", "deep").await;
    deep.expect_problem(404, "file_not_found", &["x/y"]);
    files.put("x/y/z", "parents=true", "deep").await.expect(200);
    files
        .shell("ln -s y/z x/link; for i in 1 2 3 4 5; do echo $i > x/n$i; done")
        .await;
    let list = files.get("x", "").await.expect(200);
    let names = |list: &Value| -> Vec<String> {
        let data = list["data"].as_array().unwrap();
        data.iter()
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&list), ["link", "n1", "n2", "n3", "n4", "n5", "y"]);
    assert_eq!(
        (&list["data"][0]["kind"], &list["data"][0]["target"]),
        (&json!("symlink"), &json!("y/z"))
    );
    assert_eq!(
        (&list["data"][6]["kind"], &list["next_cursor"]),
        (&json!("directory"), &Value::Null)
    );
    let page = files.get("x", "limit=3").await.expect(200);
    assert_eq!(
        (names(&page), &page["next_cursor"]),
        (vec!["link".into(), "n1".into(), "n2".into()], &json!("n2"))
    );
    let page = files.get("x", "limit=5&cursor=n2").await.expect(200);
    assert_eq!(
        (names(&page).len(), &page["next_cursor"]),
        (4, &Value::Null)
    );
    for limit in [0, 1001] {
        let answer = files.get("x", &format!("limit={limit}")).await;
        assert_eq!(
            answer.expect_problem(400, "invalid_request", &["1000"])["field"],
            "limit"
        );
    }

    // A link is followed, unless it is asked for itself.
    assert_eq!(files.get("x/link", "").await.text(), "deep");
    assert_eq!(
        files.get("x/link", "info=true").await.expect(200)["kind"],
        "symlink"
    );
    files.put("x/link", "", "through").await.expect(200);
    assert_eq!(
        files.shell("cat x/y/z; echo; readlink x/link").await,
        "through\ny/z"
    );

    let to = |name: &str| format!("to=/{}/{name}", files.directory);
    let moved = files
        .post("x/n1", &format!("action=move&{}", to("moved")))
        .await
        .expect(200);
    assert_eq!(moved["size"], 2);
    let taken = files
        .post("x/n2", &format!("action=move&{}", to("moved")))
        .await;
    taken.expect_problem(409, "file_exists", &["moved"]);
    files
        .post("x/n2", &format!("action=move&replace=true&{}", to("moved")))
        .await
        .expect(200);
    assert_eq!(
        files.shell("cat moved; ls x").await,
        "2\nlink\nn3\nn4\nn5\ny"
    );
    files
        .post("x", &format!("action=copy&{}", to("copy")))
        .await
        .expect(200);
    assert_eq!(
        files.shell("diff -r x copy && readlink copy/link").await,
        "y/z"
    );
    let inside = files
        .post("x", &format!("action=copy&{}", to("x/y/inside")))
        .await;
    inside.expect_problem(422, "not_allowed", &["inside"]);
    let nowhere = files.post("x", "action=copy").await;
    assert_eq!(
        nowhere.expect_problem(400, "invalid_request", &["to"])["field"],
        "to"
    );

    let path = files.at("moved", "");
    let changed = server
        .client
        .json(Method::PATCH, &path, &json!({"mode": "4711"}))
        .await
        .expect(200);
    assert_eq!(changed["mode"], "4711");
    let wrong = server
        .client
        .json(Method::PATCH, &path, &json!({"mode": "99"}))
        .await;
    assert_eq!(
        wrong.expect_problem(400, "invalid_request", &["99"])["field"],
        "mode"
    );
    let nobody = server
        .client
        .json(Method::PATCH, &path, &json!({"owner": "nobody-here"}))
        .await;
    nobody.expect_problem(422, "not_allowed", &["nobody-here"]);

    files
        .post("x", "action=mkdir")
        .await
        .expect_problem(409, "file_exists", &["x"]);
    files
        .post("x", "action=mkdir&parents=true")
        .await
        .expect(200);
    files
        .post("p/q", "action=mkdir&parents=true&mode=0700")
        .await
        .expect(200);
    assert_eq!(
        files.get("p/q", "info=true").await.expect(200)["mode"],
        "0700"
    );
    files
        .delete("x", "")
        .await
        .expect_problem(409, "directory_not_empty", &["x"]);
    files.delete("x", "recursive=true").await.expect(204);
    files
        .delete("x", "")
        .await
        .expect_problem(404, "file_not_found", &["x"]);
    assert_eq!(files.shell("ls").await, "copy\nmoved\np");
    files.finish().await;
}
on_backends!(directories_are_listed_and_changed: docker, podman, process, embedded, crun, rootless);

async fn archives_go_both_ways(server: &TestServer) {
    let files = Files::new(&server.client).await;
    files.shell("mkdir -p src/d && echo one > src/one && echo two > src/d/two && chmod 750 src/d/two && ln -s d/two src/link").await;
    let tar = [("accept", "application/x-tar")];
    let archive = server
        .client
        .bytes(Method::GET, &files.at("src", ""), &tar, "")
        .await;
    assert_eq!(
        (archive.status.as_u16(), archive.header("content-type")),
        (200, "application/x-tar")
    );
    let tar = [("content-type", "application/x-tar")];
    let nowhere = files.put_with("dst", "", &tar, archive.body.clone()).await;
    nowhere.expect_problem(404, "file_not_found", &["dst"]);
    files
        .put_with("dst", "parents=true", &tar, archive.body.clone())
        .await
        .expect(204);
    assert_eq!(
        files
            .shell("diff -r src dst && stat -c %a dst/d/two && readlink dst/link")
            .await,
        "750\nd/two"
    );
    let broken = files
        .put_with("dst", "", &tar, "this is no archive at all".repeat(100))
        .await;
    broken.expect_problem(422, "not_allowed", &["archive"]);
    files.finish().await;
}
on_backends!(archives_go_both_ways: docker, podman, exec, process, embedded, crun, rootless);

async fn changes_are_told(server: &TestServer) {
    let files = Files::new(&server.client).await;
    files.shell("mkdir sub").await;
    let headers = [("accept", LINES)];
    let path = files.at("", "watch=true&recursive=true");
    let watch = server
        .client
        .stream(Method::GET, &path, &headers, None)
        .await;
    let mut watch = watch.unwrap_or_else(|answer| panic!("{answer:?}"));
    files.put("a", "", "1").await.expect(200);
    files
        .shell("echo 2 > sub/b; mkdir sub/new; echo 3 > sub/new/c; chmod 600 a; rm sub/b")
        .await;
    let mut left: Vec<(&str, String)> = [
        ("file_created", "a"),
        ("file_created", "sub/b"),
        ("file_written", "sub/b"),
        ("file_created", "sub/new"),
        ("file_created", "sub/new/c"),
        ("file_changed", "a"),
        ("file_removed", "sub/b"),
    ]
    .map(|(kind, name)| (kind, format!("/{}/{name}", files.directory)))
    .into();
    within("every change", LONG, async {
        while !left.is_empty() {
            let event = watch.next().await.expect("more events");
            left.retain(|(kind, path)| event["type"] != *kind || event["path"] != **path);
        }
    })
    .await;
    drop(watch);
    let file = server
        .client
        .stream(Method::GET, &files.at("a", "watch=true"), &headers, None)
        .await;
    file.err()
        .expect("a refusal")
        .expect_problem(409, "wrong_kind", &["regular file"]);
    // Nothing is left of one that nobody watches.
    until("it ends", LONG, async || {
        let line = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '[f]ile {\"op\":\"watch\"' || true";
        (files.shell(line).await == "0").then_some(())
    })
    .await;
    files.finish().await;
}
on_backends!(changes_are_told: docker, process, embedded);

/// Work on files is nobody's exec.
async fn it_is_not_among_the_execs(server: &TestServer) {
    let files = Files::new(&server.client).await;
    files.put("a", "", "1").await.expect(200);
    files.get("a", "").await;
    let execs = server
        .client
        .get(&Client::path(&files.session, "/execs"))
        .await
        .expect(200);
    assert_eq!(execs["data"], json!([]));
    files.finish().await;
}
on_backends!(it_is_not_among_the_execs: process);
