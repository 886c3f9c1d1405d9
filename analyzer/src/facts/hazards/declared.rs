//! What can be told from declarations, without running anything.

use std::collections::BTreeSet;

use super::HazardKind;
use crate::cfg::*;
use crate::facts::Facts;
use crate::hir::{ContractId, FunctionId, Type, VariableId};
use crate::syntax::Span;
use crate::syntax::ast::{ContractKind, FunctionKind};

/// A flaw of a declaration: what, in which contract, by which function it is shown, where, and what it is about.
pub(super) type Declared = (HazardKind, ContractId, FunctionId, Span, String);

impl Facts<'_> {
    pub(super) fn declared_flaws(&self) -> Vec<Declared> {
        let mut out = Vec::new();
        self.never_written(&mut out);
        self.wrong_interfaces(&mut out);
        self.body_flaws(&mut out);
        out
    }

    /// Accounts that some body reads, and none writes: whoever they were meant to be, they are nobody.
    fn never_written(&self, out: &mut Vec<Declared>) {
        let program = self.program;
        let mut read: Vec<(VariableId, FunctionId)> = Vec::new();
        let mut written: BTreeSet<VariableId> = BTreeSet::new();
        // No reference points to a single account, so each body tells all by itself.
        for (function, body) in program.function_ids().zip(&self.bodies) {
            let Some(body) = body else { continue };
            for statement in body.graph.node_weights().flat_map(|block| &block.statements) {
                match &statement.kind {
                    StatementKind::Load {
                        place: Place { root: Root::Variable(id), .. }, ..
                    } => {
                        read.push((*id, function));
                    }
                    StatementKind::Store {
                        place: Place { root: Root::Variable(id), .. }, ..
                    } => {
                        written.insert(*id);
                    }
                    StatementKind::Unknown => return,
                    _ => {}
                }
            }
        }
        let bases = self.bases();
        let mut seen = BTreeSet::new();
        for (id, function) in read {
            let variable = program.variable(id);
            let Some(contract) = variable.contract else { continue };
            let is_open_ended = program.contract(contract).has_unknown_base
                || program.contract(contract).kind != ContractKind::Contract
                // A variable that keeps its place for an upgrade, or for a base that runs elsewhere.
                || bases.contains(&contract);
            let is_written = written.contains(&id)
                || variable.init.is_some()
                || variable.is_constant
                || variable.is_immutable
                || !matches!(variable.ty, Type::Address | Type::Contract(_));
            let in_assembly = self.is_named_in_assembly(contract, &variable.name);
            if !is_written && !is_open_ended && !in_assembly && seen.insert(id) {
                out.push((
                    HazardKind::NeverWritten,
                    contract,
                    function,
                    variable.span,
                    variable.name.clone(),
                ));
            }
        }
    }

    /// Assembly can write a variable through its slot.
    fn is_named_in_assembly(&self, contract: ContractId, name: &str) -> bool {
        let text = self.program.text(self.program.contract_span(contract));
        text.contains(&format!("{name}.slot")) || text.contains(&format!("{name}_slot"))
    }

    /// Functions of ERC-20 and ERC-721 tokens that answer otherwise than the standards fix.
    fn wrong_interfaces(&self, out: &mut Vec<Declared>) {
        let program = self.program;
        for contract in program.contract_ids() {
            let declared = program.contract(contract);
            if declared.kind == ContractKind::Library {
                continue;
            }
            let functions: Vec<FunctionId> = declared
                .functions
                .iter()
                .copied()
                .filter(|id| program.function(*id).kind == FunctionKind::Function)
                .collect();
            let signatures: BTreeSet<&str> =
                functions.iter().map(|id| program.function(*id).signature.as_str()).collect();
            let has = |signature: &str| signatures.contains(signature);
            // What both standards share does not tell them apart.
            let is_nft = has("ownerOf(uint256)");
            let n_erc20 = [
                "transfer(address,uint256)",
                "allowance(address,address)",
                "totalSupply()",
                "balanceOf(address)",
            ]
            .iter()
            .filter(|signature| has(signature))
            .count();
            for &id in &functions {
                let function = program.function(id);
                let returns: Vec<&Type> = function.returns.iter().map(|param| &param.ty).collect();
                let wanted = match function.signature.as_str() {
                    "transfer(address,uint256)"
                    | "approve(address,uint256)"
                    | "transferFrom(address,address,uint256)"
                        if !is_nft && n_erc20 >= 3 =>
                    {
                        Type::Bool
                    }
                    "balanceOf(address)" if is_nft || n_erc20 >= 3 => Type::Uint(256),
                    "totalSupply()" | "allowance(address,address)" if !is_nft && n_erc20 >= 3 => {
                        Type::Uint(256)
                    }
                    "ownerOf(uint256)" | "getApproved(uint256)" if is_nft => Type::Address,
                    _ => continue,
                };
                let is_right = matches!(returns.as_slice(), [only] if **only == wanted || **only == Type::Unknown);
                if !is_right {
                    let span = program.function_name_span(id);
                    out.push((
                        HazardKind::WrongInterface,
                        contract,
                        id,
                        span,
                        if is_nft { "ERC-721" } else { "ERC-20" }.to_owned(),
                    ));
                }
            }
        }
    }
}
