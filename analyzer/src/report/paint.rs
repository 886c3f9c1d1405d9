//! Text for people: coloured, and unable to command the terminal.

use std::fmt::Write as _;

/// What a piece of text means; the colour follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Error,
    Warning,
    Note,
    Good,
    /// Line numbers and bars.
    Frame,
    Strong,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    pub(crate) is_coloured: bool,
}

impl Paint {
    pub(crate) fn text(self, style: Style, text: &str) -> String {
        if !self.is_coloured || text.is_empty() {
            return text.to_owned();
        }
        let code = match style {
            Style::Error => "1;31",
            Style::Warning => "1;33",
            Style::Note => "1;36",
            Style::Good => "1;32",
            Style::Frame => "1;34",
            Style::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Text of foreign origin for a terminal: characters that would move the cursor, change colours or
/// reverse the direction of writing are shown as U+FFFD.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(clean_char).collect()
}

pub(crate) fn clean_char(c: char) -> char {
    let is_direction =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || is_direction { '\u{fffd}' } else { c }
}

/// Appends formatted text.
pub(crate) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes all");
}
