//! The screen of a terminal: what its output has drawn so far.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alacritty_terminal::Term;
use alacritty_terminal::event::{Event, EventListener, WindowSize};
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::term::Config;
use alacritty_terminal::vte::ansi::Rgb;
use shellport_wire::viewer::Size;

use super::draw::Pen;
use super::{cut, snapshot};

/// Lines of scrollback that a snapshot brings back.
const HISTORY: usize = 1000;

/// The colours that a program is told when nobody is watching: those of the page's dark theme.
const FOREGROUND: Rgb = Rgb {
    r: 0xd8,
    g: 0xde,
    b: 0xe9,
};
const BACKGROUND: Rgb = Rgb {
    r: 0x11,
    g: 0x15,
    b: 0x1c,
};

/// What a cell measures for programs that ask for pixels; the page's font is close to it.
const CELL: (u16, u16) = (8, 16);

/// A VT emulator that survives its own panics.
pub struct Screen {
    term: Term<Listener>,
    pen: Pen,
    listener: Listener,
    size: Size,
    tail: cut::Tail,
}

impl Screen {
    /// An empty screen.
    pub fn new(size: Size) -> Self {
        Self::with(size, Listener::default())
    }

    fn with(size: Size, listener: Listener) -> Self {
        let config = Config {
            scrolling_history: HISTORY,
            ..Config::default()
        };
        Self {
            term: Term::new(config, &Cells(size), listener.clone()),
            pen: Pen::default(),
            listener,
            size,
            tail: cut::Tail::default(),
        }
    }

    /// Draws `output`.
    ///
    /// A panic in the emulator costs the screen its content, nothing else: it starts again, empty.
    pub fn advance(&mut self, output: &[u8]) {
        self.guarded(|screen| screen.pen.draw(&mut screen.term, output));
        self.tail.advance(output);
    }

    /// Gives the screen this size; when it is another, lines are wrapped again.
    pub fn resize(&mut self, size: Size) {
        if size == self.size {
            return;
        }
        self.size = size;
        self.guarded(|screen| screen.term.resize(Cells(size)));
    }

    /// The title, also of times to come.
    pub fn title(&self) -> Title {
        Title(self.listener.clone())
    }

    /// The answers to queries in the output since this was last called.
    pub fn take_answers(&mut self) -> Vec<u8> {
        let events = std::mem::take(&mut self.listener.heard().events);
        let mut answers = Vec::new();
        for event in events {
            match event {
                Event::PtyWrite(text) => answers.extend(text.into_bytes()),
                Event::ColorRequest(index, format) => {
                    if let Some(color) = self.color(index) {
                        answers.extend(format(color).into_bytes());
                    }
                }
                Event::TextAreaSizeRequest(format) => {
                    let size = WindowSize {
                        num_lines: self.size.rows,
                        num_cols: self.size.cols,
                        cell_width: CELL.0,
                        cell_height: CELL.1,
                    };
                    answers.extend(format(size).into_bytes());
                }
                _ => {}
            }
        }
        answers
    }

    /// The bytes that draw this screen on a terminal of its size that has just been reset, and how
    /// many bytes before the end of the output they are valid at: a sequence that has only begun is
    /// in neither.
    pub fn snapshot(&mut self) -> (Vec<u8>, u64) {
        let mut bytes = Vec::new();
        let title = self.listener.heard().title.clone();
        self.guarded(|screen| {
            let mut drawn = Vec::new();
            snapshot::write(&mut screen.term, &title, &mut drawn);
            bytes = drawn;
        });
        (bytes, self.tail.len())
    }

    fn color(&self, index: usize) -> Option<Rgb> {
        self.term.colors()[index].or(match index {
            // The default foreground, the cursor, the default background.
            256 | 258 => Some(FOREGROUND),
            257 => Some(BACKGROUND),
            _ => None,
        })
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            *self = Self::with(self.size, self.listener.clone());
        }
    }
}

/// The size as the emulator wants it.
struct Cells(Size);

impl Dimensions for Cells {
    fn total_lines(&self) -> usize {
        self.screen_lines()
    }

    fn screen_lines(&self) -> usize {
        usize::from(self.0.rows)
    }

    fn columns(&self) -> usize {
        usize::from(self.0.cols)
    }
}

/// Collects what the emulator says while it parses.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Heard>>);

impl Listener {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The title of a screen that is drawn elsewhere.
pub struct Title(Listener);

impl Title {
    /// The one that a program set last.
    pub fn text(&self) -> String {
        self.0.heard().title.clone()
    }
}

#[derive(Default)]
struct Heard {
    title: String,
    events: Vec<Event>,
}

/// The most answers that are kept between two reads of the PTY; a program that asks more often than
/// that does not read them.
const MAX_EVENTS: usize = 256;

/// The longest title, in characters: it is repeated in every snapshot and list.
const MAX_TITLE: usize = 256;

impl EventListener for Listener {
    fn send_event(&self, event: Event) {
        let mut heard = self.heard();
        match event {
            Event::Title(title) => {
                heard.title = title
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(MAX_TITLE)
                    .collect();
            }
            Event::ResetTitle => heard.title.clear(),
            Event::PtyWrite(_) | Event::ColorRequest(..) | Event::TextAreaSizeRequest(_)
                if heard.events.len() < MAX_EVENTS =>
            {
                heard.events.push(event);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(output: &[u8]) -> Screen {
        let mut screen = Screen::new(Size { cols: 20, rows: 4 });
        screen.advance(output);
        screen
    }

    #[test]
    fn answers_what_a_program_asks() {
        let mut screen = screen(b"ab\x1b[6n\x1b]11;?\x07\x1b[c");
        let answers = String::from_utf8(screen.take_answers()).unwrap();
        assert!(answers.starts_with("\x1b[1;3R"), "{answers:?}");
        assert!(answers.contains("]11;rgb:1111/1515/1c1c"), "{answers:?}");
        assert!(answers.ends_with("\x1b[?6c"), "{answers:?}");
        assert!(screen.take_answers().is_empty(), "asked once");
    }

    #[test]
    fn a_panic_costs_the_content_only() {
        let mut screen = screen(b"before");
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        screen.guarded(|_| panic!("in the emulator"));
        std::panic::set_hook(hook);
        screen.advance(b"after");
        let (bytes, _) = screen.snapshot();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.contains("after") && !text.contains("before"),
            "{text:?}"
        );
    }

    #[test]
    fn a_title_is_bounded_and_printable() {
        let mut output = b"\x1b]2;a".to_vec();
        output.extend("é".repeat(1000).bytes());
        output.push(7);
        let screen = screen(&output);
        assert_eq!(screen.title().text().chars().count(), MAX_TITLE);
    }
}
