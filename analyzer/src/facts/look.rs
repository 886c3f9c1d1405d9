//! Answers for those who look rather than judge: bodies, composed or alone, and guards in words.

use super::Facts;
use super::callee::Callee;
use super::entry::StateKey;
use super::summary::Summary;
use crate::cfg::{Body, Calls, Constant, View, compose};
use crate::hir::{ContractId, FunctionId};

impl Facts<'_> {
    /// The lowered body of a function; `None` where it is only declared.
    pub(crate) fn body(&self, function: FunctionId) -> Option<&Body> {
        self.bodies.get(function.index())?.as_ref()
    }

    /// A function as it runs on `contract`, with its modifiers and, if asked, all internal calls in place.
    pub(crate) fn composed(
        &self,
        contract: ContractId,
        function: FunctionId,
        calls: Calls,
    ) -> Option<View> {
        compose(self.program, &self.bodies, contract, function, calls)
    }

    /// Whether everything that an entry point changes or calls needs a chosen account.
    pub(crate) fn needs_authority(&self, summary: &Summary) -> bool {
        let has_effects = !summary.writes.is_empty()
            || !summary.calls.is_empty()
            || !summary.destructs.is_empty();
        has_effects
            && summary.writes.iter().all(|write| self.holds(summary.contract, &write.guard))
            && summary.calls.iter().all(|call| self.holds(summary.contract, &call.guard))
            && summary.destructs.iter().all(|site| self.holds(summary.contract, &site.guard))
    }

    /// Who chooses the account that is called: `anyone`, `chosen` accounts, or nobody (`fixed`).
    pub(crate) fn chooser(&self, contract: ContractId, callee: &Callee) -> &'static str {
        match callee {
            _ if self.is_strangers(contract, callee) => "anyone",
            Callee::Fixed => "fixed",
            _ => "chosen",
        }
    }

    /// State as a reader of the source would name it.
    pub(crate) fn state_text(&self, key: &StateKey) -> String {
        let (mut name, field) = match key {
            StateKey::Variable(id, field) => {
                (self.program.variable_name(*id).to_owned(), field.as_ref())
            }
            StateKey::Slot(constant, field, is_transient) => {
                let slot = match constant {
                    Constant::Number(number) => number.clone(),
                    Constant::Variable(id) => self.program.variable_name(*id).to_owned(),
                    Constant::Text(text) => format!("{text:?}"),
                    Constant::Function(id) => self.program.function_name(*id),
                    Constant::Bool(value) => value.to_string(),
                    Constant::Default => "0".to_owned(),
                    Constant::Unknown => "?".to_owned(),
                };
                let kind = if *is_transient { "tslot" } else { "slot" };
                (format!("{kind}({slot})"), field.as_ref())
            }
        };
        if let Some(field) = field {
            name = format!("{name}.{field}");
        }
        name
    }
}
