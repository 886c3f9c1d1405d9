//! The identity of a finding.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Gives each finding of a run its fingerprint; findings must come in source order.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints {
    seen: BTreeMap<(String, String), u32>,
}

impl Fingerprints {
    /// The fingerprint of a finding in the file `path`: 32 hex digits of SHA-256 over what it is, and a
    /// number that tells equal statements of one function apart. The path itself is not part of it.
    pub(crate) fn of(
        &mut self,
        path: &str,
        detector: &str,
        contract: &str,
        function: &str,
        statement: &str,
    ) -> String {
        let mut hash = Sha256::new();
        for part in [detector, contract, function, &normalise(statement)] {
            hash.update(part.as_bytes());
            // No part can contain it, so no two lists of parts give the same bytes.
            hash.update([0]);
        }
        let digits = hash.finalize().iter().take(16).fold(String::new(), |mut digits, byte| {
            write!(digits, "{byte:02x}").expect("a string takes all");
            digits
        });
        let count = self.seen.entry((path.to_owned(), digits.clone())).or_insert(0);
        *count += 1;
        format!("{digits}:{count}")
    }
}

/// The statement without comments and layout: one space between words, none elsewhere. What a formatter spells
/// anew (`uint` for `uint256`, the kind of quotes) is spelled in one way.
fn normalise(statement: &str) -> String {
    let mut clean = String::with_capacity(statement.len());
    let mut rest = statement;
    let mut gap = false;
    while let Some(first) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
            gap = true;
            continue;
        }
        if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
            gap = true;
            continue;
        }
        if first.is_whitespace() || first == '\0' {
            rest = &rest[first.len_utf8()..];
            gap = true;
            continue;
        }
        if is_word(first) {
            let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            if gap && clean.chars().next_back().is_some_and(is_word) {
                clean.push(' ');
            }
            clean.push_str(match word {
                "uint" => "uint256",
                "int" => "int256",
                other => other,
            });
            rest = after;
        } else if matches!(first, '"' | '\'') {
            rest = push_string(&mut clean, &rest[1..], first);
        } else {
            clean.push(first);
            rest = &rest[first.len_utf8()..];
        }
        gap = false;
    }
    clean
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Takes a string over as it stands, for layout inside of it is content; returns what follows it.
fn push_string<'t>(clean: &mut String, text: &'t str, quote: char) -> &'t str {
    clean.push('"');
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        let is_end = !is_escaped && (c == quote || c == '\n');
        if is_end {
            clean.push('"');
            return &text[at + c.len_utf8()..];
        }
        clean.push(c);
        is_escaped = !is_escaped && c == '\\';
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_and_comments_do_not_count() {
        let spellings = [
            "x.call { value : a }( \"\" ) ;",
            "x.call{value: a}(\"\");",
            "x.call{value:a}('');",
            "x\n  .call{ // sends\n value: a /* all */ }(\"\");",
        ];
        for spelling in spellings {
            assert_eq!(normalise(spelling), "x.call{value:a}(\"\");", "{spelling}");
        }
        assert_eq!(normalise("uint   a =\n1"), "uint256 a=1");
        assert_eq!(normalise("f(\"a  // b\", 'c\\'  d')"), "f(\"a  // b\",\"c\\'  d\")");
    }

    #[test]
    fn every_part_counts_and_equal_statements_are_numbered() {
        let mut prints = Fingerprints::default();
        let base = prints.of("a.sol", "d", "C", "f()", "x;");
        let others = [
            prints.of("a.sol", "e", "C", "f()", "x;"),
            prints.of("a.sol", "d", "D", "f()", "x;"),
            prints.of("a.sol", "d", "C", "g()", "x;"),
            prints.of("a.sol", "d", "C", "f()", "y;"),
            prints.of("a.sol", "d", "C", "f()", "x ;"),
        ];
        for other in &others {
            assert_ne!(base, *other);
        }
        assert_eq!(
            base.split(':').next(),
            others[4].split(':').next(),
            "told apart by the number only"
        );
        assert_eq!(
            prints.of("renamed.sol", "d", "C", "f()", "x;"),
            base,
            "the file's name is not part of it"
        );
    }
}
