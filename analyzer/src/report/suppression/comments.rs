//! Comments of a text that may speak of findings.

/// A comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Comment<'t> {
    /// Byte offset of the slashes.
    pub(super) start: usize,
    /// Byte offset of [`Self::text`].
    pub(super) text_start: usize,
    /// Between the slashes and the end of the line, or of the block.
    pub(super) text: &'t str,
    /// Whether nothing but white space stands before it on its line.
    pub(super) is_alone: bool,
}

/// Words without which no comment says anything of findings.
const MARKERS: [&str; 5] =
    ["portcullis-allow", "slither-disable", "aderyn-", "forge-lint:", "solhint-"];

/// The comments that hold one of the markers. Text within string literals is no comment.
pub(super) fn speaking(text: &str) -> Vec<Comment<'_>> {
    if !MARKERS.iter().any(|marker| text.contains(marker)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'/', Some(&kind @ (b'/' | b'*'))) => {
                let rest = &text[at + 2..];
                let (length, closing) = if kind == b'/' {
                    (rest.find(['\n', '\r']).unwrap_or(rest.len()), 0)
                } else {
                    rest.find("*/").map_or((rest.len(), 0), |length| (length, 2))
                };
                let inside = &rest[..length];
                if MARKERS.iter().any(|marker| inside.contains(marker)) {
                    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
                    found.push(Comment {
                        start: at,
                        text_start: at + 2,
                        text: inside,
                        is_alone: text[line_start..at].trim().is_empty(),
                    });
                }
                at += 2 + length + closing;
            }
            (quote @ (b'"' | b'\''), _) => at = past_string(bytes, at, quote),
            _ => at += 1,
        }
    }
    found
}

/// The offset past the literal that opens at `start`; one left open ends with its line.
fn past_string(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'\n' => return at,
            _ if byte == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
