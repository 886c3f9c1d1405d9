//! What a name on the command line stands for.

use std::collections::BTreeSet;

use super::InspectError;
use crate::hir::{ContractId, FunctionId, Program};
use crate::syntax::FileId;
use crate::syntax::ast::FunctionKind;

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    All,
    Contract(ContractId),
    /// A function as it runs on `contract`; free functions run on none.
    Function {
        contract: Option<ContractId>,
        function: FunctionId,
    },
}

/// Near matches are shown up to this many.
const MAX_NEAR: usize = 5;

/// Finds what `name` stands for; contracts of files that the user named come before imported ones.
pub(super) fn find(
    program: &Program,
    reported: &[bool],
    name: Option<&str>,
) -> Result<Target, InspectError> {
    let Some(name) = name else { return Ok(Target::All) };
    let names = Names { program, reported, name };
    let (path, rest) = match name.rsplit_once(':') {
        Some((path, rest)) => (Some(path), rest),
        None => (None, name),
    };
    let (dotted, types) = match rest.split_once('(') {
        Some((dotted, types)) => (dotted, Some(types)),
        None => (rest, None),
    };
    match dotted.split_once('.') {
        None if types.is_none() && !names.contracts(path, dotted).is_empty() => {
            Ok(Target::Contract(names.one_contract(path, dotted)?))
        }
        None => names.free_function(path, dotted, types),
        Some((contract, function)) => {
            let contract = names.one_contract(path, contract)?;
            let function = names.one_function(contract, function, types)?;
            Ok(Target::Function { contract: Some(contract), function })
        }
    }
}

/// `Contract.function(types)`, with the contract that it is looked at on.
pub(super) fn label(
    program: &Program,
    contract: Option<ContractId>,
    function: FunctionId,
) -> String {
    let declared = program.function(function);
    let own = own_name(program, function);
    let name = if declared.kind == FunctionKind::Function { &declared.signature } else { own };
    match contract.or(declared.contract) {
        Some(contract) => format!("{}.{name}", program.contract_name(contract)),
        None => name.to_owned(),
    }
}

/// The name of a function without its contract.
pub(super) fn own_name(program: &Program, function: FunctionId) -> &str {
    let function = program.function(function);
    match function.kind {
        FunctionKind::Constructor => "constructor",
        FunctionKind::Fallback => "fallback",
        FunctionKind::Receive => "receive",
        FunctionKind::Function | FunctionKind::Modifier => &function.name,
    }
}

/// The functions that run on a contract: its own and inherited ones that are not overridden, in the order of
/// the linearisation and of declaration. Constructors of bases are left out.
pub(super) fn functions_of(program: &Program, contract: ContractId) -> Vec<FunctionId> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for &base in &program.contract(contract).linearisation {
        for &id in &program.contract(base).functions {
            let function = program.function(id);
            let is_foreign = function.kind == FunctionKind::Constructor && base != contract;
            let key = match function.kind {
                FunctionKind::Function => function.signature.as_str(),
                FunctionKind::Modifier => function.name.as_str(),
                _ => "",
            };
            if !is_foreign && seen.insert((function.kind, key)) {
                out.push(id);
            }
        }
    }
    out
}

struct Names<'a> {
    program: &'a Program,
    reported: &'a [bool],
    /// As it was given.
    name: &'a str,
}

impl Names<'_> {
    fn is_reported(&self, file: FileId) -> bool {
        self.reported.get(file.0 as usize).copied().unwrap_or(false)
    }

    fn path(&self, file: FileId) -> String {
        let source = self.program.source(file);
        source.map(|source| source.path.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn contracts(&self, path: Option<&str>, name: &str) -> Vec<ContractId> {
        let file = |id: &ContractId| self.program.contract(*id).file;
        let named: Vec<ContractId> = self
            .program
            .contract_ids()
            .filter(|id| self.program.contract_name(*id) == name)
            .filter(|id| path.is_none_or(|path| self.path(file(id)).ends_with(path)))
            .collect();
        let own: Vec<_> = named.iter().copied().filter(|id| self.is_reported(file(id))).collect();
        if own.is_empty() { named } else { own }
    }

    fn one_contract(&self, path: Option<&str>, name: &str) -> Result<ContractId, InspectError> {
        match self.contracts(path, name).as_slice() {
            [] => Err(self.unknown()),
            [only] => Ok(*only),
            several => Err(self.ambiguous(
                several
                    .iter()
                    .map(|id| format!("{}:{name}", self.path(self.program.contract(*id).file))),
            )),
        }
    }

    fn one_function(
        &self,
        contract: ContractId,
        name: &str,
        types: Option<&str>,
    ) -> Result<FunctionId, InspectError> {
        let of_name: Vec<FunctionId> = functions_of(self.program, contract)
            .into_iter()
            .filter(|id| own_name(self.program, *id) == name)
            .collect();
        self.choose(Some(contract), of_name, name, types)
    }

    fn free_function(
        &self,
        path: Option<&str>,
        name: &str,
        types: Option<&str>,
    ) -> Result<Target, InspectError> {
        let of_name: Vec<FunctionId> = self
            .program
            .function_ids()
            .filter(|id| {
                let function = self.program.function(*id);
                function.contract.is_none()
                    && function.name == name
                    && path.is_none_or(|path| self.path(function.file).ends_with(path))
            })
            .collect();
        let function = self.choose(None, of_name, name, types)?;
        Ok(Target::Function { contract: None, function })
    }

    fn choose(
        &self,
        contract: Option<ContractId>,
        of_name: Vec<FunctionId>,
        name: &str,
        types: Option<&str>,
    ) -> Result<FunctionId, InspectError> {
        let signature = types.map(|types| {
            let types: String = types.chars().filter(|c| !c.is_whitespace()).collect();
            format!("{name}({types}")
        });
        let fits = |id: &FunctionId| {
            let known = &self.program.function(*id).signature;
            signature.as_ref().is_none_or(|wanted| {
                known.chars().filter(|c| !c.is_whitespace()).eq(wanted.chars())
            })
        };
        let fitting: Vec<_> = of_name.iter().copied().filter(fits).collect();
        let labels = of_name.iter().map(|id| label(self.program, contract, *id));
        match fitting.as_slice() {
            [] if of_name.is_empty() => Err(self.unknown()),
            [] => Err(InspectError::UnknownName {
                name: self.name.to_owned(),
                near: labels.take(MAX_NEAR).collect(),
            }),
            [only] => Ok(*only),
            several => {
                Err(self.ambiguous(several.iter().map(|id| label(self.program, contract, *id))))
            }
        }
    }

    fn ambiguous(&self, choices: impl Iterator<Item = String>) -> InspectError {
        InspectError::Ambiguous { name: self.name.to_owned(), choices: choices.collect() }
    }

    fn unknown(&self) -> InspectError {
        let mut candidates = BTreeSet::new();
        for contract in self.program.contract_ids() {
            if !self.is_reported(self.program.contract(contract).file) {
                continue;
            }
            candidates.insert(self.program.contract_name(contract).to_owned());
            for function in functions_of(self.program, contract) {
                let own = own_name(self.program, function);
                candidates.insert(format!("{}.{own}", self.program.contract_name(contract)));
            }
        }
        for function in self.program.function_ids() {
            let declared = self.program.function(function);
            if declared.contract.is_none() && self.is_reported(declared.file) {
                candidates.insert(declared.name.clone());
            }
        }
        InspectError::UnknownName {
            name: self.name.to_owned(),
            near: near(self.name, candidates.into_iter()),
        }
    }
}

/// The candidates that are most like `name`: few letters apart, or the same behind or before the dot.
fn near(name: &str, candidates: impl Iterator<Item = String>) -> Vec<String> {
    let wanted = name.split('(').next().unwrap_or(name).to_lowercase();
    let member = wanted.rsplit('.').next().unwrap_or(&wanted);
    let most = wanted.chars().count() / 4 + 1;
    let mut ranked: Vec<(usize, String)> = candidates
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let (contract, own) = match lower.rsplit_once('.') {
                Some((contract, own)) => (contract, own),
                None => ("", lower.as_str()),
            };
            let mut distance = edit_distance(&wanted, &lower);
            if own == member {
                distance = distance.min(1);
            } else if contract == wanted || lower == member {
                distance = distance.min(2);
            }
            (distance <= most).then_some((distance, candidate))
        })
        .collect();
    ranked.sort();
    ranked.into_iter().take(MAX_NEAR).map(|(_, candidate)| candidate).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(120).collect(), b.chars().take(120).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_mistyped_is_near() {
        let known = ["Vault", "Vault.withdraw", "Vault.deposit", "Bank", "Bank.withdraw"];
        let near = |name: &str| near(name, known.iter().map(|name| (*name).to_owned()));
        assert_eq!(near("Vault.witdhraw"), ["Vault.withdraw"]);
        assert_eq!(near("vualt"), ["Vault"]);
        assert_eq!(near("withdraw"), ["Bank.withdraw", "Vault.withdraw"]);
        assert_eq!(near("Treasury"), [""; 0]);
    }
}
