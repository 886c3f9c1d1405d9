//! One file of rules, read, bounded and checked against the dictionaries.

mod bounds;
mod file;
mod load;
mod locate;
mod open;
mod questions;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

pub use self::bounds::MAX_PACK_BYTES;
pub use self::file::{EvidenceKind, Expectation, Maturity, Severity, pack_schema};

use crate::condition::Condition;
use crate::error::PackError;
use crate::facts::{Dictionary, FactRef, FactTable, Subject};
use crate::message::Message;
use crate::question::Question;
use crate::stack::on_own_stack;

/// The major version of the rule language that this reader knows.
pub const ENGINE: u64 = 1;

/// A checked pack.
#[derive(Debug, Clone)]
pub struct Pack {
    name: String,
    version: String,
    author: String,
    origin: String,
    rules: Vec<Rule>,
}

/// A checked rule.
#[derive(Debug, Clone)]
pub struct Rule {
    file: Arc<RuleText>,
    condition: Condition,
    message: Message,
    tests: Vec<RuleTest>,
    dictionary: Arc<Dictionary>,
    /// In the order of their positions behind the facts.
    questions: Vec<Question>,
    /// Contracts that the questions are asked about, sorted; empty for all.
    at: Arc<[[u8; 20]]>,
}

/// What the author wrote.
#[derive(Debug, PartialEq, Eq)]
struct RuleText {
    id: String,
    subject: Subject,
    severity: Severity,
    maturity: Maturity,
    class: String,
    evidence: EvidenceKind,
    why: String,
    references: Vec<String>,
    when: String,
    holds: Option<String>,
    message: String,
    false_positives: Vec<String>,
}

/// Reads a file that a pack names, relative to it, or says why it cannot.
type Files<'a> = dyn Fn(&str) -> Result<String, String> + Sync + 'a;

/// A test that stands beside its rule.
#[derive(Debug, Clone)]
pub struct RuleTest {
    /// What is shown.
    pub name: String,
    /// Where the facts come from.
    pub input: TestInput,
    /// What the rule must do.
    pub expect: Expectation,
}

/// Where the facts of a test come from.
#[derive(Debug, Clone)]
pub enum TestInput {
    /// Written in the pack.
    Facts(FactTable),
    /// One transaction of a recording.
    Recording(RecordingRef),
    /// Transactions of played episodes.
    Range(RangeRef),
    /// A function of Solidity code.
    Code(CodeRef),
}

/// Transactions of the training range: all of a family in some episodes that were harmful, for a test that expects its
/// rule to fire, or all that were not, for another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RangeRef {
    /// Name of the protocol that is protected.
    pub protocol: String,
    /// The protocol has its flaw.
    pub is_flawed: bool,
    /// Family of transactions, or the part of its name before a `/`; empty for all.
    pub family: String,
    /// Seed of the first episode; the others follow it.
    pub seed: u64,
    /// How many episodes.
    pub episodes: u64,
    /// Harmful transactions that cost the protocol less than this part of its worth do not count, in ten-thousandths.
    pub least_loss_bps: u64,
}

/// A function of Solidity code that stands in the pack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeRef {
    /// The code.
    pub code: String,
    /// Name of the function, or `Contract.function`.
    pub function: String,
}

/// One transaction of a recording, by name and index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordingRef {
    /// Path of the recording, relative to the pack.
    pub recording: String,
    /// Index among the pending transactions of the recording, from 0.
    pub tx: u64,
}

impl Pack {
    /// Reads a pack and checks all of it against the facts of its subjects.
    ///
    /// `origin` stands in errors; where it is the path of a YAML file, its stem must be the pack's name. Lists in files
    /// need [`Pack::open`].
    ///
    /// # Errors
    /// [`PackError::Shape`] for what is not a pack or too large, [`PackError::Engine`] for another major version,
    /// [`PackError::Rule`] for a rule whose condition, message or tests do not check, [`PackError::Several`] where
    /// more than one rule is refused.
    pub fn parse(text: &str, origin: &str, dictionaries: &[Dictionary]) -> Result<Self, PackError> {
        let no_files =
            |_: &str| Err("a pack that is not read from a file can name no files".to_owned());
        Self::parse_with(text, origin, dictionaries, &no_files)
    }

    /// Reads a pack from a file, and the lists in files beside it that it names.
    ///
    /// # Errors
    /// [`PackError::Read`] for a file that cannot be read or is too large, otherwise as [`Pack::parse`].
    pub fn open(path: &Path, dictionaries: &[Dictionary]) -> Result<Self, PackError> {
        let origin = path.display().to_string();
        let text = open::read(path)
            .map_err(|reason| PackError::Read { origin: origin.clone(), reason })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse_with(&text, &origin, dictionaries, &|name| open::beside(folder, name))
    }

    fn parse_with(
        text: &str,
        origin: &str,
        dictionaries: &[Dictionary],
        files: &Files<'_>,
    ) -> Result<Self, PackError> {
        on_own_stack(|| load::pack(text, origin, dictionaries, files)).unwrap_or_else(|reason| {
            Err(PackError::Shape { origin: origin.to_owned(), line: 0, column: 0, reason })
        })
    }

    /// The subjects that the rules of a pack are asked about, before anything else in it is checked.
    ///
    /// # Errors
    /// [`PackError::Shape`] for what is not a pack or too large.
    pub fn subjects(text: &str, origin: &str) -> Result<BTreeSet<Subject>, PackError> {
        on_own_stack(|| load::subjects(text, origin)).unwrap_or_else(|reason| {
            Err(PackError::Shape { origin: origin.to_owned(), line: 0, column: 0, reason })
        })
    }

    /// Name of the pack.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Version of the pack.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Who stands behind it.
    pub fn author(&self) -> &str {
        &self.author
    }

    /// File or embedded name it was read from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its rules, in the order of the file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

impl Rule {
    /// Kebab-case name.
    pub fn id(&self) -> &str {
        &self.file.id
    }

    /// What it is asked about.
    pub fn subject(&self) -> Subject {
        self.file.subject
    }

    /// How bad it is when it fires.
    pub fn severity(&self) -> Severity {
        self.file.severity
    }

    /// How far it is trusted.
    pub fn maturity(&self) -> Maturity {
        self.file.maturity
    }

    /// Kind of attack.
    pub fn class(&self) -> &str {
        &self.file.class
    }

    /// Whether firing proves a broken invariant.
    pub fn evidence(&self) -> EvidenceKind {
        self.file.evidence
    }

    /// Why it matters.
    pub fn why(&self) -> &str {
        &self.file.why
    }

    /// Links.
    pub fn references(&self) -> &[String] {
        &self.file.references
    }

    /// The condition as written; empty where the rule only says what [`Rule::holds`].
    pub fn when(&self) -> &str {
        &self.file.when
    }

    /// What must hold before and after every transaction, for a rule that is an invariant.
    pub fn holds(&self) -> Option<&str> {
        self.file.holds.as_deref()
    }

    /// The message template as written.
    pub fn message_template(&self) -> &str {
        &self.file.message
    }

    /// Honest behaviour that may look like this.
    pub fn false_positives(&self) -> &[String] {
        &self.file.false_positives
    }

    /// Its tests.
    pub fn tests(&self) -> &[RuleTest] {
        &self.tests
    }

    /// The facts that its condition reads, in the order of its text.
    pub fn reads(&self) -> impl Iterator<Item = FactRef<'_>> {
        self.condition.reads().iter().map(|position| self.dictionary.fact(*position))
    }

    /// What it asks beyond the facts.
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// Whether it is asked about this contract.
    pub fn is_about(&self, contract: &[u8; 20]) -> bool {
        self.at.is_empty() || self.at.binary_search(contract).is_ok()
    }

    /// Whether the author wrote the same, its tests apart.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.file == other.file && self.questions == other.questions && self.at == other.at
    }

    pub(crate) fn condition(&self) -> &Condition {
        &self.condition
    }

    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    pub(crate) fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }
}
