//! Episodes as rules see them: the facts of every transaction, and the answers to what the rules ask.

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use portcullis_models::random::Random;
use portcullis_rules::question::Instance;
use portcullis_rules::{FactTable, RuleSet};
use portcullis_watcher::facts::asked::{self, Contribution, Judged, Mark, Memory, Sources};
use portcullis_watcher::facts::{Creation, Observation, Protected, Targets};
use portcullis_watcher::settings::Listed;
use portcullis_watcher::simulate::Simulator;
use portcullis_watcher::simulate::execution::Execution;
use portcullis_watcher::source::PendingTransaction;

use super::protocols::Kind;
use super::world::World;
use super::{RangeError, protocols, step};

/// Transactions of an episode that is shown, apart from what sets it up; one in four is an attack.
const STEPS: usize = 24;
const ATTACK_EVERY: usize = 4;

/// An episode to be shown to rules. The same cast plays the same transactions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cast {
    /// What is protected; see [`protocols`].
    pub protocol: String,
    /// It has the flaw that its attack needs.
    pub is_flawed: bool,
    /// Seed of all draws.
    pub seed: u64,
}

/// One transaction of an episode, before it was mined.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What it is, as in `lending/borrow`.
    pub family: String,
    /// It was meant as an attack.
    pub is_attack: bool,
    /// The protocol lost by it what it owes, or what nobody decided to pay.
    pub did_harm: bool,
    /// How much of its worth the protocol lost by it, in ten-thousandths, rounded down.
    pub loss_bps: u64,
    /// It as facts.
    pub observation: Observation,
    /// What the rules ask about the contracts that it touches.
    pub instances: Vec<Instance>,
    /// Facts of the contracts that it creates, and of those that its sender created for it just before.
    pub contracts: Vec<FactTable>,
}

/// Names of what an episode can protect.
pub fn protocol_names() -> impl Iterator<Item = &'static str> {
    Kind::ALL.into_iter().map(Kind::name)
}

/// Plays an episode, and answers what `rules` ask of every transaction in it.
///
/// # Errors
/// [`RangeError::Protocol`] where no protocol has that name; otherwise the chain in memory refuses a transaction, which
/// is a bug in an episode.
pub fn show(cast: &Cast, rules: &Arc<RuleSet>) -> Result<Vec<Shown>, RangeError> {
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.name() == cast.protocol)
        .ok_or_else(|| RangeError::Protocol { name: cast.protocol.clone() })?;
    let random = Random::part(cast.seed, 0);
    let mut world = match kind {
        Kind::EtherVault => World::new(0, cast.is_flawed, random)?,
        _ => World::empty(0, random)?,
    };
    protocols::set_up(kind, cast.is_flawed, &mut world)?;
    world.show_to(Witness::new(Arc::clone(rules)));
    for place in 0..STEPS {
        step(&mut world, place % ATTACK_EVERY == ATTACK_EVERY - 1)?;
    }
    Ok(world.shown())
}

/// Looks at every transaction for rules.
#[derive(Debug)]
pub(super) struct Witness {
    rules: Arc<RuleSet>,
    memory: Memory,
    /// Contracts that were created since the last transaction that was played, with who sent them.
    prepared: Vec<(Address, FactTable)>,
    shown: Vec<Shown>,
}

/// What a witness looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) simulator: &'a Simulator,
    pub(super) protected: &'a Protected,
    pub(super) tx: &'a PendingTransaction,
    pub(super) execution: &'a Execution,
    pub(super) observation: &'a Observation,
}

impl Witness {
    fn new(rules: Arc<RuleSet>) -> Self {
        let memory = Memory::new(rules.reach_blocks());
        Self { rules, memory, prepared: Vec::new(), shown: Vec::new() }
    }

    /// Answers what the rules ask, on the state that the transaction finds.
    pub(super) fn ask(&mut self, look: Look<'_>) -> Vec<Instance> {
        // Blocks that only set the stage are remembered as empty.
        let known = self.memory.newest().map_or(0, |newest| newest + 1);
        for number in known..=look.execution.head {
            self.memory.take(mark(number), Some(Vec::new()));
        }
        let Look { simulator, protected, tx, execution, observation } = look;
        let sources = Sources { simulator, protected, memory: &self.memory };
        let judged = Judged { tx, predecessors: &[], execution, observation };
        asked::instances(&self.rules, sources, judged, None)
    }

    /// Keeps what is known of contracts that the transaction creates.
    pub(super) fn prepare(
        &mut self,
        look: Look<'_>,
    ) -> Result<(), portcullis_watcher::state::StateError> {
        let created = Creation::all_in(look.execution, look.observation, look.protected);
        if created.is_empty() {
            return Ok(());
        }
        let targets = Targets::read(look.protected, &look.simulator.state().view()?)?;
        let facts = created.iter().map(|contract| contract.facts(&targets, None, true));
        self.prepared.extend(facts.map(|facts| (look.tx.sender, facts)));
        Ok(())
    }

    /// Takes a mined transaction into the windows and onto the list.
    pub(super) fn take(&mut self, look: Look<'_>, shown: Shown) {
        let Look { protected, tx, execution, observation, .. } = look;
        let (own, others) = std::mem::take(&mut self.prepared)
            .into_iter()
            .partition(|(sender, _)| *sender == tx.sender);
        let own: Vec<(Address, FactTable)> = own;
        self.prepared = others;
        let done = Contribution::of(tx.hash, tx.sender, observation, protected);
        self.memory.take(mark(execution.head + 1), Some(done.into_iter().collect()));
        let contracts = own.into_iter().map(|(_, facts)| facts).collect();
        self.shown.push(Shown { contracts, ..shown });
    }

    pub(super) fn into_shown(self) -> Vec<Shown> {
        self.shown
    }
}

/// Episodes have no forks, so a height names its block.
fn mark(number: u64) -> Mark {
    let hash = |number: u64| B256::from(U256::from(number));
    Mark { number, hash: hash(number + 1), parent_hash: hash(number) }
}

/// What the configuration of a guard would list around a protocol.
pub(super) fn listed(oracles: Vec<Address>) -> Listed {
    Listed { oracles, ..Listed::default() }
}
