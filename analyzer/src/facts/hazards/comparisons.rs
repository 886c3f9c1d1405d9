//! Decisions that are none, and decisions by what others can shift.

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::constants::{Known, constant_value};
use crate::facts::entry::At;
use crate::facts::origin::Origin;
use crate::facts::work::Work;
use crate::hir::{Program, Type};
use crate::syntax::ast::BinaryOp;

impl Work<'_, '_> {
    pub(super) fn comparisons(&self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        for (at, statement) in entry.statements() {
            let StatementKind::Assign { target, value: Rvalue::Binary(op, left, right) } =
                &statement.kind
            else {
                continue;
            };
            if !op.is_comparison() || !self.constants.reaches(at.block) {
                continue;
            }
            let text = self.text(statement).to_owned();
            // Assembly compares for other reasons.
            if ["eq", "lt", "gt", "slt", "sgt"]
                .iter()
                .any(|name| text.starts_with(&format!("{name}(")))
            {
                continue;
            }
            if is_foregone(entry.program, &entry.view.body, *op, left, right) {
                self.flaw(HazardKind::Tautology, statement, text, out);
            } else if reads_the_same(&text) && self.is_self_comparison(at, left, right) {
                self.flaw(HazardKind::SelfComparison, statement, text, out);
            } else if *op == BinaryOp::Eq
                && self.decides(*target)
                && self.is_exact_balance(left, right)
            {
                self.flaw(HazardKind::ExactBalance, statement, text, out);
            }
        }
        self.constant_decisions(out);
    }

    /// Whether a condition is a comparison that always gives the same.
    pub(super) fn is_foregone_condition(&self, condition: &Operand) -> bool {
        let Operand::Local(id) = self.entry.canonical(condition) else { return false };
        match self.entry.only_definition(id).map(|statement| &statement.kind) {
            Some(StatementKind::Assign { value: Rvalue::Binary(op, left, right), .. }) => {
                op.is_comparison()
                    && is_foregone(self.entry.program, &self.entry.view.body, *op, left, right)
            }
            _ => false,
        }
    }

    /// The same local, or the same place read twice with nothing in between.
    fn is_self_comparison(&self, at: At, left: &Operand, right: &Operand) -> bool {
        let (Operand::Local(first), Operand::Local(second)) = (left, right) else { return false };
        if first == second {
            return true;
        }
        let load = |id: &LocalId| match &self.entry.definitions[id.index()] {
            [load]
                if load.block == at.block
                    && matches!(self.entry.statement(*load).kind, StatementKind::Load { .. }) =>
            {
                Some(*load)
            }
            _ => None,
        };
        let (Some(first), Some(second)) = (load(first), load(second)) else { return false };
        let (from, to) = (first.index.min(second.index), first.index.max(second.index));
        let is_quiet = (from..to).all(|index| {
            matches!(
                self.entry.statement(At { block: at.block, index }).kind,
                StatementKind::Load { .. } | StatementKind::Assign { .. }
            )
        });
        let place = self.entry.accessed(first);
        is_quiet && place.len() == 1 && place == self.entry.accessed(second)
    }

    /// Whether a truth value decides where a run goes.
    fn decides(&self, truth: LocalId) -> bool {
        let graph = &self.entry.view.body.graph;
        graph.node_weights().any(|block| {
            matches!(&block.end, End::Branch { condition, .. } if self.entry.canonical(condition) == Operand::Local(truth))
        })
    }

    /// What the contract holds, on one side, and something other than nothing, or what it held, on the other.
    fn is_exact_balance(&self, left: &Operand, right: &Operand) -> bool {
        [(left, right), (right, left)].into_iter().any(|(held, other)| {
            let Operand::Local(id) = self.entry.canonical(held) else { return false };
            let is_held = self.measured(&Operand::Local(id)).is_some();
            let other_origin = Origin::of(self.entry, other, true);
            let is_nothing = matches!(self.entry.canonical(other), Operand::Constant(constant)
                if constant_value(self.entry.program, &constant) == Some(Known::Number(ruint::aliases::U256::ZERO)));
            is_held && !is_nothing && !other_origin.balance && !other_origin.external
        })
    }

    fn constant_decisions(&self, out: &mut Vec<Candidate>) {
        let graph = &self.entry.view.body.graph;
        for block in graph.node_indices() {
            let End::Branch { condition: Operand::Constant(Constant::Bool(_)), span } =
                &graph[block].end
            else {
                continue;
            };
            // `while (true)` is how one writes it.
            if self.in_loop.contains(block.index()) || self.entry.program.text(*span).is_empty() {
                continue;
            }
            let text = self.entry.program.text(*span).to_owned();
            let is_written_out = text == "true" || text == "false";
            let Some(statement) = self.nearest(block, *span).filter(|_| is_written_out) else {
                continue;
            };
            self.flaw(HazardKind::ConstantDecision, &statement, text, out);
        }
    }

    /// A statement that stands for the end of a block.
    fn nearest(
        &self,
        block: petgraph::graph::NodeIndex,
        span: crate::syntax::Span,
    ) -> Option<Statement> {
        let graph = &self.entry.view.body.graph;
        let beside = graph
            .node_weights()
            .flat_map(|block| &block.statements)
            .chain(&graph[block].statements)
            .filter(|statement| {
                let function = self.entry.view.frames[statement.frame.0 as usize].function;
                self.entry.program.function_span(function).contains(&span)
            })
            .last();
        let frame = beside.map_or(FrameId(0), |statement| statement.frame);
        let function = self.entry.view.frames[frame.0 as usize].function;
        self.entry.program.function_span(function).contains(&span).then_some(Statement {
            kind: StatementKind::Placeholder,
            span,
            frame,
        })
    }
}

/// An unsigned value compared with what it can never fall below or rise above.
pub(super) fn is_foregone(
    program: &Program,
    body: &Body,
    op: BinaryOp,
    left: &Operand,
    right: &Operand,
) -> bool {
    let limit = |operand: &Operand| match operand {
        Operand::Constant(constant @ Constant::Number(_)) => {
            match constant_value(program, constant) {
                Some(Known::Number(number)) => Some(number),
                _ => None,
            }
        }
        _ => None,
    };
    let bits = |operand: &Operand| match operand {
        Operand::Local(id) => match body.locals[id.index()].ty {
            Type::Uint(bits) => Some(usize::from(bits)),
            _ => None,
        },
        _ => None,
    };
    // As `value op limit`.
    let (op, value, limit) = match (limit(left), limit(right)) {
        (None, Some(limit)) => (op, left, limit),
        (Some(limit), None) => (mirrored(op), right, limit),
        _ => return false,
    };
    let Some(bits) = bits(value) else { return false };
    match op {
        BinaryOp::Ge | BinaryOp::Lt if limit.is_zero() => true,
        BinaryOp::Gt | BinaryOp::Le => {
            limit.bit_len() > bits
                || (bits < 256 && limit.bit_len() == bits && limit.count_ones() == bits)
        }
        BinaryOp::Ge | BinaryOp::Lt | BinaryOp::Eq | BinaryOp::Ne => limit.bit_len() > bits,
        _ => false,
    }
}

/// The comparison with its sides exchanged.
fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::Le => BinaryOp::Ge,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::Ge => BinaryOp::Le,
        other => other,
    }
}

/// Whether both sides of a comparison are written alike: what could not be resolved is all one.
pub(super) fn reads_the_same(text: &str) -> bool {
    let (left, right) = ["==", "!=", "<=", ">=", "<", ">"]
        .iter()
        .find_map(|op| text.split_once(op))
        .unwrap_or_default();
    left.trim() == right.trim()
}
