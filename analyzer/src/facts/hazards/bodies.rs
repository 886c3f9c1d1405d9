//! What can be told from single bodies, wherever they run.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::has_path_connecting;
use petgraph::graph::NodeIndex;

use super::HazardKind;
use super::declared::Declared;
use crate::cfg::*;
use crate::facts::Facts;
use crate::hir::{ContractId, FunctionId, Type};
use crate::syntax::Span;
use crate::syntax::ast::{FunctionKind, Location};

/// The body that is looked at, and whose it is.
struct Here<'b> {
    contract: ContractId,
    function: FunctionId,
    body: &'b Body,
}

impl Facts<'_> {
    pub(super) fn body_flaws(&self, out: &mut Vec<Declared>) {
        let program = self.program;
        for (function, body) in program.function_ids().zip(&self.bodies) {
            let (Some(body), Some(contract)) = (body, program.function(function).contract) else {
                continue;
            };
            let here = Here { contract, function, body };
            // A lock that is taken and released around the rest is written twice on purpose.
            if program.function(function).kind != FunctionKind::Modifier {
                overwritten(program, &here, out);
            }
            self.never_set(&here, out);
            self.calls_inside(&here, out);
            retryables(&here, out);
        }
    }

    /// Locals that are read but never set, and references to nowhere that are written through.
    fn never_set(&self, here: &Here<'_>, out: &mut Vec<Declared>) {
        let body = here.body;
        // Where each local is declared without a value, and which ones are set and read.
        let mut declared: BTreeMap<LocalId, Span> = BTreeMap::new();
        let mut set: BTreeSet<LocalId> = BTreeSet::new();
        let mut read: BTreeSet<LocalId> = BTreeSet::new();
        let mut written_through: BTreeMap<LocalId, Span> = BTreeMap::new();
        for block in body.graph.node_weights() {
            for statement in &block.statements {
                match &statement.kind {
                    StatementKind::Assign {
                        target,
                        value: Rvalue::Use(Operand::Constant(Constant::Default)),
                    } => {
                        declared.entry(*target).or_insert(statement.span);
                    }
                    StatementKind::Assign { target, .. } | StatementKind::Load { target, .. } => {
                        set.insert(*target);
                    }
                    StatementKind::Call(call) => set.extend(&call.results),
                    StatementKind::Store {
                        place: Place { root: Root::Reference(id), .. }, ..
                    } => {
                        written_through.entry(*id).or_insert(statement.span);
                    }
                    StatementKind::Unknown => return,
                    _ => {}
                }
                statement.each_operand(&mut |operand| {
                    if let Operand::Local(id) = operand {
                        read.insert(*id);
                    }
                });
            }
            if let End::Branch { condition: Operand::Local(id), .. } = &block.end {
                read.insert(*id);
            }
        }
        for (id, span) in declared {
            let local = &body.locals[id.index()];
            let Some(name) = &local.name else { continue };
            if set.contains(&id) || local.is_param || body.returns.contains(&id) {
                continue;
            }
            let is_value =
                matches!(local.ty, Type::Uint(_) | Type::Int(_) | Type::Bool | Type::Enum(_));
            if is_value && read.contains(&id) {
                out.push((HazardKind::NeverSet, here.contract, here.function, span, name.clone()));
            }
        }
        // Before 0.5 such a declaration was a reference to the first slot.
        for (id, span) in written_through {
            let local = &body.locals[id.index()];
            let is_nowhere = !local.is_param
                && local.location == Some(Location::Storage)
                && !set.contains(&id)
                && !body.returns.contains(&id);
            if let (true, Some(name)) = (is_nowhere, &local.name) {
                let kind = HazardKind::NowhereReference;
                out.push((kind, here.contract, here.function, span, name.clone()));
            }
        }
    }

    /// Calls of functions that do not come back, or that change a copy and drop it.
    fn calls_inside(&self, here: &Here<'_>, out: &mut Vec<Declared>) {
        let body = here.body;
        for block in body.graph.node_indices() {
            for (index, statement) in body.graph[block].statements.iter().enumerate() {
                let StatementKind::Call(call) = &statement.kind else { continue };
                let CallKind::Internal(id, _) = call.kind else { continue };
                let Some(called) = self.body(id) else { continue };
                let name = || self.program.function(id).name.clone();
                if stops(called) && is_awaited(body, block, index, call) {
                    out.push((
                        HazardKind::NoReturn,
                        here.contract,
                        here.function,
                        statement.span,
                        name(),
                    ));
                }
                let is_lost = call.args.iter().zip(&called.params).any(|(arg, param)| {
                    is_copied_from_storage(body, arg) && is_changed_alone(called, *param)
                });
                if is_lost {
                    out.push((
                        HazardKind::LostCopy,
                        here.contract,
                        here.function,
                        statement.span,
                        name(),
                    ));
                }
            }
        }
    }
}

/// Whether some way through the body ends the whole call, as `return` in assembly does.
fn stops(body: &Body) -> bool {
    body.graph.node_weights().any(|block| {
        matches!(block.end, End::Stop)
            && !matches!(block.statements.last().map(|statement| &statement.kind),
                Some(StatementKind::Call(call)) if call.kind == CallKind::SelfDestruct)
    })
}

/// Whether anything is done after the call, or with what it gives.
fn is_awaited(body: &Body, block: NodeIndex, index: usize, call: &Call) -> bool {
    let acts = |statement: &Statement| {
        matches!(
            statement.kind,
            StatementKind::Store { .. } | StatementKind::Call(_) | StatementKind::Emit { .. }
        ) || matches!(&statement.kind, StatementKind::Assign { target, .. } if body.returns.contains(target))
    };
    let statements = &body.graph[block].statements;
    !call.results.is_empty()
        || statements.iter().skip(index + 1).any(acts)
        || body.graph.node_indices().any(|other| {
            other != block
                && body.graph[other].statements.iter().any(acts)
                && has_path_connecting(&body.graph, block, other, None)
        })
}

/// Whether an argument is a list or struct that was copied from storage for the call.
fn is_copied_from_storage(body: &Body, arg: &Operand) -> bool {
    let Operand::Local(id) = arg else { return false };
    let local = &body.locals[id.index()];
    if local.name.is_some() || !matches!(local.ty, Type::Array(..) | Type::Struct(_)) {
        return false;
    }
    body.graph.node_weights().flat_map(|block| &block.statements).any(
        |statement| matches!(&statement.kind, StatementKind::Load { target, .. } if target == id),
    )
}

/// Whether a body changes what a parameter in memory holds, and does nothing else with it.
fn is_changed_alone(body: &Body, param: LocalId) -> bool {
    let mut is_changed = false;
    let whole = Operand::Local(param);
    let is_read = body.graph.node_weights().any(|block| {
        block.statements.iter().any(|statement| {
            let mut n_reads = 0;
            statement.each_operand(&mut |operand| n_reads += usize::from(*operand == whole));
            match &statement.kind {
                StatementKind::Assign { target, value: Rvalue::Pure("update", operands) }
                    if *target == param && operands.first() == Some(&whole) =>
                {
                    is_changed = true;
                    n_reads > 1
                }
                // What is read and then used by nobody is only the old value of what is changed.
                StatementKind::Assign { target, .. } if !is_read_in(body, *target) => false,
                _ => n_reads > 0,
            }
        }) || matches!(&block.end, End::Branch { condition, .. } if *condition == whole)
    });
    is_changed && !is_read && !body.returns.contains(&param)
}

fn is_read_in(body: &Body, local: LocalId) -> bool {
    let whole = Operand::Local(local);
    body.returns.contains(&local)
        || body.graph.node_weights().any(|block| {
            block.statements.iter().any(|statement| {
                let mut is_read = false;
                statement.each_operand(&mut |operand| is_read |= *operand == whole);
                is_read
            }) || matches!(&block.end, End::Branch { condition, .. } if *condition == whole)
        })
}

/// Writes that are overwritten before anything can have read them.
fn overwritten(program: &crate::hir::Program, here: &Here<'_>, out: &mut Vec<Declared>) {
    for block in here.body.graph.node_weights() {
        let mut fresh: Vec<(&Place, Span)> = Vec::new();
        for statement in &block.statements {
            match &statement.kind {
                StatementKind::Store { place, .. } => {
                    if place.path.contains(&Key::Length) {
                        fresh.clear();
                        continue;
                    }
                    if let Some(at) = fresh.iter().position(|(known, _)| *known == place) {
                        let (_, span) = fresh.remove(at);
                        let detail = match place.root {
                            Root::Variable(id) => program.variable(id).name.clone(),
                            _ => "this".to_owned(),
                        };
                        if span != statement.span {
                            out.push((
                                HazardKind::Overwritten,
                                here.contract,
                                here.function,
                                span,
                                detail,
                            ));
                        }
                    }
                    if matches!(place.root, Root::Variable(_)) {
                        fresh.push((place, statement.span));
                    }
                }
                StatementKind::Load { place, target } => match place.root {
                    Root::Variable(_) => fresh
                        .retain(|(known, _)| known.root != place.root && !mentions(known, *target)),
                    _ => fresh.clear(),
                },
                StatementKind::Assign { target, .. } => {
                    fresh.retain(|(known, _)| !mentions(known, *target));
                }
                _ => fresh.clear(),
            }
        }
    }
}

fn mentions(place: &Place, local: LocalId) -> bool {
    let mut found = false;
    place.each_operand(&mut |operand| found |= *operand == Operand::Local(local));
    found
}

/// Two tickets for another chain, which may be redeemed in any order: the second one relies on the first.
fn retryables(here: &Here<'_>, out: &mut Vec<Declared>) {
    let graph = &here.body.graph;
    let mut tickets: Vec<(NodeIndex, Span)> = Vec::new();
    for block in graph.node_indices() {
        for statement in &graph[block].statements {
            // The inbox of Arbitrum.
            if let StatementKind::Call(call) = &statement.kind
                && let CallKind::External { name, .. } = &call.kind
                && matches!(name.as_str(), "createRetryableTicket" | "unsafeCreateRetryableTicket")
                && call.args.len() == 8
            {
                tickets.push((block, statement.span));
            }
        }
    }
    let second = tickets.iter().enumerate().find_map(|(at, (block, span))| {
        tickets[..at]
            .iter()
            .any(|(first, _)| has_path_connecting(graph, *first, *block, None))
            .then_some(*span)
    });
    if let Some(span) = second {
        out.push((HazardKind::UnorderedTickets, here.contract, here.function, span, String::new()));
    }
}
