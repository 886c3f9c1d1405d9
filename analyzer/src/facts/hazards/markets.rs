//! Answers of feeds, markets and other contracts, and what is not asked of them.

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::summary::Work;
use crate::hir::Type;
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
