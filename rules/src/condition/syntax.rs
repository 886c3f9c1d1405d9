//! Text to CEL syntax, bounded before the parser sees it. The only file that names the CEL parser.

use cel::common::ast::{Expr, IdedExpr, SourceInfo};
use cel::parser::Parser;

use super::{Complaint, Span};

/// Bytes of one condition.
const MAX_BYTES: usize = 4096;
/// Words and signs of one condition; bounds the depth of left-leaning chains such as `a + b + c`.
const MAX_TOKENS: usize = 600;
/// Brackets open at once; the parser's look-ahead and our own walk recurse over them.
const MAX_NESTING: usize = 16;
/// Choices `a ? b : c`, which lean to the right and recurse too.
const MAX_CHOICES: usize = 8;

/// Checked text with its syntax tree.
pub(super) struct Source {
    pub(super) root: IdedExpr,
    info: SourceInfo,
    characters: Vec<char>,
    /// The parser counts bytes, people count characters.
    character_at_byte: Vec<usize>,
}

impl Source {
    /// The characters of the token that stands for an expression.
    pub(super) fn token(&self, expression: &IdedExpr) -> Span {
        let whole = Span { start: 0, end: self.characters.len() };
        self.info.offset_for(expression.id).map_or(whole, |(start, stop)| {
            let start = self.character(start as usize);
            Span { start, end: (self.character(stop as usize) + 1).clamp(start, whole.end) }
        })
    }

    /// All the characters that an expression covers, as far as its tokens tell.
    pub(super) fn span(&self, expression: &IdedExpr) -> Span {
        let own = self.token(expression);
        let around = |parts: &mut dyn Iterator<Item = &IdedExpr>| {
            parts.map(|part| self.span(part)).fold(own, |whole, part| Span {
                start: whole.start.min(part.start),
                end: whole.end.max(part.end),
            })
        };
        match &expression.expr {
            Expr::Call(call) => {
                let inside = around(&mut call.target.iter().map(AsRef::as_ref).chain(&call.args));
                // Operators have names that no function can have.
                if is_function(&call.func_name) {
                    self.whole_call(&call.func_name, inside)
                } else {
                    inside
                }
            }
            Expr::Select(select) => {
                let dotted = around(&mut std::iter::once(select.operand.as_ref()));
                Span { end: dotted.end + select.field.chars().count(), ..dotted }
            }
            Expr::List(list) => around(&mut list.elements.iter()),
            _ => own,
        }
    }

    /// The text of a span.
    pub(super) fn text(&self, span: Span) -> String {
        self.characters.get(span.start..span.end).unwrap_or_default().iter().collect()
    }

    /// A span that starts at a bracket of `name(…)` grown to the name before and the closing bracket behind it.
    fn whole_call(&self, name: &str, inside: Span) -> Span {
        let named = inside.start.saturating_sub(name.chars().count());
        let start = if self.text(Span { start: named, end: inside.start }) == name {
            named
        } else {
            inside.start
        };
        let behind = self.characters.get(inside.end..).unwrap_or_default();
        let blanks = behind.iter().take_while(|character| character.is_whitespace()).count();
        let end =
            if behind.get(blanks) == Some(&')') { inside.end + blanks + 1 } else { inside.end };
        Span { start, end }
    }

    fn character(&self, byte: usize) -> usize {
        self.character_at_byte.get(byte).copied().unwrap_or(self.characters.len())
    }
}

fn is_function(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
}

/// For every byte the index of the character it belongs to.
fn character_at_byte(text: &str) -> Vec<usize> {
    text.chars()
        .enumerate()
        .flat_map(|(index, character)| std::iter::repeat_n(index, character.len_utf8()))
        .collect()
}

/// Parses condition text.
pub(super) fn parse(text: &str) -> Result<Source, Complaint> {
    measure(text)?;
    let characters: Vec<char> = text.chars().collect();
    match Parser::new().max_recursion_depth(64).error_recovery_limit(1).parse_with_source_info(text)
    {
        Ok((root, info)) => {
            Ok(Source { root, info, characters, character_at_byte: character_at_byte(text) })
        }
        Err(errors) => {
            let first = errors.errors.into_iter().find(|error| error.pos.0 > 0);
            let (line, column, message) =
                first.map_or((1, 0, String::new()), |error| (error.pos.0, error.pos.1, error.msg));
            let byte = offset(text, line, column);
            let start = character_at_byte(text).get(byte).copied().unwrap_or(characters.len());
            let span = Span { start, end: (start + 1).min(characters.len()) };
            Err(if message.contains("invalid int literal") {
                Complaint::new(span, "this number needs more than 63 bits")
                    .help("write its digits as text inside of a unit, as in `wei(\"…\")`")
            } else {
                Complaint::new(span, format!("not a CEL expression: {}", headline(&message)))
            })
        }
    }
}

/// Refuses what would cost the parser too much, in one pass over the text.
fn measure(text: &str) -> Result<(), Complaint> {
    let everything = Span { start: 0, end: text.chars().count().min(MAX_BYTES) };
    if text.trim().is_empty() {
        return Err(Complaint::new(everything, "the condition is empty"));
    }
    if text.len() > MAX_BYTES {
        return Err(Complaint::new(
            everything,
            format!("the condition is longer than {MAX_BYTES} bytes"),
        ));
    }
    let (mut tokens, mut nesting, mut choices) = (0, 0, 0);
    let mut characters = text.chars().enumerate().peekable();
    while let Some((at, character)) = characters.next() {
        if character.is_whitespace() {
            continue;
        }
        tokens += 1;
        match character {
            '"' | '\'' => {
                while let Some((_, inside)) = characters.next() {
                    if inside == '\\' {
                        characters.next();
                    } else if inside == character {
                        break;
                    }
                }
            }
            '(' | '[' | '{' => nesting += 1,
            ')' | ']' | '}' => nesting = usize::saturating_sub(nesting, 1),
            '?' => choices += 1,
            _ if is_word(character) => {
                while characters.next_if(|(_, next)| is_word(*next)).is_some() {}
            }
            _ => {}
        }
        let here = Span { start: at, end: at + 1 };
        if nesting > MAX_NESTING {
            return Err(Complaint::new(
                here,
                format!("brackets are nested deeper than {MAX_NESTING}"),
            ));
        }
        if choices > MAX_CHOICES {
            return Err(Complaint::new(
                here,
                format!("more than {MAX_CHOICES} choices `? :` in one condition"),
            ));
        }
        if tokens > MAX_TOKENS {
            return Err(Complaint::new(
                here,
                format!("more than {MAX_TOKENS} words and signs in one condition"),
            )
            .help("split the rule in two"));
        }
    }
    Ok(())
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Byte of a line (from 1) and column (from 0) in the text.
fn offset(text: &str, line: isize, column: isize) -> usize {
    let before = usize::try_from(line - 1).unwrap_or(0);
    let start: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    start + usize::try_from(column).unwrap_or(0)
}

/// The parser lists every token that it would have accepted; the part before that list says enough.
fn headline(message: &str) -> String {
    let message = message.split(" expecting ").next().unwrap_or(message).trim();
    if message.is_empty() { "it does not parse".to_owned() } else { message.replace('\n', " ") }
}
