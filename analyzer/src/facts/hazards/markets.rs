//! Answers of feeds, markets and other contracts, and what is not asked of them.

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::work::Work;
use crate::hir::{StructId, Type};
use crate::syntax::ast::ContractKind;

impl Work<'_, '_> {
    pub(super) fn markets(&self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        for (at, statement) in entry.statements() {
            let StatementKind::Call(call) = &statement.kind else { continue };
            let CallKind::External { target: Some(target), name, .. } = &call.kind else {
                continue;
            };
            if !self.constants.reaches(at.block) {
                continue;
            }
            let function = entry.program.function(*target);
            let returns: Vec<&Type> = function.returns.iter().map(|param| &param.ty).collect();
            // The interface of Chainlink's feeds: the fourth answer is when the price was updated.
            match (name.as_str(), function.params.len(), returns.as_slice()) {
                (
                    "latestRoundData",
                    0,
                    [
                        Type::Uint(80),
                        Type::Int(256),
                        Type::Uint(256),
                        Type::Uint(256),
                        Type::Uint(80),
                    ],
                ) => {
                    let is_used =
                        |at: usize| call.results.get(at).is_some_and(|id| self.is_used(*id));
                    if is_used(1) && !is_used(3) {
                        self.flaw(HazardKind::StalePrice, statement, String::new(), out);
                    }
                    continue;
                }
                ("latestAnswer", 0, [Type::Int(256)]) => {
                    self.flaw(HazardKind::StalePrice, statement, String::new(), out);
                    continue;
                }
                // Chronicle's feeds: the first answer is whether there is one.
                ("tryRead" | "tryReadWithAge", 0, [Type::Bool, Type::Uint(256), ..]) => {
                    let is_used =
                        |at: usize| call.results.get(at).is_some_and(|id| self.is_used(*id));
                    if is_used(1) && !is_used(0) {
                        self.flaw(HazardKind::MissingPrice, statement, name.clone(), out);
                    }
                    continue;
                }
                (_, _, [Type::Struct(id)]) => self.pyth(statement, call, name, *id, out),
                _ => {}
            }
            self.trade_terms(statement, call, *target, out);
            let is_foreign = function.contract.is_some_and(|contract| {
                entry.program.contract(contract).kind == ContractKind::Interface
            });
            // Tokens have a detector of their own.
            let is_token = matches!(name.as_str(), "transfer" | "transferFrom" | "approve");
            if is_foreign
                && call.args.len() == function.params.len()
                && !is_token
                && !call.may_fail
                && !call.results.is_empty()
                && call.results.iter().all(|id| !self.is_used(*id))
            {
                self.flaw(HazardKind::UnusedAnswer, statement, name.clone(), out);
            }
        }
        for (at, statement) in entry.statements() {
            let StatementKind::Store { value: Operand::Constant(Constant::Default), .. } =
                &statement.kind
            else {
                continue;
            };
            // A new element is as it comes.
            let is_new = self.text(statement).contains("push");
            let places = entry.accessed(at);
            if !is_new && places.iter().any(|place| self.holds_mapping(&entry.type_at(place))) {
                let detail = places.first().map(|place| self.describe(place)).unwrap_or_default();
                self.flaw(HazardKind::MappingStays, statement, detail, out);
            }
        }
    }

    /// Answers of Pyth's feeds: price, confidence, exponent and when it was published.
    fn pyth(
        &self,
        statement: &Statement,
        call: &Call,
        name: &str,
        answer: StructId,
        out: &mut Vec<Candidate>,
    ) {
        let entry = self.entry;
        let fields = &entry.program.structs[answer.index()].fields;
        let types: Vec<&Type> = fields.iter().map(|(_, ty)| ty).collect();
        let is_price = matches!(
            types.as_slice(),
            [Type::Int(64), Type::Uint(64), Type::Int(32), Type::Uint(256)]
        );
        let Some(&result) = call.results.first().filter(|_| is_price) else { return };
        if matches!(name, "getPrice" | "getEmaPrice") && call.args.len() == 1 {
            self.flaw(HazardKind::OldPriceQuestion, statement, name.to_owned(), out);
        }
        let is_unsafe = matches!(name, "getPriceUnsafe" | "getEmaPriceUnsafe");
        let is_recent = matches!(name, "getPriceNoOlderThan" | "getEmaPriceNoOlderThan");
        if !is_unsafe && !is_recent {
            return;
        }
        let copies = entry.flow([result], |value| matches!(value, Rvalue::Use(_)));
        let is_handed_on = copies.iter().any(|id| entry.view.body.returns.contains(id))
            || entry.statements().any(|(_, statement)| match &statement.kind {
                StatementKind::Assign {
                    value: Rvalue::Use(_) | Rvalue::Pure("field", _), ..
                } => false,
                _ => {
                    let mut is_read = false;
                    statement.each_operand(&mut |operand| {
                        is_read |= matches!(operand, Operand::Local(id) if copies.contains(id));
                    });
                    is_read
                }
            });
        let asks = |position: usize| {
            let wanted = &fields[position].0;
            entry.statements().any(|(_, statement)| match &statement.kind {
                StatementKind::Assign { value: Rvalue::Pure("field", operands), .. } => {
                    matches!(operands.as_slice(), [Operand::Local(id), Operand::Constant(Constant::Text(name))]
                        if copies.contains(id) && name == wanted)
                }
                _ => false,
            })
        };
        if is_handed_on || !asks(0) {
            return;
        }
        if is_unsafe && !asks(3) {
            self.flaw(HazardKind::StalePrice, statement, String::new(), out);
        }
        if !asks(1) {
            self.flaw(HazardKind::UnsurePrice, statement, name.to_owned(), out);
        }
    }

    fn holds_mapping(&self, ty: &Type) -> bool {
        match ty {
            Type::Struct(id) => {
                let fields = &self.entry.program.structs[id.index()].fields;
                fields.iter().any(|(_, ty)| {
                    matches!(ty, Type::Mapping(..))
                        || (!matches!(ty, Type::Array(..)) && self.holds_mapping(ty))
                })
            }
            _ => false,
        }
    }
}
