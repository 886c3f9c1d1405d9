//! Where one value comes from, told more finely than by the dependencies that serve the whole view.

use std::collections::BTreeSet;

use super::entry::{At, Entry};
use crate::cfg::*;

/// What a value is made of. Unlike the dependencies of a view it stops at storage and at answers of other
/// contracts, unless it is asked to go on through keys and arguments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    pub(crate) sender: bool,
    /// The account that signed the transaction.
    pub(crate) signer: bool,
    /// Ether that came with the call.
    pub(crate) value: bool,
    /// Arguments and calldata.
    pub(crate) data: bool,
    /// The ether that some account holds.
    pub(crate) balance: bool,
    pub(crate) this: bool,
    /// What another contract answered.
    pub(crate) external: bool,
    /// A hash or a recovered signature.
    pub(crate) hashed: bool,
    pub(crate) unknown: bool,
    /// A constant or immutable variable, or an address written out.
    pub(crate) fixed: bool,
    pub(crate) loads: BTreeSet<At>,
    /// The parameters of the entry point in it.
    pub(crate) params: BTreeSet<LocalId>,
}

impl Origin {
    /// Of what `operand` is made; `deep` goes on through keys of storage and arguments of calls.
    pub(crate) fn of(entry: &Entry<'_>, operand: &Operand, deep: bool) -> Self {
        let mut origin = Self::default();
        let mut seen = BTreeSet::new();
        let mut open = vec![operand.clone()];
        while let Some(operand) = open.pop() {
            match operand {
                Operand::Local(id) => {
                    if seen.insert(id) {
                        origin.local(entry, id, deep, &mut open);
                    }
                }
                Operand::Environment(environment) => match environment {
                    Environment::Sender => origin.sender = true,
                    Environment::Origin => origin.signer = true,
                    Environment::Value => origin.value = true,
                    Environment::Data => origin.data = true,
                    Environment::This => origin.this = true,
                    Environment::Block(_) => {}
                },
                Operand::Constant(Constant::Unknown) => origin.unknown = true,
                Operand::Constant(Constant::Variable(_)) => origin.fixed = true,
                Operand::Constant(Constant::Number(number)) => {
                    origin.fixed |= number.len() == 42 && number.trim_end_matches('0').len() > 34;
                }
                Operand::Constant(_) => {}
                Operand::Storage(place) => {
                    if deep {
                        place.each_operand(&mut |key| open.push(key.clone()));
                    }
                }
            }
        }
        origin
    }

    fn local(&mut self, entry: &Entry<'_>, id: LocalId, deep: bool, open: &mut Vec<Operand>) {
        if entry.view.body.locals[id.index()].is_param {
            self.data = true;
            self.params.insert(id);
        }
        for at in &entry.definitions[id.index()] {
            match &entry.statement(*at).kind {
                StatementKind::Assign { value: Rvalue::Pure("balance", _), .. } => {
                    self.balance = true;
                }
                StatementKind::Assign { value, .. } => {
                    if let Rvalue::Pure(name, _) = value {
                        self.hashed |=
                            matches!(*name, "keccak256" | "sha256" | "ripemd160" | "ecrecover");
                        self.data |= *name == "calldata";
                        self.unknown |= *name == "environment";
                    }
                    value.each_operand(&mut |operand| open.push(operand.clone()));
                }
                StatementKind::Load { place, .. } => {
                    self.loads.insert(*at);
                    if deep {
                        place.each_operand(&mut |key| open.push(key.clone()));
                    }
                }
                StatementKind::Call(call) => {
                    if matches!(
                        call.kind,
                        CallKind::Internal(..) | CallKind::Unresolved(_) | CallKind::Pointer(_)
                    ) {
                        self.unknown = true;
                    } else {
                        self.external = true;
                    }
                    if deep {
                        open.extend(call.args.iter().chain(&call.callee).cloned());
                    }
                }
                _ => {}
            }
        }
    }

    /// The caller alone decides: by an argument, or by who they are.
    pub(crate) fn is_callers_choice(&self) -> bool {
        (self.data || self.sender)
            && self.loads.is_empty()
            && !self.external
            && !self.unknown
            && !self.hashed
    }
}
