//! Tickets, with which browsers open WebSockets.

use serde_json::json;
use shellport_wire::viewer::Role;

use crate::support::backend::on_backends;
use crate::support::http::Client;
use crate::support::server::TestServer;
use crate::support::viewer::Viewer;
use crate::support::wait::ok;
use crate::support::websocket::open;

async fn ticket(client: &Client, session: &str, terminal: &str, role: &str) -> String {
    let path = Client::path(session, &format!("/terminals/{terminal}/tickets"));
    let ticket = client.post(&path, &json!({"role": role})).await.expect(201);
    assert_eq!(ticket["expires_in"], 30, "{ticket}");
    ticket["ticket"].as_str().unwrap().to_owned()
}

async fn a_ticket_opens_one_terminal_once(server: &TestServer) {
    let client = &server.client;
    let (session, other) = tokio::join!(client.session(), client.session());
    let first = ticket(client, &session, "main", "writer").await;
    // 256 random bits.
    assert!(first.len() >= 43, "{first}");
    let mut viewer = ok(
        "a viewer",
        Viewer::with_ticket(client, &session, "main", &first).await,
    );
    viewer.line("echo $((6*7))").await;
    viewer.until("42").await;
    let refused = async |session: &str, terminal: &str, ticket: &str| {
        let refused = Viewer::with_ticket(client, session, terminal, ticket).await;
        let answer = refused.err().expect("a refusal");
        answer.expect_problem(401, "bad_ticket", &["ask for a new one"]);
    };
    refused(&session, "main", &first).await;
    refused(&session, "main", "nonsense").await;
    // For another session, for another terminal; and used up by that.
    let bound = ticket(client, &session, "main", "writer").await;
    refused(&other, "main", &bound).await;
    refused(&session, "main", &bound).await;
    let bound = ticket(client, &session, "main", "writer").await;
    refused(&session, "second", &bound).await;
    // A browser says where its page comes from; whoever does not, has the token.
    let stray = ticket(client, &session, "main", "writer").await;
    let anonymous = Client {
        token: None,
        ..client.clone()
    };
    let offered = format!("shellport.v1, shellport.ticket.{stray}");
    let path = Client::path(&session, "/terminals/main/attach");
    let headers = [("sec-websocket-protocol", &*offered)];
    let Err(answer) = open(&anonymous, &path, &headers).await else {
        panic!("it was accepted");
    };
    answer.expect_problem(403, "no_origin", &["token"]);
    let reader = ticket(client, &session, "main", "reader").await;
    let viewer = ok(
        "a viewer",
        Viewer::with_ticket(client, &session, "main", &reader).await,
    );
    assert_eq!(viewer.hello.role, Role::Reader);
}
on_backends!(a_ticket_opens_one_terminal_once: docker, process, embedded);
