//! Words, numbers and literals of one line.

use super::super::super::ir::*;
use super::super::UNITS;
use super::{IrError, Read, Reader};
use crate::syntax::{FileId, Span};

impl<'a> Reader<'a> {
    pub(super) fn number(&mut self) -> Option<String> {
        let rest = self.rest();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let sign = rest.len() - digits.len();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.';
        let mut end = sign + digits.find(|c| !is_part(c)).unwrap_or(digits.len());
        if let Some(behind) = rest[end..].strip_prefix(' ') {
            let unit = behind.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(behind.len());
            if UNITS.contains(&&behind[..unit]) {
                end += 1 + unit;
            }
        }
        self.at += end;
        Some(rest[..end].to_owned())
    }

    /// A text in quotes, with the escapes of Rust.
    pub(super) fn string(&mut self) -> Read<String> {
        self.expect("\"")?;
        let mut out = String::new();
        loop {
            let Some(c) = self.take() else { return Err(self.error("a quote that ends the text")) };
            match c {
                '"' => return Ok(out),
                '\\' => out.push(self.escaped()?),
                c => out.push(c),
            }
        }
    }

    pub(super) fn escaped(&mut self) -> Read<char> {
        Ok(match self.take() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('0') => '\0',
            Some(c @ ('"' | '\'' | '\\')) => c,
            Some('u') => {
                self.expect("{")?;
                let end = self.rest().find('}').ok_or_else(|| self.error("`}`"))?;
                let code = u32::from_str_radix(&self.rest()[..end], 16).ok();
                let c = code.and_then(char::from_u32);
                let c = c.ok_or_else(|| self.error("the number of a character"))?;
                self.at += end + 1;
                c
            }
            _ => return Err(self.error("an escape: one of n, r, t, 0, u, a quote or a backslash")),
        })
    }

    /// ` @file:start..end ^frame`, both optional.
    pub(super) fn span(&mut self) -> Read<(Span, FrameId)> {
        let mut span = Span::default();
        if self.eat(" @") {
            let file = self.decimal()?;
            self.expect(":")?;
            let start = self.decimal()?;
            self.expect("..")?;
            span = Span { file: FileId(file), start, end: self.decimal()? };
        }
        let frame = if self.eat(" ^") { FrameId(self.decimal()?) } else { FrameId(0) };
        Ok((span, frame))
    }

    pub(super) fn decimal(&mut self) -> Read<u32> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number = rest[..end].parse().map_err(|_| self.error("a number below 4294967296"))?;
        self.at += end;
        Ok(number)
    }

    /// An identifier, perhaps an empty one.
    pub(super) fn word(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$'))
    }

    /// An identifier with dots.
    pub(super) fn path(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.'))
    }

    /// An identifier, perhaps with the number that tells it from others: `Token#2`.
    pub(super) fn counted(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '#'))
    }

    pub(super) fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    pub(super) fn take(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn eat(&mut self, what: &str) -> bool {
        let is_here = self.rest().starts_with(what);
        if is_here {
            self.at += what.len();
        }
        is_here
    }

    pub(super) fn expect(&mut self, what: &str) -> Read<()> {
        if self.eat(what) { Ok(()) } else { Err(self.error(&format!("`{what}`"))) }
    }

    pub(super) fn finished(&self) -> Read<()> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.error("the end of the line")) }
    }

    pub(super) fn error(&self, expected: &str) -> IrError {
        IrError { line: self.line, column: self.at + 1, expected: expected.to_owned() }
    }

    pub(super) fn error_in(&self, line: usize, expected: &str) -> IrError {
        IrError { line, column: 1, expected: expected.to_owned() }
    }
}
