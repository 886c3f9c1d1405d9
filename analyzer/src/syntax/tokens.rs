//! Splits Solidity into tokens just well enough to find items and to rewrite words in place.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Word,
    Number,
    Text,
    /// One byte of punctuation; operators of several bytes are several tokens.
    Punct(u8),
}

/// One token with its byte range.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    pub(crate) fn is(&self, byte: u8) -> bool {
        self.kind == TokenKind::Punct(byte)
    }

    pub(crate) fn is_word(&self) -> bool {
        self.kind == TokenKind::Word
    }

    pub(crate) fn text<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.end).unwrap_or("")
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// All tokens of `text`; comments and white space are dropped.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len() / 4);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        let kind = match byte {
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += bytes[at..]
                    .iter()
                    .position(|b| matches!(b, b'\n' | b'\r'))
                    .unwrap_or(bytes.len() - at);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = text
                    .get(at + 2..)
                    .and_then(|rest| rest.find("*/"))
                    .map_or(bytes.len(), |end| at + 2 + end + 2);
                continue;
            }
            b'"' | b'\'' => {
                at = end_of_text(bytes, at);
                TokenKind::Text
            }
            b'0'..=b'9' => {
                at +=
                    bytes[at..].iter().position(|&b| !is_word_byte(b)).unwrap_or(bytes.len() - at);
                TokenKind::Number
            }
            _ if is_word_byte(byte) => {
                at +=
                    bytes[at..].iter().position(|&b| !is_word_byte(b)).unwrap_or(bytes.len() - at);
                TokenKind::Word
            }
            _ => {
                at += 1;
                if byte.is_ascii_whitespace() {
                    continue;
                }
                TokenKind::Punct(byte)
            }
        };
        out.push(Token { kind, start, end: at });
    }
    out
}

/// The offset past the literal that opens at `start`; a literal left open ends with its line, so that
/// one missing quote does not swallow the file.
fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
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
