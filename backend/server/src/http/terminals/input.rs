//! `/api/v1/sessions/{id}/terminals/{terminal}/input`: typing, for programs.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::ToSchema;

use super::screen::drawn;
use super::{Joining, keys};
use crate::http::App;
use crate::http::attach::check_client;
use crate::http::extract::{Body, InPath, Names};
use crate::http::problem::Problem;

/// How long a program may take to read what is typed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Around what is pasted, where the program wants to know (mode 2004).
const BRACKETS: [&str; 2] = ["\x1b[200~", "\x1b[201~"];

/// What is typed: the text, and then the keys.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TypeInput {
    /// Text, as it is. A line of the shell ends with the key `Enter`.
    #[serde(default)]
    text: String,
    /// Whether the text is pasted: where the program asks for it, it is put in brackets, so that nothing in it is taken
    /// for a key.
    #[serde(default)]
    paste: bool,
    /// Keys by name: a character, or `Enter`, `Tab`, `Escape`, `Backspace`, `Space`, `Up`, `Down`, `Left`, `Right`,
    /// `Home`, `End`, `PageUp`, `PageDown`, `Insert`, `Delete`, `F1` to `F12`; with `Ctrl+`, `Alt+` or `Shift+`
    /// before it.
    #[serde(default)]
    #[schema(example = json!(["Enter"]))]
    keys: Vec<String>,
    /// Who types: letters, digits, hyphens and underscores. What one client types is counted.
    client: Option<String>,
    /// How much this client has typed before, in bytes, so that a request that is made again types nothing twice.
    sequence: Option<u64>,
}

/// What has been typed.
#[derive(Serialize, ToSchema)]
pub struct Typed {
    /// The offset of the terminal's output before it was: what comes after it may be the answer.
    offset: u64,
    /// How much this client has typed now, in bytes.
    sequence: u64,
}

/// Types into a terminal, without becoming its writer.
///
/// The answer comes when the terminal has taken all of it. With `client` and `sequence` a request can be made again:
/// what had arrived is not typed again.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/terminals/{terminal}/input", tag = "terminals",
    params(("id" = String, Path, description = "The session"), ("terminal" = String, Path, description = "The terminal")),
    request_body = TypeInput,
    responses(
        (status = 200, body = Typed),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn give(
    State(app): State<App>,
    InPath(session): InPath,
    Names { terminal, .. }: Names,
    body: Body<TypeInput>,
) -> Result<Json<Typed>, Problem> {
    let _in_use = session.activity().begin();
    let wish = body.value;
    check_client(wish.client.as_deref())?;
    if wish.sequence.is_some() && wish.client.is_none() {
        let detail = "sequence: it is counted for a client; give client as well";
        return Err(Problem::invalid(detail).with_field("sequence"));
    }
    // Before anything is started or typed.
    wish.bytes(false, false)?;
    let joining = Joining::new(&terminal).typing(wish.client.clone());
    let mut watch = joining.join(&app, &session).await?;
    let offset = watch.hello.offset;
    let screen = drawn(&mut watch).await?;
    let bytes = wish.bytes(
        screen.has_bracketed_paste(),
        screen.has_application_cursor(),
    )?;
    let known = watch.hello.sequence;
    let sequence = wish.sequence.unwrap_or(known);
    if sequence > known {
        let detail = format!("sequence: it is {sequence}, and the next is {known}");
        let problem = Problem::new(StatusCode::CONFLICT, "wrong_sequence", detail);
        return Err(problem.with_field("sequence"));
    }
    let typed = timeout(PATIENCE, watch.type_in(&bytes, sequence)).await;
    let typed = typed.map_err(|_| {
        let detail = "the program in the terminal reads nothing, and what was typed before fills what there is room for";
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "input_stuck", detail)
    })?;
    if typed?.is_some() {
        let detail = format!("the program of terminal {terminal:?} has ended");
        return Err(Problem::new(StatusCode::CONFLICT, "terminal_ended", detail));
    }
    Ok(Json(Typed {
        offset,
        sequence: sequence + bytes.len() as u64,
    }))
}

impl TypeInput {
    /// What is sent for it, by what the program has asked for.
    fn bytes(&self, brackets: bool, application: bool) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        if self.paste && brackets {
            // Nothing that is pasted ends the brackets: an escape is shown and does nothing.
            let text = self.text.replace('\x1b', "\u{241b}");
            bytes.extend([BRACKETS[0], &text, BRACKETS[1]].concat().into_bytes());
        } else {
            bytes.extend_from_slice(self.text.as_bytes());
        }
        for (index, name) in self.keys.iter().enumerate() {
            let key = keys::encode(name, application).ok_or_else(|| {
                let field = format!("keys[{index}]");
                let detail = format!(
                    "{field}: there is no key {name:?}; one is a character, or a name such as Enter, Ctrl+C, \
                     Alt+x, Shift+Tab, Up, PageDown or F1"
                );
                Problem::invalid(detail).with_field(field)
            })?;
            bytes.extend(key);
        }
        if bytes.is_empty() {
            let detail = "text: give text, keys, or both";
            return Err(Problem::invalid(detail).with_field("text"));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_pasted_gets_out_of_its_brackets() {
        let typed = TypeInput {
            text: "\x1b[20\x1b[201~1~rm -rf x\n".to_owned(),
            paste: true,
            keys: vec!["Up".to_owned()],
            ..TypeInput::default()
        };
        let bytes = String::from_utf8(typed.bytes(true, true).unwrap()).unwrap();
        let inside = bytes.strip_prefix(BRACKETS[0]).unwrap();
        let (inside, behind) = inside.split_once(BRACKETS[1]).unwrap();
        assert!(
            inside.ends_with("rm -rf x\n") && !inside.contains('\x1b'),
            "{inside:?}"
        );
        assert_eq!(behind, "\x1bOA");
        // A program that does not ask for brackets gets it as it is.
        assert!(
            typed
                .bytes(false, false)
                .unwrap()
                .starts_with(typed.text.as_bytes())
        );
    }
}
