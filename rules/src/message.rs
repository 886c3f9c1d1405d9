//! Message templates: text with `{fact}` in it, resolved when a pack is loaded.

use ruint::aliases::U256;

use crate::condition::closest;
use crate::facts::{Dictionary, Sight, Value};

/// A message for people, checked against a dictionary.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Fact(usize),
}

impl Message {
    /// Reads a template; `{{` and `}}` stand for the braces themselves.
    pub(crate) fn parse(text: &str, dictionary: &Dictionary) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let tail = &rest[at..];
            if let Some(after) = tail.strip_prefix("{{").or_else(|| tail.strip_prefix("}}")) {
                plain.push_str(&tail[..1]);
                rest = after;
                continue;
            }
            let Some((name, after)) = tail.strip_prefix('{').and_then(|tail| tail.split_once('}'))
            else {
                return Err("a brace stands alone; write `{fact}`, or `{{` and `}}` for the braces themselves".to_owned());
            };
            let Some(position) = dictionary.position(name) else {
                let close = closest(name, dictionary.names());
                let hint =
                    close.map_or(String::new(), |close| format!("; did you mean `{{{close}}}`?"));
                return Err(format!("unknown fact `{name}` in the message{hint}"));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Fact(position));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// The message with the values of `facts`.
    pub(crate) fn render(&self, facts: &Sight<'_>, dictionary: &Dictionary) -> String {
        self.parts.iter().fold(String::new(), |mut out, part| {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Fact(position) => {
                    out.push_str(&show(facts.value(*position), dictionary.fact(*position).unit))
                }
            }
            out
        })
    }
}

/// A value for people: wei as exact ether once it is large enough to read so, everything else as it is.
pub(crate) fn show(value: &Value, unit: &str) -> String {
    match value {
        Value::Unknown => "unknown".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Uint(value) if unit == "wei" => wei(*value),
        Value::Uint(value) if unit == "selector" => format!("{value:#010x}"),
        Value::AtLeast(floor) => format!("at least {}", show(&Value::Uint(*floor), unit)),
        Value::Uint(value) => value.to_string(),
        Value::Text(text) => text.clone(),
        Value::Address(address) => {
            address.iter().fold("0x".to_owned(), |out, byte| out + &format!("{byte:02x}"))
        }
    }
}

/// Exact ether from a thousandth upwards, wei below.
fn wei(value: U256) -> String {
    let ether = U256::from(1_000_000_000_000_000_000u64);
    if value < ether / U256::from(1000u64) {
        return format!("{value} wei");
    }
    let (whole, rest) = value.div_rem(ether);
    let fraction = format!("{rest:0>18}");
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{whole} ether") } else { format!("{whole}.{fraction} ether") }
}

#[cfg(test)]
mod tests {
    use super::{Message, wei};
    use crate::facts::{Dictionary, FactSpec, FactType, Sight, Subject, Value};
    use ruint::aliases::U256;

    fn dictionary() -> Dictionary {
        let spec = |name, unit| FactSpec {
            name,
            subject: Subject::Transaction,
            ty: FactType::Uint,
            unit,
            may_be_unknown: false,
            doc: "",
        };
        Dictionary::new(
            Subject::Transaction,
            [[spec("outflow_wei", "wei"), spec("outflow_bps", "bps")].as_slice()],
        )
    }

    #[test]
    fn facts_are_filled_in_and_braces_escaped() {
        let dictionary = dictionary();
        let message =
            Message::parse("{outflow_wei} left, {outflow_bps} bps {{kept}}", &dictionary).unwrap();
        let mut facts = dictionary.empty_table();
        facts.set(0, Value::Uint(U256::from(1_500_000_000_000_000_000u64)));
        assert_eq!(
            message.render(&Sight::of(&facts), &dictionary),
            "1.5 ether left, unknown bps {kept}"
        );
    }

    #[test]
    fn unknown_names_and_lonely_braces_are_refused() {
        let dictionary = dictionary();
        assert!(
            Message::parse("{outflow_we}", &dictionary)
                .unwrap_err()
                .contains("did you mean `{outflow_wei}`")
        );
        assert!(Message::parse("{outflow_wei", &dictionary).unwrap_err().contains("brace"));
        assert!(Message::parse("}", &dictionary).unwrap_err().contains("brace"));
    }

    #[test]
    fn ether_is_exact_and_dust_stays_wei() {
        assert_eq!(wei(U256::from(999_999_999_999_999u64)), "999999999999999 wei");
        assert_eq!(wei(U256::from(1_000_000_000_000_001u64)), "0.001000000000000001 ether");
        assert_eq!(wei(U256::from(2_000_000_000_000_000_000u64)), "2 ether");
    }
}
