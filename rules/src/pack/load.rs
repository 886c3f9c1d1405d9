//! From the file's shape to checked rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ruint::aliases::U256;
use serde::Deserialize;

use super::file::{FactLiteral, ListFile, ListFileName, PackFile, RangeFile, RuleFile, TestFile};
use super::{
    CodeRef, ENGINE, Files, Pack, RangeRef, RecordingRef, Rule, RuleTest, RuleText, TestInput,
    bounds, locate, questions,
};
use crate::condition::{
    Complaint, Condition, Scope, Span, closest, constant, read_address, read_digits,
};
use crate::error::{PackError, RuleError};
use crate::facts::{Dictionary, FactRef, FactTable, FactType, Subject, Value};
use crate::list::{List, Lists, MAX_ENTRIES};
use crate::message::Message;

/// Rules in one pack; each may take the CEL parser some milliseconds.
const MAX_RULES: usize = 2000;
/// Episodes that one test may play; each takes a part of a second.
const MAX_EPISODES: u64 = 50;
/// Refusals shown at once; to find the place of each, the file is walked again.
const MAX_REFUSALS: usize = 20;

/// Reads a pack; see [`Pack::parse`].
pub(super) fn pack(
    text: &str,
    origin: &str,
    dictionaries: &[Dictionary],
    files: &Files<'_>,
) -> Result<Pack, PackError> {
    bounds::measure(text).map_err(|error| shape(origin, &error))?;
    let header: Header = serde_norway::from_str(text).map_err(|error| shape(origin, &error))?;
    if header.engine != ENGINE {
        return Err(PackError::Engine { origin: origin.to_owned(), found: header.engine });
    }
    let file: PackFile = serde_norway::from_str(text).map_err(|error| shape(origin, &error))?;
    check_header(&file, origin)?;
    let lists = read_lists(file.lists, files).map_err(|reason| PackError::Shape {
        origin: origin.to_owned(),
        line: 0,
        column: 0,
        reason,
    })?;
    let loading = Loading {
        text,
        origin,
        all: dictionaries,
        lists,
        dictionaries: dictionaries.iter().cloned().map(Arc::new).collect(),
    };
    Ok(Pack {
        name: file.pack,
        version: file.version,
        author: file.author,
        origin: origin.to_owned(),
        rules: loading.rules(file.rules)?,
    })
}

/// Reads nothing but the subjects; see [`Pack::subjects`].
pub(super) fn subjects(text: &str, origin: &str) -> Result<BTreeSet<Subject>, PackError> {
    #[derive(Deserialize)]
    struct Rules {
        rules: Vec<Rule>,
    }
    #[derive(Deserialize)]
    struct Rule {
        subject: Subject,
    }
    bounds::measure(text).map_err(|error| shape(origin, &error))?;
    let file: Rules = serde_norway::from_str(text).map_err(|error| shape(origin, &error))?;
    Ok(file.rules.into_iter().map(|rule| rule.subject).collect())
}

/// Read leniently and first, so that a pack of another major is refused for that and not for its unknown fields.
#[derive(Deserialize)]
struct Header {
    engine: u64,
}

/// A pack on its way from file to rules.
struct Loading<'a> {
    text: &'a str,
    origin: &'a str,
    all: &'a [Dictionary],
    lists: Lists,
    dictionaries: Vec<Arc<Dictionary>>,
}

impl Loading<'_> {
    fn rules(&self, files: Vec<RuleFile>) -> Result<Vec<Rule>, PackError> {
        let mut ids = BTreeSet::new();
        let mut rules = Vec::with_capacity(files.len());
        let mut refused = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            if ids.insert(file.id.clone()) {
                match self.rule(index, file) {
                    Ok(rule) => rules.push(rule),
                    Err(error) => refused.push(error),
                }
            } else {
                let origin = self.origin.to_owned();
                refused.push(PackError::Duplicate {
                    rule: file.id,
                    first: origin.clone(),
                    second: origin,
                });
            }
            if refused.len() == MAX_REFUSALS {
                break;
            }
        }
        match refused.len() {
            0 => Ok(rules),
            1 => Err(refused.remove(0)),
            _ => Err(PackError::Several(refused)),
        }
    }

    fn rule(&self, index: usize, file: RuleFile) -> Result<Rule, PackError> {
        let whole = |field: &'static str, value: &str, message: String| {
            let span =
                Span { start: 0, end: value.lines().next().unwrap_or_default().chars().count() };
            self.refuse(index, &file.id, field, value, Complaint::new(span, message))
        };
        if !is_kebab(&file.id) {
            return Err(whole(
                "id",
                &file.id,
                "an id is lower case words joined by `-`".to_owned(),
            ));
        }
        if !is_kebab(&file.class) {
            return Err(whole(
                "class",
                &file.class,
                "a class is lower case words joined by `-`".to_owned(),
            ));
        }
        if file.why.trim().is_empty() {
            return Err(whole("why", &file.why, "say why it matters".to_owned()));
        }
        let Some(dictionary) =
            self.dictionaries.iter().find(|dictionary| dictionary.subject() == file.subject)
        else {
            let message = format!("this build has no facts of subject `{}`", file.subject);
            return Err(whole("id", &file.id, message));
        };
        let asked = questions::read(&file, dictionary, &self.lists)
            .map_err(|reason| whole("id", &file.id, reason))?;
        let dictionary = &if asked.specs.is_empty() {
            Arc::clone(dictionary)
        } else {
            Arc::new(dictionary.with_asked(asked.specs))
        };
        let scope = Scope { dictionary, all: self.all, lists: &self.lists, suffix: "" };
        let refuse =
            |field, value: &str, complaint| self.refuse(index, &file.id, field, value, complaint);
        let when = file.when.as_deref();
        let guard = when
            .map(|when| {
                Condition::compile(when, scope).map_err(|wrong| refuse("when", when, wrong))
            })
            .transpose()?;
        let condition = match (guard, file.holds.as_deref()) {
            (guard, Some(holds)) => Condition::compile_invariant(guard, holds, scope)
                .map_err(|complaint| refuse("holds", holds, complaint))?,
            (Some(condition), None) => condition,
            (None, None) => {
                let message = "say `when:` it fires, or what `holds:` always".to_owned();
                return Err(whole("id", &file.id, message));
            }
        };
        let message = Message::parse(&file.message, dictionary)
            .map_err(|reason| whole("message", &file.message, reason))?;
        let mut tests = Vec::with_capacity(file.tests.len());
        for test in &file.tests {
            let name = &test.name;
            let test = read_test(test, file.subject, dictionary)
                .map_err(|reason| whole("id", &file.id, format!("test `{name}`: {reason}")))?;
            tests.push(test);
        }
        let RuleFile {
            id,
            subject,
            severity,
            maturity,
            class,
            evidence,
            why,
            references,
            when,
            holds,
            message: template,
            false_positives,
            ..
        } = file;
        let file = RuleText {
            id,
            subject,
            severity,
            maturity,
            class,
            evidence,
            why,
            references,
            when: when.unwrap_or_default(),
            holds,
            message: template,
            false_positives,
        };
        Ok(Rule {
            file: Arc::new(file),
            condition,
            message,
            tests,
            dictionary: Arc::clone(dictionary),
            questions: asked.questions,
            at: asked.at,
        })
    }

    fn refuse(
        &self,
        index: usize,
        rule: &str,
        field: &'static str,
        value: &str,
        complaint: Complaint,
    ) -> PackError {
        let place = locate::locate(self.text, index, field, value, complaint.span.start);
        PackError::Rule(Box::new(RuleError {
            origin: self.origin.to_owned(),
            rule: rule.to_owned(),
            line: place.line,
            column: place.column,
            width: complaint.span.end.saturating_sub(complaint.span.start).max(1),
            excerpt: place.excerpt,
            message: complaint.message,
            help: complaint.help,
        }))
    }
}

fn read_test(
    file: &TestFile,
    subject: Subject,
    dictionary: &Dictionary,
) -> Result<RuleTest, String> {
    let input = read_input(file, subject, dictionary)?;
    Ok(RuleTest { name: file.name.clone(), input, expect: file.expect })
}

fn read_input(
    file: &TestFile,
    subject: Subject,
    dictionary: &Dictionary,
) -> Result<TestInput, String> {
    let TestFile { facts, recording, tx, range, code, function, .. } = file;
    let is_function = subject == Subject::Function;
    let of_function = "a function has no recordings; write its `facts:`, or its `code:`";
    match (facts, (recording, tx), range, (code, function)) {
        (Some(facts), (None, None), None, (None, None)) => {
            read_facts(facts, dictionary).map(TestInput::Facts)
        }
        (None, (Some(_), Some(_)), None, (None, None)) if is_function => {
            Err(of_function.to_owned())
        }
        (None, (None, None), Some(_), (None, None)) if is_function => Err(of_function.to_owned()),
        (None, (Some(recording), Some(tx)), None, (None, None)) => {
            Ok(TestInput::Recording(RecordingRef { recording: recording.clone(), tx: *tx }))
        }
        (None, (None, None), Some(range), (None, None)) => read_range(range).map(TestInput::Range),
        (None, (None, None), None, (Some(code), Some(function))) if is_function => {
            Ok(TestInput::Code(CodeRef { code: code.clone(), function: function.clone() }))
        }
        (None, (None, None), None, (Some(_), Some(_))) => {
            Err("only a function has `code:`".to_owned())
        }
        _ => Err("give either `facts:`, or `recording:` with `tx:`, or `range:`, or `code:` with \
                  `function:`"
            .to_owned()),
    }
}

fn read_facts(
    facts: &BTreeMap<String, FactLiteral>,
    dictionary: &Dictionary,
) -> Result<FactTable, String> {
    let mut table = dictionary.empty_table();
    for (name, literal) in facts {
        let Some(position) = dictionary.position(name) else {
            let close = closest(name, dictionary.names());
            let hint = close.map_or(String::new(), |close| format!("; did you mean `{close}`?"));
            return Err(format!("unknown fact `{name}`{hint}"));
        };
        let value = read_value(literal, dictionary.fact(position))
            .map_err(|reason| format!("fact `{name}`: {reason}"))?;
        table.set(position, value);
    }
    Ok(table)
}

fn read_range(file: &RangeFile) -> Result<RangeRef, String> {
    if !(1..=MAX_EPISODES).contains(&file.episodes) {
        return Err(format!("range: play 1 to {MAX_EPISODES} episodes"));
    }
    if file.seed.checked_add(file.episodes).is_none() {
        return Err("range: the seed is too large".to_owned());
    }
    Ok(RangeRef {
        protocol: file.protocol.clone(),
        is_flawed: file.flawed,
        family: file.family.clone(),
        seed: file.seed,
        episodes: file.episodes,
        least_loss_bps: file.least_loss_bps,
    })
}

fn read_value(literal: &FactLiteral, spec: FactRef<'_>) -> Result<Value, String> {
    match (literal, spec.ty) {
        (FactLiteral::Text(text), _) if text == "unknown" => Ok(Value::Unknown),
        (FactLiteral::Bool(value), FactType::Bool) => Ok(Value::Bool(*value)),
        (FactLiteral::Uint(value), FactType::Uint) => Ok(Value::Uint(U256::from(*value))),
        (FactLiteral::Text(text), FactType::Uint) => match text.strip_prefix("at least ") {
            Some(floor) => amount(floor, spec.unit).map(Value::AtLeast),
            None => amount(text, spec.unit).map(Value::Uint),
        },
        (FactLiteral::Text(text), FactType::Text) => Ok(Value::Text(text.clone())),
        (FactLiteral::Text(text), FactType::Address) => read_address(text).map(Value::Address),
        (_, FactType::Bool) => Err("expected true or false".to_owned()),
        (_, FactType::Uint) => Err("expected an amount".to_owned()),
        (_, FactType::Text) => Err("expected a text".to_owned()),
        (_, FactType::Address) => {
            Err("expected an address in quotes: `0x` and 40 hexadecimal digits".to_owned())
        }
    }
}

/// Digits of any length, or a constant such as `eth(5)`.
pub(super) fn amount(text: &str, unit: &str) -> Result<U256, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
        return read_digits(text);
    }
    constant(text, unit).map_err(|complaint| complaint.message)
}

/// Reads the lists of a pack, those in files through `files`.
fn read_lists(named: BTreeMap<String, ListFile>, files: &Files<'_>) -> Result<Lists, String> {
    let mut lists = Lists::new();
    let mut entries = 0;
    for (name, file) in named {
        if !questions::is_name(&name) {
            return Err(format!(
                "lists: `{name}` is not a name: lower case letters, digits and `_`"
            ));
        }
        let list = match file {
            ListFile::Entries(entries) => List::new(entries),
            ListFile::File(ListFileName { file }) => {
                files(&file).and_then(|text| List::from_lines(&text))
            }
        };
        let list = list.map_err(|reason| format!("lists: `{name}`: {reason}"))?;
        entries += list.len();
        if entries > MAX_ENTRIES {
            return Err(format!("lists: all lists together have at most {MAX_ENTRIES} entries"));
        }
        lists.insert(name, list);
    }
    Ok(lists)
}

fn check_header(file: &PackFile, origin: &str) -> Result<(), PackError> {
    let refuse = |reason: String| {
        Err(PackError::Shape { origin: origin.to_owned(), line: 0, column: 0, reason })
    };
    if !is_kebab(&file.pack) {
        return refuse(format!("pack: `{}` is not lower case words joined by `-`", file.pack));
    }
    let path = Path::new(origin);
    let is_yaml =
        path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if is_yaml && stem != file.pack {
        return refuse(format!("pack: `{}` must be named like its file, `{stem}`", file.pack));
    }
    if file.rules.len() > MAX_RULES {
        return refuse(format!(
            "rules: a pack has at most {MAX_RULES}, this one has {}",
            file.rules.len()
        ));
    }
    let numbers: Vec<&str> = file.version.split('.').collect();
    if numbers.len() != 3 || numbers.iter().any(|number| number.parse::<u32>().is_err()) {
        return refuse(format!("version: `{}` is not of the form 1.0.0", file.version));
    }
    Ok(())
}

fn is_kebab(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.len() <= 64 && text.split('-').all(word)
}

fn shape(origin: &str, error: &serde_norway::Error) -> PackError {
    let (line, column) =
        error.location().map_or((0, 0), |location| (location.line(), location.column()));
    let reason = error.to_string();
    let suffix = format!(" at line {line} column {column}");
    let reason = reason.strip_suffix(&suffix).unwrap_or(&reason).to_owned();
    PackError::Shape { origin: origin.to_owned(), line, column, reason }
}
