//! Images through the API, where the server has them itself.

use std::io::{Read, Write};

use http_body_util::Full;
use hyper::Method;
use serde_json::{Value, json};
use shellport::id::random_tag;

use crate::support::api::id;
use crate::support::archive::{Archive, gzip};
use crate::support::backend::{on_backends, registry};
use crate::support::http::{Answer, Client};
use crate::support::oci::archive;
use crate::support::server::TestServer;

/// The programs of the tests' usual image, as files.
fn files() -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").unwrap();
    let archive = Archive::new()
        .directory("bin")
        .add(tar::EntryType::Regular, "bin/sh", "", &busybox, 0o755)
        .symlink("bin/cat", "sh")
        .file("new", "from an archive\n");
    gzip(&archive.bytes())
}

async fn import(client: &Client, name: &str, bytes: Vec<u8>) -> Answer {
    let path = format!("/api/v1/images?image={name}");
    let request = client
        .request(Method::POST, &path)
        .header("content-type", "application/x-tar");
    client
        .send(request.body(Full::new(bytes.into())).unwrap())
        .await
}

async fn pull(client: &Client, accept: &str, image: &str) -> Answer {
    let request = client
        .request(Method::POST, "/api/v1/images")
        .header("content-type", "application/json")
        .header("accept", accept);
    let body = json!({"image": image}).to_string();
    client
        .send(request.body(Full::new(body.into())).unwrap())
        .await
}

async fn names(client: &Client) -> Vec<String> {
    let list = client.get("/api/v1/images").await.expect(200);
    let list = list["data"].as_array().unwrap();
    let name = |image: &Value| image["reference"].as_str().unwrap().to_owned();
    list.iter().map(name).collect()
}

async fn an_archive_becomes_an_image(server: &TestServer) {
    let client = &server.client;
    let name = format!("shellport-test/{}:1", random_tag());
    let whole = format!("docker.io/{name}");
    let made = import(client, &name, files()).await.expect(201);
    assert_eq!(made["data"][0]["reference"], *whole, "{made}");
    assert!(names(client).await.contains(&whole));
    let image = client
        .get(&format!("/api/v1/images/{name}"))
        .await
        .expect(200);
    assert_eq!(image, made["data"][0]);
    assert_eq!(image["layers"].as_array().unwrap().len(), 1);
    assert_eq!(image["configuration"]["os"], "linux");
    let short = &image["id"].as_str().unwrap()[7..27];
    let same = client
        .get(&format!("/api/v1/images/{short}"))
        .await
        .expect(200);
    assert_eq!(same, image);
    let wish = json!({"image": name, "command": ["/bin/sh"]});
    let session = id(&client.create(wish).await);
    assert_eq!(client.output(&session, "cat /new").await, "from an archive");
    let path = format!("/api/v1/images/{name}");
    client.delete(&path).await.expect(200);
    assert!(!names(client).await.contains(&whole));
    let gone = client.get(&path).await;
    gone.expect_problem(404, "image_not_found", &[&name]);
    // Its layers stay as long as the session has them.
    client.stop(&session, "1s").await;
    client.start(&session).await;
    assert_eq!(client.output(&session, "cat /new").await, "from an archive");
    client.remove(&session).await;
    let freed = client
        .post("/api/v1/images/-/prune", &json!({}))
        .await
        .expect(200);
    assert!(freed["bytes"].is_u64(), "{freed}");
}
on_backends!(an_archive_becomes_an_image: embedded, rootless);

async fn what_is_no_image_is_refused(server: &TestServer) {
    let client = &server.client;
    let name = format!("shellport-test/{}:1", random_tag());
    let whole = std::fs::read(archive().unwrap()).unwrap();
    let before = names(client).await;
    let nameless = client
        .request(Method::POST, "/api/v1/images")
        .body(Full::new(files().into()));
    let nameless = client.send(nameless.unwrap()).await;
    nameless.expect_problem(422, "image_not_usable", &["no name"]);
    let answer = import(client, &name, whole.clone()).await;
    answer.expect_problem(422, "image_not_usable", &["several images"]);
    let answer = import(client, &name, whole[..1_000_000].to_vec()).await;
    answer.expect_problem(422, "image_not_usable", &["cannot be unpacked"]);
    let answer = import(client, "No%20Image", files()).await;
    answer.expect_problem(422, "not_allowed", &["No Image"]);
    let hostile = Archive::new().file("../../../../etc/shellport-was-here", "x");
    let answer = import(client, &name, hostile.bytes()).await;
    if answer.status.is_success() {
        client
            .delete(&format!("/api/v1/images/{name}"))
            .await
            .expect(200);
    }
    assert!(!std::path::Path::new("/etc/shellport-was-here").exists());
    // What breaks off is nothing, wherever it does.
    let half = files();
    let mut stream = std::net::TcpStream::connect(client.address).unwrap();
    let head = format!(
        "POST /api/v1/images?image={name} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n",
        client.address,
        client.token.as_ref().unwrap(),
        half.len() + 1
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&half).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(!answer.contains(" 201 "), "{answer}");
    let answer = import(client, &name, Vec::new()).await;
    answer.expect_problem(422, "image_not_usable", &[]);
    for (body, word) in [
        (json!({"image": "No Image"}), "is not an image"),
        (json!({"image": "127.0.0.1:9/none:1"}), "127.0.0.1:9"),
    ] {
        let answer = client.post("/api/v1/images", &body).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert!(answer.text().contains(word), "{}", answer.text());
    }
    let answer = client
        .post("/api/v1/images", &json!({"picture": "x"}))
        .await;
    answer.expect_problem(400, "invalid_request", &["picture"]);
    assert_eq!(names(client).await, before);
}
on_backends!(what_is_no_image_is_refused: embedded);

/// The lines of a stream of events.
fn events(answer: &Answer, prefix: &str) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let lines = text.lines().filter(|line| !line.is_empty());
    let parse = |line: &str| serde_json::from_str(line.strip_prefix(prefix).unwrap()).unwrap();
    lines.map(parse).collect()
}

async fn a_pull_tells_how_far_it_is(server: &TestServer) {
    let Some(registry) = registry() else { return };
    let client = &server.client;
    // Others pull and remove another one.
    let image = format!("{registry}/shellport-test/service:1");
    for (kind, prefix) in [
        ("application/x-ndjson", ""),
        ("text/event-stream", "data: "),
    ] {
        let answer = pull(client, kind, &image).await;
        assert_eq!(answer.header("content-type"), kind);
        let told = events(&answer, prefix);
        let (last, before) = told.split_last().unwrap();
        assert_eq!(last["event"], "image", "{last}");
        assert_eq!(last["reference"], *image, "{last}");
        assert!(
            before.iter().all(|it| it["event"] == "progress"),
            "{before:?}"
        );
        let layers = before.last().unwrap()["layers"].as_array().unwrap();
        assert!(layers.iter().all(|it| it["step"] == "done"), "{layers:?}");
    }
    let answer = pull(client, "*/*", &image).await.expect(200);
    assert_eq!(answer["reference"], *image);
    let answer = pull(
        client,
        "application/x-ndjson",
        &format!("{registry}/none:1"),
    )
    .await;
    let told = events(&answer, "");
    let last = told.last().unwrap();
    assert_eq!(
        (&last["event"], &last["code"]),
        (&json!("problem"), &json!("image_not_available"))
    );
    client
        .delete(&format!("/api/v1/images/{image}"))
        .await
        .expect(200);
}
on_backends!(a_pull_tells_how_far_it_is: embedded);

async fn an_engines_images_are_its_own(server: &TestServer) {
    let answer = server.client.get("/api/v1/images").await;
    answer.expect_problem(501, "images_elsewhere", &["--runtime oci"]);
}
on_backends!(an_engines_images_are_its_own: docker, process);
