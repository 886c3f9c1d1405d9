//! Lists that are walked while elements are taken out of them.

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::entry::{AbsoluteKey, AbsolutePlace};
use crate::facts::work::Work;
use crate::syntax::ast::BinaryOp;

impl Work<'_, '_> {
    /// Lists that are shortened in a loop whose position goes on all the same: the element that was moved to the
    /// place of the removed one is passed over.
    pub(super) fn skipped_elements(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        for (at, statement) in entry.statements() {
            let is_pop = matches!(statement.kind, StatementKind::Store { .. })
                && self.in_loop.contains(at.block.index())
                && self.text(statement).contains("pop");
            if !is_pop {
                continue;
            }
            let Some(list) = entry.accessed(at).iter().find_map(|place| {
                let (last, path) = place.path.split_last()?;
                (*last == AbsoluteKey::Length)
                    .then(|| AbsolutePlace { root: place.root.clone(), path: path.to_vec() })
            }) else {
                continue;
            };
            let after = self.forward(at.block);
            let walks = entry.loads.iter().any(|load| {
                self.in_loop.contains(load.block.index())
                    && entry.accessed(*load).iter().any(|place| {
                        let is_element = place.root == list.root
                            && place.path.len() > list.path.len()
                            && place.path.starts_with(&list.path);
                        is_element
                            && matches!(place.path.get(list.path.len()), Some(AbsoluteKey::Index(Operand::Local(at)))
                                if self.goes_on(*at, &after))
                    })
            });
            if walks {
                let detail = self.describe(&list);
                self.push(HazardKind::SkippedElement, at, statement, None, out);
                if let Some(one) = out.last_mut() {
                    one.detail = detail;
                }
            }
        }
    }

    /// Whether a position is raised, and never lowered, in one of the blocks.
    fn goes_on(&self, position: LocalId, after: &crate::facts::bits::Bits) -> bool {
        let entry = self.entry;
        let step = |wanted: BinaryOp| {
            entry.definitions[position.index()].iter().any(|at| {
                after.contains(at.block.index())
                    && entry.made_by(&Operand::Local(position)).iter().any(|made| {
                        after.contains(made.block.index())
                            && matches!(&entry.statement(*made).kind, StatementKind::Assign {
                                value: Rvalue::Binary(op, kept, _) | Rvalue::Wrapping(op, kept, _), ..
                            } if *op == wanted && entry.canonical(kept) == Operand::Local(position))
                    })
            })
        };
        step(BinaryOp::Add) && !step(BinaryOp::Sub)
    }
}
