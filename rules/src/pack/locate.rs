//! Where in a pack file a rule's field stands: the document is walked again, up to that field.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
    /// The whole line.
    pub(super) excerpt: String,
}

/// The place of character `at` of the text in `field` of the rule with index `rule`.
pub(super) fn locate(
    file: &str,
    rule: usize,
    field: &'static str,
    value: &str,
    at: usize,
) -> Place {
    let start = scalar_start(file, rule, field).unwrap_or(0);
    let raw = file.get(start..).unwrap_or_default();
    place(file, start + align(raw, value, at))
}

/// The place of a byte.
pub(super) fn place(file: &str, byte: usize) -> Place {
    let before = file.get(..byte).unwrap_or(file);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        excerpt: file[line_start..].lines().next().unwrap_or_default().to_owned(),
    }
}

/// Byte offset in `raw` of character `at` of `value`, where `raw` is how YAML spells `value`: white space may be
/// folded, quotes and a block header may stand around it.
fn align(raw: &str, value: &str, at: usize) -> usize {
    let header = if raw.starts_with(['|', '>']) { raw.find('\n').unwrap_or(0) } else { 0 };
    let mut spelled =
        raw[header..].char_indices().filter(|(_, character)| !character.is_whitespace());
    let mut position = 0;
    for wanted in value.chars().chain([' ']).take(at + 1) {
        if wanted.is_whitespace() {
            continue;
        }
        match spelled.find(|(_, character)| *character == wanted) {
            Some((offset, _)) => position = header + offset,
            None => return position,
        }
    }
    position
}

/// Byte offset of the scalar, found by failing on purpose when the walk arrives there.
fn scalar_start(file: &str, rule: usize, field: &'static str) -> Option<usize> {
    let walk = Walk { path: &[Step::Key("rules"), Step::Index(rule), Step::Key(field)] };
    let error = walk.deserialize(serde_norway::Deserializer::from_str(file)).err()?;
    Some(error.location()?.index())
}

#[derive(Clone, Copy)]
enum Step {
    Key(&'static str),
    Index(usize),
}

#[derive(Clone, Copy)]
struct Walk<'a> {
    path: &'a [Step],
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.path {
            [] => deserializer.deserialize_str(self),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the field that is looked for")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::custom("here"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match self.path {
                [Step::Key(wanted), inner @ ..] if key == *wanted => {
                    map.next_value_seed(Walk { path: inner })?
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        loop {
            let more = match self.path {
                [Step::Index(wanted), inner @ ..] if index == *wanted => {
                    list.next_element_seed(Walk { path: inner })?.is_some()
                }
                _ => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                return Ok(());
            }
            index += 1;
        }
    }
}
