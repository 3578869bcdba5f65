//! A screen as a page.

use std::fmt::Write;
use std::ops::Range;

use shellport_screen::Screen;

use super::paint::{Paint, color, escape};

/// These lines, as a whole document that needs nothing else.
pub fn write(screen: &Screen, numbers: Range<i64>) -> String {
    let (text, behind) = screen.own_colors();
    let (text, behind) = (color(text), color(behind));
    let columns = screen.size().0;
    let mut page = format!(
        "<!doctype html>\n<html><head><meta charset=\"utf-8\"><title>{}</title>\n<style>\
         body{{margin:0;background:{behind};color:{text}}}\
         pre{{margin:8px;width:{columns}ch;font:14px/1.25 monospace}}</style></head>\n<body><pre>",
        escape(screen.title())
    );
    for line in screen.lines(numbers) {
        for run in line.runs {
            let paint = Paint::of(screen, &run.look);
            let mut style = paint.style;
            let shown = paint.text.unwrap_or_else(|| "transparent".to_owned());
            if shown != text {
                let _ = write!(style, "color:{shown};");
            }
            if let Some(behind) = paint.behind {
                let _ = write!(style, "background:{behind};");
            }
            let text = escape(&run.text);
            if style.is_empty() {
                page.push_str(&text);
            } else {
                let _ = write!(page, "<span style=\"{style}\">{text}</span>");
            }
        }
        page.push('\n');
    }
    page.push_str("</pre></body></html>\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sandbox_writes_is_text() {
        let mut screen = Screen::new(40, 2);
        screen.advance(b"\x1b]0;</title><script>\x07<b>\"&\x1b[1;31mred\x1b[0m\x1b[8mno\x1b[0m");
        let page = write(&screen, 0..2);
        assert!(
            page.contains("<title>&lt;/title&gt;&lt;script&gt;</title>"),
            "{page}"
        );
        assert!(page.contains("&lt;b&gt;&quot;&amp;<span"), "{page}");
        let red = "<span style=\"font-weight:bold;color:#cc0000;\">red</span>";
        assert!(page.contains(red), "{page}");
        assert!(page.contains("color:transparent;\">no"), "{page}");
    }
}
