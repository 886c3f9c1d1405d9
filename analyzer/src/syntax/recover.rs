//! Parses, and where that fails takes out the smallest item around the error and tries again.

use std::collections::{BTreeMap, BTreeSet};

use solang_parser::diagnostics::Diagnostic as ParserDiagnostic;
use solang_parser::pt::{Loc, SourceUnit};

use super::ast::YulBlock;
use super::prelex::{Prelexed, Region, RegionKind, blank};
use super::{Diagnostic, FileId, Span, old_assembly};

/// What the parser made of the text, with what had to be taken out.
pub(crate) struct Recovered {
    pub(crate) unit: SourceUnit,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Opening braces of bodies and assembly blocks whose content was blanked.
    pub(crate) broken_bodies: BTreeSet<usize>,
    pub(crate) var_tuples: BTreeSet<usize>,
    /// Blocks of assembly in the old dialect, by their opening brace; their content is blanked.
    pub(crate) old_assembly: BTreeMap<usize, YulBlock>,
    /// The expressions of `layout at`, which are blank in what the parser saw.
    pub(crate) layouts: Vec<(usize, usize)>,
}

/// Attempts per file. Each takes out at least one item, several errors go at once; a file that still
/// fails is a file of errors.
const MAX_ROUNDS: usize = 64;
/// Attempts that take out only what the first error points at.
const PATIENT_ROUNDS: usize = 32;

/// How much of a region is already gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    BodyBlanked,
    Gone,
}

pub(crate) fn parse(prelexed: Prelexed, text: &str, file: FileId) -> Recovered {
    let mut recovery = Recovery {
        states: vec![State::Whole; prelexed.regions.len()],
        masked: prelexed.masked,
        regions: prelexed.regions,
        text,
        file,
        diagnostics: Vec::new(),
        broken_bodies: BTreeSet::new(),
        old_assembly: BTreeMap::new(),
        said: BTreeMap::new(),
    };
    for stray in &prelexed.strays {
        let span = Span::new(file, *stray, stray + 1);
        recovery.diagnostics.push(
            Diagnostic::new(span, "syntax error: unexpected `}`")
                .with_note("it closes nothing and is left out"),
        );
    }
    recovery.refuse_deep_items();
    recovery.close_cut_items();
    for index in 0..recovery.regions.len() {
        if recovery.regions[index].is_old {
            recovery.read_old_assembly(index);
        }
    }
    let unit = recovery.run();
    let mut diagnostics = recovery.diagnostics;
    diagnostics.sort();
    diagnostics.dedup();
    Recovered {
        unit,
        diagnostics,
        broken_bodies: recovery.broken_bodies,
        var_tuples: prelexed.var_tuples,
        old_assembly: recovery.old_assembly,
        layouts: prelexed.layouts,
    }
}

struct Recovery<'t> {
    masked: Vec<u8>,
    regions: Vec<Region>,
    states: Vec<State>,
    text: &'t str,
    file: FileId,
    diagnostics: Vec<Diagnostic>,
    broken_bodies: BTreeSet<usize>,
    old_assembly: BTreeMap<usize, YulBlock>,
    /// The diagnostic of each region.
    said: BTreeMap<usize, usize>,
}

fn start(loc: &Loc) -> usize {
    match *loc {
        Loc::File(_, start, _) => start,
        _ => 0,
    }
}

impl Recovery<'_> {
    fn refuse_deep_items(&mut self) {
        for index in 0..self.regions.len() {
            let region = &self.regions[index];
            if !region.is_too_deep || region.kind == RegionKind::Contract {
                continue;
            }
            let span = Span::new(self.file, region.start, region.end);
            self.diagnostics.push(Diagnostic::new(span, "nested too deeply").with_note(format!(
                "more than {} levels or terms; the item is not analysed",
                super::prelex::MAX_DEPTH
            )));
            self.take_out(index);
            if self.states[index] == State::BodyBlanked
                && self.regions[index].kind == RegionKind::Item
            {
                // The head may be what is too deep, and it must not reach the parser.
                let head_end = self.regions[index].body.map_or(0, |(open, _)| open);
                if head_end.saturating_sub(self.regions[index].start)
                    > super::prelex::MAX_DEPTH as usize
                {
                    self.take_out(index);
                }
            }
        }
    }

    /// Items whose end is missing end before the next one, with what they hold blanked.
    fn close_cut_items(&mut self) {
        for index in 0..self.regions.len() {
            let region = self.regions[index].clone();
            if !region.is_cut || self.states[index] == State::Gone {
                continue;
            }
            let last = region.end.saturating_sub(1);
            let has_room = self.masked.get(last).is_some_and(u8::is_ascii_whitespace);
            let is_last = region.end == self.text.len();
            let note = if region.kind == RegionKind::Contract && (has_room || is_last) {
                if has_room {
                    self.masked[last] = b'}';
                } else if self.masked.len() == self.text.len() {
                    // The text ends in the middle of a line, perhaps of a comment: the bracket stands past it.
                    self.masked.extend(b"\n}");
                }
                "its contents up to the next declaration are analysed".to_owned()
            } else {
                let has_body =
                    region.body.is_some_and(|(open, _)| self.masked.get(open) == Some(&b'{'));
                self.take_out(index);
                if !has_room || !has_body {
                    self.take_out(index);
                }
                format!("`{}` is not analysed", self.head(index))
            };
            let span = Span::new(self.file, region.start, region.start + self.head(index).len());
            let text = self.text.get(region.start..region.end).unwrap_or("");
            let opened = text.matches(['(', '[', '{']).count();
            let message = if opened == text.matches([')', ']', '}']).count() {
                "syntax error: a `;` or a body is missing"
            } else {
                "syntax error: a closing bracket is missing"
            };
            self.said.insert(index, self.diagnostics.len());
            self.diagnostics.push(Diagnostic::new(span, message).with_note(note));
        }
    }

    fn run(&mut self) -> SourceUnit {
        for round in 0..MAX_ROUNDS {
            let Ok(source) = std::str::from_utf8(&self.masked) else { break };
            match solang_parser::parse(source, 0) {
                Ok((unit, _)) => return unit,
                Err(errors) => {
                    let before = self.states.clone();
                    // What follows the first error may be a consequence of it; files full of errors are
                    // cut short.
                    let count = if round < PATIENT_ROUNDS { 1 } else { errors.len() };
                    let mut errors = errors;
                    errors.sort_by_key(|error| start(&error.loc));
                    let mut changed = false;
                    for error in errors.iter().take(count) {
                        changed |= self.handle(error);
                    }
                    changed |= before != self.states;
                    if !changed && !self.blank_last_resort(&errors) {
                        break;
                    }
                }
            }
        }
        self.diagnostics.push(
            Diagnostic::new(Span::new(self.file, 0, 0), "source cannot be read")
                .with_note("too many syntax errors; the file is not analysed"),
        );
        SourceUnit(Vec::new())
    }

    /// Whether something that belongs to no item was taken out; what is taken out of items shows in their states.
    fn handle(&mut self, error: &ParserDiagnostic) -> bool {
        let Loc::File(_, start, end) = error.loc else { return false };
        // Brackets that were put in stand past the text.
        let (start, end) = (start.min(self.text.len()), end.min(self.text.len()));
        let inside = self.innermost(start);
        if inside.is_none() && start == self.text.len() && self.take_out_rest() {
            return true;
        }
        // An error at the end of an item often shows at the first token past it.
        let Some(index) = inside.or_else(|| self.last_before(start)) else { return false };
        if self.read_old_assembly(index) {
            // Where one block is of the old dialect, others are.
            for other in 0..self.regions.len() {
                self.read_old_assembly(other);
            }
            return false;
        }
        let span = Span::new(self.file, start, end);
        let found = span.text(self.text).lines().next().unwrap_or("").trim().to_owned();
        self.take_out(index);
        let region = &self.regions[index];
        let note = match (region.kind, self.states[index]) {
            (RegionKind::Assembly, _) => "the assembly block is not analysed".to_owned(),
            (_, State::BodyBlanked) => {
                format!("the body of `{}` is not analysed", self.head(index))
            }
            _ => format!("`{}` is not analysed", self.head(index)),
        };
        let message = if start >= self.text.len() {
            "syntax error: unexpected end of file".to_owned()
        } else if found.is_empty() {
            "syntax error".to_owned()
        } else {
            let short: String = found.chars().take(40).collect();
            format!("syntax error: unexpected `{short}`")
        };
        match self.said.get(&index) {
            // The first error in an item is the one to show; only its cost has grown.
            Some(&said) => self.diagnostics[said].note = Some(note),
            None => {
                self.said.insert(index, self.diagnostics.len());
                self.diagnostics.push(Diagnostic::new(span, message).with_note(note));
            }
        }
        false
    }

    /// Whether the region is assembly of the old dialect, which is read apart from the rest.
    fn read_old_assembly(&mut self, index: usize) -> bool {
        let region = &self.regions[index];
        if region.kind != RegionKind::Assembly || self.states[index] != State::Whole {
            return false;
        }
        let (start, end) = (region.start, region.end);
        let Some(read) = old_assembly::read(self.text, start, end, self.file) else { return false };
        blank(&mut self.masked, start + 1, end - 1);
        self.states[index] = State::Gone;
        self.diagnostics.extend(read.diagnostics);
        self.old_assembly.insert(start, read.block);
        true
    }

    /// Takes out what stands behind the last item, where that is more than space: the head of one that never came.
    fn take_out_rest(&mut self) -> bool {
        let from = self.last_before(self.text.len()).map_or(0, |index| self.regions[index].end);
        let rest = &self.masked[from..self.text.len()];
        let Some(first) = rest.iter().position(|byte| !byte.is_ascii_whitespace()) else {
            return false;
        };
        let last = rest.iter().rposition(|byte| !byte.is_ascii_whitespace()).unwrap_or(first);
        let span = Span::new(self.file, from + first, from + last + 1);
        self.diagnostics.push(
            Diagnostic::new(span, "syntax error: unexpected end of file")
                .with_note("what stands behind the last declaration is not analysed"),
        );
        blank(&mut self.masked, from, self.text.len());
        true
    }

    /// The first words of an item, for a note.
    fn head(&self, index: usize) -> String {
        let region = &self.regions[index];
        let text = self.text.get(region.start..region.end).unwrap_or("");
        let head: String = text
            .split(['(', '{', ';', '='])
            .next()
            .unwrap_or("")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        head.chars().take(60).collect()
    }

    fn innermost(&self, offset: usize) -> Option<usize> {
        (0..self.regions.len())
            .filter(|&index| {
                let region = &self.regions[index];
                self.states[index] != State::Gone && region.start <= offset && offset < region.end
            })
            .min_by_key(|&index| self.regions[index].end - self.regions[index].start)
    }

    fn last_before(&self, offset: usize) -> Option<usize> {
        (0..self.regions.len())
            .filter(|&index| self.states[index] != State::Gone && self.regions[index].end <= offset)
            .max_by_key(|&index| {
                (self.regions[index].end, std::cmp::Reverse(self.regions[index].start))
            })
    }

    /// Blanks the body of the region, or all of it where that was not enough.
    fn take_out(&mut self, index: usize) {
        let region = self.regions[index].clone();
        match (self.states[index], region.body) {
            (State::Whole, Some((open, close)))
                if region.kind != RegionKind::Contract && self.masked.get(open) == Some(&b'{') =>
            {
                let closes = close > open + 1 && self.masked.get(close - 1) == Some(&b'}');
                blank(&mut self.masked, open + 1, if closes { close - 1 } else { close });
                if !closes && close > open + 1 {
                    self.masked[close - 1] = b'}';
                }
                self.broken_bodies.insert(open);
                self.states[index] = if region.kind == RegionKind::Assembly {
                    State::Gone
                } else {
                    State::BodyBlanked
                };
                for inner in 0..self.regions.len() {
                    let other = &self.regions[inner];
                    if inner != index && open < other.start && other.end <= close {
                        self.states[inner] = State::Gone;
                    }
                }
            }
            _ => {
                blank(&mut self.masked, region.start, region.end);
                if region.end == self.text.len() {
                    // With the bracket that was put in for it.
                    self.masked.truncate(region.end);
                }
                for inner in 0..self.regions.len() {
                    let other = &self.regions[inner];
                    if region.start <= other.start && other.end <= region.end {
                        self.states[inner] = State::Gone;
                    }
                }
                self.states[index] = State::Gone;
            }
        }
    }

    /// Blanks the line of an error that lies in no item.
    fn blank_last_resort(&mut self, errors: &[ParserDiagnostic]) -> bool {
        let mut changed = false;
        for error in errors {
            let Loc::File(_, start, _) = error.loc else { continue };
            let start = start.min(self.masked.len());
            let from =
                self.masked[..start].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            let to = self.masked[start..]
                .iter()
                .position(|&byte| byte == b'\n')
                .map_or(self.masked.len(), |at| start + at);
            changed |= self.masked[from..to].iter().any(|byte| !byte.is_ascii_whitespace());
            blank(&mut self.masked, from, to);
        }
        changed
    }
}
