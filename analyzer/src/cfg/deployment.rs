//! What runs when a contract is made: arguments of base constructors, then, base by base, what variables are declared
//! with and the constructor.

use std::collections::BTreeMap;

use super::ir::*;
use super::view::{Calls, Composer, Instance, View, Wrapped};
use crate::hir::{ContractId, Program};

/// The bodies that a deployment is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// By function.
    pub(crate) bodies: &'a [Option<Body>],
    /// What variables are declared with, by variable.
    pub(crate) initialisers: &'a [Option<Body>],
    /// The arguments that a contract's head gives its bases, by contract.
    pub(crate) base_arguments: &'a [Option<Body>],
}

/// Composes the deployment of `contract`, in the order in which the compiler runs it; `None` where neither the contract
/// nor a base has a constructor, so that nothing runs but what variables are declared with.
pub(crate) fn deployment(
    program: &Program,
    parts: Parts<'_>,
    contract: ContractId,
) -> Option<View> {
    let declared = program.contract(contract);
    let order = &declared.linearisation;
    let first = order.iter().find_map(|base| program.constructor(*base))?;
    let mut composer = Composer::new(program, parts.bodies, contract, first, Calls::InPlace);
    composer.is_deployment = true;
    composer.is_partial = declared.has_unknown_base;
    let entry = composer.b.at;

    // Every constructor has its parameters before any argument is computed.
    let mut ready: BTreeMap<ContractId, Wrapped<'_>> = BTreeMap::new();
    for base in order {
        let id = program.constructor(*base);
        let Some((id, body)) = id.and_then(|id| Some((id, parts.bodies[id.index()].as_ref()?)))
        else {
            continue;
        };
        let frame = if id == first {
            FrameId(0)
        } else {
            composer.open_frame(id, FrameId(0), declared.name_span)
        };
        let offset = composer.open_locals(body, *base == contract);
        composer.is_partial |= body.is_partial;
        ready.insert(*base, Wrapped { body, offset, frame });
    }
    for base in order {
        let frame = ready.get(base).map_or(FrameId(0), |constructor| constructor.frame);
        if let Some(body) = &parts.base_arguments[base.index()] {
            let offset = composer.open_locals(body, false);
            composer.base_arguments(program, &Wrapped { body, offset, frame }, &ready);
        }
        if let Some(constructor) = ready.get(base) {
            composer.base_arguments(program, constructor, &ready);
        }
    }
    for base in order.iter().rev() {
        let frame = ready.get(base).map_or(FrameId(0), |constructor| constructor.frame);
        for &variable in &program.contract(*base).variables {
            if let Some(body) = &parts.initialisers[variable.index()]
                && !program.variable(variable).is_constant
            {
                let offset = composer.open_locals(body, false);
                composer.is_partial |= body.is_partial;
                composer.copy(Instance { body, offset, frame, wrapped: None }, body.entry, None);
            }
        }
        if let (Some(constructor), Some(id)) = (ready.get(base), program.constructor(*base)) {
            composer.open.push(id);
            composer.run_modifiers(constructor, 0);
            composer.open.pop();
        }
    }
    let shift = |constructor: &Wrapped<'_>| {
        constructor.body.params.iter().map(|id| LocalId(id.0 + constructor.offset)).collect()
    };
    let params = ready.get(&contract).map(shift).unwrap_or_default();
    Some(composer.finish(entry, params, Vec::new()))
}

impl<'a> Composer<'a> {
    /// Computes the arguments that a head or a constructor gives to bases, and hands them over.
    fn base_arguments(
        &mut self,
        program: &Program,
        from: &Wrapped<'a>,
        ready: &BTreeMap<ContractId, Wrapped<'a>>,
    ) {
        for modifier in &from.body.modifiers {
            let ModifierTarget::BaseConstructor(target) = modifier.target else { continue };
            let instance =
                Instance { body: from.body, offset: from.offset, frame: from.frame, wrapped: None };
            self.copy(instance, modifier.code.0, Some(modifier.code.1));
            if let (Some(constructor), Some(_)) = (ready.get(&target), program.constructor(target))
            {
                let params: Vec<_> = constructor
                    .body
                    .params
                    .iter()
                    .map(|id| LocalId(id.0 + constructor.offset))
                    .collect();
                let args: Vec<_> = modifier
                    .args
                    .iter()
                    .map(|arg| super::view::shift_operand(arg, from.offset))
                    .collect();
                self.assign_params(&params, &args, modifier.span, constructor.frame);
            }
        }
    }
}
