//! Import paths of a file, found before it is parsed.
//!
//! Which files belong to an audit must be known before any of them is parsed, and must not depend on
//! whether they parse. So this reads tokens only: comments and strings are skipped as the language
//! skips them, and an `import` counts where no brace is open.

/// The path that one import directive names, as it is written between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ImportPath<'a> {
    /// Text between the quotes.
    pub(crate) path: &'a str,
    /// Byte offset of its first character.
    pub(crate) start: usize,
}

/// All import paths of a file in source order.
pub(crate) fn scan(text: &str) -> Vec<ImportPath<'_>> {
    let bytes = text.as_bytes();
    let mut imports = Vec::new();
    let mut depth = 0_usize;
    let mut is_importing = false;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => at = end_of_line(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = end_of_comment(bytes, at),
            quote @ (b'"' | b'\'') => {
                let end = end_of_string(bytes, at, quote);
                if is_importing && end > at + 1 && bytes.get(end) == Some(&quote) {
                    imports.push(ImportPath { path: &text[at + 1..end], start: at + 1 });
                    // An alias may follow, a second path may not.
                    is_importing = false;
                }
                at = (end + 1).min(bytes.len());
            }
            // The braces of `import {A} from "a.sol"` open nothing.
            b'{' if !is_importing => {
                depth += 1;
                at += 1;
            }
            b'}' if !is_importing => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b';' => {
                is_importing = false;
                at += 1;
            }
            byte if is_word(byte) => {
                let end = at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
                if depth == 0 && &bytes[at..end] == b"import" {
                    is_importing = true;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    imports
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

fn end_of_line(bytes: &[u8], from: usize) -> usize {
    bytes[from..]
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .map_or(bytes.len(), |length| from + length)
}

fn end_of_comment(bytes: &[u8], from: usize) -> usize {
    let body = from + 2;
    bytes[body.min(bytes.len())..]
        .windows(2)
        .position(|pair| pair == b"*/")
        .map_or(bytes.len(), |length| body + length + 2)
}

/// Offset of the closing quote; a line end closes a string too, since the language allows none inside.
fn end_of_string(bytes: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'\n' => return at,
            byte if byte == quote => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let paths: Vec<_> = scan(text).into_iter().map(|import| import.path).collect();
        assert_eq!(paths, expected, "{text}");
    }

    #[test]
    fn every_form_of_import_is_found() {
        check(
            "import \"a.sol\";\nimport './b.sol' as B;\nimport * as C from \"c.sol\";\nimport {D as E, F} from 'd.sol';import\"e.sol\";",
            &["a.sol", "./b.sol", "c.sol", "d.sol", "e.sol"],
        );
    }

    #[test]
    fn comments_and_strings_hide_imports() {
        check(
            "// import \"a.sol\";\n/* import \"b.sol\"; */ import /* \"c.sol\" */ \"d.sol\"; // it's",
            &["d.sol"],
        );
        check(
            "contract C { string s = \"import 'x.sol';\"; string t = 'a\\'import \"y.sol\"'; }",
            &[],
        );
    }

    #[test]
    fn an_import_after_a_contract_counts_and_one_inside_does_not() {
        check(
            "contract C { function f() { import \"no.sol\"; } } import \"yes.sol\";",
            &["yes.sol"],
        );
    }

    #[test]
    fn names_that_contain_the_word_are_no_imports() {
        check("string constant importer = \"a.sol\"; string constant import_ = \"b.sol\";", &[]);
    }

    #[test]
    fn broken_text_ends_quietly() {
        for text in [
            "import \"a",
            "import 'a\\",
            "/* import",
            "/",
            "/*",
            "import {",
            "\"\\",
            "é import \"é.sol\"",
        ] {
            let imports = scan(text);
            assert_eq!(imports.len(), usize::from(text.starts_with('é')), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_scanned(text in "(\\PC|import |[\"'{};/*\\\\\n]){0,200}") {
            for import in scan(&text) {
                proptest::prop_assert_eq!(&text[import.start..import.start + import.path.len()], import.path);
            }
        }
    }

    #[test]
    fn a_path_knows_where_it_stands() {
        let text = "\n  import \"a.sol\";";
        assert_eq!(scan(text), [ImportPath { path: "a.sol", start: text.find('a').unwrap() }]);
    }
}
