//! Answers that are streams of events: which form a client takes them in, and how they are written.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde::Serialize;

use super::problem::Problem;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object, when everything has come.
    Json,
    /// A stream of them, one a line.
    Lines,
    /// Events as browsers take them.
    Events,
}

/// An event, and what Server-Sent Events tell beside it.
#[derive(Debug)]
pub struct Item<T> {
    /// What happened.
    pub value: T,
    /// What a client that comes back says to go on after it.
    pub id: Option<String>,
}

impl Form {
    /// The first of the forms that a client accepts.
    ///
    /// # Errors
    /// When it takes none of them.
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let mut any = false;
        for range in accepted
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
        {
            any = true;
            let kind = range.split(';').next().unwrap_or_default().trim();
            match kind.to_ascii_lowercase().as_str() {
                "application/x-ndjson" | "application/ndjson" => return Ok(Self::Lines),
                "text/event-stream" => return Ok(Self::Events),
                "application/json" | "application/*" | "*/*" => return Ok(Self::Json),
                _ => {}
            }
        }
        if !any {
            return Ok(Self::Json);
        }
        let detail = "Accept: here it can be application/json, application/x-ndjson or \
                      text/event-stream";
        let status = StatusCode::NOT_ACCEPTABLE;
        Err(Problem::new(status, "not_acceptable", detail))
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        }
    }

    fn encode<T: Serialize>(self, item: &Item<T>) -> Bytes {
        let json = serde_json::to_string(&item.value);
        let json = json.unwrap_or_else(|error| unreachable!("events are plain data: {error}"));
        let text = match (self, &item.id) {
            (Self::Events, Some(id)) => format!("id: {id}\ndata: {json}\n\n"),
            (Self::Events, None) => format!("data: {json}\n\n"),
            (Self::Lines | Self::Json, _) => format!("{json}\n"),
        };
        text.into()
    }

    /// An answer that goes on as long as `items` does.
    pub fn respond<T: Serialize>(
        self,
        items: impl Stream<Item = Item<T>> + Send + 'static,
    ) -> Response {
        let parts = items.map(move |item| Ok::<_, Infallible>(self.encode(&item)));
        let mut response = Body::from_stream(parts).into_response();
        let kind = HeaderValue::from_static(self.content_type());
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Option<Form> {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        Form::of(&headers).ok()
    }

    #[test]
    fn the_first_form_that_is_accepted_is_taken() {
        for (accept, form) in [
            ("", Some(Form::Json)),
            ("*/*", Some(Form::Json)),
            ("application/x-ndjson", Some(Form::Lines)),
            (
                "text/html, Text/Event-Stream;q=0.9, */*",
                Some(Form::Events),
            ),
            ("application/json, text/event-stream", Some(Form::Json)),
            ("text/html", None),
        ] {
            assert_eq!(of(accept), form, "{accept:?}");
        }
    }

    #[test]
    fn events_are_told_where_they_go_on() {
        let item = Item {
            value: 7,
            id: Some("3-4".to_owned()),
        };
        assert_eq!(Form::Events.encode(&item), "id: 3-4\ndata: 7\n\n");
        assert_eq!(Form::Lines.encode(&item), "7\n");
    }
}
