//! A screen written as the bytes that draw it again.
//!
//! The reader is a terminal of the same size that has just been reset. Lines that were wrapped are
//! written through, so that they wrap there as well and can be unwrapped by a later resize.

use std::io::Write;

use alacritty_terminal::Term;
use alacritty_terminal::event::EventListener;
use alacritty_terminal::grid::{Dimensions, Grid, Row};
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags, Hyperlink};
use alacritty_terminal::vte::ansi::{Color, CursorShape, NamedColor, Rgb};

/// The most bytes of scrollback. Lines beyond it are left out, the oldest first.
const MAX_HISTORY: usize = 512 * 1024;

/// Appends the screen of `term` to `out`.
pub fn write<L: EventListener>(term: &mut Term<L>, title: &str, out: &mut Vec<u8>) {
    palette(term, out);
    if term.mode().contains(TermMode::ALT_SCREEN) {
        // Swapping is the only way to the primary screen, and it clears the other one.
        let alternate = term.grid().clone();
        term.swap_alt();
        lines(term.grid(), term.history_size(), out);
        position(term.grid(), out).reset(out);
        term.swap_alt();
        *term.grid_mut() = alternate;
        put(out, "\x1b[?1049h\x1b[H");
        lines(term.grid(), 0, out);
    } else {
        lines(term.grid(), term.history_size(), out);
    }
    position(term.grid(), out);
    cursor_style(term, out);
    modes(*term.mode(), out);
    if !title.is_empty() {
        put(out, &format!("\x1b]2;{title}\x1b\\"));
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Colours that a program has redefined.
fn palette<L: EventListener>(term: &Term<L>, out: &mut Vec<u8>) {
    let set = |index: usize| term.colors()[index];
    let rgb = |Rgb { r, g, b }: Rgb| format!("rgb:{r:02x}/{g:02x}/{b:02x}");
    for index in 0..256 {
        if let Some(color) = set(index) {
            put(out, &format!("\x1b]4;{index};{}\x1b\\", rgb(color)));
        }
    }
    for (index, code) in [
        (NamedColor::Foreground, 10),
        (NamedColor::Background, 11),
        (NamedColor::Cursor, 12),
    ] {
        if let Some(color) = set(index as usize) {
            put(out, &format!("\x1b]{code};{}\x1b\\", rgb(color)));
        }
    }
}

/// The lines of `grid`, with up to `history` lines of scrollback before them.
fn lines(grid: &Grid<Cell>, history: usize, out: &mut Vec<u8>) {
    let mut drawn: Vec<Vec<u8>> = Vec::new();
    let mut pen = Pen::default();
    let first = -i32::try_from(history).unwrap_or(0);
    let last = i32::try_from(grid.screen_lines()).expect("at most MAX_SIDE") - 1;
    let mut continues = false;
    for index in first..=last {
        let mut line = Vec::new();
        let wraps = index < last && wraps(grid, Line(index));
        let end = row(grid, Line(index), wraps, &mut pen, &mut line);
        // Each line ends as it began, so that lines before it can be left out, and so that no line
        // takes the background of what scrolled it in.
        pen.reset(&mut line);
        if continues && (1..grid.columns()).contains(&end) {
            put(&mut line, "\x1b[K");
        }
        if index < last && !wraps {
            put(&mut line, "\r\n");
        }
        continues = wraps;
        drawn.push(line);
    }

    let (old, screen) = drawn.split_at(history);
    let mut budget = MAX_HISTORY;
    let kept = old
        .iter()
        .rev()
        .take_while(|line| {
            let fits = line.len() <= budget;
            budget = budget.saturating_sub(line.len());
            fits
        })
        .count();
    for line in old[history - kept..].iter().chain(screen) {
        out.extend_from_slice(line);
    }
}

/// Whether writing `line` in full and then the next one makes the reader wrap it.
fn wraps(grid: &Grid<Cell>, line: Line) -> bool {
    let cells = &grid[line];
    let last = cells[grid.last_column()].flags;
    let below = Line(line.0 + 1);
    let next = &grid[below];
    // What a line was wrapped into may have been erased since.
    last.contains(Flags::WRAPLINE)
        && end(grid, below) > 0
        && (!last.contains(Flags::LEADING_WIDE_CHAR_SPACER)
            || next[Column(0)].flags.contains(Flags::WIDE_CHAR))
}

/// The column after the last one of `line` that is not blank.
fn end(grid: &Grid<Cell>, line: Line) -> usize {
    (0..grid.columns())
        .rposition(|column| match half(&grid[line], column) {
            Some(Half::Right) => true,
            Some(Half::Torn) => !is_blank(&torn(&grid[line][Column(column)])),
            None => !is_blank(&grid[line][Column(column)]),
        })
        .map_or(0, |column| column + 1)
}

/// A cell that is not a character of its own.
enum Half {
    /// The right half of a wide character.
    Right,
    /// One half of a wide character, of which a program has overwritten or moved the other.
    Torn,
}

fn half(cells: &Row<Cell>, column: usize) -> Option<Half> {
    let has =
        |column: usize, flag| column < cells.len() && cells[Column(column)].flags.contains(flag);
    if has(column, Flags::WIDE_CHAR_SPACER) {
        let whole = column > 0 && has(column - 1, Flags::WIDE_CHAR);
        return Some(if whole { Half::Right } else { Half::Torn });
    }
    let torn = has(column, Flags::WIDE_CHAR) && !has(column + 1, Flags::WIDE_CHAR_SPACER);
    torn.then_some(Half::Torn)
}

/// What a terminal shows of a torn character: its background.
fn torn(cell: &Cell) -> Cell {
    Cell {
        bg: cell.bg,
        ..Cell::default()
    }
}

/// One line, up to the column that is returned.
fn row(grid: &Grid<Cell>, line: Line, wraps: bool, pen: &mut Pen, out: &mut Vec<u8>) -> usize {
    let cells = &grid[line];
    let end = if wraps {
        grid.columns()
    } else {
        end(grid, line)
    };
    for column in 0..end {
        let cell = &cells[Column(column)];
        let leading = cell.flags.contains(Flags::LEADING_WIDE_CHAR_SPACER) && wraps;
        match half(cells, column) {
            _ if leading => {}
            Some(Half::Right) => {}
            Some(Half::Torn) => draw(&torn(cell), pen, out),
            None => draw(cell, pen, out),
        }
    }
    end
}

fn is_blank(cell: &Cell) -> bool {
    let visible = Flags::INVERSE | Flags::ALL_UNDERLINES | Flags::STRIKEOUT;
    matches!(cell.c, ' ' | '\t')
        && cell.bg == Color::Named(NamedColor::Background)
        && !cell.flags.intersects(visible)
        && cell.extra.is_none()
}

fn draw(cell: &Cell, pen: &mut Pen, out: &mut Vec<u8>) {
    pen.set(cell, out);
    // A tab stays in the first of the cells that it skipped.
    let first = if cell.c == '\t' { ' ' } else { cell.c };
    let _ = write!(out, "{first}");
    for mark in cell.zerowidth().unwrap_or_default() {
        let _ = write!(out, "{mark}");
    }
}

/// Text without what a terminal would act upon.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The attributes that the reader has set at this point.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pen {
    fg: Color,
    bg: Color,
    flags: Flags,
    underline: Option<Color>,
    link: Option<Hyperlink>,
}

/// The flags that are attributes; the others say how cells hang together.
const ATTRIBUTES: [(Flags, &str); 9] = [
    (Flags::BOLD, "1"),
    (Flags::DIM, "2"),
    (Flags::ITALIC, "3"),
    (Flags::DOUBLE_UNDERLINE, "4:2"),
    (Flags::UNDERCURL, "4:3"),
    (Flags::DOTTED_UNDERLINE, "4:4"),
    (Flags::DASHED_UNDERLINE, "4:5"),
    (Flags::UNDERLINE, "4"),
    (Flags::INVERSE, "7"),
];

impl Default for Pen {
    fn default() -> Self {
        Self::of(&Cell::default())
    }
}

impl Pen {
    fn of(cell: &Cell) -> Self {
        let structure = Flags::WRAPLINE
            | Flags::WIDE_CHAR
            | Flags::WIDE_CHAR_SPACER
            | Flags::LEADING_WIDE_CHAR_SPACER;
        Self {
            fg: cell.fg,
            bg: cell.bg,
            flags: cell.flags - structure,
            underline: cell.underline_color(),
            link: cell.hyperlink(),
        }
    }

    fn reset(&mut self, out: &mut Vec<u8>) {
        self.set(&Cell::default(), out);
    }

    /// Makes the reader's attributes those of `cell`.
    fn set(&mut self, cell: &Cell, out: &mut Vec<u8>) {
        let wanted = Self::of(cell);
        if *self == wanted {
            return;
        }
        if self.link != wanted.link {
            match &wanted.link {
                Some(link) => put(
                    out,
                    &format!("\x1b]8;id={};{}\x1b\\", plain(link.id()), plain(link.uri())),
                ),
                None => put(out, "\x1b]8;;\x1b\\"),
            }
        }
        put(out, "\x1b[0");
        for (flag, code) in ATTRIBUTES {
            if wanted.flags.contains(flag) {
                put(out, ";");
                put(out, code);
            }
        }
        for (flag, code) in [(Flags::HIDDEN, ";8"), (Flags::STRIKEOUT, ";9")] {
            if wanted.flags.contains(flag) {
                put(out, code);
            }
        }
        color(wanted.fg, 30, out);
        color(wanted.bg, 40, out);
        match wanted.underline {
            Some(Color::Indexed(index)) => put(out, &format!(";58:5:{index}")),
            Some(Color::Spec(Rgb { r, g, b })) => put(out, &format!(";58:2::{r}:{g}:{b}")),
            Some(Color::Named(_)) | None => {}
        }
        put(out, "m");
        *self = wanted;
    }
}

/// A colour as a parameter of SGR; `base` is 30 for the foreground, 40 for the background.
fn color(color: Color, base: u16, out: &mut Vec<u8>) {
    match color {
        Color::Named(name) => match name as u16 {
            index @ 0..=7 => put(out, &format!(";{}", base + index)),
            index @ 8..=15 => put(out, &format!(";{}", base + 60 + index - 8)),
            // The default colours, and the dim ones that follow from an attribute.
            _ => {}
        },
        Color::Indexed(index) => put(out, &format!(";{};5;{index}", base + 8)),
        Color::Spec(Rgb { r, g, b }) => put(out, &format!(";{};2;{r};{g};{b}", base + 8)),
    }
}

/// Saved and current position of one screen's cursor, and the attributes it is left with.
fn position(grid: &Grid<Cell>, out: &mut Vec<u8>) -> Pen {
    let mut pen = Pen::default();
    let saved = &grid.saved_cursor;
    put(out, &go_to(saved.point.line, saved.point.column));
    pen.set(&saved.template, out);
    put(out, "\x1b7");
    let current = &grid.cursor;
    if current.input_needs_wrap {
        // Only writing the last cell again brings the cursor behind it.
        let last = &grid[current.point.line][current.point.column];
        let wide = last.flags.contains(Flags::WIDE_CHAR_SPACER);
        let column = Column(current.point.column.0 - usize::from(wide));
        put(out, &go_to(current.point.line, column));
        let cell = &grid[current.point.line][column];
        draw(cell, &mut pen, out);
    } else {
        put(out, &go_to(current.point.line, current.point.column));
    }
    pen.set(&current.template, out);
    pen
}

fn go_to(line: Line, column: Column) -> String {
    format!("\x1b[{};{}H", line.0 + 1, column.0 + 1)
}

fn cursor_style<L: EventListener>(term: &Term<L>, out: &mut Vec<u8>) {
    let style = term.cursor_style();
    let code = match style.shape {
        CursorShape::Underline => 3,
        CursorShape::Beam => 5,
        _ => 1,
    };
    // The emulator's default is a steady block, the reader's is the reader's own choice.
    if (style.shape, style.blinking) != (CursorShape::Block, false) {
        put(out, &format!("\x1b[{} q", code + u8::from(!style.blinking)));
    }
}

/// Modes that are not as after a reset. They come last, because some change how text is drawn.
fn modes(mode: TermMode, out: &mut Vec<u8>) {
    let on = [
        (TermMode::APP_CURSOR, "\x1b[?1h"),
        (TermMode::APP_KEYPAD, "\x1b="),
        (TermMode::MOUSE_REPORT_CLICK, "\x1b[?1000h"),
        (TermMode::MOUSE_DRAG, "\x1b[?1002h"),
        (TermMode::MOUSE_MOTION, "\x1b[?1003h"),
        (TermMode::FOCUS_IN_OUT, "\x1b[?1004h"),
        (TermMode::UTF8_MOUSE, "\x1b[?1005h"),
        (TermMode::SGR_MOUSE, "\x1b[?1006h"),
        (TermMode::BRACKETED_PASTE, "\x1b[?2004h"),
        (TermMode::LINE_FEED_NEW_LINE, "\x1b[20h"),
        (TermMode::INSERT, "\x1b[4h"),
    ];
    for (flag, sequence) in on {
        if mode.contains(flag) {
            put(out, sequence);
        }
    }
    let off = [
        (TermMode::SHOW_CURSOR, "\x1b[?25l"),
        (TermMode::LINE_WRAP, "\x1b[?7l"),
    ];
    for (flag, sequence) in off {
        if !mode.contains(flag) {
            put(out, sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shellport_wire::viewer::Size;

    use super::super::screen::Screen;

    /// A screen drawn from a snapshot gives the same snapshot: nothing was lost on the way.
    fn assert_stable(size: Size, output: &[u8]) {
        let mut screen = Screen::new(size);
        screen.advance(output);
        let (first, _) = screen.snapshot();
        let mut copy = Screen::new(size);
        copy.advance(&first);
        let (second, _) = copy.snapshot();
        assert_eq!(
            String::from_utf8_lossy(&first),
            String::from_utf8_lossy(&second),
            "output {:?}",
            String::from_utf8_lossy(output)
        );
        assert!(copy.take_answers().is_empty(), "a snapshot asks nothing");
        let (again, _) = screen.snapshot();
        assert_eq!(first, again, "taking a snapshot changes nothing");
    }

    const SIZE: Size = Size { cols: 10, rows: 4 };

    #[test]
    fn survives_the_round_trip() {
        for output in [
            &b""[..],
            b"hello",
            b"0123456789abc",
            b"0123456789",
            b"\x1b[31;1mred\x1b[0m plain \x1b[48;5;17mblue",
            b"\x1b[38;2;1;2;3m\x1b[4:3m\x1b[58:5:9mcurly\x1b[0m",
            "漢字かな漢字かな漢字".as_bytes(),
            "e\u{301}a\u{308}".as_bytes(),
            b"one\r\ntwo\r\nthree\r\nfour\r\nfive\r\nsix",
            b"shell\x1b[?1049h\x1b[2;3Hfull screen\x1b[?25l",
            b"\x1b[?1h\x1b=\x1b[?1003h\x1b[?1006h\x1b[?2004h",
            b"\x1b[5 q\x1b]2;a title\x07\x1b]4;1;rgb:12/34/56\x07",
            b"\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\ after",
            b"\x1b[44m\x1b[2J\x1b[0mx",
            b"a\tb\tc",
        ] {
            assert_stable(SIZE, output);
        }
    }

    proptest! {
        #[test]
        fn any_output_survives_the_round_trip(
            pieces in prop::collection::vec(
                prop_oneof![
                    "[ -~]{1,15}",
                    "[aéß]{1,8}",
                    Just("\r\n".to_owned()),
                    "\x1b\\[[0-9]{1,2};[0-9]{1,2}H",
                    "\x1b\\[(0|1|4|7|31|44|38;5;20|48;2;9;8;7)m",
                    "\x1b\\[[0-2]?[JK]",
                    "\x1b\\[[1-3][LMP@]",
                    "\x1b\\[\\?(1|25|1000|1006|2004)[hl]",
                ],
                0..30,
            ),
        ) {
            assert_stable(SIZE, pieces.concat().as_bytes());
        }
    }
}
