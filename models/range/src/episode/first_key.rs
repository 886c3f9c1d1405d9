//! The first key: what the rules that ship say of a transaction, beside which a model is the second one.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use portcullis_models::data::Rules;
use portcullis_rules::{AnswerOutcome, EvidenceKind, Maturity, Pack, RuleSet, Subject, packs};
use portcullis_watcher::facts::{Observation, contract_dictionary, dictionary};

/// The rules that hold for every protocol, and those of one kit, as the team of a protocol of that kind asks for it.
#[derive(Debug)]
pub(super) struct FirstKey {
    rules: RuleSet,
}

impl FirstKey {
    /// The one that ships, with the kit of that name or with none; read once.
    pub(super) fn shipped(kit: Option<&'static str>) -> &'static Self {
        static SHIPPED: LazyLock<BTreeMap<Option<&'static str>, FirstKey>> = LazyLock::new(|| {
            let facts = [dictionary(), contract_dictionary()];
            let shipped = packs::shipped(&facts).expect("shipped packs are checked").packs;
            let with = |kit: Option<&str>| {
                let is_asked = |pack: &&Pack| {
                    let of = packs::kit(pack.name());
                    of.is_none() || of == kit
                };
                let asked = shipped.iter().filter(is_asked).cloned().collect();
                FirstKey { rules: RuleSet::new(asked).expect("shipped packs fit together") }
            };
            let kits = packs::kits().map(Some).chain([None]);
            kits.map(|kit| (kit, with(kit))).collect()
        });
        SHIPPED.get(&kit).expect("a protocol of the range asks for a kit that ships")
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
