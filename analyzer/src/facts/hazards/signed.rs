//! What a signature says besides what it allows: on which chain, to which contract, until when; and whether its
//! bytes tell it from others.

use std::collections::BTreeSet;

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::entry::{At, source};
use crate::facts::origin::{Depth, Origin};
use crate::facts::work::Work;
use crate::hir::Type;

/// What stands in a digest.
#[derive(Debug, Default)]
struct Signed {
    chain: bool,
    contract: bool,
    /// A word that is kept or was fixed when the contract was made: the separator of EIP-712 is one.
    separator: bool,
    /// Something whose making cannot be seen.
    is_opaque: bool,
    /// It was hashed here.
    is_made_here: bool,
}

impl Work<'_, '_> {
    /// Signatures that let somebody do something and say too little.
    pub(super) fn loose_signatures(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        let recovered: Vec<(At, &Statement, &[Operand])> = entry
            .statements()
            .filter_map(|(at, statement)| match &statement.kind {
                StatementKind::Assign { value: Rvalue::Pure("ecrecover", operands), .. } => {
                    Some((at, statement, operands.as_slice()))
                }
                _ => None,
            })
            .filter(|(at, ..)| self.constants.reaches(at.block))
            .collect();
        let [(at, statement, [digest, v, r, s])] = recovered.as_slice() else { return };
        if !self.acts_on_signature() {
            return;
        }
        let signed = self.signed(digest);
        if signed.is_made_here && !signed.is_opaque && !signed.separator {
            let missing = match (signed.chain, signed.contract) {
                (true, true) => None,
                (true, false) => Some("the contract"),
                (false, true) => Some("the chain"),
                (false, false) => Some("neither the chain nor the contract"),
            };
            if let Some(missing) = missing {
                self.about(HazardKind::ForeignSignature, *at, statement, missing, out);
            }
        }
        if signed.is_made_here && !signed.is_opaque && !self.asks_for_time() {
            self.about(HazardKind::LastingSignature, *at, statement, "", out);
        }
        self.malleable(*at, statement, digest, [v, r, s], out);
    }

    fn about(
        &mut self,
        kind: HazardKind,
        at: At,
        statement: &Statement,
        detail: &str,
        out: &mut Vec<Candidate>,
    ) {
        self.push(kind, at, statement, None, out);
        if let Some(one) = out.last_mut() {
            detail.clone_into(&mut one.detail);
        }
    }

    /// Whether the recovered account decides about what is written or called: by the way to it, or by undoing it.
    fn acts_on_signature(&self) -> bool {
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        let undoes = graph.node_indices().any(|block| {
            let End::Branch { condition, .. } = &graph[block].end else { return false };
            entry.operand_dependencies(condition).contains(source::SIGNATURE)
                && entry.successors(block).iter().any(|(_, next)| !self.ends_well(*next))
        });
        entry.statements().any(|(at, statement)| {
            let acts = match &statement.kind {
                StatementKind::Store { .. } => true,
                StatementKind::Call(call) => {
                    call.value.as_ref().is_some_and(|value| !self.is_zero(value))
                        || matches!(
                            call.kind,
                            CallKind::External { is_view: false, .. } | CallKind::LowLevel
                        )
                }
                _ => false,
            };
            acts && (undoes || self.control_bits(at.block).contains(source::SIGNATURE))
        })
    }

    fn signed(&self, digest: &Operand) -> Signed {
        let entry = self.entry;
        let mut signed = Signed::default();
        let mut look = |operand: &Operand| match operand {
            Operand::Environment(Environment::This) => signed.contract = true,
            Operand::Environment(Environment::Block("chainid")) => signed.chain = true,
            Operand::Constant(Constant::Variable(id)) => {
                let variable = entry.program.variable(*id);
                signed.separator |= !variable.is_constant;
            }
            Operand::Constant(Constant::Unknown) => signed.is_opaque = true,
            _ => {}
        };
        look(digest);
        for at in entry.made_by(digest) {
            let statement = entry.statement(at);
            statement.each_operand(&mut look);
        }
        for at in entry.made_by(digest) {
            match &entry.statement(at).kind {
                StatementKind::Assign { value, .. } => match value {
                    Rvalue::Pure("keccak256" | "sha256", _) => signed.is_made_here = true,
                    Rvalue::Pure("mload" | "environment" | "calldata", _) => {
                        signed.is_opaque = true
                    }
                    _ => {}
                },
                StatementKind::Load { target, .. } => {
                    signed.separator |=
                        entry.view.body.locals[target.index()].ty == Type::FixedBytes(32);
                }
                StatementKind::Call(_) => signed.is_opaque = true,
                _ => {}
            }
        }
        signed
    }

    /// Whether anything is decided by the time or number of the block.
    fn asks_for_time(&self) -> bool {
        let graph = &self.entry.view.body.graph;
        graph.node_weights().any(|block| match &block.end {
            End::Branch { condition, .. } => Origin::of(self.entry, condition, false).time,
            _ => false,
        })
    }

    /// A signature counts once because its own bytes are written down, while for each there is a second one with
    /// other bytes and the same signer.
    fn malleable(
        &mut self,
        at: At,
        statement: &Statement,
        digest: &Operand,
        parts: [&Operand; 3],
        out: &mut Vec<Candidate>,
    ) {
        let entry = self.entry;
        let [v, r, s] = parts.map(|part| Origin::through(entry, part, Depth::Hashes).params);
        let of_signature: BTreeSet<LocalId> = v.union(&r).chain(&s).copied().collect();
        let of_digest = Origin::through(entry, digest, Depth::Everything);
        if s.is_empty() || !of_digest.params.is_disjoint(&s) {
            return;
        }
        let mut keys = entry.statements().filter_map(|(_, statement)| match &statement.kind {
            StatementKind::Store { place, .. } => {
                let mut params = BTreeSet::new();
                place.each_operand(&mut |key| {
                    params.extend(Origin::through(entry, key, Depth::Hashes).params);
                });
                Some(params)
            }
            _ => None,
        });
        let is_written_down = keys.any(|params| {
            !params.is_empty() && params.is_subset(&of_signature) && !params.is_disjoint(&s)
        });
        // The upper half of the curve's order is refused.
        let is_bounded = entry.statements().any(|(_, statement)| match &statement.kind {
            StatementKind::Assign { value: Rvalue::Binary(op, left, right), .. } => {
                op.is_comparison()
                    && [(left, right), (right, left)].into_iter().any(|(side, against)| {
                        let side = Origin::of(entry, side, false);
                        matches!(entry.canonical(against), Operand::Constant(Constant::Number(_)))
                            && !side.recovered
                            && !side.params.is_disjoint(&s)
                    })
            }
            _ => false,
        });
        let is_nonced = of_digest.loads.iter().any(|load| {
            entry.statements().any(|(store, statement)| {
                matches!(statement.kind, StatementKind::Store { .. })
                    && !entry.accessed(store).is_empty()
                    && entry.accessed(store) == entry.accessed(*load)
            })
        });
        if is_written_down && !is_bounded && !is_nonced {
            self.about(HazardKind::MalleableSignature, at, statement, "", out);
        }
    }
}
