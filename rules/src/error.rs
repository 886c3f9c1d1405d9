//! Why a pack was refused.

use std::fmt;

/// A pack that cannot be used; every variant names the file and the rule or line to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// Not YAML, not the shape of a pack, or larger than a pack may be.
    #[error("{origin}{}: {reason}", at(*line, *column))]
    Shape {
        /// File or embedded name.
        origin: String,
        /// From 1; 0 where unknown.
        line: usize,
        /// From 1; 0 where unknown.
        column: usize,
        /// What was expected.
        reason: String,
    },
    /// A file that cannot be read.
    #[error("{origin}: {reason}")]
    Read {
        /// Its path.
        origin: String,
        /// Why not.
        reason: String,
    },
    /// Written for another major version of the rule language.
    #[error(
        "{origin}: engine {found} is not supported, this reader knows engine {}",
        crate::ENGINE
    )]
    Engine {
        /// File or embedded name.
        origin: String,
        /// What the pack asks for.
        found: u64,
    },
    /// A field of a rule says something that cannot be used.
    #[error("{0}")]
    Rule(Box<RuleError>),
    /// More than one rule of a pack is refused; the first twenty of them, in the order of the file.
    #[error("{}", lines(.0))]
    Several(Vec<PackError>),
    /// Two rules have the same id.
    #[error("{second}: rule `{rule}` is already defined in {first}")]
    Duplicate {
        /// The id.
        rule: String,
        /// Origin of the first.
        first: String,
        /// Origin of the second.
        second: String,
    },
    /// Two packs were checked against different facts, so one table cannot serve both.
    #[error(
        "{second}: the facts of subject `{subject}` differ from those {first} was checked against"
    )]
    Dictionaries {
        /// The subject.
        subject: crate::Subject,
        /// Origin of the first.
        first: String,
        /// Origin of the second.
        second: String,
    },
}

/// What is wrong with one field of one rule; shown as a line of the file with a caret under what is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// File or embedded name.
    pub origin: String,
    /// The rule.
    pub rule: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// How many characters are meant, at least 1.
    pub width: usize,
    /// The line of the file.
    pub excerpt: String,
    /// What is wrong.
    pub message: String,
    /// The cure, where there is one.
    pub help: Option<String>,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, rule, line, column, width, excerpt, message, help } = self;
        let gutter = line.to_string().len();
        let before = column.saturating_sub(1);
        // Tabs before the caret keep their width, everything else becomes a blank.
        let indent: String = excerpt
            .chars()
            .take(before)
            .map(|character| if character == '\t' { '\t' } else { ' ' })
            .collect();
        let width = (*width).clamp(1, excerpt.chars().count().saturating_sub(before).max(1));
        writeln!(f, "{origin}:{line}:{column}: rule `{rule}`: {message}")?;
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{line} | {excerpt}")?;
        write!(f, "{:gutter$} | {indent}{}", "", "^".repeat(width))?;
        if let Some(help) = help {
            write!(f, "\n{:gutter$} = help: {help}", "")?;
        }
        Ok(())
    }
}

fn at(line: usize, column: usize) -> String {
    if line == 0 { String::new() } else { format!(":{line}:{column}") }
}

fn lines(errors: &[PackError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
