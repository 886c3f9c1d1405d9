//! What a hostile pack may cost: measured with all aliases expanded, before anything is built of it.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The most bytes that one pack file may have.
pub const MAX_PACK_BYTES: usize = 2 * 1024 * 1024;
/// Values in one pack, aliases expanded; about ten thousand rules.
const MAX_VALUES: usize = 400_000;
/// Text in one pack, aliases expanded.
const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;
/// Nesting of lists and maps; a well-formed pack needs six.
const MAX_DEPTH: usize = 12;
/// Flow brackets open at once in the raw text; the YAML scanner's work per token grows with them.
const MAX_OPEN_BRACKETS: usize = 64;

/// Refuses text that is expensive to scan, and documents that grow when they are read.
pub(super) fn measure(text: &str) -> Result<(), serde_norway::Error> {
    if text.len() > MAX_PACK_BYTES {
        return Err(Error::custom(format!(
            "a pack has at most {MAX_PACK_BYTES} bytes, this one has {}",
            text.len()
        )));
    }
    let mut open = 0usize;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_OPEN_BRACKETS {
            return Err(Error::custom(format!(
                "more than {MAX_OPEN_BRACKETS} brackets are open at once"
            )));
        }
    }
    let budget = Budget { values: Cell::new(MAX_VALUES), text_bytes: Cell::new(MAX_TEXT_BYTES) };
    Measure { budget: &budget, depth: 0 }.deserialize(serde_norway::Deserializer::from_str(text))
}

struct Budget {
    values: Cell<usize>,
    text_bytes: Cell<usize>,
}

/// Walks any document and keeps nothing of it.
#[derive(Clone, Copy)]
struct Measure<'a> {
    budget: &'a Budget,
    depth: usize,
}

impl Measure<'_> {
    fn spend<E: Error>(&self, text_bytes: usize) -> Result<(), E> {
        let values = self.budget.values.get().checked_sub(1);
        let text = self.budget.text_bytes.get().checked_sub(text_bytes);
        let (Some(values), Some(text)) = (values, text) else {
            return Err(E::custom(format!(
                "a pack holds at most {MAX_VALUES} values and {MAX_TEXT_BYTES} bytes of text"
            )));
        };
        self.budget.values.set(values);
        self.budget.text_bytes.set(text);
        Ok(())
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        self.spend(0)?;
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format!("lists and maps are nested deeper than {MAX_DEPTH}")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Measure<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Measure<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rule pack")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.spend(text.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        while list.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        while map.next_key_seed(inside)?.is_some() {
            map.next_value_seed(inside)?;
        }
        Ok(())
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom("YAML tags (`!name`) are not part of a rule pack"))
    }
}
