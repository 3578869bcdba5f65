//! A viewer, from the upgrade to the close.

use std::time::Duration;

use axum::extract::ws::WebSocket;
use futures_util::StreamExt;
use shellport_wire::agent::{Attach, RefusalCode, Request};
use shellport_wire::close;
use tokio::time::timeout;

use super::connection::{End, Ended, Heard, Sink, Source};
use super::{framed, plain};
use crate::agent::Link;
use crate::http::App;
use crate::session::{Session, View};

/// How long the news of a session's end may take.
const NEWS: Duration = Duration::from_secs(1);

/// Serves a viewer until its terminal, its session, its client or this server ends.
pub(super) async fn serve(
    app: App,
    session: Session,
    attach: Attach,
    is_framed: bool,
    socket: WebSocket,
) {
    let _in_use = session.activity().begin();
    let _counted = app.metrics.viewer();
    let (mut sink, stream) = socket.split();
    let heard = Heard::new();
    let mut source = Source {
        stream,
        heard: &heard,
    };
    let end = tokio::select! {
        end = work(&app, &session, attach, is_framed, &mut sink, &mut source) => end,
        () = app.draining.cancelled() => End::draining(),
        end = heard.silence() => end,
    };
    end.tell(sink, source).await;
}

async fn work(
    app: &App,
    session: &Session,
    attach: Attach,
    is_framed: bool,
    sink: &mut Sink,
    source: &mut Source<'_>,
) -> End {
    let id = session.view().record.id;
    let role = attach.role;
    let connected = match app.registry.runtime().connect(&id).await {
        Ok(stream) => {
            let mut link = Link::new(stream);
            link.writer
                .message(&Request::Attach(attach))
                .await
                .map(|()| link)
                .map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    let Link { reader, writer } = match connected {
        Ok(link) => link,
        Err(reason) => return lost(session, &reason).await,
    };
    let end = if is_framed {
        framed::run(role, reader, writer, sink, source).await
    } else {
        plain::run(reader, writer, sink, source).await
    };
    match end {
        Ended::Client(end) => end,
        Ended::Exited => End::Close(close::EXITED, "the program has ended".to_owned()),
        Ended::Refused(code, reason) => {
            let code = match code {
                RefusalCode::ShuttingDown => close::SESSION_ENDED,
                RefusalCode::Invalid => close::PROTOCOL_ERROR,
                _ => close::START_FAILED,
            };
            End::Close(code, reason)
        }
        Ended::Agent(reason) => lost(session, &reason).await,
    }
}

/// Without an agent, either the session has ended or only the way to it.
async fn lost(session: &Session, reason: &str) -> End {
    // The end of a session shows on its connections before its driver has seen it.
    let ended = |view: &View| view.deleted || !view.record.state.is_live();
    let _ = timeout(NEWS, session.watch().wait_for(ended)).await;
    let view = session.view();
    if view.deleted || !view.record.state.is_live() {
        let reason = view
            .record
            .message
            .unwrap_or_else(|| "the session has ended".to_owned());
        return End::Close(close::SESSION_ENDED, reason);
    }
    End::Close(close::AGENT_UNREACHABLE, reason.to_owned())
}
