//! A screen as a picture.

use std::fmt::Write;
use std::ops::Range;

use shellport_screen::Screen;

use super::paint::{Paint, color, escape};

/// A cell's width and height, in pixels.
const CELL: (usize, usize) = (9, 18);

/// The font's size, and where its base line is in a cell.
const FONT: usize = 15;
const BASE: usize = 14;

/// These lines, with the cursor where it is among them.
pub fn write(screen: &Screen, numbers: Range<i64>) -> String {
    let (text, behind) = screen.own_colors();
    let (text, behind) = (color(text), color(behind));
    let (wide, high) = CELL;
    let first = numbers.start;
    let lines = screen.lines(numbers);
    let (width, height) = (usize::from(screen.size().0) * wide, lines.len() * high);
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"{FONT}\">\n\
         <title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"{behind}\"/>\n",
        escape(screen.title())
    );
    for (index, line) in lines.iter().enumerate() {
        let top = index * high;
        for run in &line.runs {
            let paint = Paint::of(screen, &run.look);
            let (x, length) = (run.x * wide, run.columns * wide);
            if let Some(behind) = &paint.behind {
                let _ = writeln!(
                    picture,
                    "<rect x=\"{x}\" y=\"{top}\" width=\"{length}\" height=\"{high}\" fill=\"{behind}\"/>"
                );
            }
            let Some(fill) = paint.text.filter(|_| !run.text.trim().is_empty()) else {
                continue;
            };
            let _ = writeln!(
                picture,
                "<text x=\"{x}\" y=\"{}\" textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\" \
                 xml:space=\"preserve\" fill=\"{fill}\" style=\"{}\">{}</text>",
                top + BASE,
                paint.style,
                escape(&run.text)
            );
        }
    }
    let cursor = screen.cursor();
    let line = i64::try_from(cursor.y).unwrap_or(i64::MAX) - first.max(-history(screen));
    if let Some(line) = usize::try_from(line)
        .ok()
        .filter(|line| *line < lines.len())
        && cursor.is_visible
    {
        // Behind a line that is full it is shown on its last cell.
        let column = cursor.x.min(usize::from(screen.size().0) - 1);
        let (x, y) = (column * wide, line * high);
        let _ = writeln!(
            picture,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{high}\" fill=\"{text}\" opacity=\".5\"/>"
        );
    }
    picture.push_str("</svg>\n");
    picture
}

fn history(screen: &Screen) -> i64 {
    i64::try_from(screen.history()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_where_they_are_on_the_screen() {
        let mut screen = Screen::new(10, 2);
        screen.advance("one\r\ntwo\r\na\u{4f60}\x1b[41mb".as_bytes());
        let picture = write(&screen, -1..2);
        assert!(picture.contains("width=\"90\" height=\"54\""), "{picture}");
        assert!(
            picture.contains("<text x=\"9\" y=\"50\" textLength=\"18\""),
            "{picture}"
        );
        assert!(
            picture.contains("<rect x=\"27\" y=\"36\" width=\"9\""),
            "{picture}"
        );
        let cursor =
            "<rect x=\"36\" y=\"36\" width=\"9\" height=\"18\" fill=\"#d8dee9\" opacity=\".5\"/>";
        assert!(picture.contains(cursor), "{picture}");
    }
}
