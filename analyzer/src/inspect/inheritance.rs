//! Bases of contracts, and the order in which their functions are looked up.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::Inspected;
use super::drawing::{Direction, Drawing, Link, Node, Row, Shape, Tone, Way};
use super::name::Target;
use super::source::{Place, one_line};
use crate::hir::{ContractId, Program};
use crate::syntax::ast::ContractKind;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Inheritance {
    /// In order of declaration.
    contracts: Vec<Declared>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Declared {
    name: String,
    kind: &'static str,
    #[serde(flatten)]
    place: Place,
    /// As written; what was not found says so.
    bases: Vec<Base>,
    /// The contract itself first, then its bases, most derived first.
    linearisation: Vec<String>,
    #[serde(skip)]
    id: ContractId,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Base {
    name: String,
    is_found: bool,
    #[serde(skip)]
    id: Option<ContractId>,
}

/// The contracts that are asked about with all of their bases; of a named one what derives from it too.
pub(super) fn gather(asked: &Inspected<'_>) -> Inheritance {
    let program = asked.program;
    let order = |id: ContractId| program.contract(id).linearisation.iter().copied();
    let mut wanted: BTreeSet<ContractId> = asked.contracts().into_iter().collect();
    if !matches!(asked.target, Target::All) {
        let named = wanted.clone();
        wanted.extend(
            program.contract_ids().filter(|id| order(*id).any(|base| named.contains(&base))),
        );
    }
    let with_bases: BTreeSet<ContractId> = wanted.iter().flat_map(|id| order(*id)).collect();
    wanted.extend(with_bases);
    Inheritance { contracts: wanted.into_iter().map(|id| declared(program, id)).collect() }
}

fn declared(program: &Program, id: ContractId) -> Declared {
    let contract = program.contract(id);
    let bases = contract
        .bases
        .iter()
        .map(|(base, written)| Base {
            name: match base {
                Some(base) => program.contract_name(*base).to_owned(),
                None => {
                    let path: Vec<&str> =
                        written.path.iter().map(|name| name.text.as_str()).collect();
                    one_line(&path.join("."), 60)
                }
            },
            is_found: base.is_some(),
            id: *base,
        })
        .collect();
    Declared {
        name: contract.name.clone(),
        kind: match contract.kind {
            ContractKind::Contract => "contract",
            ContractKind::Abstract => "abstract contract",
            ContractKind::Interface => "interface",
            ContractKind::Library => "library",
        },
        place: Place::of(program, contract.name_span),
        bases,
        linearisation: contract
            .linearisation
            .iter()
            .map(|base| program.contract_name(*base).to_owned())
            .collect(),
        id,
    }
}

impl Inheritance {
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        for contract in &self.contracts {
            out.push_str(&format!("{} {}  {}\n", contract.kind, contract.name, contract.place));
            if contract.bases.is_empty() {
                continue;
            }
            let bases: Vec<String> = contract
                .bases
                .iter()
                .map(|base| {
                    let missing = if base.is_found { "" } else { " (not found)" };
                    format!("{}{missing}", base.name)
                })
                .collect();
            out.push_str(&format!("  is     {}\n", bases.join(", ")));
            out.push_str(&format!("  order  {}\n", contract.linearisation.join(" > ")));
        }
        if out.is_empty() {
            out.push_str("no contracts\n");
        }
        out
    }

    pub(super) fn drawing(&self) -> Drawing {
        let mut nodes: Vec<Node> = self
            .contracts
            .iter()
            .map(|contract| Node {
                shape: Shape::Box,
                tone: match contract.kind {
                    "interface" => Tone::Inner,
                    "library" => Tone::Emit,
                    _ => Tone::Plain,
                },
                rows: vec![
                    Row::new(Tone::Dim, contract.kind),
                    Row::new(Tone::Plain, contract.name.clone()),
                ],
                hint: contract.place.to_string(),
            })
            .collect();
        let mut links = Vec::new();
        let mut missing: Vec<&str> = Vec::new();
        for (from, contract) in self.contracts.iter().enumerate() {
            for base in &contract.bases {
                let known =
                    base.id.and_then(|id| self.contracts.iter().position(|known| known.id == id));
                let to = known.unwrap_or_else(|| {
                    let at = missing.iter().position(|name| *name == base.name);
                    let at = at.unwrap_or_else(|| {
                        missing.push(&base.name);
                        nodes.push(Node {
                            shape: Shape::Dashed,
                            tone: Tone::Revert,
                            rows: vec![
                                Row::new(Tone::Dim, "not found"),
                                Row::new(Tone::Plain, base.name.clone()),
                            ],
                            hint: String::new(),
                        });
                        missing.len() - 1
                    });
                    self.contracts.len() + at
                });
                links.push(Link {
                    from,
                    to,
                    label: String::new(),
                    tone: if base.is_found { Tone::Plain } else { Tone::Revert },
                    is_dashed: !base.is_found,
                });
            }
        }
        Drawing {
            way: Way::default(),
            title: "inheritance".to_owned(),
            direction: Direction::Down,
            nodes,
            links,
            legend: vec![
                (Tone::Inner, "interface"),
                (Tone::Emit, "library"),
                (Tone::Revert, "not found"),
            ],
        }
    }
}
