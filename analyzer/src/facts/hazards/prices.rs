//! Prices that whoever trades first can set: what a pool holds at this moment, used as what its tokens are worth.

use std::collections::BTreeSet;

use super::{Candidate, HazardKind, Need};
use crate::cfg::*;
use crate::facts::entry::At;
use crate::facts::origin::Origin;
use crate::facts::work::Work;
use crate::hir::{FunctionId, Type};
use crate::syntax::ast::{BinaryOp, ContractKind, Visibility};

/// Functions that trade with a pool, by the signatures of Uniswap v2 and v3.
const TRADES: &[&str] = &[
    "swap(uint256,uint256,address,bytes)",
    "swap(address,bool,int256,uint160,bytes)",
    "mint(address)",
    "burn(address)",
    "mint(address,int24,int24,uint128,bytes)",
    "burn(int24,int24,uint128)",
];

/// Answers that do not move within one transaction; whoever asks for one holds the pool against it.
const STEADY: &[&str] = &["latestRoundData", "latestAnswer", "observe", "consult"];

/// One answer about what a pool holds.
struct Holding {
    at: At,
    results: Vec<LocalId>,
    /// It is a price by itself.
    is_price: bool,
}

/// Whether `function` trades with a pool.
pub(super) fn is_trade(signature: &str) -> bool {
    TRADES.contains(&signature)
}

impl Work<'_, '_> {
    /// Prices that are made of what a pool holds and that decide what the entry point does.
    pub(super) fn spot_prices(&mut self, out: &mut Vec<Candidate>) {
        let Some((holdings, prices)) = self.priced() else { return };
        if !prices.is_empty() && self.decides_effects(&prices) {
            self.report_spot(&holdings, Need::Nothing, out);
        }
    }

    /// Prices that are made of what a pool holds and that a view answers.
    pub(super) fn spot_answers(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        let function = entry.program.function(entry.view.function);
        let is_asked = matches!(function.visibility, Visibility::Public | Visibility::External)
            && matches!(function.returns.as_slice(), [only] if matches!(only.ty, Type::Uint(_)));
        let is_contract =
            entry.program.contract(entry.view.contract).kind == ContractKind::Contract;
        if !is_asked || !is_contract {
            return;
        }
        let Some((holdings, prices)) = self.priced() else { return };
        if entry.view.body.returns.iter().any(|id| prices.contains(id)) {
            self.report_spot(&holdings, Need::NoTrade, out);
        }
    }

    fn report_spot(&mut self, holdings: &[Holding], needs: Need, out: &mut Vec<Candidate>) {
        let Some(first) = holdings.first() else { return };
        let statement = self.entry.statement(first.at);
        self.push(HazardKind::SpotPrice, first.at, statement, Some(Vec::new()), out);
        if let Some(one) = out.last_mut() {
            one.needs = needs;
        }
    }

    /// The answers about pools, and all that is computed of them once they are a price. `None` where the entry
    /// point trades with the pool, whose price is then its own, or holds it against another.
    fn priced(&self) -> Option<(Vec<Holding>, BTreeSet<LocalId>)> {
        let entry = self.entry;
        let mut holdings = Vec::new();
        for (at, statement) in entry.statements() {
            if !self.constants.reaches(at.block) {
                continue;
            }
            match &statement.kind {
                StatementKind::Call(call) => {
                    if let CallKind::External { target, name, .. } = &call.kind {
                        let trades = target
                            .is_some_and(|id| is_trade(&entry.program.function(id).signature));
                        if trades || STEADY.contains(&name.as_str()) {
                            return None;
                        }
                    }
                    holdings.extend(self.holding(at, call));
                }
                StatementKind::Assign { target, value: Rvalue::Pure("balance", of) }
                    if of.first().is_some_and(|of| self.is_pool(of)) =>
                {
                    holdings.push(Holding { at, results: vec![*target], is_price: false });
                }
                _ => {}
            }
        }
        if holdings.is_empty() {
            return None;
        }
        let passes = |value: &Rvalue| !self.is_over_time(value);
        let flows: Vec<BTreeSet<LocalId>> = holdings
            .iter()
            .flat_map(|holding| &holding.results)
            .map(|result| entry.flow([*result], passes))
            .collect();
        let has_price = holdings.iter().any(|holding| holding.is_price);
        let own: BTreeSet<LocalId> = holdings
            .iter()
            .filter(|holding| holding.is_price)
            .flat_map(|holding| entry.flow(holding.results.iter().copied(), passes))
            .collect();
        let mut prices = BTreeSet::new();
        for (_, statement) in entry.statements() {
            let StatementKind::Assign { target, value } = &statement.kind else { continue };
            let (Rvalue::Binary(op, left, right) | Rvalue::Wrapping(op, left, right)) = value
            else {
                continue;
            };
            let holds = |operand: &Operand, flow: &BTreeSet<LocalId>| matches!(operand, Operand::Local(id) if flow.contains(id));
            let is_ratio = *op == BinaryOp::Div
                && flows.iter().enumerate().any(|(above, first)| {
                    holds(left, first)
                        && flows.iter().enumerate().any(|(below, second)| {
                            above != below && holds(right, second) && !holds(right, first)
                        })
                });
            let is_worth = has_price
                && matches!(op, BinaryOp::Mul | BinaryOp::Div)
                && [left, right].into_iter().any(|side| holds(side, &own));
            if (is_ratio || is_worth) && passes(value) {
                prices.insert(*target);
            }
        }
        Some((holdings, entry.flow(prices, passes)))
    }

    fn holding(&self, at: At, call: &Call) -> Option<Holding> {
        let CallKind::External { target: Some(target), name, .. } = &call.kind else { return None };
        let function = self.entry.program.function(*target);
        let returns: Vec<&Type> = function.returns.iter().map(|param| &param.ty).collect();
        match (name.as_str(), returns.as_slice()) {
            ("getReserves", [Type::Uint(_), Type::Uint(_), ..]) => Some(Holding {
                at,
                results: call.results.iter().take(2).copied().collect(),
                is_price: false,
            }),
            ("slot0", [Type::Uint(160), Type::Int(24), ..]) => Some(Holding {
                at,
                results: call.results.iter().take(2).copied().collect(),
                is_price: true,
            }),
            ("balanceOf", [Type::Uint(256)]) if matches!(call.args.as_slice(), [of] if self.is_pool(of)) => {
                Some(Holding { at, results: call.results.clone(), is_price: false })
            }
            _ => None,
        }
    }

    /// An account that neither calls nor is this contract nor is chosen by the caller.
    fn is_pool(&self, account: &Operand) -> bool {
        if self.entry.canonical(account) == Operand::Environment(Environment::This) {
            return false;
        }
        let origin = Origin::of(self.entry, account, false);
        let is_kept = origin.fixed || origin.external || !origin.loads.is_empty();
        is_kept && !origin.this && !origin.sender && !origin.data && !origin.unknown
    }

    /// Whether something is multiplied with a span of time: it accumulates, and what moved for a moment counts little.
    fn is_over_time(&self, value: &Rvalue) -> bool {
        let (Rvalue::Binary(BinaryOp::Mul, left, right)
        | Rvalue::Wrapping(BinaryOp::Mul, left, right)) = value
        else {
            return false;
        };
        [left, right].into_iter().any(|side| Origin::of(self.entry, side, false).time)
    }

    /// Whether one of `values` is written, is handed to another contract that acts on it, or decides whether
    /// everything is undone.
    fn decides_effects(&self, values: &BTreeSet<LocalId>) -> bool {
        let entry = self.entry;
        let is_one =
            |operand: &Operand| matches!(operand, Operand::Local(id) if values.contains(id));
        let graph = &entry.view.body.graph;
        entry.statements().any(|(at, statement)| {
            self.constants.reaches(at.block)
                && match &statement.kind {
                    StatementKind::Store { value, .. } => is_one(value),
                    StatementKind::Call(call) => {
                        let acts = !matches!(
                            call.kind,
                            CallKind::External { is_view: true, .. }
                                | CallKind::StaticCall
                                | CallKind::Internal(..)
                        );
                        acts && call.args.iter().chain(&call.value).any(is_one)
                    }
                    _ => false,
                }
        }) || graph.node_indices().any(|block| {
            let End::Branch { condition, .. } = &graph[block].end else { return false };
            is_one(condition)
                && self.constants.reaches(block)
                && entry.successors(block).iter().any(|(_, next)| !self.ends_well(*next))
                && self.ends_well(block)
        })
    }
}

impl crate::facts::Facts<'_> {
    /// Whether some function of the contract trades with a pool.
    pub(super) fn trades(&self, contract: crate::hir::ContractId) -> bool {
        let functions = self
            .program
            .contract(contract)
            .linearisation
            .iter()
            .flat_map(|base| &self.program.contract(*base).functions);
        let trades = |id: &FunctionId| {
            let statements = self.body(*id).map(|body| body.graph.node_weights());
            statements.into_iter().flatten().flat_map(|block| &block.statements).any(|statement| {
                matches!(&statement.kind, StatementKind::Call(call)
                    if matches!(call.kind, CallKind::External { target: Some(target), .. }
                        if is_trade(&self.program.function(target).signature)))
            })
        };
        functions.into_iter().any(trades)
    }
}
