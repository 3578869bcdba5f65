//! `/api/v1/sessions/{id}/terminals/{terminal}/wait`: until a terminal shows something, or is done.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use shellport_screen::{Plain, Screen};
use shellport_wire::viewer::Start;
use tokio::time::{Instant, sleep_until, timeout};
use utoipa::ToSchema;

use super::Joining;
use super::screen::{draw, drawn, resize};
use crate::agent::{News, Watch};
use crate::http::App;
use crate::http::extract::{Body, InPath, Names};
use crate::http::model::{Duration as DurationText, Exit};
use crate::http::problem::Problem;
use crate::policy::resolve_time;

/// How long it waits, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a match at the end of what has come may go on.
const SETTLING: Duration = Duration::from_millis(100);

/// How much of the output is looked at together, in bytes of text.
const KEPT: usize = 64 * 1024;

/// The most bytes that a regular expression may come to.
const MAX_REGEX: usize = 1024 * 1024;

/// What to wait for: whatever comes first of what is given.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitForTerminal {
    /// This text.
    text: Option<String>,
    /// What matches this regular expression (of the Rust crate `regex`; `^` and `$` are those of lines).
    #[schema(example = r"(\d+) passed")]
    regex: Option<String>,
    /// No output for so long.
    idle: Option<DurationText>,
    /// The shell's prompt, where it marks it (OSC 133).
    #[serde(default)]
    prompt: bool,
    /// The end of the program, which ends every wait.
    #[serde(default)]
    exit: bool,
    /// Only what is put out from this offset on counts: text as it was written, without what moves the cursor. When
    /// absent, what the screen shows counts, now or when it changes.
    since: Option<u64>,
    /// How long to wait; `30s` when absent.
    timeout: Option<DurationText>,
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// The text is there.
    Text,
    /// Something matches.
    Regex,
    /// There was no output for so long.
    Idle,
    /// The shell waits for a command.
    Prompt,
    /// The program has ended.
    Exit,
    /// None of them came in time.
    Timeout,
}

/// What has come.
#[derive(Serialize, ToSchema)]
pub struct Waited {
    /// Which of them.
    reason: WaitReason,
    /// The offset behind it: `since` for what comes after.
    offset: u64,
    /// The text that was waited for, or what has matched.
    matched: Option<String>,
    /// What the groups of the regular expression have matched.
    groups: Vec<Option<String>>,
    /// The output before it, from `since` or from the begin of the wait on; the last 64 KiB of it.
    before: Option<String>,
    /// Bytes of output that are no longer kept and were not looked at.
    missed: u64,
    /// How the program ended, when it has.
    exit: Option<Exit>,
}

/// Waits for a terminal.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/terminals/{terminal}/wait", tag = "terminals",
    params(("id" = String, Path, description = "The session"), ("terminal" = String, Path, description = "The terminal")),
    request_body = WaitForTerminal,
    responses(
        (status = 200, body = Waited),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn wait(
    State(app): State<App>,
    InPath(session): InPath,
    Names { terminal, .. }: Names,
    body: Body<WaitForTerminal>,
) -> Result<Json<Waited>, Problem> {
    let _in_use = session.activity().begin();
    let wish = body.value;
    let since = wish.since;
    let limit = wish.timeout.map(|limit| limit.0);
    let limit = limit
        .and(resolve_time("timeout", limit, Some(app.limits.max_exec))?)
        .unwrap_or(PATIENCE);
    let sought = Sought::new(wish)?;
    let joining = Joining::new(&terminal).since(since);
    let mut watch = joining.join(&app, &session).await?;
    if let Some(since) = since
        && watch.hello.start == Start::Snapshot
    {
        let end = watch.hello.offset;
        let detail = format!("since: it is {since}, and there are {end} bytes of output");
        return Err(Problem::new(StatusCode::CONFLICT, "wrong_offset", detail).with_field("since"));
    }
    let screen = match since {
        None => Some(drawn(&mut watch).await?),
        Some(_) => None,
    };
    let mut wait = Wait {
        sought,
        screen,
        plain: Plain::default(),
        context: 0,
        missed: 0,
        pending: None,
    };
    let waited = tokio::select! {
        waited = timeout(limit, wait.until(&mut watch)) => waited,
        () = app.draining.cancelled() => return Err(Problem::shutting_down()),
    };
    let over = waited.unwrap_or_else(|_| Ok(wait.over(WaitReason::Timeout)))?;
    Ok(Json(wait.tell(over, watch.offset)))
}

/// What is waited for, checked.
struct Sought {
    text: Option<String>,
    regex: Option<Regex>,
    idle: Option<Duration>,
    prompt: bool,
}

impl Sought {
    fn new(wish: WaitForTerminal) -> Result<Self, Problem> {
        let invalid = |field: &str, detail: String| Err(Problem::invalid(detail).with_field(field));
        let regex = match wish.regex.as_deref() {
            None => None,
            Some(text) => {
                let built = RegexBuilder::new(text)
                    .multi_line(true)
                    .size_limit(MAX_REGEX)
                    .build();
                match built {
                    Ok(regex) => Some(regex),
                    Err(error) => return invalid("regex", format!("regex: {error}")),
                }
            }
        };
        if wish.text.as_deref() == Some("") {
            return invalid(
                "text",
                "text: it is empty, which is always there".to_owned(),
            );
        }
        let any = wish.text.is_some() || regex.is_some() || wish.idle.is_some();
        if !any && !wish.prompt && !wish.exit {
            let detail = "text: give what to wait for: text, regex, idle, prompt or exit";
            return invalid("text", detail.to_owned());
        }
        Ok(Self {
            text: wish.text,
            regex,
            idle: wish.idle.map(|idle| idle.0),
            prompt: wish.prompt,
        })
    }

    /// The first of them in `text`, of which the first `context` bytes are only what comes before: which it is, and where.
    fn find(&self, text: &str, context: usize) -> Option<Found> {
        let place = self.text.as_deref().and_then(|sought| {
            let from = context + text.get(context..)?.find(sought)?;
            Some(Found {
                reason: WaitReason::Text,
                place: from..from + sought.len(),
                groups: Vec::new(),
            })
        });
        let matched = self.regex.as_ref().and_then(|regex| {
            let captures = regex.captures_at(text, context)?;
            let groups = captures.iter().skip(1);
            Some(Found {
                reason: WaitReason::Regex,
                place: captures.get(0)?.range(),
                groups: groups
                    .map(|it| it.map(|it| it.as_str().to_owned()))
                    .collect(),
            })
        });
        let both = place.into_iter().chain(matched);
        both.min_by_key(|found| found.place.start)
    }
}

/// Something that was waited for, in a text.
struct Found {
    reason: WaitReason,
    place: std::ops::Range<usize>,
    groups: Vec<Option<String>>,
}

/// The end of a wait.
struct Over {
    reason: WaitReason,
    matched: Option<String>,
    groups: Vec<Option<String>>,
    /// Up to where the output is that came before it, and the offset behind it; all that came when absent.
    place: Option<(usize, u64)>,
    exit: Option<Exit>,
    /// Nothing that comes next changes it. What matches up to the end of what has come may go on.
    is_settled: bool,
}

impl Over {
    fn of(reason: WaitReason) -> Self {
        Self {
            reason,
            matched: None,
            groups: Vec::new(),
            place: None,
            exit: None,
            is_settled: true,
        }
    }

    fn found(found: Found, text: &str, offset: Option<u64>) -> Self {
        Self {
            is_settled: found.reason == WaitReason::Text || found.place.end < text.len(),
            matched: text.get(found.place.clone()).map(str::to_owned),
            place: offset.map(|offset| (found.place.start, offset)),
            groups: found.groups,
            ..Self::of(found.reason)
        }
    }
}

struct Wait {
    sought: Sought,
    /// As long as what it shows counts.
    screen: Option<Screen>,
    plain: Plain,
    /// How much of it is kept only so that a line does not begin where it was cut.
    context: usize,
    missed: u64,
    /// What has been found, and since when something has.
    pending: Option<(Over, Instant)>,
}

impl Wait {
    async fn until(&mut self, watch: &mut Watch) -> Result<Over, Problem> {
        let mut quiet_since = Instant::now();
        self.look();
        loop {
            let over = match &self.pending {
                Some((over, since)) => {
                    if over.is_settled || self.plain.text().len() > KEPT {
                        return Ok(self.over(WaitReason::Timeout));
                    }
                    Some(*since + SETTLING)
                }
                None => None,
            };
            let quiet = self.sought.idle.map(|idle| quiet_since + idle);
            let news = tokio::select! {
                news = watch.next() => news?,
                () = at(over) => return Ok(self.over(WaitReason::Timeout)),
                () = at(quiet) => return Ok(self.over(WaitReason::Idle)),
            };
            match news {
                News::Output(offset, bytes) => {
                    quiet_since = Instant::now();
                    self.plain.advance(&bytes, offset);
                    self.context = self.context.min(self.plain.text().len());
                    if let Some(screen) = &mut self.screen {
                        draw(screen, &bytes).await?;
                    }
                    self.look();
                    if self.pending.is_none() {
                        self.forget();
                    }
                }
                News::Size(size) => {
                    if let Some(screen) = &mut self.screen {
                        resize(screen, size).await?;
                    }
                }
                // What comes next does not follow what came before.
                News::Screen(..) | News::Gap(_) if self.pending.is_some() => {
                    return Ok(self.over(WaitReason::Timeout));
                }
                News::Screen(size, bytes) => {
                    self.begin_anew();
                    if let Some(screen) = &mut self.screen {
                        *screen = Screen::new(size.cols, size.rows);
                        draw(screen, &bytes).await?;
                    }
                    self.look();
                }
                News::Gap(bytes) => {
                    self.begin_anew();
                    self.missed += bytes;
                }
                News::Exit(exit) => {
                    let mut over = self.over(WaitReason::Exit);
                    if over.reason == WaitReason::Exit {
                        over.exit = Some(exit.into());
                    }
                    return Ok(over);
                }
                News::Applied | News::Nothing => {}
            }
        }
    }

    /// The end of the wait: what has been found, or else this.
    fn over(&mut self, reason: WaitReason) -> Over {
        let found = self.pending.take().map(|(over, _)| over);
        found.unwrap_or_else(|| Over::of(reason))
    }

    /// Looks for what is waited for. What was found before may have gone on, or have turned out to be something else.
    fn look(&mut self) {
        let since = self.pending.take().map(|(_, since)| since);
        let found = self.find();
        self.pending = found.map(|over| (over, since.unwrap_or_else(Instant::now)));
    }

    /// Forgets what is too much, but for the character before it.
    fn forget(&mut self) {
        let before = self.plain.text().len();
        self.plain.forget(KEPT);
        if self.plain.text().len() < before {
            let first = self.plain.text().chars().next();
            self.context = first.map_or(0, char::len_utf8);
        }
    }

    fn begin_anew(&mut self) {
        self.plain = Plain::default();
        self.context = 0;
    }

    /// What is there of what is waited for.
    fn find(&self) -> Option<Over> {
        let text = self.plain.text();
        if let Some(found) = self.sought.find(text, self.context) {
            let offset = self.plain.offset(found.place.end.saturating_sub(1));
            return Some(Over::found(found, text, offset));
        }
        let mut marks = self.plain.marks().iter();
        let prompt = marks.find(|it| it.mark.starts_with(['A', 'P']));
        if let Some(prompt) = prompt.filter(|_| self.sought.prompt) {
            let mut over = Over::of(WaitReason::Prompt);
            over.place = Some((prompt.at, prompt.offset));
            return Some(over);
        }
        let screen = self.screen.as_ref()?;
        if self.sought.prompt && screen.is_at_prompt() {
            return Some(Over::of(WaitReason::Prompt));
        }
        let shown = screen.shown_text();
        let found = self.sought.find(&shown, 0)?;
        Some(Over::found(found, &shown, None))
    }

    fn tell(&self, over: Over, offset: u64) -> Waited {
        let text = self.plain.text();
        let (end, offset) = over.place.unwrap_or((text.len(), offset));
        Waited {
            reason: over.reason,
            offset,
            matched: over.matched,
            groups: over.groups,
            before: text.get(..end).map(str::to_owned),
            missed: self.missed,
            exit: over.exit,
        }
    }
}

/// Returns at `instant`; never when there is none.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_at_the_end_may_go_on() {
        let wish = WaitForTerminal {
            regex: Some(r"^total: (\d+)$".to_owned()),
            ..WaitForTerminal::default()
        };
        let mut wait = Wait {
            sought: Sought::new(wish).unwrap(),
            screen: None,
            plain: Plain::default(),
            context: 0,
            missed: 0,
            pending: None,
        };
        let mut offset = 0;
        let mut come = |wait: &mut Wait, output: &str| {
            wait.plain.advance(output.as_bytes(), offset);
            offset += output.len() as u64;
            wait.look();
            let (over, _) = wait.pending.as_ref()?;
            Some((over.groups.clone(), over.is_settled))
        };
        let groups = |text: &str| vec![Some(text.to_owned())];
        assert_eq!(come(&mut wait, "total: "), None);
        assert_eq!(come(&mut wait, "12"), Some((groups("12"), false)));
        assert_eq!(come(&mut wait, "34"), Some((groups("1234"), false)));
        assert_eq!(come(&mut wait, "\r"), None, "it was no line");
        assert_eq!(come(&mut wait, "\n"), Some((groups("1234"), true)));
        let over = wait.over(WaitReason::Timeout);
        assert_eq!(wait.tell(over, 99).offset, 11);
    }

    #[test]
    fn what_is_forgotten_leaves_a_trace() {
        let wish = WaitForTerminal {
            regex: Some("^x".to_owned()),
            ..WaitForTerminal::default()
        };
        let mut wait = Wait {
            sought: Sought::new(wish).unwrap(),
            screen: None,
            plain: Plain::default(),
            context: 0,
            missed: 0,
            pending: None,
        };
        // One line, of which the begin is forgotten: no line begins where it was cut.
        let long = format!("y{}", "x".repeat(KEPT + 10));
        wait.plain.advance(long.as_bytes(), 0);
        wait.look();
        assert!(wait.pending.is_none());
        wait.forget();
        wait.look();
        assert!(wait.pending.is_none());
        // Taken back altogether, it is no reason to look beyond the end.
        wait.plain.advance(&vec![0x08; 2 * KEPT], 0);
        wait.context = wait.context.min(wait.plain.text().len());
        wait.look();
        assert!(wait.pending.is_none());
    }

    #[test]
    fn the_first_that_is_found_is_told() {
        let wish = |text: Option<&str>, regex: &str| WaitForTerminal {
            text: text.map(str::to_owned),
            regex: Some(regex.to_owned()),
            ..WaitForTerminal::default()
        };
        let sought = Sought::new(wish(Some("b"), "^(c)(x)?")).unwrap();
        assert!(sought.find("a c", 0).is_none());
        assert!(sought.find("xc", 1).is_none(), "no line begins there");
        let found = sought.find("a\nc b", 0).unwrap();
        assert_eq!((found.reason, found.place), (WaitReason::Regex, 2..3));
        assert_eq!(found.groups, [Some("c".to_owned()), None]);
        assert_eq!(sought.find("b\nc", 0).unwrap().reason, WaitReason::Text);
        let field = |wish| Sought::new(wish).err().unwrap().field;
        assert_eq!(field(wish(None, "(")).as_deref(), Some("regex"));
        assert_eq!(
            field(wish(None, "a{99999}{9999}")).as_deref(),
            Some("regex")
        );
        assert_eq!(field(wish(Some(""), "a")).as_deref(), Some("text"));
        assert_eq!(field(WaitForTerminal::default()).as_deref(), Some("text"));
    }
}
