//! The window's title, and the icon's.

/// The most titles that are put aside.
const MAX_STACK: usize = 10;

/// The longest title, in characters: it is repeated in every snapshot and list.
const MAX_TITLE: usize = 256;

/// A title and those that were put aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Title {
    /// The one that is shown.
    pub text: String,
    /// Those that were put aside, the last one last.
    pub stack: Vec<String>,
}

/// Both titles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Titles {
    /// The window's.
    pub window: Title,
    /// The icon's.
    pub icon: Title,
}

impl Title {
    /// Sets it, without what a terminal would act upon.
    pub fn set(&mut self, text: &str) {
        let printable = text.chars().filter(|it| !it.is_control());
        self.text = printable.take(MAX_TITLE).collect();
    }

    fn push(&mut self) {
        self.stack.push(self.text.clone());
        if self.stack.len() > MAX_STACK {
            self.stack.remove(0);
        }
    }

    fn pop(&mut self) {
        if let Some(text) = self.stack.pop() {
            self.text = text;
        }
    }
}

impl Titles {
    /// XTWINOPS 22 and 23: both, the icon's (1) or the window's (2).
    pub fn stack(&mut self, which: u32, is_pop: bool) {
        let change = |title: &mut Title| if is_pop { title.pop() } else { title.push() };
        if matches!(which, 0 | 2) {
            change(&mut self.window);
        }
        if matches!(which, 0 | 1) {
            change(&mut self.icon);
        }
    }
}
