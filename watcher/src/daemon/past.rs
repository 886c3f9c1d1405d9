//! What a chain's pipeline remembers of mined blocks, and what it says of contracts that are created in them.

use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use alloy::primitives::{Address, B256};
use portcullis_alerting::{
    notify::{Alert, Severity as AlertSeverity},
    record::Mode,
};
use portcullis_models::schema::{Vector, contract as place};
use portcullis_rules::{AnswerOutcome, Severity, question::Instance};

use super::chain::Chain;
use crate::{
    facts::{
        Creation, Observation, Targets,
        asked::{self, Contribution, Judged, Mark, Memory, MemoryFile, MemoryFileError, Sources},
    },
    simulate::{Ran, execution::Execution},
    source::{BlockRecord, PendingTransaction},
    state::{AdvanceReport, StateError},
    verdict::{Judge, name},
};

/// Contracts that were told about, so that being mined is not told again.
const TOLD_LIMIT: usize = 10_000;
/// The past of one chain.
#[derive(Debug, Default)]
pub(super) struct Past {
    memory: RwLock<Memory>,
    file: Mutex<Option<MemoryFile>>,
    /// The last write failed, and that was told.
    is_failing: Mutex<bool>,
    /// With the head that they were read on.
    targets: Mutex<Option<(u64, Arc<Targets>)>>,
    told: Mutex<(BTreeSet<Address>, VecDeque<Address>)>,
}

impl Past {
    /// A past that windows of up to `reach_blocks` can look at, empty.
    pub(super) fn new(reach_blocks: u64) -> Self {
        Self { memory: RwLock::new(Memory::new(reach_blocks)), ..Self::default() }
    }

    /// Takes up the past that is in a file, and writes what comes behind it.
    pub(super) fn keep_in(&self, path: &Path, chain_id: u64) -> Result<(), MemoryFileError> {
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        let opened = MemoryFile::open(path, chain_id, &mut memory)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        Ok(())
    }

    /// Whether a contract is told about for the first time.
    fn is_news(&self, contract: Address) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *told;
        if !known.insert(contract) {
            return false;
        }
        order.push_back(contract);
        if order.len() > TOLD_LIMIT
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        true
    }
}

impl Chain {
    /// Answers what the rules ask about the contracts that a transaction touches.
    pub(super) fn answers(
        &self,
        judge: &Judge,
        tx: &PendingTransaction,
        predecessors: &[Arc<PendingTransaction>],
        ran: &mut Ran<'_>,
        observation: &Observation,
    ) -> Vec<Instance> {
        if observation.touched.is_empty() || judge.rules().questions().is_empty() {
            return Vec::new();
        }
        let Ran { execution, left } = ran;
        let judged = Judged { tx, predecessors, execution, observation };
        let instances = {
            let memory = self.past.memory.read().unwrap_or_else(PoisonError::into_inner);
            let sources =
                Sources { simulator: &self.simulator, protected: &self.protected, memory: &memory };
            asked::instances(judge.rules(), sources, judged, Some(left))
        };
        if judge.rules().reach_blocks() > 0
            && let Some(expected) =
                Contribution::of(tx.hash, tx.sender, observation, &self.protected)
        {
            self.past.memory.write().unwrap_or_else(PoisonError::into_inner).expect(expected);
        }
        instances
    }

    /// Moves the state to a block and remembers what it did. Blocks.
    ///
    /// # Errors
    /// State that the block needs could not be had; the head has moved all the same.
    pub(super) fn take_block(&self, block: &BlockRecord) -> Result<AdvanceReport, StateError> {
        let judge = self.office.judge();
        let rules = judge.rules();
        let judges_contracts = judge.judges_contracts();
        if rules.reach_blocks() == 0 && !judges_contracts {
            return self.simulator.state().advance(block);
        }
        // Whether an account is fresh must be asked below the block.
        let funded = if judges_contracts { self.funded(block) } else { Vec::new() };
        let mut created = Vec::new();
        let each = |execution: &Execution, observation: &Observation| {
            if judges_contracts {
                created.extend(Creation::all_in(execution, observation, &self.protected));
            }
        };
        let moved = asked::advance(&self.simulator, &self.protected, block, each);
        if matches!(moved, Ok((AdvanceReport::Known, _))) {
            return Ok(AdvanceReport::Known);
        }
        let (report, done) = match moved {
            Ok((report, done)) => (Ok(report), done),
            Err(error) => (Err(error), None),
        };
        {
            let mut memory = self.past.memory.write().unwrap_or_else(PoisonError::into_inner);
            memory.reach(rules.reach_blocks());
            if done.is_some() {
                for (account, payer) in funded {
                    memory.fund(account, payer, block.number);
                }
            }
            if memory.take(Mark::of(block), done) {
                self.write_down(&memory);
            }
        }
        self.judge_created(created, block.number, false);
        report
    }

    /// Judges contracts that a pending transaction creates.
    pub(super) fn judge_deployments(&self, execution: &Execution, observation: &Observation) {
        if !execution.created.is_empty() && self.office.judge().judges_contracts() {
            let created = Creation::all_in(execution, observation, &self.protected);
            self.judge_created(created, execution.head, true);
        }
    }

    /// Accounts that a block's plain transfers give their first ether, with the payers.
    fn funded(&self, block: &BlockRecord) -> Vec<(Address, Address)> {
        let Ok(view) = self.simulator.state().view() else { return Vec::new() };
        let is_fresh = |account: Address| -> Result<bool, StateError> {
            Ok(view.nonce(account)? == 0 && view.balance_wei(account)?.is_zero())
        };
        let transfers = block.transactions.iter().filter_map(|tx| {
            let to = tx.to().filter(|_| tx.input().is_empty() && !tx.value_wei().is_zero())?;
            Some((to, tx.sender))
        });
        transfers.filter(|(to, _)| is_fresh(*to).unwrap_or(false)).collect()
    }

    fn judge_created(&self, created: Vec<Creation>, block: u64, is_pending: bool) {
        if created.is_empty() {
            return;
        }
        let targets = self.targets(block);
        for contract in created {
            let funder = {
                let memory = self.past.memory.read().unwrap_or_else(PoisonError::into_inner);
                memory.funder(&contract.sender)
            };
            let funder = funder.map(|(payer, at)| (payer, block.saturating_sub(at)));
            let facts = contract.facts(&targets, funder, is_pending);
            let vector = contract.vector(&targets);
            self.tell_of_contract(&contract, &facts, &vector, is_pending);
        }
    }

    /// An alert, and a row in the journal: a contract by itself is never a reason to pause.
    fn tell_of_contract(
        &self,
        contract: &Creation,
        facts: &portcullis_rules::FactTable,
        vector: &Vector,
        is_pending: bool,
    ) {
        let judge = self.office.judge();
        let answers = judge.judge_contract(facts);
        let mut fired: Vec<(String, Severity)> = answers
            .iter()
            .filter_map(|answer| match &answer.outcome {
                AnswerOutcome::Fires { message, .. } => {
                    Some((format!("{}: {message}", name(answer)), answer.severity))
                }
                AnswerOutcome::Unknown { .. } => None,
            })
            .collect();
        // A contract that looks like an attacker's and has nothing to do with what is protected is somebody else's
        // concern; one that holds a protected address is told of, whatever else it is made for.
        let is_aimed = vector.value(place::EMBEDS_PROTECTED) == Some(1.0);
        if is_aimed {
            self.acquaintances.watch([contract.address, contract.sender]);
            match judge.score_contract(vector) {
                Ok(Some(reason)) => fired.push((reason, Severity::Medium)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(target: "watcher::daemon", %error, contract = %contract.address, "contract model failed");
                }
            }
        }
        let Some(worst) = fired.iter().map(|(_, severity)| *severity).max() else { return };
        if !self.past.is_news(contract.address) {
            return;
        }
        let reasons: Vec<&str> = fired.iter().map(|(reason, _)| reason.as_str()).collect();
        let detail = format!("{}: {}", contract.address, reasons.join("; "));
        self.desk.act(&self.name, contract.tx_hash, "contract_suspected", detail, None);
        if self.mode == Mode::Observe {
            return;
        }
        let stage = if is_pending { "about to be deployed" } else { "deployed" };
        self.desk.raise(Alert {
            incident: format!("{}/contract/{}", self.name, contract.sender),
            severity: match worst {
                Severity::Critical => AlertSeverity::Critical,
                Severity::High => AlertSeverity::High,
                Severity::Medium => AlertSeverity::Medium,
                Severity::Low | Severity::Info | Severity::Gas => AlertSeverity::Info,
            },
            title: format!("a suspicious contract is {stage} on {}", self.name),
            text: format!(
                "contract {} by {} (transaction {})\n{}",
                contract.address,
                contract.sender,
                contract.tx_hash,
                reasons.join("\n")
            ),
            chain: self.name.clone(),
            tx_hash: Some(contract.tx_hash),
            contract: Some(contract.address),
            at_ms: self.desk.now_ms(),
        });
    }

    /// The code of what is protected, read once for each head; without it only the addresses are known.
    fn targets(&self, head: u64) -> Arc<Targets> {
        let mut cached = self.past.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, targets)) = &*cached
            && *at == head
        {
            return Arc::clone(targets);
        }
        let read = || Targets::read(&self.protected, &self.simulator.state().view()?);
        let targets = Arc::new(read().unwrap_or_else(|error| {
            tracing::debug!(target: "watcher::daemon", %error, "code of protected contracts not read");
            let bare = self.protected.addresses().into_iter().map(|address| (address, [].as_slice()));
            Targets::new(bare)
        }));
        *cached = Some((head, Arc::clone(&targets)));
        targets
    }

    fn write_down(&self, memory: &Memory) {
        let mut file = self.past.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = &mut *file else { return };
        let written = file.append(memory);
        let mut is_failing = self.past.is_failing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = &written
            && !*is_failing
        {
            tracing::error!(target: "watcher::daemon", %error, "the memory is not written down");
            self.desk.act(&self.name, B256::ZERO, "memory_unwritten", error.to_string(), None);
        }
        *is_failing = written.is_err();
    }
}
