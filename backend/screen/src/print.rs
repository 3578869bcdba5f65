//! Text.

use crate::cell::Content;
use crate::charset::Charset;
use crate::tables::MAX_CLUSTER;
use crate::term::Term;
use crate::unicode::Preceding;

impl Term {
    /// Prints printable ASCII.
    pub fn print_ascii(&mut self, mut text: &[u8]) {
        self.begin_text();
        if self.charset != Charset::ASCII || self.modes.insert {
            for &byte in text {
                self.print_one(self.charset.map(byte));
            }
            return;
        }
        while let (false, Some((&first, rest))) = (self.preceding.is_plain(), text.split_first()) {
            self.print_one(char::from(first));
            text = rest;
        }
        if text.is_empty() {
            return;
        }
        let template = self.template();
        self.preceding = Preceding::PLAIN;
        while !text.is_empty() {
            if self.buffer().x >= self.columns {
                if self.modes.wraparound {
                    self.wrap(0);
                } else {
                    // All of them come to the last column, and the last one stays there.
                    text = &text[text.len() - 1..];
                    self.buffer().x = self.columns - 1;
                }
            }
            let columns = self.columns;
            let buffer = self.buffer();
            let x = buffer.x;
            let (now, later) = text.split_at(text.len().min(columns - x));
            let cells = &mut buffer.current().cells_mut()[x..x + now.len()];
            for (cell, &byte) in cells.iter_mut().zip(now) {
                *cell = template.ascii(byte);
            }
            buffer.x += now.len();
            text = later;
        }
    }

    /// Prints a character.
    pub fn print(&mut self, character: char) {
        self.begin_text();
        self.print_one(character);
    }

    /// What comes before text that begins: half a wide character is none.
    fn begin_text(&mut self) {
        if std::mem::replace(&mut self.in_text, true) {
            return;
        }
        let blank = self.blank(1);
        let buffer = self.buffer();
        let x = buffer.x;
        let row = buffer.current();
        if x > 0 && row.get(x - 1).width() == 2 {
            row.set(x - 1, blank);
        }
    }

    /// The same behind it.
    pub fn end_text(&mut self) {
        if !std::mem::replace(&mut self.in_text, false) {
            return;
        }
        let blank = self.blank(1);
        let buffer = self.buffer();
        let x = buffer.x;
        if x < buffer.columns {
            let row = buffer.current();
            let cell = row.get(x);
            if cell.width() == 0 && !cell.has_content() {
                row.set(x, blank);
            }
        }
    }

    fn print_one(&mut self, character: char) {
        let properties = self.preceding.next(character);
        let width = usize::from(properties.width);
        let columns = self.columns;
        if !properties.joins && !self.modes.insert && self.buffer().x + width <= columns {
            self.preceding = Preceding::is(properties);
            self.put(character, properties.width);
            return;
        }
        let old = match self.preceding.properties() {
            Some(before) if properties.joins => usize::from(before.width),
            _ => 0,
        };
        self.preceding = Preceding::is(properties);
        if self.buffer().x + width > columns + old {
            if self.modes.wraparound {
                self.wrap(old);
            } else {
                self.buffer().x = columns - 1;
                if width == 2 {
                    return;
                }
            }
        }
        let behind = self.blank(0);
        if properties.joins && self.buffer().x > 0 {
            self.join(character, properties.width);
            let buffer = self.buffer();
            for _ in old..width {
                let x = buffer.x;
                buffer.current().set(x, behind);
                buffer.x += 1;
            }
            return;
        }
        if self.modes.insert {
            let blank = self.blank(1);
            let buffer = self.buffer();
            let x = buffer.x;
            buffer.current().insert(x, width, blank);
        }
        self.put(character, properties.width);
    }

    /// Puts a character where the cursor is.
    fn put(&mut self, character: char, width: u8) {
        self.put_content(Content::Char(character), width);
    }

    fn put_content(&mut self, content: Content, width: u8) {
        let cell = self.template().with(content, width);
        let behind = self.blank(0);
        let buffer = self.buffer();
        let x = buffer.x;
        let row = buffer.current();
        row.set(x, cell);
        if width == 2 {
            row.set(x + 1, behind);
        }
        buffer.x += usize::from(width);
    }

    /// Adds a character to the one before the cursor.
    fn join(&mut self, character: char, width: u8) {
        let buffer = self.buffer();
        let x = buffer.x;
        let offset = if buffer.current().get(x - 1).width() > 0 {
            1
        } else {
            2
        };
        let Some(at) = x.checked_sub(offset) else {
            return;
        };
        let cell = buffer.current().get(at);
        let mut text = self.text(cell.content()).to_owned();
        let content = if text.is_empty() {
            Content::Char(character)
        } else {
            if text.len() + character.len_utf8() <= MAX_CLUSTER {
                text.push(character);
            }
            match self.number_of_cluster(&text) {
                Some(number) => Content::Cluster(number),
                None => self.buffer().current().get(at).content(),
            }
        };
        let cell = self.buffer().current().get(at);
        self.buffer().current().set(at, cell.with(content, width));
    }

    /// What stands in a cell.
    pub fn text(&self, content: Content) -> Text<'_> {
        match content {
            Content::Empty => Text::Char(None),
            Content::Char(character) => Text::Char(Some(character)),
            Content::Cluster(number) => {
                Text::Cluster(self.clusters.get(number).map_or("", |it| it))
            }
        }
    }

    /// Goes on in the next line, with the last `old` cells.
    fn wrap(&mut self, old: usize) {
        let blank = self.blank(1);
        let (columns, rows) = (self.columns, self.rows);
        let buffer = self.buffer();
        let from = buffer.x - old;
        buffer.x = old;
        buffer.y += 1;
        let mut is_same = false;
        if buffer.y == buffer.bottom + 1 {
            buffer.y -= 1;
            self.scroll(true);
        } else {
            is_same = buffer.y >= rows;
            buffer.y = buffer.y.min(rows - 1);
            buffer.current().wrapped = true;
        }
        let buffer = self.buffer();
        let current = buffer.base() + buffer.y;
        let before = if is_same {
            Some(current)
        } else {
            current.checked_sub(1)
        };
        let Some(before) = before else {
            return;
        };
        if old > 0 {
            let cells = buffer.lines[before].part(from, old);
            buffer.lines[current].put(0, &cells);
        }
        for column in from..columns {
            buffer.lines[before].set(column, blank);
        }
    }

    /// Prints what is before the cursor again.
    pub fn repeat(&mut self, count: usize) {
        let Some(before) = self.preceding.properties() else {
            return;
        };
        let buffer = self.buffer();
        let Some(at) = buffer.x.checked_sub(usize::from(before.width)) else {
            return;
        };
        let content = buffer.current().get(at).content();
        let mut characters: Vec<char> = self.text(content).characters().collect();
        // More than fills everything only comes round again: whole lines of it need not be printed.
        let columns = self.columns;
        let most = columns * (self.rows + 1 + self.buffer().history);
        let line = columns / usize::from(before.width.max(1));
        let count = match count.checked_sub(most) {
            Some(more) => most + more % line.max(1),
            None => count,
        };
        if let [character @ ' '..='~'] = characters[..]
            && self.charset == Charset::ASCII
        {
            let text = [u8::try_from(character).unwrap_or(b' '); REPEATED];
            for at in (0..count).step_by(REPEATED) {
                self.print_ascii(&text[..REPEATED.min(count - at)]);
            }
            return self.end_text();
        }
        for character in &mut characters {
            if let Ok(byte @ ..0x7f) = u8::try_from(*character) {
                *character = self.charset.map(byte);
            }
        }
        self.in_text = false;
        for round in 0..count.min(columns * self.rows * 2) {
            let x = self.buffer().x;
            let fits = x + usize::from(before.width) <= columns && !self.modes.insert;
            if let (1.., true, Some(content)) = (round, fits, self.last_put(before.width)) {
                self.put_content(content, before.width);
            } else {
                for &character in &characters {
                    self.print(character);
                }
            }
        }
        self.end_text();
    }

    /// What was printed last, when it is of this width.
    fn last_put(&mut self, width: u8) -> Option<Content> {
        let buffer = self.buffer();
        let at = buffer.x.checked_sub(usize::from(width))?;
        let cell = buffer.current().get(at);
        (cell.width() == width && cell.has_content()).then(|| cell.content())
    }
}

/// How many characters are repeated at once.
const REPEATED: usize = 256;

/// What stands in a cell.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// One character, or none.
    Char(Option<char>),
    /// Several.
    Cluster(&'a str),
}

impl<'a> Text<'a> {
    /// It as a string.
    pub fn to_owned(self) -> String {
        match self {
            Self::Char(character) => character.map(String::from).unwrap_or_default(),
            Self::Cluster(text) => text.to_owned(),
        }
    }

    /// Its characters.
    pub fn characters(self) -> impl Iterator<Item = char> + use<'a> {
        let (one, more) = match self {
            Self::Char(character) => (character, ""),
            Self::Cluster(text) => (None, text),
        };
        one.into_iter().chain(more.chars())
    }

    /// Its first character.
    pub fn first(self) -> Option<char> {
        self.characters().next()
    }

    /// Appends it.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Char(character) => {
                let mut bytes = [0; 4];
                let character = character.unwrap_or(' ');
                out.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
            }
            Self::Cluster(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
}
