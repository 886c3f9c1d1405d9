//! The three-address form of functions.

use std::collections::BTreeMap;

use petgraph::graph::NodeIndex;
use schemars::JsonSchema;
use serde::Serialize;

use super::cfg::{LEGEND, chosen, in_order, one_function, shown, successors, tone};
use super::drawing::{Direction, Drawing, Link, Node, Row, Shape, Tone, Way};
use super::name;
use super::source::{Place, one_line};
use super::{InspectError, Inspected};
use crate::cfg::{Body, Edge, End, text};

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Functions {
    functions: Vec<Lowered>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Lowered {
    /// `Contract.function(types)`.
    function: String,
    #[serde(flatten)]
    place: Place,
    /// Something in it could not be read or resolved.
    is_partial: bool,
    /// Some internal calls were left as calls: recursion, or too large.
    is_truncated: bool,
    /// The text form, which can be read back.
    text: String,
    #[serde(skip)]
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    rows: Vec<Row>,
    next: Vec<(usize, Edge)>,
    is_failure: bool,
}

pub(super) fn gather(asked: &Inspected<'_>) -> Result<Functions, InspectError> {
    let program = asked.program;
    let names = text::Names::new(program);
    let functions = chosen(asked)?
        .into_iter()
        .filter_map(|(contract, function)| {
            let shown = shown(asked, contract, function)?;
            let context = contract.or(program.function(function).contract);
            let printer = text::Printer::new(&names, context, &shown.body);
            let function_name = name::label(program, contract, function);
            let place = Place::of(program, program.function_name_span(function));
            Some(Lowered {
                is_partial: shown.body.is_partial,
                is_truncated: shown.is_truncated,
                text: format!(
                    "// {function_name}  {place}\n{}",
                    printer.document(text::Spans::Left)
                ),
                blocks: blocks(&printer, &shown.body),
                function: function_name,
                place,
            })
        })
        .collect();
    Ok(Functions { functions })
}

fn blocks(printer: &text::Printer<'_>, body: &Body) -> Vec<Block> {
    let order = in_order(body);
    let ids: BTreeMap<NodeIndex, usize> =
        order.iter().enumerate().map(|(id, node)| (*node, id)).collect();
    order
        .iter()
        .map(|node| {
            let block = &body.graph[*node];
            let mut rows = vec![Row::new(Tone::Dim, printer.label(*node))];
            for statement in &block.statements {
                let text = one_line(&printer.statement(&statement.kind), 100);
                rows.push(Row::new(tone(&statement.kind).unwrap_or(Tone::Plain), text));
            }
            let is_failure = matches!(block.end, End::Revert);
            let last = match &block.end {
                End::Goto => None,
                End::Branch { condition, .. } => {
                    Some((Tone::Dim, format!("if {}", printer.operand(condition))))
                }
                End::Return => Some((Tone::Dim, "return".to_owned())),
                End::Revert => Some((Tone::Revert, "revert".to_owned())),
                End::Stop => Some((Tone::Dim, "stop".to_owned())),
            };
            rows.extend(last.map(|(tone, text)| Row::new(tone, text)));
            let next = successors(body, *node)
                .into_iter()
                .filter_map(|(edge, to)| Some((*ids.get(&to)?, edge)))
                .collect();
            Block { rows, next, is_failure }
        })
        .collect()
}

impl Functions {
    pub(super) fn to_text(&self) -> String {
        let texts: Vec<&str> = self.functions.iter().map(|lowered| lowered.text.as_str()).collect();
        if texts.is_empty() { "no function with a body\n".to_owned() } else { texts.join("\n") }
    }

    pub(super) fn drawing(&self) -> Result<Drawing, InspectError> {
        let [lowered] = self.functions.as_slice() else {
            return Err(one_function(self.functions.iter().map(|lowered| &lowered.function)));
        };
        let mut links = Vec::new();
        for (from, block) in lowered.blocks.iter().enumerate() {
            for (to, edge) in &block.next {
                let (label, tone) = match edge {
                    Edge::Next => ("", Tone::Plain),
                    Edge::True => ("true", Tone::Yes),
                    Edge::False => ("false", Tone::No),
                };
                let label = label.to_owned();
                links.push(Link { from, to: *to, label, tone, is_dashed: false });
            }
        }
        let nodes = lowered
            .blocks
            .iter()
            .map(|block| Node {
                shape: Shape::Box,
                tone: if block.is_failure { Tone::Revert } else { Tone::Plain },
                rows: block.rows.clone(),
                hint: String::new(),
            })
            .collect();
        Ok(Drawing {
            title: format!("{}  {}", lowered.function, lowered.place),
            direction: Direction::Down,
            nodes,
            links,
            legend: LEGEND.to_vec(),
            way: Way::default(),
        })
    }
}
