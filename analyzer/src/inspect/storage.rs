//! Where state variables stand.

use schemars::JsonSchema;
use serde::Serialize;

use super::Inspected;
use super::source::Place;
use super::table::table;
use crate::hir::{ContractId, Program};
use crate::syntax::ast::ContractKind;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Layouts {
    contracts: Vec<Layout>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Layout {
    contract: String,
    #[serde(flatten)]
    place: Place,
    /// `false` where a type or a base is unknown: every slot would be a guess, and none is listed.
    is_known: bool,
    variables: Vec<Variable>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Variable {
    /// In decimal: a slot may need more than 64 bits.
    slot: String,
    offset_bytes: u8,
    size_bytes: u64,
    #[serde(rename = "type")]
    ty: String,
    name: String,
    /// The contract that declares it.
    declared_in: String,
    is_transient: bool,
}

pub(super) fn gather(asked: &Inspected<'_>) -> Layouts {
    let program = asked.program;
    let contracts = asked
        .contracts()
        .into_iter()
        .filter(|id| {
            let kind = program.contract(*id).kind;
            matches!(kind, ContractKind::Contract | ContractKind::Abstract)
        })
        .map(|id| layout(program, id))
        .collect();
    Layouts { contracts }
}

fn layout(program: &Program, id: ContractId) -> Layout {
    let slots = program.storage_layout(id);
    let is_known = slots.is_some();
    let mut slots = slots.unwrap_or_default();
    slots.sort_by_key(|slot| (slot.is_transient, slot.slot, slot.offset_bytes));
    let variables: Vec<Variable> = slots
        .into_iter()
        .map(|slot| {
            let variable = program.variable(slot.variable);
            Variable {
                slot: slot.slot.to_string(),
                offset_bytes: slot.offset_bytes,
                size_bytes: slot.size_bytes,
                ty: variable.ty.display(program),
                name: variable.name.clone(),
                declared_in: variable
                    .contract
                    .map(|contract| program.contract_name(contract).to_owned())
                    .unwrap_or_default(),
                is_transient: slot.is_transient,
            }
        })
        .collect();
    let contract = program.contract(id);
    Layout {
        contract: contract.name.clone(),
        place: Place::of(program, contract.name_span),
        is_known,
        variables,
    }
}

impl Layouts {
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        for layout in &self.contracts {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&format!("{}  {}\n", layout.contract, layout.place));
            if !layout.is_known {
                out.push_str("  a base or a type is unknown, so every slot would be a guess\n");
                continue;
            }
            if layout.variables.is_empty() {
                out.push_str("  no state\n");
                continue;
            }
            let rows: Vec<[String; 6]> = layout
                .variables
                .iter()
                .map(|variable| {
                    let transient = if variable.is_transient { "transient " } else { "" };
                    [
                        format!("{transient}{}", variable.slot),
                        variable.offset_bytes.to_string(),
                        variable.size_bytes.to_string(),
                        variable.name.clone(),
                        variable.ty.clone(),
                        variable.declared_in.clone(),
                    ]
                })
                .collect();
            out.push_str(&table(["slot", "offset", "bytes", "name", "type", "declared in"], &rows));
        }
        if out.is_empty() {
            out.push_str("no contracts\n");
        }
        out
    }
}
