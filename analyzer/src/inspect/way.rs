//! The control flow of the function that a finding begins in, with the way to the flaw marked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::drawing::{Drawing, Way};
use super::name::Target;
use super::{Inspected, cfg, svg};
use crate::cfg::Calls;
use crate::facts::Facts;
use crate::hir::{FunctionId, Program};
use crate::report::{Finding, Location};
use crate::syntax::FileId;

/// Pictures of findings of one program.
pub(crate) struct Pictures<'p> {
    asked: Inspected<'p>,
    files: BTreeMap<String, FileId>,
}

/// A step of the way, as a picture can show it.
struct Stop {
    number: usize,
    line: u32,
    /// The line in the source, without the space around it.
    text: String,
}

impl<'p> Pictures<'p> {
    pub(crate) fn new(program: &'p Program) -> Self {
        let mut files = BTreeMap::new();
        for function in program.function_ids() {
            let file = program.function(function).file;
            if let Some(source) = program.source(file) {
                files.entry(source.path.to_string_lossy().into_owned()).or_insert(file);
            }
        }
        let (facts, target) = (Facts::new(program), Target::All);
        let asked = Inspected { program, facts, reported: &[], target, calls: Calls::Kept };
        Self { asked, files }
    }

    /// The picture of `finding` as SVG; `None` where it lies in no function with a body, or is too large.
    pub(crate) fn draw(&mut self, finding: &Finding) -> Option<String> {
        let places: Vec<&Location> = if finding.steps.is_empty() {
            vec![&finding.location]
        } else {
            finding.steps.iter().map(|step| &step.location).collect()
        };
        let entry = places.iter().find_map(|place| self.function_at(place))?;
        let is_elsewhere =
            |place: &&Location| self.function_at(place).is_some_and(|id| id != entry);
        // A way that leaves the function is shown with what it calls put in place.
        self.asked.calls =
            if places.iter().any(is_elsewhere) { Calls::InPlace } else { Calls::Kept };
        let contract = self.asked.program.function(entry).contract;
        self.asked.target = Target::Function { contract, function: entry };
        let mut drawing = cfg::gather(&self.asked).ok()?.drawing().ok()?;
        let stops: Vec<Stop> =
            places.iter().zip(1..).filter_map(|(place, number)| self.stop(place, number)).collect();
        mark(&mut drawing, &stops);
        svg::draw(&drawing).ok()
    }

    /// The innermost function that a place lies in.
    fn function_at(&self, place: &Location) -> Option<FunctionId> {
        let file = *self.files.get(&place.path)?;
        let program = self.asked.program;
        let covers = |id: &FunctionId| {
            let function = program.function(*id);
            let span = function.span;
            function.file == file
                && span.start <= place.start.offset
                && place.start.offset < span.end
        };
        let has_body = |id: &FunctionId| self.asked.facts.body(*id).is_some();
        program.function_ids().filter(covers).find(has_body)
    }

    fn stop(&self, place: &Location, number: usize) -> Option<Stop> {
        let source = self.asked.program.source(*self.files.get(&place.path)?)?;
        let text = source.text.lines().nth(place.start.line.saturating_sub(1) as usize)?;
        Some(Stop { number, line: place.start.line, text: text.trim().to_owned() })
    }
}

/// Marks the rows of the stops, and the shortest way along the arrows from each to the next.
fn mark(drawing: &mut Drawing, stops: &[Stop]) {
    let mut way = Way::default();
    let mut last: Option<usize> = None;
    for stop in stops {
        let shows = |drawing: &Drawing, node: usize, row: usize| {
            let row = &drawing.nodes[node].rows[row];
            let text: String = row.pieces.iter().map(|(_, text)| text.as_str()).collect();
            let text = text.trim().trim_end_matches('…').to_owned();
            // The head of the function stands in the first box, without its line.
            let is_line =
                row.gutter == stop.line.to_string() || (node == 0 && row.gutter.is_empty());
            // Code put in place comes from several files, so the number of a line is not enough.
            is_line && !text.is_empty() && stop.text.contains(&text)
        };
        let at = (0..drawing.nodes.len())
            .flat_map(|node| (0..drawing.nodes[node].rows.len()).map(move |row| (node, row)))
            .filter(|(node, row)| shows(drawing, *node, *row))
            // What comes next on the way stands in a block that can be reached from here.
            .min_by_key(|(node, _)| {
                last.map_or(0, |last| {
                    route(drawing, last, *node).map_or(usize::MAX, |links| links.len())
                })
            });
        let Some((node, row)) = at else { continue };
        way.rows.entry((node, row)).or_insert_with(Vec::new).push(stop.number);
        let from = last.unwrap_or(0);
        way.links.extend(route(drawing, from, node).unwrap_or_default());
        last = Some(node);
    }
    drawing.way = way;
}

/// The links of a shortest way between two boxes; none where they are one.
fn route(drawing: &Drawing, from: usize, to: usize) -> Option<BTreeSet<usize>> {
    let mut reached: BTreeMap<usize, usize> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    let mut seen = BTreeSet::from([from]);
    while let Some(node) = queue.pop_front() {
        if node == to {
            let mut links = BTreeSet::new();
            let mut here = to;
            while here != from {
                let link = *reached.get(&here)?;
                links.insert(link);
                here = drawing.links.get(link)?.from;
            }
            return Some(links);
        }
        for (number, link) in drawing.links.iter().enumerate().filter(|(_, link)| link.from == node)
        {
            if seen.insert(link.to) {
                reached.insert(link.to, number);
                queue.push_back(link.to);
            }
        }
    }
    None
}
