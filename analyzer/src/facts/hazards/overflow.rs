//! Numbers that wrap around: before Solidity 0.8 nothing is said when a sum is too large.

use std::collections::BTreeSet;

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::entry::At;
use crate::facts::origin::Origin;
use crate::facts::work::Work;
use crate::syntax::ast::{BinaryOp, ContractKind};

impl Work<'_, '_> {
    pub(super) fn overflows(&self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        // A library is given its numbers by contracts, which are looked at with it.
        if entry.program.contract(entry.view.contract).kind == ContractKind::Library {
            return;
        }
        let is_old = |statement: &Statement| {
            let file = statement.span.file.0 as usize;
            entry.program.files.get(file).is_some_and(|file| !file.is_checked)
        };
        for (at, statement) in entry.statements() {
            let StatementKind::Assign { target, value: Rvalue::Wrapping(op, left, right) } =
                &statement.kind
            else {
                continue;
            };
            let text = self.text(statement);
            let is_machine = ["add", "sub", "mul", "exp"].iter().any(|name| {
                text.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('('))
            });
            if !is_old(statement) || is_machine || *op == BinaryOp::Pow || !self.is_alive(at) {
                continue;
            }
            let is_free = [left, right].into_iter().any(|operand| {
                let origin = Origin::of(entry, operand, false);
                let is_given = !origin.params.is_empty()
                    && !origin.external
                    && !origin.hashed
                    && !origin.length;
                // What is taken away must not be too large, what something is taken from not too small.
                let is_taken_from = *op == BinaryOp::Sub && operand == left;
                is_given && !self.is_bounded(at, *target, &origin.params, is_taken_from)
            });
            if is_free && self.is_kept(*target) && !self.is_verified(*target, left, right) {
                self.flaw(HazardKind::Overflow, statement, text.to_owned(), out);
            }
        }
    }

    /// Whether some decision compares the given parameters with anything but nothing, and not only to say that they are
    /// large, or that they are small where it is the other bound that is asked for.
    fn is_bounded(
        &self,
        at: At,
        result: LocalId,
        params: &BTreeSet<LocalId>,
        is_least: bool,
    ) -> bool {
        let entry = self.entry;
        entry.statements().any(|(other, statement)| {
            let StatementKind::Assign { value: Rvalue::Binary(op, left, right), .. } =
                &statement.kind
            else {
                return false;
            };
            let is_order = matches!(
                op,
                BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge | BinaryOp::Eq
            );
            let sense = self.sense(other, at);
            is_order
                && other != at
                && [(left, right, false), (right, left, true)].into_iter().any(
                    |(side, against, is_swapped)| {
                        // `side` is known to be the larger one, or the smaller one.
                        let is_larger = match (op, sense) {
                            (BinaryOp::Gt | BinaryOp::Ge, Some(holds)) => Some(holds != is_swapped),
                            (BinaryOp::Lt | BinaryOp::Le, Some(holds)) => Some(holds == is_swapped),
                            _ => None,
                        };
                        if is_larger.is_some_and(|is_larger| is_larger != is_least)
                            && !self.is_same_sum(side, at)
                        {
                            return false;
                        }
                        let is_result = entry.canonical(side) == Operand::Local(result);
                        // What is compared with one of its own addends only says that the sum did not wrap around.
                        let is_own_sum = match entry.canonical(side) {
                            Operand::Local(id) => {
                                entry.only_definition(id).is_some_and(|statement| {
                                    let mut is_part = false;
                                    statement.each_operand(&mut |part| {
                                        is_part |=
                                            entry.canonical(part) == entry.canonical(against);
                                    });
                                    is_part
                                        && matches!(statement.kind, StatementKind::Assign { .. })
                                })
                            }
                            _ => false,
                        };
                        !is_result
                            && !is_own_sum
                            && !self.is_zero(against)
                            && params.is_subset(&Origin::of(entry, side, false).params)
                    },
                )
        })
    }

    /// Whether `operand` is made by the same operator, of the same state and parameters, as what is made at `at`.
    fn is_same_sum(&self, operand: &Operand, at: At) -> bool {
        let entry = self.entry;
        let Operand::Local(id) = entry.canonical(operand) else { return false };
        let [other] = entry.definitions[id.index()] else { return false };
        let (
            StatementKind::Assign { value: Rvalue::Wrapping(op, left, right), .. },
            StatementKind::Assign { value: Rvalue::Wrapping(own, first, second), .. },
        ) = (&entry.statement(other).kind, &entry.statement(at).kind)
        else {
            return false;
        };
        let is_same = |left: &Operand, right: &Operand| {
            let (left, right) = (Origin::of(entry, left, false), Origin::of(entry, right, false));
            let places = |origin: &Origin| -> BTreeSet<_> {
                origin.loads.iter().flat_map(|load| entry.accessed(*load)).cloned().collect()
            };
            left.params == right.params && places(&left) == places(&right)
        };
        op == own && is_same(left, first) && is_same(right, second)
    }

    /// How the comparison at `asked` came out wherever a run comes to `at`, where that is always the same.
    fn sense(&self, asked: At, at: At) -> Option<bool> {
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        let StatementKind::Assign { target, .. } = &entry.statement(asked).kind else {
            return None;
        };
        let block = asked.block;
        match &graph[block].end {
            End::Branch { condition, .. } if *condition == Operand::Local(*target) => {}
            _ => return None,
        }
        let leads = |wanted: Edge| {
            entry.successors(block).iter().any(|&(edge, next)| {
                edge == wanted
                    && entry
                        .reachable(&[next], |from, _, _| from != block)
                        .contains(at.block.index())
            })
        };
        match (leads(Edge::True), leads(Edge::False)) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        }
    }

    /// Whether the result is compared with what it was made of.
    fn is_verified(&self, result: LocalId, left: &Operand, right: &Operand) -> bool {
        let entry = self.entry;
        let of = |operand: &Operand| Origin::of(entry, operand, false);
        let mut made_of = of(left);
        let other = of(right);
        made_of.params.extend(other.params);
        made_of.loads.extend(other.loads);
        entry.statements().any(|(_, statement)| {
            let StatementKind::Assign { value: Rvalue::Binary(op, first, second), .. } =
                &statement.kind
            else {
                return false;
            };
            op.is_comparison()
                && [(first, second), (second, first)].into_iter().any(|(side, against)| {
                    let against = of(against);
                    let is_about = !against.params.is_disjoint(&made_of.params)
                        || !against.loads.is_disjoint(&made_of.loads);
                    is_about && self.is_made_of(side, result)
                })
        })
    }

    /// Whether `operand` is `part`, or a quotient or product of it.
    fn is_made_of(&self, operand: &Operand, part: LocalId) -> bool {
        let Operand::Local(id) = self.entry.canonical(operand) else { return false };
        if id == part {
            return true;
        }
        match self.entry.only_definition(id).map(|statement| &statement.kind) {
            Some(StatementKind::Assign { value: Rvalue::Binary(_, left, _), .. }) => {
                self.entry.canonical(left) == Operand::Local(part)
            }
            _ => false,
        }
    }

    /// Whether a value is written to storage or decides something.
    fn is_kept(&self, result: LocalId) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![result];
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let whole = Operand::Local(id);
            for &block in &self.entry.readers[id.index()] {
                for statement in &self.entry.view.body.graph[block].statements {
                    let mut reads = false;
                    statement.each_operand(&mut |operand| reads |= *operand == whole);
                    match &statement.kind {
                        _ if !reads => {}
                        StatementKind::Store { value, .. } if *value == whole => return true,
                        StatementKind::Assign {
                            target,
                            value: Rvalue::Use(_) | Rvalue::Cast(_),
                        } => {
                            open.push(*target);
                        }
                        StatementKind::Assign { value: Rvalue::Binary(op, ..), .. }
                            if op.is_comparison() =>
                        {
                            return true;
                        }
                        _ => {}
                    }
                }
            }
        }
        false
    }
}
