//! `portcullis rules derive`: what the audit learned of a contract becomes rules for the guard.
//!
//! The auditor is asked two things, where state stands and who may reach each write and call, in the form that it
//! prints for programs. Every rule says from which line it comes; what could not be told is said at the head of the
//! pack, and no rule is made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use portcullis_analyzer::inspect::{self, Form, INSPECT_VERSION, InspectOptions, Printer};
use portcullis_rules::{Dictionary, Pack};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::terminal;

/// Arguments of `rules derive`.
#[derive(Debug, clap::Args)]
pub(super) struct DeriveArgs {
    /// Solidity files or folders
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Where the contract is deployed: `0x` and 40 hexadecimal digits; again for each
    #[arg(long = "address", value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,
    /// The contract, where the paths declare more than one that can be called
    #[arg(long, value_name = "NAME")]
    contract: Option<String>,
    /// Write the pack to this file, whose stem becomes its name; a file that is there stays
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What the auditor prints of guards.
#[derive(Debug, Deserialize)]
struct Guards {
    version: u64,
    entry_points: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    /// `Contract.function(types)`.
    function: String,
    path: String,
    line: usize,
    effects: Vec<Effect>,
}

#[derive(Debug, Deserialize)]
struct Effect {
    path: String,
    line: usize,
    kind: String,
    what: String,
    is_guarded: bool,
    rests_on: Vec<String>,
    is_one_shot: bool,
    #[serde(default)]
    is_locked: Option<bool>,
    #[serde(default)]
    callee: Option<String>,
}

/// What the auditor prints of storage.
#[derive(Debug, Deserialize)]
struct Layouts {
    version: u64,
    contracts: Vec<Layout>,
}

#[derive(Debug, Deserialize)]
struct Layout {
    is_known: bool,
    variables: Vec<Variable>,
}

#[derive(Debug, Deserialize)]
struct Variable {
    slot: String,
    offset_bytes: u8,
    size_bytes: u64,
    #[serde(rename = "type")]
    ty: String,
    name: String,
    is_transient: bool,
}

/// A rule on its way into the pack.
struct Derived {
    id: String,
    severity: &'static str,
    class: &'static str,
    why: String,
    /// Name of the question's answer, and the question as YAML.
    asked: (&'static str, String),
    message: String,
}

/// Derives, checks what was derived, and prints or writes it.
///
/// # Errors
/// Paths that cannot be read, no contract or more than one, or a file that is there already.
pub(super) fn run(args: DeriveArgs, dictionaries: &[Dictionary]) -> anyhow::Result<ExitCode> {
    let base = std::env::current_dir().context("the current folder cannot be read")?;
    let contract = match &args.contract {
        Some(name) => name.clone(),
        None => only_contract(&ask::<Guards>(&base, &args.paths, None, Printer::Guards)?.0)?,
    };
    let named = Some(contract.clone());
    let (guards, mut unread) = ask::<Guards>(&base, &args.paths, named.clone(), Printer::Guards)?;
    let (layouts, _) = ask::<Layouts>(&base, &args.paths, named, Printer::Storage)?;
    for version in [guards.version, layouts.version] {
        if version != INSPECT_VERSION {
            bail!("the auditor speaks version {version}, this command {INSPECT_VERSION}");
        }
    }
    let layout = layouts.contracts.into_iter().next().filter(|layout| layout.is_known);
    let mut deriving = Deriving {
        contract: &contract,
        entries: &guards.entry_points,
        variables: layout.as_ref().map_or(&[], |layout| layout.variables.as_slice()),
        rules: Vec::new(),
        unproved: std::mem::take(&mut unread),
    };
    if layout.is_none() {
        deriving.unproved.push(format!(
            "the storage layout of `{contract}` is not known, so no rule watches its slots"
        ));
    }
    deriving.chosen_slots();
    deriving.re_entries();
    deriving.half_done_views();
    deriving.exits();
    let name = match &args.output {
        Some(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        None => format!("derived-{}", kebab(&contract)),
    };
    let text = deriving.pack(&name, &args.addresses);
    // A pack that the guard would refuse is a mistake of this command, and must not leave it.
    Pack::parse(&text, &name, dictionaries).context("the derived pack")?;
    match &args.output {
        None => terminal::print(&text)?,
        Some(path) => {
            let place = || path.display().to_string();
            let mut file =
                OpenOptions::new().write(true).create_new(true).open(path).with_context(place)?;
            file.write_all(text.as_bytes()).with_context(place)?;
            let (rules, said) = (deriving.rules.len(), deriving.unproved.len());
            terminal::print(&format!(
                "{}: {rules} {}, {said} {} not proved\n",
                place(),
                super::plural(rules, "rule"),
                super::plural(said, "thing")
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One question to the auditor, with what it could not read.
fn ask<T: DeserializeOwned>(
    base: &Path,
    paths: &[PathBuf],
    name: Option<String>,
    printer: Printer,
) -> anyhow::Result<(T, Vec<String>)> {
    let inspection = inspect::inspect(&InspectOptions {
        base: base.to_owned(),
        paths: paths.to_vec(),
        name,
        printer,
        form: Form::Json,
        is_whole: false,
    })?;
    let answer = serde_json::from_str(&inspection.text).context("the auditor's answer")?;
    let unread = inspection.diagnostics.iter().map(|said| {
        let place = said.location.as_ref();
        let place = place.map(|place| format!("{}:{}: ", place.path, place.start.line));
        format!("{}{}", place.unwrap_or_default(), said.message)
    });
    Ok((answer, unread.collect()))
}

fn only_contract(guards: &Guards) -> anyhow::Result<String> {
    let names: BTreeSet<&str> = guards
        .entry_points
        .iter()
        .filter_map(|entry| entry.function.split_once('.'))
        .map(|(contract, _)| contract)
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    match names.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => bail!("no contract in these paths has a function that changes anything"),
        several => bail!("say which with --contract: {}", several.join(", ")),
    }
}

struct Deriving<'a> {
    contract: &'a str,
    entries: &'a [Entry],
    variables: &'a [Variable],
    rules: Vec<Derived>,
    unproved: Vec<String>,
}

impl Entry {
    /// `function(types)`.
    fn signature(&self) -> &str {
        self.function.split_once('.').map_or(self.function.as_str(), |(_, signature)| signature)
    }

    fn name(&self) -> &str {
        self.signature().split('(').next().unwrap_or_default()
    }

    /// The signature as it is hashed; none where a type is named by the sources and not by the ABI.
    fn canonical(&self) -> Option<String> {
        let (name, types) = self.signature().strip_suffix(')')?.split_once('(')?;
        let mut canonical = Vec::new();
        for ty in types.split(',').map(str::trim).filter(|ty| !ty.is_empty()) {
            let element = ty.split([' ', '[']).next().unwrap_or_default();
            let digits = element.trim_start_matches(|letter: char| letter.is_ascii_lowercase());
            let word = &element[..element.len() - digits.len()];
            let is_known = matches!(word, "uint" | "int" | "bytes" | "address" | "bool" | "string")
                && digits.bytes().all(|digit| digit.is_ascii_digit())
                && (!matches!(word, "uint" | "int") || !digits.is_empty());
            if !is_known {
                return None;
            }
            let brackets = ty.find('[').map_or("", |at| &ty[at..]);
            canonical.push(format!("{element}{brackets}"));
        }
        Some(format!("{name}({})", canonical.join(",")))
    }

    fn place(&self) -> String {
        format!("{}:{}", self.path, self.line)
    }

    fn writes(&self) -> impl Iterator<Item = &Effect> {
        self.effects.iter().filter(|effect| effect.kind == "write")
    }

    fn calls(&self) -> impl Iterator<Item = &Effect> {
        self.effects.iter().filter(|effect| effect.kind == "call")
    }

    /// Writes that come after a call, in the order of the sources; what stands in another file may.
    fn writes_after<'e>(&'e self, call: &'e Effect) -> impl Iterator<Item = &'e Effect> {
        self.writes().filter(|write| write.path != call.path || write.line >= call.line)
    }

    /// Hands control to whom the contract does not know, with nothing that keeps it from being entered again.
    fn open_call(&self) -> Option<&Effect> {
        self.calls()
            .find(|call| call.is_locked == Some(false) && call.callee.as_deref() == Some("anyone"))
    }
}

impl Effect {
    /// The state variable, without the field of a struct.
    fn variable(&self) -> &str {
        self.what.split(['.', '[']).next().unwrap_or_default()
    }

    fn place(&self) -> String {
        format!("{}:{}", self.path, self.line)
    }
}

impl Deriving<'_> {
    /// Slots that only an account named by another slot may change.
    fn chosen_slots(&mut self) {
        let mut written: BTreeMap<&str, Vec<&Effect>> = BTreeMap::new();
        for write in self.entries.iter().flat_map(Entry::writes) {
            written.entry(write.variable()).or_default().push(write);
        }
        let is_chosen =
            |writes: &[&Effect]| writes.iter().all(|write| write.is_guarded && !write.is_one_shot);
        let (mut rules, mut unproved) = (Vec::new(), Vec::new());
        for (name, writes) in &written {
            if !is_chosen(writes) {
                continue;
            }
            let Some(variable) = self.variable(name) else {
                unproved.push(format!("where `{name}` stands is not known"));
                continue;
            };
            let shares_slot = self.variables.iter().any(|other| {
                other.slot == variable.slot
                    && other.name != variable.name
                    && !other.is_transient
                    && written.get(other.name.as_str()).is_some_and(|writes| !is_chosen(writes))
            });
            if variable.is_transient || shares_slot {
                unproved.push(format!(
                    "`{name}` stands in slot {} beside state that anyone may change: no rule watches it",
                    variable.slot
                ));
                continue;
            }
            let rests_on: BTreeSet<&str> =
                writes.iter().flat_map(|write| &write.rests_on).map(String::as_str).collect();
            let holders: Option<Vec<String>> =
                rests_on.iter().map(|name| self.variable(name)?.holder()).collect();
            let Some(holders) = holders.filter(|holders| !holders.is_empty()) else {
                let on = rests_on.into_iter().collect::<Vec<_>>().join(", ");
                let on = if on.is_empty() { "something fixed in the code" } else { &on };
                unproved.push(format!(
                    "who may change `{name}` is said by {on}, which is no single account: no rule watches it"
                ));
                continue;
            };
            let place = if variable.ty.starts_with("mapping") { "mapping" } else { "slot" };
            let lines: BTreeSet<String> = writes.iter().map(|write| write.place()).collect();
            let lines = lines.into_iter().collect::<Vec<_>>().join(", ");
            let who = rests_on.into_iter().collect::<Vec<_>>().join(" or ");
            rules.push(Derived {
                id: format!("{}-changed-by-a-stranger", kebab(name)),
                severity: "critical",
                class: "access",
                why: format!(
                    "`{name}` (slot {}) is written at {lines} only, and only for the account in `{who}`. Here \
                     somebody else changed it.",
                    variable.slot
                ),
                asked: (
                    "by_others",
                    format!(
                        "{{ changed: {place}({}), not_by: [{}] }}",
                        variable.slot,
                        quoted(&holders)
                    ),
                ),
                message: format!("`{name}` was changed by an account that is not in `{who}`"),
            });
        }
        self.rules.extend(rules);
        self.unproved.extend(unproved);
    }

    /// Functions that share state with one that hands over control and holds no lock.
    fn re_entries(&mut self) {
        let (mut rules, mut unproved) = (Vec::new(), Vec::new());
        for entry in self.entries {
            let Some(call) = entry.open_call() else { continue };
            let own: BTreeSet<&str> = entry.writes_after(call).map(Effect::variable).collect();
            if own.is_empty() {
                continue;
            }
            let Some(inside) = entry.canonical() else {
                unproved.push(unnamed(entry));
                continue;
            };
            let mut entered = Vec::new();
            let mut shared = BTreeSet::new();
            for other in self.entries {
                let common: BTreeSet<&str> = other
                    .writes()
                    .map(Effect::variable)
                    .filter(|name| own.contains(name))
                    .collect();
                if common.is_empty() {
                    continue;
                }
                match other.canonical() {
                    Some(signature) => {
                        entered.push(signature);
                        shared.extend(common);
                    }
                    None => unproved.push(unnamed(other)),
                }
            }
            let shared = shared.into_iter().collect::<Vec<_>>().join("`, `");
            rules.push(Derived {
                id: format!("entered-again-during-{}", kebab(entry.name())),
                severity: "high",
                class: "reentrancy",
                why: format!(
                    "`{inside}` ({}) calls out at {} without a lock and writes `{shared}` after that, which the functions \
                     entered here write too. The audit does not prove that every order of these writes is harmful.",
                    entry.place(),
                    call.place()
                ),
                asked: (
                    "nested",
                    format!("{{ entered: [{}], inside: [{}] }}", quoted(&entered), quoted(std::slice::from_ref(&inside))),
                ),
                message: format!("{{nested}} entries that share state with `{inside}` while it was running"),
            });
        }
        self.rules.extend(rules);
        self.unproved.extend(unproved);
    }

    /// Views are not told half of the truth where the contract calls out before it is done.
    fn half_done_views(&mut self) {
        let calling: Vec<String> = self
            .entries
            .iter()
            .filter_map(|entry| {
                let call = entry.calls().find(|call| {
                    call.callee.as_deref() != Some("fixed")
                        && entry.writes_after(call).next().is_some()
                })?;
                Some(format!("`{}` ({})", entry.name(), call.place()))
            })
            .collect();
        if calling.is_empty() {
            return;
        }
        self.rules.push(Derived {
            id: "view-read-in-the-middle-of-a-call".to_owned(),
            severity: "high",
            class: "reentrancy",
            why: format!(
                "The contract calls out and changes state after that in {}. A view that reads that state before the call is over \
                 tells what is not true any more a moment later; a lock of the contract does not keep views from being \
                 asked. The audit does not prove that anybody relies on it.",
                calling.join(", ")
            ),
            asked: ("stale", "{ stale: [] }".to_owned()),
            message: "{stale} views saw state that the running call changed afterwards".to_owned(),
        });
    }

    /// What leaves while none of the functions that call out is running leaves through no known door.
    fn exits(&mut self) {
        let calling: Vec<&Entry> = self
            .entries
            .iter()
            .filter(|entry| {
                entry.calls().next().is_some()
                    || entry.effects.iter().any(|effect| effect.kind == "selfdestruct")
            })
            .collect();
        let mut exits = Vec::new();
        for entry in &calling {
            match entry.canonical() {
                Some(signature) => exits.push(signature),
                None => {
                    self.unproved.push(format!(
                        "{}; as it may be an exit, no rule watches what leaves elsewhere",
                        unnamed(entry)
                    ));
                    return;
                }
            }
        }
        let lines: Vec<String> =
            calling.iter().map(|entry| format!("`{}` ({})", entry.name(), entry.place())).collect();
        let known =
            if lines.is_empty() { "no function at all".to_owned() } else { lines.join(", ") };
        self.rules.push(Derived {
            id: "paid-outside-of-the-exits".to_owned(),
            severity: "critical",
            class: "exit",
            why: format!(
                "By the sources, ether and tokens can leave through {known}. Here something left while none of them was \
                 running: other code than the audited, or an allowance that somebody spends. The audit does not prove that \
                 the code at the address is the audited one."
            ),
            asked: ("odd", format!("{{ paid_outside_of: [{}] }}", quoted(&exits))),
            message: "{odd} payments outside of the exits that the sources have".to_owned(),
        });
    }

    fn variable(&self, name: &str) -> Option<&Variable> {
        let mut found = self.variables.iter().filter(|variable| variable.name == name);
        // Two private variables of one name: which is meant is not said.
        found.next().filter(|_| found.next().is_none())
    }

    fn pack(&self, name: &str, addresses: &[String]) -> String {
        let mut text = format!("# Derived from the sources of `{}`.\n", self.contract);
        let mut line = |line: String| {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{line}");
        };
        let unproved: BTreeSet<&String> = self.unproved.iter().collect();
        if !unproved.is_empty() {
            line("# What the audit could not prove:".to_owned());
            for said in unproved {
                line(format!("# - {}", said.replace('\n', " ")));
            }
        }
        line(format!("pack: {name}\nversion: 1.0.0\nengine: 1\nauthor: portcullis rules derive"));
        line(format!("lists:\n  deployed: [{}]", quoted(addresses)));
        line(if self.rules.is_empty() { "rules: []".to_owned() } else { "rules:".to_owned() });
        let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
        for rule in &self.rules {
            let Derived { id, severity, class, why, asked: (asked, question), message } = rule;
            // Overloads share a name.
            let seen = ids.entry(id).or_default();
            *seen += 1;
            let number = if *seen > 1 { format!("-{seen}") } else { String::new() };
            let short: String = id.chars().take(56).collect();
            let id = format!("{}-{}{number}", kebab(self.contract), short.trim_end_matches('-'));
            let id: String = id.chars().take(64).collect();
            let id = id.trim_end_matches('-');
            line(format!(
                "  - id: {id}\n    subject: transaction\n    severity: {severity}\n    maturity: experimental"
            ));
            line(format!("    class: {class}\n    why: {}", yaml(why)));
            line(format!("    at: [deployed]\n    with:\n      {asked}: {question}"));
            line(format!("    when: touches_protected && tx_succeeded && {asked} > 0"));
            line(format!("    message: {}", yaml(message)));
            line("    tests:".to_owned());
            for (count, expect) in [(1, "fires"), (0, "silent")] {
                line(format!(
                    "      - {{ name: {asked} is {count}, facts: {{ touches_protected: true, tx_succeeded: true, {asked}: \
                     {count} }}, expect: {expect} }}"
                ));
            }
        }
        text
    }
}

impl Variable {
    /// The variable as somebody who may, where it holds one address.
    fn holder(&self) -> Option<String> {
        let is_address = self.size_bytes == 20 && !self.is_transient;
        is_address.then(|| format!("slot({}, {})", self.slot, self.offset_bytes))
    }
}

fn unnamed(entry: &Entry) -> String {
    format!(
        "`{}` ({}) takes types whose ABI name is not known here, so rules cannot name it",
        entry.signature(),
        entry.place()
    )
}

/// Texts in double quotes, which is what YAML and JSON share.
fn quoted(texts: &[String]) -> String {
    texts.iter().map(|text| yaml(text)).collect::<Vec<_>>().join(", ")
}

fn yaml(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// `maxSupply` and `MAX_SUPPLY` as `max-supply`.
fn kebab(name: &str) -> String {
    let mut words = String::new();
    let mut was_lower = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && was_lower {
            words.push('-');
        }
        was_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        if letter.is_ascii_alphanumeric() {
            words.push(letter.to_ascii_lowercase());
        } else if !words.is_empty() && !words.ends_with('-') {
            words.push('-');
        }
    }
    let words = words.trim_matches('-');
    if words.is_empty() { "unnamed".to_owned() } else { words.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Entry, kebab};

    fn canonical(signature: &str) -> Option<String> {
        let function = format!("C.{signature}");
        Entry { function, path: String::new(), line: 1, effects: Vec::new() }.canonical()
    }

    #[test]
    fn only_signatures_of_the_abi_are_named() {
        for (signature, expected) in [
            ("f()", Some("f()")),
            ("f(uint256,address)", Some("f(uint256,address)")),
            ("f(address payable, bytes32[2][])", Some("f(address,bytes32[2][])")),
            ("f(string,bool)", Some("f(string,bool)")),
            ("f(IOracle)", None),
            ("f(Order memory)", None),
            ("f(uint256,mapping(uint => uint))", None),
        ] {
            assert_eq!(canonical(signature).as_deref(), expected, "{signature}");
        }
    }

    #[test]
    fn ids_are_words() {
        for (name, expected) in [
            ("maxSupply", "max-supply"),
            ("MAX_SUPPLY", "max-supply"),
            ("_x", "x"),
            ("Ä", "unnamed"),
        ] {
            assert_eq!(kebab(name), expected);
        }
    }
}
