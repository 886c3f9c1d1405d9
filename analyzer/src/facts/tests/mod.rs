//! One small source per behaviour: what is asked and what is answered.

mod calls;
mod guards;
mod hazards;
mod laws;
mod locks;
mod loops;
mod order;
mod reentrancy;
mod table;

use portcullis_rules::{AnswerOutcome, FactTable, Pack, RuleSet, Subject, Value};
use ruint::aliases::U256;

use super::*;
use crate::hir::{project, single};

/// Reentrancies as `entry: state`, with what protects them.
fn reentrancies(text: &str) -> Vec<String> {
    let program = single(text);
    let facts = Facts::new(&program);
    facts
        .reentrancies()
        .iter()
        .map(|found| {
            let locked = if found.locked { " locked" } else { "" };
            let guarded = if found.guarded { " guarded" } else { "" };
            format!("{}: {}{locked}{guarded}", program.function_name(found.entry), found.variable)
        })
        .collect()
}

/// Self-destructs as `entry`, with what protects them.
fn destructs(text: &str) -> Vec<String> {
    let program = single(text);
    let facts = Facts::new(&program);
    facts
        .self_destructs()
        .iter()
        .map(|found| {
            format!(
                "{}{}",
                program.function_name(found.entry),
                if found.guarded { " guarded" } else { "" }
            )
        })
        .collect()
}

/// A vault whose `w` has this body.
fn vault(members: &str, attributes: &str, body: &str) -> String {
    format!(
        "contract V {{ mapping(address => uint) bal; {members} function d() external payable {{ bal[msg.sender] += msg.value; }} function w() external {attributes} {{ {body} }} }}"
    )
}

const PAY: &str = "uint a = bal[msg.sender]; (bool ok, ) = msg.sender.call{value: a}(\"\"); require(ok); bal[msg.sender] = 0;";
