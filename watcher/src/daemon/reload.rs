//! Rules and model in office, and how others take over while transactions are judged.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use alloy::primitives::B256;
use portcullis_models::Model;
use portcullis_rules::{Exchange, RuleSet};

use super::{build::limits, chain::Chain};
use crate::{
    policy::Ledger,
    settings::GuardSettings,
    verdict::{Beside, Judge},
};

/// The judge in office. Whoever judges takes it once for each transaction, so that no verdict is of two minds.
#[derive(Debug)]
pub(super) struct Office(RwLock<Judge>);

impl Office {
    /// With its first judge.
    pub(super) fn new(judge: Judge) -> Self {
        Self(RwLock::new(judge))
    }

    /// The judge of this moment.
    pub(super) fn judge(&self) -> Judge {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The judge who leaves.
    fn hand_over(&self, judge: Judge) -> Judge {
        let mut office = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *office, judge)
    }
}

/// Puts other rules and another model in office while the guard runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reloader {
    pub(super) chains: Vec<Arc<Chain>>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) settings: Arc<GuardSettings>,
}

impl Reloader {
    /// From the next transaction on, these are asked; none that is being judged is lost or judged twice. Pauses that
    /// were decided still count. Each chain's journal gets a row that says what changed.
    pub fn reload(&self, rules: &Arc<RuleSet>, model: Option<&Arc<Model>>, beside: &Beside) {
        let judge = Judge::new(Arc::clone(rules), model.cloned()).with(beside.clone());
        let adopted = limits(&self.settings, &judge);
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).adopt(adopted);
        let named = |model: Option<&Arc<Model>>| {
            model.map_or_else(|| "none".to_owned(), |model| model.hash_hex())
        };
        let mut model = named(model);
        for (name, other) in [("contract", &beside.contract), ("shadow", &beside.shadow)] {
            if other.is_some() {
                model += &format!(", {name} model {}", named(other.as_ref()));
            }
        }
        for chain in &self.chains {
            let earlier = chain.office.hand_over(judge.clone());
            let words = format!("{}; model {model}", Exchange::between(earlier.rules(), rules));
            chain.desk.act(&chain.name, B256::ZERO, "reloaded", words, None);
        }
    }
}
