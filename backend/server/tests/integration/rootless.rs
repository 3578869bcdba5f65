//! What is particular to servers of ordinary users.

use crate::support::backend::Backend;
use crate::support::child::ChildServer;
use crate::support::rootless::{is_outside, rerun};
use crate::support::server::directory;
use crate::support::wait::ok;

/// The program itself becomes root of a namespace; a second one has another, and the same ids.
async fn one_server_goes_on_for_another(single: bool) {
    let directory = directory();
    let start = async || ChildServer::start(directory.path(), Backend::Embedded, &[]).await;
    let Some(server) = start().await else { return };
    let session = server.client.session().await;
    let view = server.client.look(&session).await;
    let expected = if single {
        serde_json::json!(["no_limits", "one_user"])
    } else {
        serde_json::json!(["no_limits"])
    };
    assert_eq!(view["limitations"], expected, "{view}");
    let info = server.client.get("/api/v1/info").await;
    assert_eq!(info.expect(200)["runtime"]["limitations"], expected);
    // Files of another user, which are to be removed by another server.
    let line =
        "mkdir /own && echo kept >/own/file && { chown -R 1000 /own && chmod 700 /own || true; }";
    server.client.output(&session, line).await;
    server.kill().await;
    let server = start().await.unwrap();
    let line = "cat /own/file && stat -c %u /own";
    let expected = if single { "kept\n0" } else { "kept\n1000" };
    assert_eq!(server.client.output(&session, line).await, expected);
    let processes = server
        .client
        .output(&session, "kill -9 1; echo still")
        .await;
    assert_eq!(processes, "still");
    server.client.remove(&session).await;
    server.terminate().await;
    for name in ["sandboxes", "run"] {
        let left = std::fs::read_dir(directory.path().join(name));
        assert_eq!(ok("a list", left).count(), 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_goes_on_for_another_with_further_ids() {
    let test = concat!(
        module_path!(),
        "::one_server_goes_on_for_another_with_further_ids"
    );
    if is_outside("rootless") {
        return rerun("rootless", test, false);
    }
    one_server_goes_on_for_another(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_goes_on_for_another_with_one_id() {
    let test = concat!(
        module_path!(),
        "::one_server_goes_on_for_another_with_one_id"
    );
    if is_outside("rootless_single") {
        return rerun("rootless_single", test, false);
    }
    one_server_goes_on_for_another(true).await;
}
