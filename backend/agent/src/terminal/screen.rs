//! The screen of a terminal: what its output has drawn so far.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use shellport_screen::Said;
use shellport_wire::viewer::Size;

/// A VT emulator that survives its own panics.
pub struct Screen {
    drawn: shellport_screen::Screen,
    size: Size,
    title: Title,
}

/// The title of a screen that is drawn elsewhere.
#[derive(Clone, Default)]
pub struct Title(Arc<Mutex<String>>);

impl Title {
    /// The one that a program set last.
    pub fn text(&self) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone()
    }

    fn set(&self, title: &str) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *text != title {
            title.clone_into(&mut text);
        }
    }
}

impl Screen {
    /// An empty screen.
    pub fn new(size: Size) -> Self {
        Self {
            drawn: shellport_screen::Screen::new(size.cols, size.rows),
            size,
            title: Title::default(),
        }
    }

    /// Draws `output`.
    ///
    /// A panic in the emulator costs the screen its content, nothing else: it starts again, empty.
    pub fn advance(&mut self, output: &[u8]) {
        self.guarded(|screen| screen.drawn.advance(output));
        self.title.set(self.drawn.title());
    }

    /// Gives the screen this size; when it is another, lines are wrapped again.
    pub fn resize(&mut self, size: Size) {
        self.size = size;
        self.guarded(|screen| screen.drawn.resize(size.cols, size.rows));
    }

    /// The title, also of times to come.
    pub fn title(&self) -> Title {
        self.title.clone()
    }

    /// The answers to queries in the output since this was last called.
    pub fn take_answers(&mut self) -> Vec<u8> {
        self.drawn.take_answers()
    }

    /// What the shell has said in what was drawn last.
    pub fn take_said(&mut self) -> Vec<Said> {
        self.drawn.take_said()
    }

    /// The bytes that draw this screen on a terminal of its size that has just been reset, and how
    /// many bytes before the end of the output they are valid at: a sequence that has only begun is
    /// in neither.
    pub fn snapshot(&mut self) -> (Vec<u8>, u64) {
        let mut snapshot = (Vec::new(), 0);
        self.guarded(|screen| snapshot = screen.drawn.snapshot());
        snapshot
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.drawn = shellport_screen::Screen::new(self.size.cols, self.size.rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_costs_the_content_only() {
        let mut screen = Screen::new(Size { cols: 20, rows: 4 });
        screen.advance(b"before");
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
}
