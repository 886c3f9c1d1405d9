//! Doors to other contracts: calls that the caller aims, and calls that others are expected to make.

use super::{Candidate, HazardKind, Need};
use crate::cfg::*;
use crate::facts::callee::Callee;
use crate::facts::entry::At;
use crate::facts::origin::Origin;
use crate::facts::summary::Summary;
use crate::facts::work::Work;
use crate::hir::Type;

impl Work<'_, '_> {
    pub(super) fn reach(&mut self, summary: &Summary, out: &mut Vec<Candidate>) {
        self.aimed_calls(out);
        self.callback(summary, out);
        for (at, statement) in self.entry.statements() {
            if let StatementKind::Call(call) = &statement.kind
                && call.kind == CallKind::LowLevel
                && matches!(call.gas, Gas::Limited(_))
                && self.is_copied(call, statement)
                && call
                    .callee
                    .as_ref()
                    .is_some_and(|callee| Origin::of(self.entry, callee, false).is_callers_choice())
            {
                self.push(HazardKind::ReturnBomb, at, statement, Some(Vec::new()), out);
            }
        }
    }

    /// Whether the whole answer is copied to memory, which Solidity always does.
    fn is_copied(&self, call: &Call, statement: &Statement) -> bool {
        call.results.len() == 2 && !self.text(statement).starts_with("call")
    }

    fn aimed_calls(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        for (at, statement) in entry.statements() {
            let StatementKind::Call(call) = &statement.kind else { continue };
            if call.kind != CallKind::LowLevel
                || call.args.is_empty()
                || !self.constants.reaches(at.block)
            {
                continue;
            }
            let Some(callee) = &call.callee else { continue };
            let target = Origin::of(entry, callee, false);
            let is_aimed =
                target.is_callers_choice() && !target.params.is_empty() && !target.sender;
            let is_written = call.args.iter().any(|data| {
                let data = Origin::of(entry, data, false);
                data.is_callers_choice() && !data.params.is_empty()
            });
            let is_free = self.listed(at, call, Callee::Stranger) == Callee::Stranger
                && self.ends_well(at.block)
                && !self.is_one_shot(at);
            if is_aimed && is_written && is_free {
                self.push(HazardKind::ArbitraryCall, at, statement, Some(Vec::new()), out);
                if let Some(one) = out.last_mut() {
                    one.needs = Need::Allowances;
                }
            }
        }
    }

    /// Whether `permit` of the ERC-2612 standard was asked of the same token for the same account.
    pub(super) fn has_standard_permit(&self, at: At, taken: &Call, from: &Operand) -> bool {
        self.entry.statements().any(|(other, statement)| {
            let StatementKind::Call(call) = &statement.kind else { return false };
            let is_permit = matches!(&call.kind, CallKind::External { name, .. } if name == "permit") && call.args.len() == 7;
            let same = |left: Option<&Operand>, right: Option<&Operand>| match (left, right) {
                (Some(left), Some(right)) => self.entry.canonical(left) == self.entry.canonical(right),
                _ => false,
            };
            is_permit
                && other != at
                && same(call.args.first(), Some(from))
                && same(call.callee.as_ref(), taken.callee.as_ref())
        })
    }

    /// The functions that pools and lenders call in the middle of a swap or a loan, by the signatures that their
    /// protocols fix: whoever else calls them does so with data of their own.
    fn callback(&mut self, summary: &Summary, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        let function = entry.program.function(entry.view.function);
        let types: Vec<&Type> = function.params.iter().map(|param| &param.ty).collect();
        let is_callback = matches!(
            (function.name.as_str(), types.as_slice()),
            (
                "uniswapV3SwapCallback" | "pancakeV3SwapCallback" | "algebraSwapCallback",
                [Type::Int(256), Type::Int(256), Type::Bytes],
            ) | (
                "uniswapV3FlashCallback" | "uniswapV3MintCallback" | "pancakeV3FlashCallback",
                [Type::Uint(256), Type::Uint(256), Type::Bytes],
            ) | (
                "uniswapV2Call" | "pancakeCall",
                [Type::Address, Type::Uint(256), Type::Uint(256), Type::Bytes],
            ) | (
                "onFlashLoan",
                [Type::Address, Type::Address, Type::Uint(256), Type::Uint(256), Type::Bytes],
            ) | (
                "executeOperation",
                [Type::Address, Type::Uint(256), Type::Uint(256), Type::Address, Type::Bytes],
            )
        );
        if !is_callback {
            return;
        }
        // The first thing that the caller can make it do.
        for (at, statement) in entry.statements() {
            let StatementKind::Call(call) = &statement.kind else { continue };
            let gives = match &call.kind {
                CallKind::External { name, is_view: false, .. } => {
                    matches!(
                        name.as_str(),
                        "transfer"
                            | "transferFrom"
                            | "safeTransfer"
                            | "safeTransferFrom"
                            | "approve"
                    )
                }
                CallKind::LowLevel => true,
                CallKind::Transfer | CallKind::Send | CallKind::DelegateCall => true,
                _ => false,
            };
            if gives
                && self.constants.reaches(at.block)
                && !self.asks_for_sender(at)
                && summary.function == entry.view.function
            {
                self.push(HazardKind::OpenCallback, at, statement, Some(Vec::new()), out);
                return;
            }
        }
    }

    /// Whether the way to the statement depends on who calls.
    fn asks_for_sender(&self, at: At) -> bool {
        self.conditions(at.block).iter().any(|origin| origin.sender)
    }
}
