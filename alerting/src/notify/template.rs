//! Wordings of a user's own: text with places for what an alert says, checked before anything is told.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use thiserror::Error;

use super::{Alert, DeliveryError, Sink};
use crate::calendar::timestamp;

/// Longest template, bytes.
const TEMPLATE_BYTES: usize = 16 * 1024;

/// A checked template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(Field),
}

/// What a template cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// No such place.
    #[error("`{{{name}}}` at byte {at}: expected one of {}", Field::names())]
    Unknown {
        /// What stands between the braces.
        name: String,
        /// Where its brace is.
        at: usize,
    },
    /// A brace that opens or closes nothing.
    #[error("a single `{brace}` at byte {at}; write it twice to have it once")]
    Brace {
        /// The brace.
        brace: char,
        /// Where it is.
        at: usize,
    },
    /// Too long.
    #[error("expected at most {TEMPLATE_BYTES} bytes, found {found}")]
    Long {
        /// Its length.
        found: usize,
    },
}

/// The places; each line gives its name.
macro_rules! fields {
    ($($kind:ident $name:literal,)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Field {
            $($kind,)+
        }

        impl Field {
            const ALL: &[(&str, Self)] = &[$(($name, Self::$kind),)+];
        }
    };
}

fields! {
    Title "title",
    Text "text",
    Severity "severity",
    Incident "incident",
    Chain "chain",
    Transaction "tx",
    Contract "contract",
    Time "time",
}

impl Field {
    fn names() -> String {
        let quoted: Vec<String> =
            Self::ALL.iter().map(|(name, _)| format!("`{{{name}}}`")).collect();
        quoted.join(", ")
    }

    fn of(self, alert: &Alert) -> String {
        match self {
            Self::Title => alert.title.clone(),
            Self::Text => alert.text.clone(),
            Self::Severity => alert.severity.to_string(),
            Self::Incident => alert.incident.clone(),
            Self::Chain => alert.chain.clone(),
            Self::Transaction => alert.tx_hash.map_or("-".to_owned(), |hash| hash.to_string()),
            Self::Contract => {
                alert.contract.map_or("-".to_owned(), |contract| contract.to_string())
            }
            Self::Time => timestamp(alert.at_ms),
        }
    }
}

impl Template {
    /// Reads a template: `{title}`, `{text}`, `{severity}`, `{incident}`, `{chain}`, `{tx}`, `{contract}`, `{time}`;
    /// braces of its own are written twice.
    ///
    /// # Errors
    /// [`TemplateError`], with the place.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > TEMPLATE_BYTES {
            return Err(TemplateError::Long { found: text.len() });
        }
        let (mut parts, mut literal) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let at = text.len() - rest.len();
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                literal.push(c);
                rest = after;
            } else if c == '{' {
                let inner = rest.strip_prefix('{').unwrap_or_default();
                let (name, after) =
                    inner.split_once('}').ok_or(TemplateError::Brace { brace: c, at })?;
                let found = Field::ALL.iter().find(|(known, _)| *known == name);
                let (_, field) =
                    found.ok_or_else(|| TemplateError::Unknown { name: name.to_owned(), at })?;
                parts.push(Part::Literal(std::mem::take(&mut literal)));
                parts.push(Part::Field(*field));
                rest = after;
            } else if c == '}' {
                return Err(TemplateError::Brace { brace: c, at });
            } else {
                literal.push(c);
                rest = rest.strip_prefix(c).unwrap_or_default();
            }
        }
        parts.push(Part::Literal(literal));
        Ok(Self { parts })
    }

    /// The text for an alert. What the alert says is not read as a template again.
    pub fn fill(&self, alert: &Alert) -> String {
        let word = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Field(field) => field.of(alert),
        };
        self.parts.iter().map(word).collect()
    }
}

/// A channel that tells alerts in the words of a template.
pub fn worded(sink: Box<dyn Sink>, template: Template) -> Box<dyn Sink> {
    Box::new(Worded { sink, template })
}

struct Worded {
    sink: Box<dyn Sink>,
    template: Template,
}

impl Worded {
    fn put(&self, alert: &Alert) -> Alert {
        Alert { text: self.template.fill(alert), ..alert.clone() }
    }
}

impl Sink for Worded {
    fn name(&self) -> &str {
        self.sink.name()
    }

    fn folds_incidents(&self) -> bool {
        self.sink.folds_incidents()
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        let alert = self.put(alert);
        async move { self.sink.deliver(&alert).await }.boxed()
    }

    fn resolve<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        let alert = self.put(alert);
        async move { self.sink.resolve(&alert).await }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    fn alert() -> Alert {
        Alert {
            incident: "local/vault/1".into(),
            severity: Severity::High,
            title: "attack {on} {text}".into(),
            text: "ether leaves".into(),
            chain: "local".into(),
            tx_hash: None,
            contract: None,
            at_ms: 0,
        }
    }

    #[test]
    fn places_are_filled_once_and_braces_written_twice_are_braces() {
        let template = Template::parse("{{é}} {severity}: {title}\n{text} ({tx}, {time})").unwrap();
        assert_eq!(
            template.fill(&alert()),
            "{é} high: attack {on} {text}\nether leaves (-, 1970-01-01T00:00:00.000Z)"
        );
        assert_eq!(Template::parse("").unwrap().fill(&alert()), "");
    }

    #[test]
    fn what_cannot_be_filled_is_refused_with_its_place() {
        let error = |text: &str| Template::parse(text).unwrap_err();
        assert_eq!(error("a {titel}"), TemplateError::Unknown { name: "titel".into(), at: 2 });
        assert!(error("{titel}").to_string().contains("expected one of `{title}`, `{text}`"));
        assert_eq!(error("é {"), TemplateError::Brace { brace: '{', at: 3 });
        assert_eq!(error("}"), TemplateError::Brace { brace: '}', at: 0 });
        assert_eq!(error(&"a".repeat(16_385)), TemplateError::Long { found: 16_385 });
    }
}
