//! Who may reach each write and each call of the entry points, and under which lock.

use schemars::JsonSchema;
use serde::Serialize;

use super::Inspected;
use super::name;
use super::source::{Place, one_line};
use super::table::table;
use crate::facts::{EntryPoint, Guard};
use crate::hir::ContractId;
use crate::syntax::Span;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Guarded {
    entry_points: Vec<Entry>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Entry {
    /// `Contract.function(types)`.
    function: String,
    #[serde(flatten)]
    place: Place,
    effects: Vec<Effect>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
struct Effect {
    #[serde(flatten)]
    place: Place,
    /// `write`, `call` or `selfdestruct`.
    kind: &'static str,
    /// The state that is written, or the text of the call.
    what: String,
    /// Only a chosen account gets here.
    is_guarded: bool,
    /// The state that says who is chosen.
    rests_on: Vec<String>,
    /// A stranger can set some of that state, so the guard holds nobody back.
    is_open: bool,
    /// Can happen only once in the life of the contract.
    is_one_shot: bool,
    /// For calls: made under a lock that keeps the call from being reached again while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_locked: Option<bool>,
    /// For calls under a lock: the state, or the function of another contract, that tells it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lock_kept_in: Vec<String>,
    /// The entry points that the lock keeps out while the call runs, those of other contracts, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lock_shuts: Vec<String>,
    /// The entry points and views of the contract that can be entered nevertheless.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lock_leaves_open: Vec<String>,
    /// The names of those that can change anything.
    #[serde(skip)]
    leaves_doors: Vec<String>,
    /// For calls: who chooses what is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    callee: Option<&'static str>,
}

pub(super) fn gather(asked: &Inspected<'_>) -> Guarded {
    let program = asked.program;
    let facts = &asked.facts;
    let entry_points = asked
        .summaries()
        .into_iter()
        .map(|summary| {
            let mut effects = Vec::new();
            for write in &summary.writes {
                let what = facts.state_text(&write.variable);
                let effect =
                    Effect::new(asked, summary.contract, write.span, "write", what, &write.guard);
                effects.push(Effect { is_one_shot: write.is_one_shot, ..effect });
            }
            for call in &summary.calls {
                let what = one_line(program.text(call.span), 60);
                let cover = facts.locks().iter().find(|cover| {
                    cover.contract == summary.contract
                        && cover.entry == summary.function
                        && cover.call_span == call.span
                });
                let labels = |points: &[EntryPoint]| -> Vec<String> {
                    let label =
                        |at: &EntryPoint| name::label(program, Some(at.contract), at.function);
                    points.iter().map(label).collect()
                };
                let open = cover.map(|cover| cover.open.as_slice()).unwrap_or_default();
                let doors = open
                    .iter()
                    .filter(|point| facts.entry_points().contains(point))
                    .map(|point| {
                        let name = program.function_name(point.function);
                        name.rsplit('.').next().unwrap_or(&name).to_owned()
                    })
                    .collect();
                effects.push(Effect {
                    is_locked: Some(cover.is_some()),
                    lock_kept_in: cover.map(|cover| cover.kept_in.clone()).unwrap_or_default(),
                    lock_shuts: cover.map(|cover| labels(&cover.shut)).unwrap_or_default(),
                    lock_leaves_open: labels(open),
                    leaves_doors: doors,
                    callee: Some(facts.chooser(summary.contract, &call.callee)),
                    ..Effect::new(asked, summary.contract, call.span, "call", what, &call.guard)
                });
            }
            for site in &summary.destructs {
                let what = one_line(program.text(site.span), 60);
                let effect = Effect::new(
                    asked,
                    summary.contract,
                    site.span,
                    "selfdestruct",
                    what,
                    &site.guard,
                );
                effects.push(Effect { is_one_shot: site.is_one_shot, ..effect });
            }
            effects.sort();
            effects.dedup();
            Entry {
                function: name::label(program, Some(summary.contract), summary.function),
                place: Place::of(program, program.function_name_span(summary.function)),
                effects,
            }
        })
        .collect();
    Guarded { entry_points }
}

impl Guarded {
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        for entry in &self.entry_points {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&format!("{}  {}\n", entry.function, entry.place));
            if entry.effects.is_empty() {
                out.push_str("  writes nothing and calls nobody\n");
                continue;
            }
            let rows: Vec<[String; 5]> = entry.effects.iter().map(Effect::row).collect();
            out.push_str(&table(["line", "does", "who", "lock", "what"], &rows));
        }
        if out.is_empty() {
            out.push_str("no entry points\n");
        }
        out
    }
}

impl Effect {
    fn new(
        asked: &Inspected<'_>,
        contract: ContractId,
        span: Span,
        kind: &'static str,
        what: String,
        guard: &Guard,
    ) -> Self {
        let is_guarded = asked.facts.holds(contract, guard);
        Self {
            place: Place::of(asked.program, span),
            kind,
            what,
            is_guarded,
            rests_on: guard.rests_on.iter().map(|key| asked.facts.state_text(key)).collect(),
            is_open: guard.is_guarded && !is_guarded,
            is_one_shot: false,
            is_locked: None,
            lock_kept_in: Vec::new(),
            lock_shuts: Vec::new(),
            lock_leaves_open: Vec::new(),
            leaves_doors: Vec::new(),
            callee: None,
        }
    }

    fn row(&self) -> [String; 5] {
        let rests_on = self.rests_on.join(", ");
        let who = match (self.is_guarded, self.is_open) {
            (true, _) if rests_on.is_empty() => "chosen, fixed in the code".to_owned(),
            (true, _) => format!("chosen by {rests_on}"),
            (false, true) => format!("chosen by {rests_on}, which anyone can set"),
            (false, false) if self.is_one_shot => "anyone, once".to_owned(),
            (false, false) => "anyone".to_owned(),
        };
        let lock = match self.is_locked {
            None => "-".to_owned(),
            Some(true) if self.leaves_doors.is_empty() => "locked".to_owned(),
            Some(true) => format!("locked, but not {}", self.leaves_doors.join(", ")),
            Some(false) => "open".to_owned(),
        };
        let does = match self.callee {
            Some("anyone") => "call of a stranger".to_owned(),
            Some("chosen") => "call of a chosen contract".to_owned(),
            Some(_) => "call of a fixed contract".to_owned(),
            None => self.kind.to_owned(),
        };
        [self.place.line.to_string(), does, who, lock, self.what.clone()]
    }
}
