//! The first key: what the rules that ship say of a transaction, beside which a model is the second one.

use std::sync::LazyLock;

use portcullis_models::data::Rules;
use portcullis_rules::{AnswerOutcome, EvidenceKind, Maturity, RuleSet, Subject, packs};
use portcullis_watcher::facts::{Observation, contract_dictionary, dictionary};

/// The rules that hold for every protocol; kits, which somebody has to ask for, are not among them.
#[derive(Debug)]
pub(super) struct FirstKey {
    rules: RuleSet,
}

impl FirstKey {
    /// The one that ships, read once.
    pub(super) fn shipped() -> &'static Self {
        static SHIPPED: LazyLock<FirstKey> = LazyLock::new(|| {
            let facts = [dictionary(), contract_dictionary()];
            let mut shipped = packs::shipped(&facts).expect("shipped packs are checked").packs;
            shipped.retain(|pack| packs::kit(pack.name()).is_none());
            FirstKey { rules: RuleSet::new(shipped).expect("shipped packs fit together") }
        });
        &SHIPPED
    }

    /// The strongest of the stable rules that fire, as the policy weighs them.
    pub(super) fn ask(&self, observation: &Observation) -> Rules {
        self.rules
            .evaluate(Subject::Transaction, &observation.facts)
            .into_iter()
            .filter(|answer| {
                answer.maturity == Maturity::Stable
                    && matches!(answer.outcome, AnswerOutcome::Fires { .. })
            })
            .map(|answer| match answer.evidence {
                EvidenceKind::Hard => Rules::Hard,
                EvidenceKind::Soft => Rules::Soft,
            })
            .max()
            .unwrap_or_default()
    }
}
