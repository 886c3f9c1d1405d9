//! Byte offsets to lines and columns.

use super::Position;

/// The line starts of one text.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    /// Indexes `text`. Lines end with `\n`; a `\r` before it does not belong to the line.
    pub(crate) fn new(text: &'t str) -> Self {
        let after_newlines =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// How many lines there are; a final newline ends the last one.
    pub(crate) fn count(&self) -> usize {
        self.starts.len() - usize::from(self.starts.last() == Some(&self.text.len()))
    }

    /// The position of a byte offset, moved back to the start of a character and into the text.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start <= offset);
        let column = self.text[self.starts[line - 1]..offset].encode_utf16().count() + 1;
        Position { line: clamp(line), column: clamp(column), offset: clamp(offset) }
    }

    /// A line by its number from 1, without its end.
    pub(crate) fn line(&self, number: u32) -> &'t str {
        let idx = (number as usize).saturating_sub(1);
        let Some(start) = self.starts.get(idx) else { return "" };
        let end = self.starts.get(idx + 1).copied().unwrap_or(self.text.len());
        self.text[*start..end].trim_end_matches(['\n', '\r'])
    }
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_utf16_units() {
        let text = "a\r\n\u{1f510}é b\n";
        let lines = Lines::new(text);
        let place = |needle: &str| {
            let Position { line, column, .. } = lines.position(text.find(needle).unwrap());
            (line, column)
        };
        assert_eq!(place("a"), (1, 1));
        assert_eq!(place("é"), (2, 3));
        assert_eq!(place("b"), (2, 5));
        assert_eq!(lines.count(), 2);
        assert_eq!(
            (lines.line(1), lines.line(2), lines.line(3), lines.line(9)),
            ("a", "\u{1f510}é b", "", "")
        );
    }

    #[test]
    fn offsets_outside_of_the_text_are_moved_into_it() {
        let lines = Lines::new("é");
        assert_eq!(lines.position(1).column, 1, "the middle of a character");
        assert_eq!(lines.position(99), Position { line: 1, column: 2, offset: 2 });
    }
}
