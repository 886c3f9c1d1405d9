//! Where values go, and what they are made of: the closures over assignments that single questions ask for.

use std::collections::BTreeSet;

use super::entry::{At, Entry};
use crate::cfg::*;

impl Entry<'_> {
    /// All locals that are computed from one of `from`, which are among them; assignments that `passes` refuses
    /// are not followed.
    pub(crate) fn flow(
        &self,
        from: impl IntoIterator<Item = LocalId>,
        passes: impl Fn(&Rvalue) -> bool,
    ) -> BTreeSet<LocalId> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<LocalId> = from.into_iter().collect();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let whole = Operand::Local(id);
            for &block in &self.readers[id.index()] {
                for statement in &self.view.body.graph[block].statements {
                    let StatementKind::Assign { target, value } = &statement.kind else { continue };
                    let mut reads = false;
                    value.each_operand(&mut |operand| reads |= *operand == whole);
                    if reads && passes(value) {
                        open.push(*target);
                    }
                }
            }
        }
        seen
    }

    /// The statements whose results `operand` is made of, through all assignments: loads, calls and the
    /// assignments themselves.
    pub(crate) fn made_by(&self, operand: &Operand) -> BTreeSet<At> {
        let mut seen = BTreeSet::new();
        let mut found = BTreeSet::new();
        let mut open = vec![operand.clone()];
        while let Some(operand) = open.pop() {
            let Operand::Local(id) = operand else { continue };
            if !seen.insert(id) {
                continue;
            }
            for &at in &self.definitions[id.index()] {
                found.insert(at);
                if let StatementKind::Assign { value, .. } = &self.statement(at).kind {
                    value.each_operand(&mut |operand| open.push(operand.clone()));
                }
            }
        }
        found
    }

    /// The values that field number `position`, called `name`, of a struct in memory can have; a value that cannot
    /// be told is unknown.
    pub(crate) fn field_values(
        &self,
        whole: &Operand,
        position: usize,
        name: &str,
    ) -> Vec<Operand> {
        let mut values = Vec::new();
        let mut is_set = false;
        let mut seen = BTreeSet::new();
        let mut open = vec![whole.clone()];
        while let Some(operand) = open.pop() {
            let Operand::Local(id) = operand else {
                values.push(operand);
                continue;
            };
            if !seen.insert(id) {
                continue;
            }
            if self.definitions[id.index()].is_empty() || self.view.body.locals[id.index()].is_param
            {
                values.push(Operand::unknown());
            }
            for &at in &self.definitions[id.index()] {
                match &self.statement(at).kind {
                    StatementKind::Assign { value: Rvalue::Use(from), .. } => {
                        open.push(from.clone())
                    }
                    StatementKind::Assign { value: Rvalue::Pure("struct", fields), .. } => {
                        values.push(fields.get(position).cloned().unwrap_or_else(Operand::unknown));
                    }
                    StatementKind::Assign { value: Rvalue::Pure("update", operands), .. } => {
                        if let [whole, new, Operand::Constant(Constant::Text(key)), ..] =
                            operands.as_slice()
                        {
                            open.push(whole.clone());
                            if key == name {
                                is_set = true;
                                values.push(new.clone());
                            }
                        }
                    }
                    _ => values.push(Operand::unknown()),
                }
            }
        }
        // A field that is set has lost what it began with.
        values.retain(|value| !is_set || *value != Operand::Constant(Constant::Default));
        values
    }
}
