//! Fresh contracts of an episode as rows: what a contract's code and deployment tell, labelled by what it was made for.

use portcullis_models::data::{Row, Rules};
use portcullis_rules::{AnswerOutcome, RuleSet, Subject, packs};
use portcullis_watcher::facts::{
    Creation, Observation, Protected, Targets, contract_dictionary, dictionary,
};
use portcullis_watcher::simulate::execution::Execution;
use portcullis_watcher::state::{StateError, StateView};

use alloy::primitives::Address;
use std::sync::LazyLock;

/// Contracts that were seen to be created.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    targets: Option<Targets>,
    /// Deployed, and not used yet: it is not known what for.
    waiting: Vec<(Address, Rules, Vec<f32>)>,
    /// Rows of those whose use is known.
    pub(super) rows: Vec<Row>,
}

/// What a use of a contract says of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use<'a> {
    pub(super) sender: Address,
    pub(super) family: &'a str,
    pub(super) is_attack: bool,
    pub(super) episode: u64,
    pub(super) protocol: &'static str,
}

impl Fresh {
    /// Another protocol is protected from now on.
    pub(super) fn forget_targets(&mut self) {
        self.targets = None;
    }

    /// Keeps what a transaction creates.
    pub(super) fn see(
        &mut self,
        execution: &Execution,
        observation: &Observation,
        protected: &Protected,
        view: &StateView<'_>,
    ) -> Result<(), StateError> {
        let created = Creation::all_in(execution, observation, protected);
        if created.is_empty() {
            return Ok(());
        }
        let targets = match self.targets.take() {
            Some(targets) => targets,
            None => Targets::read(protected, view)?,
        };
        for contract in &created {
            let answers =
                rules().evaluate(Subject::Contract, &contract.facts(&targets, None, true));
            let fires =
                answers.iter().any(|answer| matches!(answer.outcome, AnswerOutcome::Fires { .. }));
            let rules = if fires { Rules::Soft } else { Rules::Silent };
            let values = contract.vector(&targets).values().to_vec();
            self.waiting.push((contract.sender, rules, values));
        }
        self.targets = Some(targets);
        Ok(())
    }

    /// Labels what a sender made by what it did next. What is made for an attack is made for it whether or not that
    /// succeeds, so the label is the intent.
    pub(super) fn label(&mut self, by: Use<'_>) {
        let waiting = std::mem::take(&mut self.waiting);
        let (own, others) = waiting.into_iter().partition(|(sender, ..)| *sender == by.sender);
        let own: Vec<(Address, Rules, Vec<f32>)> = own;
        self.waiting = others;
        self.rows.extend(own.into_iter().map(|(_, rules, values)| Row {
            harm: by.is_attack,
            intent: by.is_attack,
            family: by.family.to_owned(),
            episode: by.episode,
            protocol: by.protocol.to_owned(),
            rules,
            values,
        }));
    }
}

/// The rules about fresh contracts that ship.
fn rules() -> &'static RuleSet {
    static RULES: LazyLock<RuleSet> = LazyLock::new(|| {
        let shipped = packs::shipped(&[dictionary(), contract_dictionary()]);
        RuleSet::new(shipped.expect("shipped packs are checked").packs).expect("they fit together")
    });
    &RULES
}
