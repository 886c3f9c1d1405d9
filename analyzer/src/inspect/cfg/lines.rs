//! What each block runs, as lines of the source with marks where something happens.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;

use super::super::drawing::Tone;
use super::super::source::one_line;
use super::super::units::Units;
use super::{Kind, Line, Mark, Next, Part, Shown, in_order, successors, tone};
use crate::cfg::{Block, Constant, Edge, End, Frame, FrameId, Operand, Statement};
use crate::hir::{FunctionId, Program};
use crate::syntax::ast::{self, FunctionKind};
use crate::syntax::{Span, line_column};

/// Lines of one statement, and characters of a line, that are shown.
const MAX_LINES: usize = 12;
const MAX_CHARS: usize = 88;

/// The parts of one unit that one block runs, in one frame.
struct Touch {
    frame: FrameId,
    unit: usize,
    spans: Vec<Span>,
    tones: Vec<(Span, Tone)>,
}

/// A block while the picture is made.
struct Rough {
    lines: Vec<Line>,
    next: Vec<(String, Tone, NodeIndex)>,
    kind: Kind,
}

/// A function of which the picture is made.
pub(super) struct Source<'a> {
    pub(super) program: &'a Program,
    pub(super) shown: &'a Shown,
    pub(super) units: &'a Units,
}

impl Source<'_> {
    pub(super) fn parts(&self, function: FunctionId) -> Vec<Part> {
        let order = in_order(&self.shown.body);
        let mut rough = self.rough(&order);
        let entry = skip_empty(&order, &mut rough, self.shown.body.entry);
        merge(&order, &mut rough, entry);
        let kept: Vec<NodeIndex> =
            order.iter().copied().filter(|node| rough.contains_key(node)).collect();
        let ids: BTreeMap<NodeIndex, usize> =
            kept.iter().enumerate().map(|(at, node)| (*node, at + 1)).collect();
        let head =
            Line { line: None, text: self.head(function), marks: Vec::new(), tone: Tone::Plain };
        let exit = kept.len() + 1;
        let next = |to| Next { to, when: String::new(), tone: Tone::Plain };
        let first = ids.get(&entry).copied().unwrap_or(exit);
        let mut parts =
            vec![Part { id: 0, kind: Kind::Entry, lines: vec![head], next: vec![next(first)] }];
        let mut has_exit = first == exit;
        for node in kept {
            let Some(block) = rough.remove(&node) else { continue };
            let mut out: Vec<Next> = block
                .next
                .into_iter()
                .map(|(when, tone, to)| Next {
                    to: ids.get(&to).copied().unwrap_or(exit),
                    when,
                    tone,
                })
                .collect();
            if block.kind == Kind::Exit {
                out.push(next(exit));
            }
            has_exit |= out.iter().any(|next| next.to == exit);
            let kind = if block.kind == Kind::Exit { Kind::Code } else { block.kind };
            parts.push(Part { id: ids[&node], kind, lines: block.lines, next: out });
        }
        if has_exit {
            let line =
                Line { line: None, text: "end".to_owned(), marks: Vec::new(), tone: Tone::Plain };
            parts.push(Part { id: exit, kind: Kind::Exit, lines: vec![line], next: Vec::new() });
        }
        parts
    }

    /// The head of a function as it is written, without its body.
    fn head(&self, function: FunctionId) -> String {
        let span = self.program.function_span(function);
        let text = self.program.text(span);
        let body = match &self.program.function(function).body {
            ast::Body::Block(body) => body.span.start.saturating_sub(span.start) as usize,
            _ => text.find('{').unwrap_or(text.len()),
        };
        one_line(text.get(..body).unwrap_or(text), MAX_CHARS)
    }

    fn rough(&self, order: &[NodeIndex]) -> BTreeMap<NodeIndex, Rough> {
        let body = &self.shown.body;
        let touched: BTreeMap<NodeIndex, Vec<Touch>> =
            order.iter().map(|node| (*node, self.touches(&body.graph[*node]))).collect();
        // In how many blocks each unit is run; what only undoes everything is a part of its check.
        let mut spread: BTreeMap<(FrameId, usize), BTreeSet<NodeIndex>> = BTreeMap::new();
        for (node, touches) in &touched {
            if !matches!(body.graph[*node].end, End::Revert) {
                for touch in touches {
                    spread.entry((touch.frame, touch.unit)).or_default().insert(*node);
                }
            }
        }
        let mut rough = BTreeMap::new();
        for &node in order {
            let block = &body.graph[node];
            let is_failure = matches!(block.end, End::Revert);
            let showing = |touch: &Touch| {
                let elsewhere = spread.get(&(touch.frame, touch.unit)).map_or(0, BTreeSet::len);
                match (is_failure, elsewhere) {
                    (true, 0) | (false, 1) => Showing::Whole,
                    (true, _) => Showing::Nothing,
                    (false, _) => Showing::Parts,
                }
            };
            let lines = self.lines(node, &touched[&node], showing);
            let mut entry = Rough { lines, next: Vec::new(), kind: Kind::Code };
            let last = touched[&node].last();
            let last = last.map(|touch| (touch.unit, showing(touch) == Showing::Whole));
            self.end(node, block, last, &mut entry);
            rough.insert(node, entry);
        }
        self.name_failures(order, &mut rough);
        rough
    }

    /// The units that a block runs parts of, in order.
    fn touches(&self, block: &Block) -> Vec<Touch> {
        let mut out: Vec<Touch> = Vec::new();
        let mut touch = |frame: FrameId, unit: usize, span: Span, tone: Option<Tone>| {
            if out.last().is_none_or(|last| (last.frame, last.unit) != (frame, unit)) {
                out.push(Touch { frame, unit, spans: Vec::new(), tones: Vec::new() });
            }
            if let Some(last) = out.last_mut() {
                last.spans.push(span);
                last.tones.extend(tone.map(|tone| (span, tone)));
            }
        };
        for statement in &block.statements {
            if let Some((frame, unit)) = self.unit_of(statement) {
                touch(frame, unit, statement.span, tone(&statement.kind));
            }
        }
        if let End::Branch { span, .. } = block.end
            && let Some(unit) = self.units.find(span)
        {
            let function = self.units.get(unit).function;
            let is_of = |frame: &FrameId| self.frame(*frame).function == function;
            let last = block.statements.last().map(|statement| statement.frame).filter(is_of);
            let frame = last.unwrap_or_else(|| {
                let first = self.shown.frames.iter().position(|frame| frame.function == function);
                FrameId(u32::try_from(first.unwrap_or(0)).unwrap_or(0))
            });
            touch(frame, unit, span, None);
        }
        out
    }

    fn frame(&self, frame: FrameId) -> Frame {
        self.shown.frames[frame.0 as usize]
    }

    /// The unit that a statement belongs to, and the call in which it runs: what hands arguments over
    /// belongs to the caller's text.
    fn unit_of(&self, statement: &Statement) -> Option<(FrameId, usize)> {
        let unit = self.units.find(statement.span)?;
        let function = self.units.get(unit).function;
        let mut frame = statement.frame;
        loop {
            let known = self.frame(frame);
            if known.function == function {
                return Some((frame, unit));
            }
            frame = known.caller?.0;
        }
    }

    fn lines(
        &self,
        node: NodeIndex,
        touches: &[Touch],
        showing: impl Fn(&Touch) -> Showing,
    ) -> Vec<Line> {
        let mut out = Vec::new();
        let mut frame = FrameId(0);
        let mut done = BTreeSet::new();
        for touch in touches {
            let mut spans = match showing(touch) {
                Showing::Nothing => continue,
                Showing::Whole => vec![self.units.get(touch.unit).span],
                Showing::Parts => {
                    let chosen = touch.spans.iter().map(|span| self.chosen(node, *span));
                    outermost(&chosen.collect::<Vec<_>>())
                }
            };
            spans.retain(|span| done.insert((touch.frame, *span)));
            if spans.is_empty() {
                continue;
            }
            if touch.frame != frame {
                frame = touch.frame;
                out.push(self.heading(frame));
            }
            // A call that was put in place leaves its arguments before it and its result after it.
            let all: Vec<(Span, Tone)> = touches
                .iter()
                .filter(|other| (other.frame, other.unit) == (touch.frame, touch.unit))
                .flat_map(|other| other.tones.iter().copied())
                .collect();
            let unit = self.units.get(touch.unit);
            for span in spans {
                let mut lines =
                    source_lines(self.program, span, unit.is_statement && span == unit.span, &all);
                if span == unit.span
                    && let Some(first) = lines.first_mut()
                {
                    first.prefix(&unit.prefix);
                }
                out.extend(lines);
            }
        }
        out
    }

    /// Of a choice between two values, the one that `node` takes.
    fn chosen(&self, node: NodeIndex, span: Span) -> Span {
        let Some(choice) = self.units.choice(span) else { return span };
        let graph = &self.shown.body.graph;
        let mut out = None;
        for edge in graph.edges_directed(node, petgraph::Direction::Incoming) {
            let End::Branch { span: condition, .. } = graph[edge.source()].end else {
                return span;
            };
            let value = if *edge.weight() == Edge::True { choice.yes } else { choice.no };
            if !choice.condition.contains(&condition) || out.is_some_and(|known| known != value) {
                return span;
            }
            out = Some(value);
        }
        out.unwrap_or(span)
    }

    /// Whose code comes next.
    fn heading(&self, frame: FrameId) -> Line {
        let known = self.frame(frame);
        let declared = self.program.function(known.function);
        let text = match known.caller {
            Some((_, span)) if declared.kind == FunctionKind::Modifier => {
                format!("modifier {}", one_line(self.program.text(span), MAX_CHARS))
            }
            _ => self.program.function_name(known.function),
        };
        Line { line: None, text, marks: Vec::new(), tone: Tone::Dim }
    }

    /// `last` is the last unit of the block, and whether it is shown whole.
    fn end(&self, node: NodeIndex, block: &Block, last: Option<(usize, bool)>, rough: &mut Rough) {
        let word =
            |text: &str, tone| Line { line: None, text: text.to_owned(), marks: Vec::new(), tone };
        match &block.end {
            End::Goto | End::Return => {
                for (_, to) in successors(&self.shown.body, node) {
                    rough.next.push((String::new(), Tone::Plain, to));
                }
                if rough.next.is_empty() {
                    rough.kind = Kind::Exit;
                }
            }
            End::Branch { condition, span } => {
                let [yes, no] = self.labels(condition, *span, last);
                if rough.lines.is_empty() {
                    let text = match self.units.clause(*span) {
                        Some(_) => "which error?".to_owned(),
                        None => one_line(self.program.text(*span), MAX_CHARS),
                    };
                    rough.lines.push(word(&text, Tone::Dim));
                }
                for (edge, to) in successors(&self.shown.body, node) {
                    let label = if edge == Edge::True { &yes } else { &no };
                    let tone = match label.as_str() {
                        "true" => Tone::Yes,
                        "false" => Tone::No,
                        _ if edge == Edge::True => Tone::Yes,
                        _ => Tone::No,
                    };
                    rough.next.push((label.clone(), tone, to));
                }
            }
            End::Revert => {
                rough.kind = Kind::Revert;
                let says_so = |line: &Line| {
                    ["revert", "throw", "invalid"].iter().any(|word| line.text.starts_with(word))
                };
                match rough.lines.last_mut() {
                    Some(last) if says_so(last) => last.tone = Tone::Revert,
                    Some(_) => rough.lines.push(word("revert", Tone::Revert)),
                    None => {}
                }
            }
            End::Stop => {
                rough.kind = Kind::Stop;
                rough.lines.push(word("stop", Tone::Dim));
            }
        }
    }

    /// What the two ways of a branch are called.
    fn labels(&self, condition: &Operand, span: Span, last: Option<(usize, bool)>) -> [String; 2] {
        let mut plain = ["true".to_owned(), "false".to_owned()];
        if *condition == Operand::Constant(Constant::Unknown)
            && let Some(clause) = self.units.clause(span)
        {
            let otherwise = clause.otherwise.clone().unwrap_or_else(|| "another".to_owned());
            return [clause.head.clone(), otherwise];
        }
        let Some((unit, is_whole)) = last else { return plain };
        let unit = self.units.get(unit);
        if is_whole && self.is_negated(unit.span, span) {
            plain.reverse();
        }
        match unit.catches.as_slice() {
            _ if unit.span != span => plain,
            [] => plain,
            [only] => ["success".to_owned(), only.clone()],
            _ => ["success".to_owned(), "failure".to_owned()],
        }
    }

    /// Whether an odd number of `!` stands before `inner` in `whole`: the branch asks for what is behind them,
    /// a reader of the whole text for what it says.
    fn is_negated(&self, whole: Span, inner: Span) -> bool {
        let text = self.program.text(whole);
        let length = inner.start.saturating_sub(whole.start) as usize;
        let before = text.get(..length).unwrap_or("").chars().rev();
        before.take_while(|c| c.is_whitespace() || "!(".contains(*c)).filter(|c| *c == '!').count()
            % 2
            == 1
    }

    /// A failure without code of its own says what its check says.
    fn name_failures(&self, order: &[NodeIndex], rough: &mut BTreeMap<NodeIndex, Rough>) {
        for &node in order {
            let End::Branch { span, .. } = self.shown.body.graph[node].end else { continue };
            let failure =
                self.units.find(span).and_then(|unit| self.units.get(unit).failure.clone());
            for (_, to) in successors(&self.shown.body, node) {
                if let Some(target) = rough.get_mut(&to)
                    && target.kind == Kind::Revert
                    && target.lines.is_empty()
                {
                    let text = failure.clone().unwrap_or_else(|| "revert".to_owned());
                    let line = Line { line: None, text, marks: Vec::new(), tone: Tone::Revert };
                    target.lines.push(line);
                }
            }
        }
        for block in rough.values_mut() {
            if block.kind == Kind::Revert && block.lines.is_empty() {
                block.lines.push(Line {
                    line: None,
                    text: "revert".to_owned(),
                    marks: Vec::new(),
                    tone: Tone::Revert,
                });
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Showing {
    Whole,
    Parts,
    Nothing,
}

/// The spans that lie in no other one, in order.
fn outermost(spans: &[Span]) -> Vec<Span> {
    let mut out: Vec<Span> = Vec::new();
    for span in spans {
        if out.iter().any(|known| known.contains(span)) {
            continue;
        }
        out.retain(|known| !span.contains(known));
        out.push(*span);
    }
    out
}

/// Leaves out blocks that only lead on, and gives the block that comes first then.
fn skip_empty(
    order: &[NodeIndex],
    rough: &mut BTreeMap<NodeIndex, Rough>,
    entry: NodeIndex,
) -> NodeIndex {
    let target = |rough: &BTreeMap<NodeIndex, Rough>, start: NodeIndex| {
        let mut at = start;
        // A loop without code in it would never end.
        for _ in 0..=order.len() {
            match rough.get(&at) {
                Some(block) if block.lines.is_empty() && block.kind == Kind::Code => {
                    match block.next.as_slice() {
                        [(_, _, to)] if *to != at => at = *to,
                        _ => return at,
                    }
                }
                _ => return at,
            }
        }
        start
    };
    for node in order {
        let Some(block) = rough.get(node) else { continue };
        let next: Vec<_> = block
            .next
            .iter()
            .map(|(when, tone, to)| (when.clone(), *tone, target(rough, *to)))
            .collect();
        if let Some(block) = rough.get_mut(node) {
            block.next = next;
        }
    }
    let entry = target(rough, entry);
    let mut reached = BTreeSet::from([entry]);
    let mut open = vec![entry];
    while let Some(node) = open.pop() {
        for (_, _, to) in rough.get(&node).map(|block| block.next.as_slice()).unwrap_or_default() {
            if reached.insert(*to) {
                open.push(*to);
            }
        }
    }
    // The end itself is drawn once, for all.
    rough.retain(|node, block| {
        reached.contains(node) && !(block.kind == Kind::Exit && block.lines.is_empty())
    });
    entry
}

/// What always comes right after each other is one part.
fn merge(order: &[NodeIndex], rough: &mut BTreeMap<NodeIndex, Rough>, entry: NodeIndex) {
    let mut incoming: BTreeMap<NodeIndex, usize> = BTreeMap::from([(entry, 1)]);
    for (_, _, to) in rough.values().flat_map(|block| &block.next) {
        *incoming.entry(*to).or_default() += 1;
    }
    for node in order {
        while let Some(to) = only_next(rough.get(node)) {
            if to == *node || incoming.get(&to) != Some(&1) {
                break;
            }
            let Some(next) = rough.remove(&to) else { break };
            if let Some(block) = rough.get_mut(node) {
                block.lines.extend(next.lines);
                block.next = next.next;
                block.kind = next.kind;
            }
        }
    }
}

/// Where a block always leads.
fn only_next(block: Option<&Rough>) -> Option<NodeIndex> {
    let block = block?;
    match block.next.as_slice() {
        [(_, _, to)] if block.kind == Kind::Code => Some(*to),
        _ => None,
    }
}

/// The text of a span, line by line, with what happens in it.
fn source_lines(
    program: &Program,
    span: Span,
    is_statement: bool,
    tones: &[(Span, Tone)],
) -> Vec<Line> {
    let Some(source) = program.source(span.file) else { return Vec::new() };
    let text: &str = &source.text;
    let mut range = span.range();
    if is_statement && text.get(range.end..).is_some_and(|rest| rest.starts_with(';')) {
        range.end += 1;
    }
    let Some(shown) = text.get(range.clone()) else { return Vec::new() };
    let (first, _) = line_column(text, range.start);
    let mut tones: Vec<(Span, Tone)> =
        tones.iter().copied().filter(|(inner, _)| span.contains(inner)).collect();
    // What is smaller is painted over what it lies in.
    tones.sort_by_key(|(inner, tone)| (std::cmp::Reverse(inner.end - inner.start), *tone));
    let indent = shown
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let mut out = Vec::new();
    let mut start = range.start;
    for (number, raw) in shown.split('\n').enumerate() {
        let skipped = if number == 0 { 0 } else { indent.min(raw.len() - raw.trim_start().len()) };
        let kept = raw[skipped..].trim_end();
        if !kept.is_empty() {
            if out.len() == MAX_LINES {
                let text = "…".to_owned();
                out.push(Line { line: None, text, marks: Vec::new(), tone: Tone::Dim });
                break;
            }
            out.push(painted(first + number, kept, start + skipped, &tones));
        }
        start += raw.len() + 1;
    }
    out
}

fn painted(line: usize, raw: &str, start: usize, tones: &[(Span, Tone)]) -> Line {
    let mut text = String::new();
    let mut paint: Vec<Option<Tone>> = Vec::new();
    for (at, c) in raw.char_indices() {
        if paint.len() == MAX_CHARS {
            text.push('…');
            paint.push(None);
            break;
        }
        let offset = start + at;
        let is_in = |span: &Span| span.range().contains(&offset);
        text.push(if c.is_control() { ' ' } else { c });
        paint.push(tones.iter().rev().find(|(span, _)| is_in(span)).map(|(_, tone)| *tone));
    }
    let mut marks: Vec<Mark> = Vec::new();
    for (at, tone) in paint.iter().enumerate() {
        let Some(tone) = tone else { continue };
        match marks.last_mut() {
            Some(last) if last.to == at && last.tone == *tone => last.to = at + 1,
            _ => marks.push(Mark { from: at, to: at + 1, what: meaning(*tone), tone: *tone }),
        }
    }
    Line { line: Some(line), text, marks, tone: Tone::Plain }
}

fn meaning(tone: Tone) -> &'static str {
    match tone {
        Tone::Call => "external_call",
        Tone::Destroy => "self_destruct",
        Tone::Inner => "internal_call",
        Tone::Write => "write",
        Tone::Emit => "emit",
        _ => "unknown",
    }
}

impl Line {
    fn prefix(&mut self, prefix: &str) {
        self.text.insert_str(0, prefix);
        let shift = prefix.chars().count();
        for mark in &mut self.marks {
            mark.from += shift;
            mark.to += shift;
        }
    }
}
