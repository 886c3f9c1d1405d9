//! What a rule asks beyond the facts: from the file's shape to questions and the names of their answers.

use std::sync::Arc;

use super::file::{FactLiteral, QuestionFile, RuleFile};
use super::load::amount;
use crate::condition::{closest, read_address};
use crate::facts::{AskedSpec, Dictionary, FactType, Subject};
use crate::list::Lists;
use crate::question::{
    Fold, Moment, Question, SignatureFault, Window, read_changed, read_functions, read_holder,
    read_view,
};

/// Questions of one rule.
const MAX_QUESTIONS: usize = 16;
/// Bytes of a name.
const MAX_NAME_BYTES: usize = 40;
/// Blocks of a window: about a week of Ethereum.
const MAX_BLOCKS: u64 = 50_000;
/// Units that a reading may have.
const UNITS: &[&str] = &["wei", "bps", "blocks", "count"];

/// The questions of a rule, with the names that its condition uses for the answers.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) specs: Vec<AskedSpec>,
    /// One for each spec.
    pub(super) questions: Vec<Question>,
    /// Sorted; empty for every contract.
    pub(super) at: Arc<[[u8; 20]]>,
}

/// Reads `with:` and `at:` of a rule.
pub(super) fn read(
    file: &RuleFile,
    dictionary: &Dictionary,
    lists: &Lists,
) -> Result<Asked, String> {
    let mut asked = Asked { at: contracts(&file.at, lists)?, ..Asked::default() };
    let is_asking = !file.questions.is_empty() || !file.at.is_empty() || file.holds.is_some();
    if is_asking && file.subject != Subject::Transaction {
        return Err("`with:`, `at:` and `holds:` belong to the subject `transaction`".to_owned());
    }
    if !file.at.is_empty() && file.questions.is_empty() {
        return Err(
            "`at:` says what the questions of `with:` are about, and there are none".to_owned()
        );
    }
    if file.questions.len() > MAX_QUESTIONS {
        return Err(format!("with: at most {MAX_QUESTIONS} questions in one rule"));
    }
    for (name, question) in &file.questions {
        let refuse = |reason| format!("with: `{name}`: {reason}");
        if !is_name(name) {
            return Err(refuse("not a name: lower case letters, digits and `_`".to_owned()));
        }
        for taken in [name.clone(), format!("{name}_before"), format!("{name}_after")] {
            if dictionary.position(&taken).is_some() || lists.contains_key(&taken) {
                return Err(refuse(format!("`{taken}` is a fact or a list already")));
            }
        }
        asked.read_one(name, question, dictionary).map_err(refuse)?;
    }
    for (index, spec) in asked.specs.iter().enumerate() {
        if asked.specs[..index].iter().any(|earlier| earlier.name == spec.name) {
            return Err(format!("with: two questions are answered as `{}`", spec.name));
        }
    }
    Ok(asked)
}

/// Whether conditions can use it as a name.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        // A word of CEL itself.
        && !matches!(text, "in" | "true" | "false" | "null")
}

impl Asked {
    fn read_one(
        &mut self,
        name: &str,
        file: &QuestionFile,
        dictionary: &Dictionary,
    ) -> Result<(), String> {
        let QuestionFile {
            sum,
            count,
            max,
            per,
            over,
            read,
            of,
            unit,
            called,
            signatures,
            entered,
            inside,
            stale,
            changed,
            not_by,
            paid_outside_of,
        } = file;
        let kinds = [sum, count, max, read, changed].into_iter().filter(|kind| kind.is_some());
        let more =
            [called, entered, stale, paid_outside_of].into_iter().filter(|kind| kind.is_some());
        if kinds.count() + more.count() + usize::from(signatures.is_some()) != 1 {
            return Err(
                "ask one of `sum`, `count`, `max`, `read`, `called`, `entered`, `stale`, `changed`, \
                 `paid_outside_of`, `signatures`"
                    .to_owned(),
            );
        }
        let belongs = |given: bool, word: &str, to: bool, owner: &str| {
            if given && !to { Err(format!("`{word}` belongs to {owner}")) } else { Ok(()) }
        };
        let is_window = sum.is_some() || count.is_some() || max.is_some();
        belongs(per.is_some(), "per", is_window, "`sum`, `count` and `max`")?;
        belongs(over.is_some(), "over", is_window, "`sum`, `count` and `max`")?;
        belongs(of.is_some(), "of", read.is_some(), "`read`")?;
        belongs(unit.is_some(), "unit", read.is_some(), "`read`")?;
        belongs(inside.is_some(), "inside", entered.is_some(), "`entered`")?;
        belongs(not_by.is_some(), "not_by", changed.is_some(), "`changed`")?;

        let windows = [(sum, Fold::Sum), (count, Fold::Count), (max, Fold::Max)];
        let window = windows.into_iter().find_map(|(fact, how)| Some((fact.as_ref()?, how)));
        if let Some((fact, how)) = window {
            let (unit, fact) = windowed(fact, how, dictionary)?;
            let blocks = blocks(over.as_ref())?;
            let per = per.unwrap_or_default();
            self.add(
                name.to_owned(),
                FactType::Uint,
                unit,
                format!("{how:?} of `{fact}` over {blocks} blocks, per {per:?}.").to_lowercase(),
                Question::Window(Window { fact, how, per, blocks }),
            );
        } else if let Some(text) = read {
            let mut reading = read_view(text)?;
            reading.of = of.as_deref().map(read_address).transpose()?;
            let unit = match unit.as_deref() {
                None => "",
                Some(unit) => UNITS
                    .iter()
                    .find(|known| **known == unit && reading.ty == FactType::Uint)
                    .ok_or_else(|| {
                        format!("unit `{unit}`: an amount is in {}", UNITS.join(", "))
                    })?,
            };
            let moments = [(Moment::Before, "before"), (Moment::After, "after")];
            for (moment, word) in moments {
                self.add(
                    format!("{name}_{word}"),
                    reading.ty,
                    unit,
                    format!("`{text}` {word} the transaction."),
                    Question::Reading(reading.clone(), moment),
                );
            }
        } else {
            let (question, doc) = if let Some(functions) = called {
                let functions = read_functions(functions)?;
                if functions.is_empty() {
                    return Err("name at least one function".to_owned());
                }
                (Question::Called(functions), "Calls of these functions.")
            } else if let Some(fault) = signatures {
                let doc = match fault {
                    SignatureFault::Nobody => "Signatures of nobody that were believed.",
                    SignatureFault::Repeated => "Signatures that were believed more than once.",
                };
                (Question::Signatures(*fault), doc)
            } else if let Some(functions) = entered {
                let functions = read_functions(functions)?;
                if functions.is_empty() {
                    return Err("name at least one function".to_owned());
                }
                let inside = read_functions(inside.as_deref().unwrap_or_default())?;
                (Question::Entered { functions, inside }, "Entries while the contract was running.")
            } else if let Some(views) = stale {
                (Question::Stale(read_functions(views)?), "Views that saw a half-done update.")
            } else if let Some(place) = changed {
                let holders = not_by.as_deref().unwrap_or_default();
                let holders = holders.iter().map(|holder| read_holder(holder));
                let question = Question::Changed {
                    place: read_changed(place)?,
                    holders: holders.collect::<Result<_, _>>()?,
                };
                (question, "Changes by somebody who may not.")
            } else {
                let functions = read_functions(paid_outside_of.as_deref().unwrap_or_default())?;
                (Question::PaidOutside(functions), "Payments outside of the known exits.")
            };
            self.add(name.to_owned(), FactType::Uint, "count", doc.to_owned(), question);
        }
        Ok(())
    }

    fn add(
        &mut self,
        name: String,
        ty: FactType,
        unit: &'static str,
        doc: String,
        question: Question,
    ) {
        self.specs.push(AskedSpec { name, ty, unit, doc });
        self.questions.push(question);
    }
}

/// Unit and name of a fact that a window is made of.
fn windowed(
    fact: &str,
    how: Fold,
    dictionary: &Dictionary,
) -> Result<(&'static str, &'static str), String> {
    let found = dictionary.specs().iter().find(|spec| spec.name == fact);
    let Some(spec) = found else {
        let close = closest(fact, dictionary.specs().iter().map(|spec| spec.name));
        let hint = close.map_or(String::new(), |close| format!("; did you mean `{close}`?"));
        return Err(format!("unknown fact `{fact}`{hint}"));
    };
    match (spec.ty, how) {
        (FactType::Uint, Fold::Count) | (FactType::Bool, Fold::Count) => Ok(("count", spec.name)),
        (FactType::Uint, Fold::Sum | Fold::Max) => Ok((spec.unit, spec.name)),
        (_, Fold::Count) => Err(format!("`{fact}` is neither a truth value nor an amount")),
        (_, Fold::Sum | Fold::Max) => Err(format!("`{fact}` is no amount")),
    }
}

fn blocks(over: Option<&FactLiteral>) -> Result<u64, String> {
    let blocks = match over {
        None => return Err("say over how many blocks, as in `over: blocks(50)`".to_owned()),
        Some(FactLiteral::Uint(blocks)) => u64::try_from(*blocks).ok(),
        Some(FactLiteral::Text(text)) => u64::try_from(amount(text, "blocks")?).ok(),
        Some(FactLiteral::Bool(_)) => None,
    };
    blocks
        .filter(|blocks| (1..=MAX_BLOCKS).contains(blocks))
        .ok_or_else(|| format!("a window has 1 to {MAX_BLOCKS} blocks"))
}

/// Addresses, and the entries of lists.
fn contracts(named: &[String], lists: &Lists) -> Result<Arc<[[u8; 20]]>, String> {
    let mut contracts = Vec::new();
    for name in named {
        match lists.get(name) {
            Some(list) => {
                let addresses = list.addresses();
                let addresses =
                    addresses.map_err(|reason| format!("at: list `{name}`: {reason}"))?;
                contracts.extend_from_slice(&addresses);
            }
            None => contracts.push(
                read_address(name)
                    .map_err(|reason| format!("at: {reason}, nor the name of a list"))?,
            ),
        }
    }
    contracts.sort_unstable();
    contracts.dedup();
    Ok(contracts.into())
}
