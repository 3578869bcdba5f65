//! What an image says of itself means what it means to Docker.

use serde_json::json;

use crate::support::api::id;
use crate::support::backend::on_backends;
use crate::support::server::TestServer;
use crate::support::viewer::Viewer;
use crate::support::wait::{LONG, until};

async fn user_variables_and_directory_are_the_images(server: &TestServer) {
    let client = &server.client;
    let image = "shellport-test/user:1";
    let session = id(&client.create(json!({"image": image})).await);
    let line = "id -un; id -u; pwd; echo $FOO";
    assert_eq!(client.output(&session, line).await, "app\n1000\n/srv\nbar");
    let mut viewer = Viewer::attach(client, &session, "main", "").await;
    viewer.line("echo [$(id -un) $(pwd) $FOO]").await;
    viewer.until("[app /srv bar]").await;
    // And are the caller's, where the caller has a wish.
    let wish = json!({
        "image": image, "user": "root", "cwd": "/tmp", "env": {"FOO": "baz", "MORE": "x=y z"},
    });
    let session = id(&client.create(wish).await);
    let line = "id -un; pwd; echo $FOO; echo $MORE";
    assert_eq!(
        client.output(&session, line).await,
        "root\n/tmp\nbaz\nx=y z"
    );
    let wish = json!({"shell": "id -un; id -gn; echo $HOME", "user": "app"});
    let outcome = client.exec(&session, wish).await;
    assert_eq!(outcome.stdout_of_success(), "app\napp\n/home/app\n");
}
on_backends!(user_variables_and_directory_are_the_images: docker, podman, exec, embedded, crun, runc, rootless);

async fn an_own_command_runs_beside_the_terminals(server: &TestServer) {
    let client = &server.client;
    let session = client
        .create(json!({"image": "shellport-test/service:1"}))
        .await;
    let session = id(&session);
    let view = until("the command is shown", LONG, async || {
        let view = client.look(&session).await;
        view["main"].is_object().then_some(view)
    })
    .await;
    let argv = json!(["/usr/local/bin/service", "from", "cmd"]);
    assert_eq!(view["main"], json!({"argv": argv, "exit": null}));
    let mut viewer = Viewer::attach(client, &session, "main", "").await;
    viewer.line("echo $((6*7))").await;
    viewer.until("42").await;
    let lines = async || {
        let text = client.shell(&session, "cat /tmp/service.log").await.stdout;
        text.lines()
            .filter(|line| line.ends_with("from cmd"))
            .count()
    };
    let before = lines().await;
    until("its log grows", LONG, async || {
        (lines().await > before).then_some(())
    })
    .await;
    // A stop asks it to end.
    drop(viewer);
    client.stop(&session, "10s").await;
    client.start(&session).await;
    let text = client.output(&session, "cat /tmp/service.log").await;
    assert!(text.contains("stopped"), "{text}");
}
on_backends!(an_own_command_runs_beside_the_terminals: docker, podman, exec, embedded, crun, runc, rootless);

async fn a_command_that_was_asked_for_runs_and_its_end_is_told(server: &TestServer) {
    let client = &server.client;
    let wish = json!({"command": ["sleep", "1"]});
    let session = id(&client.create(wish).await);
    let view = until("its end is told", LONG, async || {
        let view = client.look(&session).await;
        view["main"]["exit"].is_object().then_some(view)
    })
    .await;
    assert_eq!(view["main"]["argv"], json!(["sleep", "1"]), "{view}");
    let exit = json!({"code": 0, "signal": null, "reason": "exited"});
    assert_eq!(view["main"]["exit"], exit);
    assert_eq!(view["state"], "running", "the session goes on: {view}");
}
on_backends!(a_command_that_was_asked_for_runs_and_its_end_is_told: docker, podman, exec, process, embedded, crun, runc, rootless);
