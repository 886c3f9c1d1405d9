//! State that a contract keeps in another one of the program, which it asks before a call and tells after it: a
//! ledger, a token of its own, a registry. It is as stale during the call as state of its own would be.

use std::collections::BTreeSet;

use petgraph::graph::NodeIndex;

use super::callee::{Callee, callee_itself};
use super::calls::Heirs;
use super::entry::{AbsolutePlace, At, Entry, StateKey};
use super::origin::Origin;
use super::summary::{OutCall, Summary};
use super::work::Work;
use super::{EntryPoint, Facts};
use crate::cfg::*;
use crate::hir::{ContractId, Declaration, FunctionId, Program, Type, VariableId};
use crate::syntax::Span;
use crate::syntax::ast::{self, BinaryOp, ContractKind, FunctionKind, Visibility};

/// What another contract is asked: a function, or the getter of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Function(FunctionId),
    Variable(VariableId),
}

/// Another contract that is asked something which decides a call, and told something after it.
#[derive(Debug, Clone)]
pub(crate) struct Elsewhere {
    asked: Asked,
    told: FunctionId,
    /// What the same contract is told between the question and the call.
    told_before: Vec<FunctionId>,
    /// Who chooses that contract.
    callee: Callee,
    /// The question is about whoever calls.
    is_about_caller: bool,
    read: Span,
    write: Span,
}

/// State of another contract that decides a call and is changed after it.
pub(super) struct StaleElsewhere {
    /// The contract that keeps it, and the state.
    pub(super) variable: String,
    pub(super) read: Span,
    pub(super) write: Span,
    /// A function of that contract by which anyone changes the same state, whatever the asking contract locks.
    pub(super) door: Option<FunctionId>,
    /// All that lets the caller go on is this state, which their call uses up.
    pub(super) is_right_used_up: bool,
}

/// The account that is called, where it can be told to be the same in another call.
#[derive(PartialEq, Eq)]
enum Account {
    Constant(Constant),
    Places(Vec<AbsolutePlace>),
}

impl Work<'_, '_> {
    /// The contracts that are asked before the call at `at` and told after it.
    pub(super) fn elsewhere(&self, at: At, call: &Call) -> Vec<Elsewhere> {
        let entry = self.entry;
        let after = self.forward(at.block);
        let told: Vec<_> = entry
            .statements()
            .filter_map(|(other, statement)| {
                let StatementKind::Call(told) = &statement.kind else { return None };
                let CallKind::External { target: Some(target), is_view: false, .. } = told.kind
                else {
                    return None;
                };
                Some((other, target, account_of(entry, told)?, statement.span, told))
            })
            .collect();
        let is_later = |other: At| {
            if other.block == at.block {
                other.index > at.index
            } else {
                after.contains(other.block.index())
            }
        };
        if !told.iter().any(|(other, ..)| is_later(*other) && self.is_alive(*other)) {
            return Vec::new();
        }
        let mut found: Vec<Elsewhere> = Vec::new();
        for answer in self.deciding_answers(at.block, call) {
            let statement = entry.statement(answer);
            let StatementKind::Call(question) = &statement.kind else { continue };
            let (Some(account), false) = (account_of(entry, question), is_later(answer)) else {
                continue;
            };
            let Some(asked) = asked(entry, question) else { continue };
            let same =
                || told.iter().filter(|(other, _, of, ..)| *other != answer && *of == account);
            let told_before = same()
                .filter(|(other, ..)| *other != at && self.stands_before(*other, at))
                .map(|(_, target, ..)| *target);
            let told_before: Vec<_> = told_before.collect();
            for (_, target, _, span, later) in
                same().filter(|(other, ..)| is_later(*other) && self.is_alive(*other))
            {
                found.push(Elsewhere {
                    asked,
                    told: *target,
                    told_before: told_before.clone(),
                    callee: callee_itself(entry, later),
                    is_about_caller: question.args.iter().any(|arg| {
                        entry.canonical(arg) == Operand::Environment(Environment::Sender)
                    }),
                    read: statement.span,
                    write: *span,
                });
            }
        }
        found
    }

    /// The answers of other contracts by which it is decided whether, whom and with what a call is made.
    fn deciding_answers(&self, block: NodeIndex, call: &Call) -> BTreeSet<At> {
        let entry = self.entry;
        let mut answers = BTreeSet::new();
        let mut add = |operand: &Operand| answers.extend(Origin::of(entry, operand, false).answers);
        call.callee.iter().chain(&call.value).chain(&call.args).for_each(&mut add);
        for controller in self.controllers(block).iter() {
            if let End::Branch { condition, .. } = &entry.view.body.graph[*controller].end {
                add(condition);
            }
        }
        answers
    }
}

/// Whether nothing lets the caller pass but what one other contract answers.
fn is_only_guard(call: &OutCall, asked: &Callee) -> bool {
    match asked {
        Callee::Stored(keys) => call.guard.rests_on.iter().all(|key| keys.contains(key)),
        _ => call.guard.rests_on.is_empty(),
    }
}

fn account_of(entry: &Entry<'_>, call: &Call) -> Option<Account> {
    match entry.canonical(call.callee.as_ref()?) {
        Operand::Constant(Constant::Unknown) => None,
        Operand::Constant(constant) => Some(Account::Constant(constant)),
        Operand::Local(id) => match &entry.definitions[id.index()] {
            [at] if matches!(entry.statement(*at).kind, StatementKind::Load { .. }) => {
                Some(Account::Places(entry.accessed(*at).to_vec()))
            }
            _ => None,
        },
        _ => None,
    }
}

fn asked(entry: &Entry<'_>, call: &Call) -> Option<Asked> {
    let CallKind::External { target, name, .. } = &call.kind else { return None };
    if let Some(target) = target {
        return Some(Asked::Function(*target));
    }
    let ty = match call.callee.as_ref()? {
        Operand::Local(id) => &entry.view.body.locals[id.index()].ty,
        Operand::Constant(Constant::Variable(id)) => &entry.program.variable(*id).ty,
        _ => return None,
    };
    let Type::Contract(contract) = ty else { return None };
    getter(entry.program, *contract, name).map(Asked::Variable)
}

fn getter(program: &Program, contract: ContractId, name: &str) -> Option<VariableId> {
    program.members(contract, name).into_iter().find_map(|member| match member {
        Declaration::Variable(id) => Some(id),
        _ => None,
    })
}

/// What anyone calls on `contract` by the signature of `function`.
fn runs_on(program: &Program, contract: ContractId, function: FunctionId) -> Option<FunctionId> {
    let signature = &program.function(function).signature;
    let order = program.contract(contract).linearisation.iter();
    order.flat_map(|base| &program.contract(*base).functions).copied().find(|id| {
        let found = program.function(*id);
        found.kind == FunctionKind::Function
            && found.signature == *signature
            && matches!(found.visibility, Visibility::Public | Visibility::External)
            && !matches!(found.body, ast::Body::None)
    })
}

impl Facts<'_> {
    /// State of other contracts of the program that is read before the call, decides it, and is written after it.
    pub(super) fn stale_elsewhere(
        &self,
        summary: &Summary,
        call: &OutCall,
        heirs: &Heirs,
    ) -> Option<StaleElsewhere> {
        call.elsewhere.iter().find_map(|one| {
            if self.is_strangers(summary.contract, &one.callee) {
                return None;
            }
            self.keepers(one.told, heirs).into_iter().find_map(|keeper| {
                if keeper == summary.contract {
                    return None;
                }
                let reads = self.read_there(keeper, one.asked);
                let settled: BTreeSet<StateKey> = one
                    .told_before
                    .iter()
                    .flat_map(|told| self.written_there(keeper, *told))
                    .collect();
                let written = self.written_there(keeper, one.told);
                let key =
                    written.iter().find(|key| reads.contains(key) && !settled.contains(key))?;
                let name = self.program.contract_name(keeper);
                Some(StaleElsewhere {
                    variable: format!("{name}.{}", self.state_text(key)),
                    read: one.read,
                    write: one.write,
                    door: self.door(keeper, one.told, key),
                    is_right_used_up: one.is_about_caller && is_only_guard(call, &one.callee),
                })
            })
        })
    }

    /// The contracts of the program that can stand where `told` is called.
    fn keepers(&self, told: FunctionId, heirs: &Heirs) -> Vec<ContractId> {
        let Some(declaring) = self.program.function(told).contract else { return Vec::new() };
        let known = heirs.of_contract(declaring);
        if !known.is_empty() {
            return known.to_vec();
        }
        // An interface that nobody names as a base is implemented by whoever has its functions.
        let interface = &self.program.contract(declaring).functions;
        self.program
            .contract_ids()
            .filter(|id| self.program.contract(*id).kind == ContractKind::Contract)
            .filter(|id| {
                interface.iter().all(|function| {
                    let name = &self.program.function(*function).name;
                    runs_on(self.program, *id, *function).is_some()
                        || getter(self.program, *id, name).is_some()
                })
            })
            .collect()
    }

    fn read_there(&self, keeper: ContractId, asked: Asked) -> BTreeSet<StateKey> {
        let function = match asked {
            Asked::Variable(id) => {
                return StateKey::of_variable(self.program, id).into_iter().collect();
            }
            Asked::Function(function) => function,
        };
        match runs_on(self.program, keeper, function) {
            Some(function) => self
                .answers_of(EntryPoint { contract: keeper, function })
                .into_iter()
                .flat_map(|answer| answer.reads)
                .collect(),
            None => getter(self.program, keeper, &self.program.function(function).name)
                .map(|id| StateKey::of_variable(self.program, id).into_iter().collect())
                .unwrap_or_default(),
        }
    }

    fn written_there(&self, keeper: ContractId, told: FunctionId) -> Vec<StateKey> {
        let Some(function) = runs_on(self.program, keeper, told) else { return Vec::new() };
        self.summaries()
            .iter()
            .filter(|summary| summary.contract == keeper && summary.function == function)
            .flat_map(|summary| summary.writes.iter().map(|write| write.variable.clone()))
            .collect()
    }

    /// Another function of the keeper by which anyone changes `key`, where what is told in the end would overwrite
    /// that: an amount that is only taken from what is left must still be there.
    fn door(&self, keeper: ContractId, told: FunctionId, key: &StateKey) -> Option<FunctionId> {
        let told = runs_on(self.program, keeper, told)?;
        let view = self.view(EntryPoint { contract: keeper, function: told })?;
        let entry = Entry::new(self.program, &view);
        let overwrites = entry.statements().any(|(at, statement)| {
            let StatementKind::Store { value, .. } = &statement.kind else { return false };
            let is_it = entry
                .accessed(at)
                .iter()
                .any(|place| StateKey::of(self.program, place).contains(key));
            let is_spent = matches!(value, Operand::Local(id) if matches!(
                entry.only_definition(*id).map(|statement| &statement.kind),
                Some(StatementKind::Assign { value: Rvalue::Binary(BinaryOp::Sub, ..), .. })
            ));
            is_it && !is_spent
        });
        let mut others = self.summaries().iter().filter(|summary| summary.contract == keeper);
        let door = others.find(|summary| {
            summary.function != told
                && summary
                    .writes
                    .iter()
                    .any(|write| write.variable == *key && !self.holds(keeper, &write.guard))
        });
        door.filter(|_| overwrites).map(|summary| summary.function)
    }
}
