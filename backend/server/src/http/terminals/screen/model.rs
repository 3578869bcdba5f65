//! A screen as JSON.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use shellport_screen::{Color, Line, Link, Look, Run, Screen};
use utoipa::ToSchema;

use crate::agent::Watch;

/// What a terminal shows.
#[derive(Serialize, ToSchema)]
pub struct TerminalScreen {
    /// The terminal's name.
    terminal: String,
    /// Output before this offset has been drawn.
    offset: u64,
    /// Its width in cells.
    cols: u16,
    /// Its height in cells.
    rows: u16,
    /// The title that its program set last.
    title: String,
    /// Where the shell is, as it says itself (OSC 7): a file address.
    directory: Option<String>,
    /// Whether it is the screen of a program that takes all of it, such as an editor.
    alternate: bool,
    /// Whether the shell waits for a command, where it marks its prompts (OSC 133).
    at_prompt: bool,
    /// Where the cursor is.
    cursor: ScreenCursor,
    /// How many lines have scrolled off and are kept: the first has the number `-history`.
    history: usize,
    /// The number of the first of the lines.
    from: i64,
    /// The lines.
    lines: Vec<ScreenLine>,
    /// Where links in them lead (OSC 8).
    links: Vec<String>,
}

/// Where a cursor is.
#[derive(Serialize, ToSchema)]
pub struct ScreenCursor {
    /// Its column, from 0; `cols` behind a line that is full.
    x: usize,
    /// Its line, from 0.
    y: usize,
    /// Whether it is shown.
    visible: bool,
}

/// A line of a screen.
#[derive(Serialize, ToSchema)]
pub struct ScreenLine {
    /// Its text, without blanks at the end.
    text: String,
    /// Whether it goes on with what did not fit the one before.
    wrapped: bool,
    /// Its cells: those beside each other that look the same are one.
    cells: Vec<ScreenCells>,
}

/// Cells in a row that look the same. Looks that are absent are the terminal's own.
#[derive(Serialize, ToSchema)]
pub struct ScreenCells {
    /// What they show.
    text: String,
    /// The column of the first, from 0.
    x: usize,
    /// How many cells they are: twice as many as characters where those are wide.
    cols: usize,
    /// The colour of the text: `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    fg: Option<String>,
    /// The colour behind it: `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    bg: Option<String>,
    /// How else they look: `bold`, `dim`, `italic`, `blink`, `inverse`, `invisible`, `strike`, `overline`, and
    /// `underline`, `double-underline`, `curly-underline`, `dotted-underline` or `dashed-underline`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    look: Vec<&'static str>,
    /// Where they lead: a place among `links`, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<usize>,
}

/// Each link once.
#[derive(Default)]
struct Links {
    all: Vec<String>,
    places: HashMap<Arc<Link>, usize>,
}

impl Links {
    fn place(&mut self, link: &Arc<Link>) -> usize {
        *self.places.entry(Arc::clone(link)).or_insert_with(|| {
            self.all.push(link.uri.clone());
            self.all.len() - 1
        })
    }
}

impl TerminalScreen {
    /// These lines of a screen that has just been drawn.
    pub fn new(terminal: &str, watch: &Watch, screen: &Screen, numbers: Range<i64>) -> Self {
        let (cols, rows) = screen.size();
        let cursor = screen.cursor();
        let history = screen.history();
        let first = i64::try_from(history).map_or(i64::MIN, |history| -history);
        let directory = screen.directory();
        let mut links = Links::default();
        let lines = screen.lines(numbers.clone()).into_iter();
        let lines = lines.map(|line| ScreenLine::new(screen, line, &mut links));
        Self {
            lines: lines.collect(),
            links: links.all,
            terminal: terminal.to_owned(),
            offset: watch.offset,
            cols,
            rows,
            title: screen.title().to_owned(),
            directory: (!directory.is_empty()).then(|| directory.to_owned()),
            alternate: screen.is_alternate(),
            at_prompt: screen.is_at_prompt(),
            cursor: ScreenCursor {
                x: cursor.x,
                y: cursor.y,
                visible: cursor.is_visible,
            },
            history,
            from: numbers.start.max(first),
        }
    }
}

impl ScreenLine {
    fn new(screen: &Screen, line: Line, links: &mut Links) -> Self {
        Self {
            text: line.text().trim_end().to_owned(),
            wrapped: line.is_wrapped,
            cells: line
                .runs
                .into_iter()
                .map(|run| ScreenCells::new(screen, run, links))
                .collect(),
        }
    }
}

impl ScreenCells {
    fn new(screen: &Screen, run: Run, links: &mut Links) -> Self {
        let color = |color: Color| {
            let rgb = screen.rgb(color);
            rgb.map(|[r, g, b]| format!("#{r:02x}{g:02x}{b:02x}"))
        };
        Self {
            fg: color(run.look.foreground),
            bg: color(run.look.background),
            look: words(&run.look),
            link: run.look.link.map(|link| links.place(&link)),
            text: run.text,
            x: run.x,
            cols: run.columns,
        }
    }
}

fn words(look: &Look) -> Vec<&'static str> {
    let underlines = [
        "",
        "underline",
        "double-underline",
        "curly-underline",
        "dotted-underline",
        "dashed-underline",
    ];
    let underline = underlines.get(usize::from(look.underline)).copied();
    let flags = [
        (look.bold, "bold"),
        (look.dim, "dim"),
        (look.italic, "italic"),
        (look.underline > 0, underline.unwrap_or("underline")),
        (look.blink, "blink"),
        (look.inverse, "inverse"),
        (look.invisible, "invisible"),
        (look.strike, "strike"),
        (look.overline, "overline"),
    ];
    let set = flags.into_iter().filter(|(is_set, _)| *is_set);
    set.map(|(_, word)| word).collect()
}
