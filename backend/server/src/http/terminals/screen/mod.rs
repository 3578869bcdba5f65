//! `/api/v1/sessions/{id}/terminals/{terminal}/screen`: what a terminal shows, for programs.

mod html;
mod model;
mod paint;
mod svg;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shellport_screen::{Line, Screen};
use shellport_wire::viewer::{Size, Start};
use tokio::task::yield_now;
use tokio::time::timeout;
use utoipa::IntoParams;

use self::model::TerminalScreen;
use super::{Joining, find, nonsense};
use crate::agent::{AgentError, News, Watch};
use crate::http::App;
use crate::http::extract::{InPath, Names, Params};
use crate::http::problem::Problem;

/// How long drawing a screen may take.
const DRAWING: Duration = Duration::from_secs(10);

/// How much is drawn at once, in bytes.
const SLICE: usize = 256;

/// The most cells of an answer that tells how each looks.
const MAX_CELLS: i64 = 256 * 1024;

/// What such a picture may load: nothing, and it brings its own style.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";

/// Which lines.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ScreenParams {
    /// The first line: 0 is the first on the screen, which is meant when absent; -1 is the last that has scrolled
    /// off, and so on.
    from: Option<i64>,
    /// The line before which it ends; behind the last when absent.
    to: Option<i64>,
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    Html,
    Svg,
}

impl Form {
    /// The first of the forms that a client accepts; text for one that takes anything.
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let accepted: Vec<String> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|range| {
                range
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_ascii_lowercase()
            })
            .collect();
        if accepted.is_empty() {
            return Ok(Self::Text);
        }
        let form = accepted.iter().find_map(|kind| match kind.as_str() {
            "text/plain" | "text/*" | "*/*" => Some(Self::Text),
            "application/json" => Some(Self::Json),
            "text/html" => Some(Self::Html),
            "image/svg+xml" | "image/*" => Some(Self::Svg),
            _ => None,
        });
        form.ok_or_else(|| {
            let detail =
                "Accept: here it can be text/plain, application/json, text/html or image/svg+xml";
            Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", detail)
        })
    }
}

/// Returns what a terminal shows.
///
/// `Accept` decides how: `text/plain`, which is also for those who take anything, has the lines without blanks at
/// their ends; `application/json` has everything that is known; `text/html` and `image/svg+xml` are pictures.
/// Looking changes nothing, and starts no terminal.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/terminals/{terminal}/screen", tag = "terminals",
    params(("id" = String, Path, description = "The session"), ("terminal" = String, Path, description = "The terminal"), ScreenParams),
    responses(
        (status = 200, content(
            (String = "text/plain"),
            (TerminalScreen = "application/json"),
            (String = "text/html"),
            (String = "image/svg+xml"),
        )),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn screen(
    State(app): State<App>,
    InPath(session): InPath,
    Names { terminal, .. }: Names,
    Params(params): Params<ScreenParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = Form::of(&headers)?;
    find(&app, &session, &terminal).await?;
    let mut watch = Joining::new(&terminal).join(&app, &session).await?;
    let screen = drawn(&mut watch).await?;
    let rows = i64::from(screen.size().1);
    let numbers = params.from.unwrap_or(0)..params.to.unwrap_or(rows);
    let history = i64::try_from(screen.history()).unwrap_or(i64::MAX);
    let lines = numbers
        .end
        .min(rows)
        .saturating_sub(numbers.start.max(-history));
    let cells = lines.saturating_mul(i64::from(screen.size().0));
    if form != Form::Text && cells > MAX_CELLS {
        let detail = format!(
            "from: these are {cells} cells; the most is {MAX_CELLS}: ask for fewer lines, or for text"
        );
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(Problem::new(status, "too_large", detail).with_field("from"));
    }
    Ok(match form {
        Form::Text => text(&screen.lines(numbers)).into_response(),
        Form::Json => {
            Json(TerminalScreen::new(&terminal, &watch, &screen, numbers)).into_response()
        }
        Form::Html => picture("text/html; charset=utf-8", html::write(&screen, numbers)),
        Form::Svg => picture("image/svg+xml", svg::write(&screen, numbers)),
    })
}

/// The screen of a terminal that has just been joined.
///
/// # Errors
/// Those of the connection, and an agent that takes too long.
pub async fn drawn(watch: &mut Watch) -> Result<Screen, Problem> {
    let size = watch.hello.size;
    if watch.hello.start != Start::Snapshot {
        return Ok(Screen::new(size.cols, size.rows));
    }
    let drawing = async {
        loop {
            match watch.next().await? {
                News::Screen(size, bytes) => {
                    let mut screen = Screen::new(size.cols, size.rows);
                    draw(&mut screen, &bytes).await?;
                    return Ok(screen);
                }
                News::Output(..) | News::Exit(_) => return Err(nonsense()),
                _ => {}
            }
        }
    };
    let drawn = timeout(DRAWING, drawing).await;
    drawn.unwrap_or_else(|_| Err(AgentError::Silent.into()))
}

/// Draws what comes from a sandbox: in slices, so that whoever else has something to do gets their turn, whatever it is
/// that is drawn. Whoever asked something in it has their answer from elsewhere.
///
/// # Errors
/// When the emulator fails, which costs this screen and nothing else.
pub async fn draw(screen: &mut Screen, output: &[u8]) -> Result<(), Problem> {
    for slice in output.chunks(SLICE) {
        guarded(screen, |screen| {
            screen.advance(slice);
            screen.take_answers();
            screen.take_said();
        })
        .await?;
    }
    Ok(())
}

/// Gives it another size.
///
/// # Errors
/// As [`draw`].
pub async fn resize(screen: &mut Screen, size: Size) -> Result<(), Problem> {
    guarded(screen, |screen| screen.resize(size.cols, size.rows)).await
}

async fn guarded(screen: &mut Screen, work: impl FnOnce(&mut Screen)) -> Result<(), Problem> {
    if catch_unwind(AssertUnwindSafe(|| work(screen))).is_err() {
        let detail = "the terminal's screen cannot be drawn".to_owned();
        return Err(AgentError::Nonsense(detail).into());
    }
    yield_now().await;
    Ok(())
}

/// Lines as text, without blanks at their ends.
pub fn text(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(line.text().trim_end());
        text.push('\n');
    }
    text
}

fn picture(kind: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_is_accepted_is_taken() {
        let of = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            Form::of(&headers).ok()
        };
        assert_eq!(Form::of(&HeaderMap::new()).ok(), Some(Form::Text));
        assert_eq!(of("*/*"), Some(Form::Text));
        assert_eq!(
            of("text/html,application/xml;q=0.9,*/*;q=0.8"),
            Some(Form::Html)
        );
        assert_eq!(of("image/avif,image/svg+xml"), Some(Form::Svg));
        assert_eq!(of("application/json"), Some(Form::Json));
        assert_eq!(of("audio/ogg"), None);
    }
}
