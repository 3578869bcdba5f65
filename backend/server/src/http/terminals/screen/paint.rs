//! How cells are painted, in the words of CSS, which HTML and SVG share.

use std::fmt::Write;

use shellport_screen::{Look, Rgb, Screen};

/// What cells are painted with.
pub struct Paint {
    /// The colour of the text, unless it is not to be seen.
    pub text: Option<String>,
    /// The colour behind it, where it is not the screen's.
    pub behind: Option<String>,
    /// Declarations beside the colours.
    pub style: String,
}

/// A colour.
pub fn color([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

impl Paint {
    /// That of cells which look so.
    pub fn of(screen: &Screen, look: &Look) -> Self {
        let (own_text, own_behind) = screen.own_colors();
        let mut text = screen.rgb(look.foreground).unwrap_or(own_text);
        let mut behind = screen.rgb(look.background).unwrap_or(own_behind);
        if look.inverse {
            (text, behind) = (behind, text);
        }
        Self {
            text: (!look.invisible).then(|| color(text)),
            behind: (behind != own_behind).then(|| color(behind)),
            style: style(look),
        }
    }
}

fn style(look: &Look) -> String {
    let mut style = String::new();
    if look.bold {
        style.push_str("font-weight:bold;");
    }
    if look.dim {
        style.push_str("opacity:.6;");
    }
    if look.italic {
        style.push_str("font-style:italic;");
    }
    let lines = [
        (look.underline > 0, "underline"),
        (look.strike, "line-through"),
        (look.overline, "overline"),
    ];
    let lines: Vec<&str> = lines
        .into_iter()
        .filter_map(|(is_set, line)| is_set.then_some(line))
        .collect();
    if !lines.is_empty() {
        let kinds = ["solid", "solid", "double", "wavy", "dotted", "dashed"];
        let kind = kinds.get(usize::from(look.underline)).unwrap_or(&"solid");
        let _ = write!(style, "text-decoration:{} {kind};", lines.join(" "));
    }
    style
}

/// Text that stands for itself in HTML and XML. What XML cannot have is replaced.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}
