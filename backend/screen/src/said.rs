//! What a shell says of its prompts and commands (OSC 133):
//! <https://gitlab.freedesktop.org/Per_Bothner/specifications/blob/master/proposals/semantic-prompts.md>.

use crate::parser::Place;
use crate::term::Term;

/// The most that is kept until it is taken.
const MOST: usize = 256;

/// The longest command that is told whole, in bytes.
const MAX_COMMAND: usize = 2048;

/// Something that a shell has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `A`, `B`, `C`, `D;0` and so on.
    pub mark: String,
    /// How many bytes the sequence has.
    pub length: usize,
    /// Behind how many bytes of the output that was drawn last it ends.
    pub end: usize,
    /// With a `C`: the command that begins to run, as it stands on the screen; its first 2 KiB.
    pub command: Option<String>,
    /// Where the shell is (OSC 7); empty when it does not say.
    pub directory: String,
}

/// Where what the user types begins: the line, from the first that ever was, and the column.
pub type Start = (u64, usize);

impl Term {
    /// Notes what the shell says with an OSC 133 of this text, which is there in the output.
    pub fn hear(&mut self, mark: &str, Place { end, length }: Place) {
        let command = match mark.as_bytes().first() {
            Some(b'B') => {
                let buffer = self.buffer();
                self.input = Some((buffer.number(buffer.y), buffer.x));
                None
            }
            Some(b'C') => self.input.take().map(|place| self.typed_from(place)),
            _ => None,
        };
        if self.said.len() < MOST {
            self.said.push(Said {
                mark: mark.to_owned(),
                length,
                end,
                command,
                directory: self.directory.clone(),
            });
        }
    }

    /// The text from there to the cursor, with lines that were wrapped in one.
    fn typed_from(&mut self, (line, column): Start) -> String {
        let clusters = &self.clusters;
        let buffer = if self.is_alternate {
            &self.alternate
        } else {
            &self.main
        };
        let first = buffer.index_of(line);
        let last = buffer.base() + buffer.y;
        let mut text = String::new();
        for index in first..=last {
            let Some(row) = buffer.lines.get(index) else {
                break;
            };
            if index > first && !row.wrapped {
                text.truncate(text.trim_end().len());
                text.push('\n');
            }
            let from = if index == first { column } else { 0 };
            let to = if index == last {
                buffer.x
            } else {
                row.written()
            };
            for cell in row.cells().iter().take(to).skip(from) {
                cell.write(clusters, &mut text);
            }
            if text.len() > MAX_COMMAND {
                break;
            }
        }
        let mut end = text.len().min(MAX_COMMAND);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.truncate(text.trim_end().len());
        text
    }
}

#[cfg(test)]
mod tests {
    use crate::Screen;

    #[test]
    fn a_command_is_what_stands_behind_the_prompt() {
        let mut screen = Screen::new(20, 4);
        let output = b"\x1b]7;file://h/tmp\x07\x1b]133;A\x07$ \x1b]133;B\x07ls -l  \r\n\x1b]133;C\x07x\r\n\x1b]133;D;2\x1b\\";
        screen.advance(output);
        let said = screen.take_said();
        let marks: Vec<&str> = said.iter().map(|said| &*said.mark).collect();
        assert_eq!(marks, ["A", "B", "C", "D;2"]);
        assert_eq!(said[2].command.as_deref(), Some("ls -l"));
        assert_eq!(said[2].directory, "file://h/tmp");
        let [begun, ended] = [&said[2], &said[3]].map(|said| said.end);
        assert!(output[..begun].ends_with(b"\x1b]133;C\x07"));
        assert!(output[..ended - said[3].length].ends_with(b"x\r\n"));
        assert_eq!(ended, output.len(), "with the backslash");
        assert!(screen.take_said().is_empty());
    }

    #[test]
    fn a_long_command_goes_over_lines_and_off_the_screen() {
        let mut screen = Screen::new(10, 2);
        screen.advance(b"$ \x1b]133;B\x07for x in 1 2\r\n> do echo $x\r\n> done\r\n\x1b]133;C\x07");
        let said = screen.take_said();
        let command = "for x in 1 2\n> do echo $x\n> done";
        assert_eq!(said[1].command.as_deref(), Some(command));
        // Long options are left out.
        screen.advance(format!("\x1b]133;C;cmdline_url={}\x07", "x".repeat(100)).as_bytes());
        assert_eq!(screen.take_said()[0].mark, "C");
        // Without a place where it begins there is none.
        screen.advance(b"\x1b]133;C\x07");
        assert_eq!(screen.take_said()[0].command, None);
    }
}
