//! Where one value comes from, told more finely than by the dependencies that serve the whole view.

use std::collections::BTreeSet;

use super::bits::Bits;
use super::entry::{At, Entry};
use crate::cfg::*;
use crate::hir::Type;

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
    /// The length of something.
    pub(crate) length: bool,
    sees_through_hashes: bool,
    /// The time or number of the block.
    pub(crate) time: bool,
    /// What is taken for chance: hashes and properties of blocks that nobody chooses freely.
    pub(crate) entropy: bool,
    /// What another contract answered.
    pub(crate) external: bool,
    /// A hash or a recovered signature.
    pub(crate) hashed: bool,
    /// An account recovered from a signature.
    pub(crate) recovered: bool,
    pub(crate) unknown: bool,
    /// A constant or immutable variable, or an address written out.
    pub(crate) fixed: bool,
    /// The code that makes a contract of the program.
    pub(crate) creation_code: bool,
    pub(crate) loads: BTreeSet<At>,
    /// The calls of other contracts whose answers are in it.
    pub(crate) answers: BTreeSet<At>,
    /// The parameters of the entry point in it.
    pub(crate) params: BTreeSet<LocalId>,
}

/// How far a value is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// To storage, to answers of other contracts and to hashes.
    Value,
    /// Through hashes, too.
    Hashes,
    /// Through keys of storage and arguments of calls, too.
    Everything,
}

/// What is being asked about: a value, or one field of a struct in memory.
type Wanted<'x> = (&'x Operand, Option<&'x str>);

impl Origin {
    /// Of what `operand` is made; `deep` goes on through keys of storage, arguments of calls and hashes.
    pub(crate) fn of(entry: &Entry<'_>, operand: &Operand, deep: bool) -> Self {
        Self::through(entry, operand, if deep { Depth::Everything } else { Depth::Value })
    }

    /// Of what `operand` is made, as far as `depth` goes.
    pub(crate) fn through(entry: &Entry<'_>, operand: &Operand, depth: Depth) -> Self {
        let deep = depth == Depth::Everything;
        let mut origin = Self { sees_through_hashes: depth != Depth::Value, ..Self::default() };
        let (mut seen, mut seen_fields) = (Bits::default(), BTreeSet::new());
        let mut open: Vec<Wanted<'_>> = vec![(operand, None)];
        while let Some((operand, field)) = open.pop() {
            match operand {
                Operand::Local(id) => {
                    let is_new = match field {
                        None => seen.insert(id.index()),
                        Some(field) => seen_fields.insert((*id, field)),
                    };
                    if is_new {
                        origin.local(entry, *id, field, deep, &mut open);
                    }
                }
                Operand::Environment(environment) => match environment {
                    Environment::Sender => origin.sender = true,
                    Environment::Origin => origin.signer = true,
                    Environment::Value => origin.value = true,
                    Environment::Data => origin.data = true,
                    Environment::This => origin.this = true,
                    Environment::Block("timestamp" | "number") => origin.time = true,
                    Environment::Block("difficulty" | "prevrandao" | "coinbase" | "gaslimit") => {
                        origin.entropy = true;
                    }
                    Environment::Block(_) => {}
                },
                Operand::Constant(Constant::Unknown) => origin.unknown = true,
                Operand::Constant(Constant::Variable(_)) => origin.fixed = true,
                Operand::Constant(Constant::Number(number)) => {
                    origin.fixed |= number.len() == 42 && number.trim_end_matches('0').len() > 34;
                }
                Operand::Constant(Constant::Text(text)) => {
                    origin.creation_code |=
                        text.starts_with("type(") && text.ends_with(").creationCode");
                }
                Operand::Constant(_) => {}
                Operand::Storage(place) => {
                    if deep {
                        place.each_operand(&mut |key| open.push((key, None)));
                    }
                }
            }
        }
        origin
    }

    fn local<'x>(
        &mut self,
        entry: &Entry<'x>,
        id: LocalId,
        field: Option<&'x str>,
        deep: bool,
        open: &mut Vec<Wanted<'x>>,
    ) {
        let local = &entry.view.body.locals[id.index()];
        if local.is_param {
            self.data = true;
            self.params.insert(id);
        }
        for at in &entry.definitions[id.index()] {
            match &entry.statement(*at).kind {
                StatementKind::Assign { value, .. } => {
                    self.assigned(entry, value, &local.ty, field, open);
                }
                StatementKind::Load { place, .. } => {
                    self.loads.insert(*at);
                    if deep {
                        place.each_operand(&mut |key| open.push((key, None)));
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
                        self.answers.insert(*at);
                    }
                    if deep {
                        let operands = call.args.iter().chain(&call.callee);
                        open.extend(operands.map(|operand| (operand, None)));
                    }
                }
                _ => {}
            }
        }
    }

    fn assigned<'x>(
        &mut self,
        entry: &Entry<'x>,
        value: &'x Rvalue,
        ty: &Type,
        field: Option<&'x str>,
        open: &mut Vec<Wanted<'x>>,
    ) {
        match (value, field) {
            (Rvalue::Pure("balance", _), _) => {
                self.balance = true;
                return;
            }
            (Rvalue::Pure("keccak256" | "sha256" | "ripemd160", _), _) => {
                self.hashed = true;
                // Nobody can steer a hash to a value of their choice.
                if !self.sees_through_hashes {
                    return;
                }
            }
            (Rvalue::Pure("ecrecover", _), _) => {
                self.hashed = true;
                self.recovered = true;
            }
            (Rvalue::Pure("length", _), _) => self.length = true,
            (Rvalue::Pure("blockhash", _), _) => self.entropy = true,
            (Rvalue::Pure("calldata", _), _) => self.data = true,
            (Rvalue::Pure("environment", _), _) => self.unknown = true,
            (Rvalue::Pure("field", operands), _) => {
                if let [base, Operand::Constant(Constant::Text(name))] = operands.as_slice() {
                    open.push((base, Some(name)));
                    return;
                }
            }
            (Rvalue::Use(operand) | Rvalue::Cast(operand), _) => {
                open.push((operand, field));
                return;
            }
            (Rvalue::Pure("update", operands), Some(field)) => {
                if let [whole, new, Operand::Constant(Constant::Text(name)), ..] =
                    operands.as_slice()
                {
                    open.push((whole, Some(field)));
                    if name == field {
                        open.push((new, None));
                    }
                    return;
                }
            }
            (Rvalue::Pure("struct", operands), Some(field)) => {
                let position = match ty {
                    Type::Struct(id) => entry.program.structs[id.index()]
                        .fields
                        .iter()
                        .position(|(name, _)| name == field),
                    _ => None,
                };
                if let Some(operand) = position.and_then(|at| operands.get(at)) {
                    open.push((operand, None));
                    return;
                }
            }
            _ => {}
        }
        value.each_operand(&mut |operand| open.push((operand, None)));
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
