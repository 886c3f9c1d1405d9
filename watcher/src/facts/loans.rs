//! Flash loans, found by behaviour: somebody pays the actor, calls it, and has everything back before its frame ends.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};

use crate::simulate::execution::FrameKind;

use super::{
    View,
    ledger::{ETHER, Ledger},
};

/// Callbacks looked at: what a transaction borrows shows in its first ones.
const CALLBACKS_LIMIT: usize = 64;

/// One loan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loan {
    /// Token, or [`ETHER`].
    pub(super) token: Address,
    /// Whose balance went down and came back.
    pub(super) lender: Address,
    pub(super) amount: U256,
    /// Repaid beyond the amount.
    pub(super) fee: U256,
    /// Frames that ran while it was open.
    pub(super) frames: usize,
    /// Positions between which it was open.
    span: (u32, u32),
}

/// All loans of a transaction.
#[derive(Debug, Default)]
pub(super) struct Loans {
    pub(super) loans: Vec<Loan>,
}

impl Loans {
    /// Runs the pass.
    pub(super) fn of(view: &View<'_>, ledger: &Ledger) -> Self {
        let mut loans = Vec::new();
        let mut n_callbacks = 0_usize;
        for (index, frame, _) in view.frames() {
            let (Some(parent), FrameKind::Call, true) = (frame.parent, frame.kind, frame.kept)
            else {
                continue;
            };
            let (borrower, caller) = (frame.acts_on, frame.caller);
            // Bare ether that is paid out and comes back later is no loan: nothing was asked of the receiver.
            if borrower == caller || frame.input.len() < 4 || view.is_actor(&caller) {
                continue;
            }
            if !view.is_actor(&borrower) && !is_on_stack(view, parent, borrower) {
                continue;
            }
            if n_callbacks == CALLBACKS_LIMIT {
                break;
            }
            n_callbacks = n_callbacks.saturating_add(1);
            let around = view.entry(parent).and_then(|entry| view.execution.frames.get(entry));
            let Some(around) = around else { continue };
            let mut lent: BTreeMap<(Address, Address), U256> = BTreeMap::new();
            let with_call = |order, moved_frame, token| {
                order < frame.entered || token == ETHER && moved_frame == index
            };
            for moved in ledger.between(around.entered, frame.left) {
                let is_lent = (moved.to == borrower || view.is_actor(&moved.to))
                    && !view.is_actor(&moved.from)
                    && moved.from != borrower;
                if is_lent && with_call(moved.order, moved.frame, moved.token) {
                    let sum = lent.entry((moved.token, moved.from)).or_default();
                    *sum = sum.saturating_add(moved.amount);
                }
            }
            for ((token, lender), amount) in lent {
                let repaid = ledger
                    .between(frame.entered, around.left)
                    .iter()
                    .filter(|moved| moved.token == token && moved.to == lender)
                    .fold(U256::ZERO, |sum, moved| sum.saturating_add(moved.amount));
                if amount.is_zero() || repaid < amount {
                    continue;
                }
                let inside = view.execution.frames.iter().skip(index);
                loans.push(Loan {
                    token,
                    lender,
                    amount,
                    fee: repaid.saturating_sub(amount),
                    frames: inside.take_while(|inner| inner.entered < frame.left).count(),
                    span: (frame.entered, frame.left),
                });
            }
        }
        Self { loans }
    }

    /// Accounts that lent.
    pub(super) fn lenders(&self) -> usize {
        self.loans.iter().map(|loan| loan.lender).collect::<BTreeSet<_>>().len()
    }

    /// Most loans open at one time.
    pub(super) fn nesting(&self) -> usize {
        let open_at = |order| {
            self.loans.iter().filter(move |loan| loan.span.0 <= order && order < loan.span.1)
        };
        self.loans.iter().map(|loan| open_at(loan.span.0).count()).max().unwrap_or(0)
    }

    /// What was borrowed of a token.
    pub(super) fn borrowed(&self, token: Address) -> U256 {
        self.loans
            .iter()
            .filter(|loan| loan.token == token)
            .fold(U256::ZERO, |sum, loan| sum.saturating_add(loan.amount))
    }
}

/// Whether `account` runs at `frame` or further up.
fn is_on_stack(view: &View<'_>, frame: usize, account: Address) -> bool {
    let frames = &view.execution.frames;
    std::iter::successors(Some(frame), |frame| frames.get(*frame).and_then(|frame| frame.parent))
        .take(64)
        .any(|frame| frames.get(frame).is_some_and(|frame| frame.acts_on == account))
}
