//! One chain's pipeline for one transaction: simulate, observe, judge, decide, rehearse, publish.
//!
//! Live and replayed transactions go through the same [`Chain::work`]; it blocks, and spawns nothing.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use alloy::primitives::{Address, U256};
use portcullis_alerting::record::{Decision, Mode, VerdictRow};
use portcullis_rules::question::Instance;

use super::clerk::Clerk;
use super::metrics::{ChainMetrics, SimulationEnd};
use super::paper::{Paper, Scribe};
use super::past::Past;
use super::priority::{Acquaintances, Priority};
use super::reload::Office;
use crate::{
    act::{
        Consent, Desk, Judged, Left, PauseHand, PauseOrder, Pursuit, Rehearsed, incident, rehearse,
    },
    facts::{Observation, Protected, observe},
    policy::{Case, Ledger, Ruling, Standing, Ticket, decide},
    settings::{PauseCall, PolicySettings, WhenPauseLeaks},
    simulate::{CallOnly, Ran, SimError, Simulator, execution::Execution},
    source::{BlockRecord, PendingTransaction, Pool},
    state::{StateError, StateView},
    verdict::{Judge, Unjudged, Verdict},
};

/// How often a transaction that cannot be mined yet is judged again, once at each new head.
const TRIES: u32 = 5;
/// Verdicts that wait to be written down; each holds its execution. Beyond, whoever judges writes its own.
const PAPERS_LIMIT: usize = 256;

/// Everything that judging on one chain needs.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) name: String,
    pub(super) chain_id: u64,
    pub(super) simulator: Simulator,
    pub(super) pool: Mutex<Pool>,
    pub(super) protected: Arc<Protected>,
    /// By protocol, in the order of [`Protected`].
    pub(super) orders: Vec<Orders>,
    /// In force where no protocol is touched: the highest of them.
    pub(super) mode: Mode,
    pub(super) office: Office,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) hand: Option<Arc<dyn PauseHand>>,
    /// The guardian contract, also where no key is at hand.
    pub(super) guardian: Option<Address>,
    pub(super) desk: Arc<Desk>,
    pub(super) scribe: Scribe,
    /// Writes down what was decided and is in no hurry; none where everything is to be told in its order.
    pub(super) clerk: Option<Clerk<Paper>>,
    /// Where people are asked before some pauses; none in a replay, which asks nobody.
    pub(super) consent: Option<Arc<Consent>>,
    /// What rules look back at.
    pub(super) past: Past,
    pub(super) policy: PolicySettings,
    /// Who comes first when not all can be simulated.
    pub(super) acquaintances: Acquaintances,
    pub(super) metrics: Arc<ChainMetrics>,
}

/// What the chains of one guard have in common, and what this one is counted in.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) judge: Judge,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) desk: Arc<Desk>,
    pub(super) metrics: Arc<ChainMetrics>,
    pub(super) consent: Option<Arc<Consent>>,
}

/// What is ordered for one protocol.
#[derive(Debug, Clone)]
pub(super) struct Orders {
    pub(super) mode: Mode,
    pub(super) pause: Vec<PauseCall>,
    pub(super) addresses: Vec<Address>,
}

/// A transaction to judge.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) tx: Arc<PendingTransaction>,
    pub(super) tries: u32,
    /// The block that holds it, and its place there, where it was mined before it was judged.
    mined_in: Option<(Arc<BlockRecord>, usize)>,
    /// When the loop took it from its source, and for how long it had been seen then, milliseconds; none in a
    /// replay, which has no latency.
    taken: Option<(Instant, u64)>,
}

impl Job {
    /// A job just taken from a source, at `now_ms` by the source's clock.
    pub(super) fn taken(tx: Arc<PendingTransaction>, now_ms: u64) -> Self {
        let waited_ms = now_ms.saturating_sub(tx.seen_at_ms);
        Self { tx, tries: 0, mined_in: None, taken: Some((Instant::now(), waited_ms)) }
    }

    /// A job of a replay.
    pub(super) fn replayed(tx: Arc<PendingTransaction>) -> Self {
        Self { tx, tries: 0, mined_in: None, taken: None }
    }

    /// The same of the transaction at `place` of a block, mined before anybody announced it.
    pub(super) fn mined_in(self, block: &Arc<BlockRecord>, place: usize) -> Self {
        Self { mined_in: Some((Arc::clone(block), place)), ..self }
    }

    fn is_mined(&self) -> bool {
        self.mined_in.is_some()
    }

    fn latency_us(&self) -> u64 {
        let Some((taken, waited_ms)) = self.taken else { return 0 };
        let since_us = u64::try_from(taken.elapsed().as_micros()).unwrap_or(u64::MAX);
        waited_ms.saturating_mul(1_000).saturating_add(since_us)
    }
}

/// What became of a job.
#[derive(Debug)]
pub(super) enum Done {
    /// Judged and published; these pauses are to be carried out.
    Settled(Vec<Pursuit>),
    /// It may become minable at a later head.
    Waiting(Job),
}

/// A transaction that was run, and what was answered about it.
struct Seen {
    execution: Execution,
    predecessors: Vec<Arc<PendingTransaction>>,
    observation: Observation,
    judge: Judge,
    instances: Vec<Instance>,
    /// When the simulation was done.
    began: Instant,
}

/// What one protocol is due.
struct Due {
    group: Option<usize>,
    mode: Mode,
    ruling: Ruling,
    ticket: Option<Ticket>,
    rehearsed: Option<Rehearsed>,
}

impl Chain {
    /// Judges one transaction. Whatever panics is an unknown verdict, never a lost transaction.
    pub(super) fn work(&self, job: Job) -> Done {
        let kept = job.clone();
        catch_unwind(AssertUnwindSafe(|| self.try_work(job))).unwrap_or_else(|panic| {
            let words = panic
                .downcast_ref::<&str>()
                .map(|words| (*words).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            let reason = format!("a stage crashed: {words}");
            self.settle_unjudged(&kept, Unjudged::Failed { stage: "judge", reason });
            Done::Settled(Vec::new())
        })
    }

    /// Whether a transaction finds room where others do not any more.
    pub(super) fn is_favoured(&self, tx: &PendingTransaction) -> bool {
        self.acquaintances.priority(tx, &self.protected) < Priority::Other
    }

    /// Publishes that a transaction will not be judged.
    pub(super) fn settle_unjudged(&self, job: &Job, unjudged: Unjudged) {
        let verdict = self.office.judge().give_up(unjudged);
        let standing = self.ledger().standing("", self.mode, self.desk.now_ms(), self.head());
        let ruling = decide(&Case::from(&verdict), &standing);
        let row = self.row(job, self.head(), &ruling, self.mode, None);
        let judged = Judged {
            row,
            reasons: verdict.reasons,
            touched: Vec::new(),
            outflow_wei: U256::ZERO,
            evidence: None,
        };
        self.desk.publish(judged, None);
    }

    fn try_work(&self, job: Job) -> Done {
        if let (0, Some((taken, _))) = (job.tries, job.taken) {
            self.metrics.queue.note(taken.elapsed());
        }
        let seen = match self.look(&job) {
            Ok(seen) => seen,
            Err(Missed::MayCome(_)) if job.tries < TRIES && !job.is_mined() => {
                return Done::Waiting(Job { tries: job.tries + 1, ..job });
            }
            Err(Missed::MayCome(reason) | Missed::NeverMinable(reason)) => {
                self.settle_unjudged(&job, Unjudged::NotMinable { reason });
                return Done::Settled(Vec::new());
            }
            Err(Missed::Failed(reason)) => {
                self.settle_unjudged(&job, Unjudged::Failed { stage: "simulate", reason });
                return Done::Settled(Vec::new());
            }
        };
        let Seen { execution, predecessors, observation, judge, instances, began } = seen;
        let verdict = judge.weigh(&observation, &instances);
        self.judge_deployments(&execution, &observation);
        let mut dues = self.decide(&job.tx, &verdict, &observation, execution.head);
        self.metrics.judge.note(began.elapsed());
        for due in &mut dues {
            self.rehearse(due, &job.tx, &predecessors, &observation);
        }
        Done::Settled(self.conclude(&job, judge, execution, observation, verdict, dues))
    }

    /// Runs the transaction and answers what is asked of it; the head stands still until all of it is answered.
    fn look(&self, job: &Job) -> Result<Seen, Missed> {
        let began = Instant::now();
        let view = self.simulator.state().view().map_err(Missed::from);
        let simulated =
            view.as_ref().map_err(Missed::clone).and_then(|view| self.simulate(view, job));
        self.metrics.simulate.note(began.elapsed());
        self.metrics.simulated(match &simulated {
            Ok(_) => SimulationEnd::Done,
            Err(Missed::MayCome(_) | Missed::NeverMinable(_)) => SimulationEnd::NotMinable,
            Err(Missed::Failed(_)) => SimulationEnd::Failed,
        });
        let (mut ran, predecessors) = simulated?;
        let began = Instant::now();
        let observation = observe(&ran.execution, &self.protected);
        self.acquaintances.learn(&ran.execution, &observation, &self.protected);
        let judge = self.office.judge();
        let instances = self.answers(&judge, &job.tx, &predecessors, &mut ran, &observation);
        let execution = ran.execution;
        Ok(Seen { execution, predecessors, observation, judge, instances, began })
    }

    fn simulate<'v>(
        &self,
        view: &'v StateView<'v>,
        job: &Job,
    ) -> Result<(Ran<'v>, Vec<Arc<PendingTransaction>>), Missed> {
        let nonce = view.nonce(job.tx.sender).map_err(Missed::from)?;
        let predecessors = self.pool().predecessors(&job.tx, nonce);
        match (self.simulator.run_on(view, &job.tx, &predecessors), &job.mined_in) {
            (Ok(ran), _) => Ok((ran, predecessors)),
            // It was mined, so what it lacks on the head below was done by those before it in its block.
            (Err(SimError::Nonce { .. } | SimError::Invalid { .. }), Some((block, place))) => {
                let before = block.transactions.get(..*place).unwrap_or_default().to_vec();
                let ran = self.simulator.run_on(view, &job.tx, &before).map_err(Missed::from)?;
                Ok((ran, before))
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// One ruling for each protocol that is touched, or one for the chain where none is. Pauses are entered in the
    /// ledger at once, so that two transactions judged at the same time cannot both use the last of a budget.
    fn decide(
        &self,
        tx: &PendingTransaction,
        verdict: &Verdict,
        observation: &Observation,
        head: u64,
    ) -> Vec<Due> {
        let case = Case::from(verdict);
        let now_ms = self.desk.now_ms();
        let mut ledger = self.ledger();
        if observation.touched_groups.is_empty() {
            let standing = ledger.standing("", self.mode, now_ms, head);
            let mut ruling = decide(&case, &standing);
            if ruling.would_decide == Decision::Pause {
                hold_back(&mut ruling, "nothing protected is touched");
            }
            return vec![Due {
                group: None,
                mode: self.mode,
                ruling,
                ticket: None,
                rehearsed: None,
            }];
        }
        let due = |&group: &usize| {
            let mode = self.orders.get(group).map_or(self.mode, |orders| orders.mode);
            let protocol = self.protocol_key(group);
            let standing = Standing {
                eased: self.eased(tx.sender, self.protected.name(group), now_ms),
                // A pause under way was answered for, or needed no answer; this one raises it.
                asks_people: self.policy.approval.is_some() && !ledger.is_open(&protocol, head),
                ..ledger.standing(&protocol, mode, now_ms, head)
            };
            let ruling = decide(&case, &standing);
            // One that waits for people is entered once they have answered.
            let is_new = ruling.would_decide == Decision::Pause
                && !ruling.awaits_answer
                && !ledger.is_open(&protocol, head);
            let ticket = is_new.then(|| ledger.enter(&protocol, now_ms, head));
            Due { group: Some(group), mode, ruling, ticket, rehearsed: None }
        };
        observation.touched_groups.iter().map(due).collect()
    }

    /// Runs [pause, attack] for a protocol that is due a pause, and holds the pause back where it does not help.
    fn rehearse(
        &self,
        due: &mut Due,
        tx: &PendingTransaction,
        predecessors: &[Arc<PendingTransaction>],
        observation: &Observation,
    ) {
        let (Some(group), Decision::Pause) = (due.group, due.ruling.would_decide) else { return };
        let Some(orders) = self.orders.get(group) else { return };
        if self.hand.is_none() && (self.guardian.is_none() || orders.pause.is_empty()) {
            // While nothing may be fired anyway, what would have been decided stays told.
            if due.mode == Mode::Armed {
                hold_back(&mut due.ruling, "no key is configured that could pause");
                self.take_back(due);
            } else {
                due.ruling
                    .reason
                    .push_str("; not rehearsed: no key is configured that could pause");
            }
            return;
        }
        let calls = |target: Address| match (&self.hand, self.guardian) {
            (Some(hand), _) => vec![hand.rehearsal(target, tx.hash)],
            (None, Some(guardian)) => as_guardian(guardian, &orders.pause),
            (None, None) => Vec::new(),
        };
        // What the attack touches is tried first; the protocol's other contracts may be what pauses it.
        let touched = observation
            .touched
            .iter()
            .filter(|address| self.protected.group(address) == Some(group));
        let mut candidates: Vec<Address> = touched.copied().collect();
        candidates.extend(
            orders.addresses.iter().filter(|address| !observation.touched.contains(address)),
        );
        let left = |execution: &Execution| {
            let left = observe(execution, &self.protected);
            if left.truncated {
                Left::All
            } else if left.losses.spares_what_was_lost_in(&observation.losses) {
                Left::Nothing
            } else if left.losses.ether_wei < observation.losses.ether_wei {
                Left::Less(left.losses.ether_wei)
            } else {
                Left::All
            }
        };
        let mut rehearsed = rehearse(&self.simulator, &candidates, calls, tx, predecessors, left);
        if rehearsed.target.is_none() {
            let detail = rehearsed.counterfactual.detail.clone();
            if self.policy.when_pause_leaks == WhenPauseLeaks::Fire
                && let Some(dampener) = rehearsed.dampener
            {
                rehearsed.target = Some(dampener);
                due.ruling.reason.push_str(&format!("; no pause stops all of it: {detail}"));
            } else {
                hold_back(&mut due.ruling, &format!("the pause does not help: {detail}"));
                self.take_back(due);
            }
        }
        due.rehearsed = Some(rehearsed);
    }

    /// Has the verdict written down, and says which pauses are to be carried out. What nobody waits for is written
    /// later; what is told to people is told first.
    fn conclude(
        &self,
        job: &Job,
        judge: Judge,
        execution: Execution,
        observation: Observation,
        verdict: Verdict,
        mut dues: Vec<Due>,
    ) -> Vec<Pursuit> {
        let Some(weightiest) =
            dues.iter().max_by_key(|due| (due.ruling.decision, due.ruling.would_decide, due.mode))
        else {
            return Vec::new();
        };
        let mut row =
            self.row(job, execution.head, &weightiest.ruling, weightiest.mode, verdict.score());
        row.touched = self.scribe.names_of(&observation.touched_groups);
        let unarmed = dues
            .iter()
            .filter(|due| due.mode != Mode::Armed && due.ruling.would_decide == Decision::Pause);
        row.would_pause =
            self.scribe.names_of(&unarmed.filter_map(|due| due.group).collect::<Vec<_>>());
        let counterfactual = dues
            .iter()
            .find_map(|due| due.rehearsed.as_ref())
            .map(|tried| tried.counterfactual.clone());
        let pursuits = dues
            .iter_mut()
            .filter_map(|due| self.pursuit(&job.tx, &execution, &observation, due))
            .collect();
        // Without evidence there is less to write than to hand over.
        let is_short = observation.touched.is_empty();
        let is_urgent = row.decision != Decision::None || is_short;
        let paper = Paper { row, judge, execution, observation, verdict, counterfactual };
        match &self.clerk {
            Some(clerk) if !is_urgent => {
                if let Err(paper) = clerk.hand(paper) {
                    self.scribe.publish(*paper);
                }
            }
            _ => self.scribe.publish(paper),
        }
        pursuits
    }

    /// Waits until every verdict that was given is written down. Blocks.
    pub(super) fn settle_papers(&self) {
        if let Some(clerk) = &self.clerk {
            clerk.settle();
        }
    }

    /// With a clerk: for a chain on which verdicts come faster than they have to be told.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn with_clerk(mut self) -> std::io::Result<Self> {
        let scribe = self.scribe.clone();
        self.clerk = Some(Clerk::start(PAPERS_LIMIT, move |paper| scribe.publish(paper))?);
        Ok(self)
    }

    fn pursuit(
        &self,
        tx: &PendingTransaction,
        execution: &Execution,
        observation: &Observation,
        due: &mut Due,
    ) -> Option<Pursuit> {
        if due.ruling.decision != Decision::Pause || self.hand.is_none() {
            return None;
        }
        let target = due.rehearsed.as_ref()?.target?;
        Some(Pursuit {
            chain: self.name.clone(),
            protocol: self.protected.name(due.group?).to_owned(),
            incident: incident(
                &self.name,
                &self.scribe.names_of(&observation.touched_groups),
                tx.sender,
            ),
            attack: tx.hash,
            reason: due.ruling.reason.clone(),
            awaits_answer: due.ruling.awaits_answer,
            block: execution.head,
            at_stake_wei: observation.outflow_wei,
            order: PauseOrder {
                target,
                evidence: tx.hash,
                attack_max_fee_per_gas_wei: tx.max_fee_per_gas_wei(),
                attack_max_tip_wei: tx.max_priority_fee_per_gas_wei(),
                base_fee_wei: execution.base_fee_wei,
                head: execution.head,
            },
            premises: self.premises(target, execution),
            confirm_within: Duration::from_millis(self.policy.confirm_within_ms),
            is_raise: due.ticket.is_none() && !due.ruling.awaits_answer,
            ticket: due.ticket.take(),
        })
    }

    fn row(
        &self,
        job: &Job,
        block: u64,
        ruling: &Ruling,
        mode: Mode,
        score: Option<f32>,
    ) -> VerdictRow {
        let tx = &job.tx;
        let latency_us = job.latency_us();
        if job.taken.is_some() {
            let histogram = if job.is_mined() {
                &self.metrics.verdict_mined
            } else {
                &self.metrics.verdict_pending
            };
            histogram.note_us(latency_us);
        }
        VerdictRow {
            chain: self.name.clone(),
            chain_id: self.chain_id,
            block,
            tx_hash: tx.hash,
            from: tx.sender,
            to: tx.to(),
            seen_at_ms: tx.seen_at_ms,
            latency_us,
            outcome: ruling.outcome,
            decision: ruling.decision,
            would_decide: ruling.would_decide,
            mode,
            score,
            reason: ruling.reason.clone(),
            is_mined: job.is_mined(),
            touched: Vec::new(),
            would_pause: Vec::new(),
            is_replay: job.taken.is_none(),
        }
    }

    fn take_back(&self, due: &mut Due) {
        if let Some(ticket) = due.ticket.take() {
            self.ledger().take_back(ticket);
        }
    }

    fn protocol_key(&self, group: usize) -> String {
        self.key_of(self.protected.name(group))
    }

    /// The name of a protocol in the ledger.
    pub(super) fn key_of(&self, protocol: &str) -> String {
        format!("{}/{protocol}", self.name)
    }

    /// Height of the head; zero before the first.
    pub(super) fn head(&self) -> u64 {
        self.simulator.state().head().map_or(0, |head| head.number)
    }

    /// A thread that panicked while it held the lock left counters behind that are still right.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a transaction was not simulated.
#[derive(Clone)]
enum Missed {
    /// It cannot be mined on this head, but may on a later one.
    MayCome(String),
    /// It can never be mined.
    NeverMinable(String),
    /// The simulation failed.
    Failed(String),
}

impl From<SimError> for Missed {
    fn from(error: SimError) -> Self {
        match error {
            SimError::Nonce { expected, found, .. } if found < expected => {
                Self::NeverMinable(error.to_string())
            }
            SimError::Nonce { .. } | SimError::Invalid { .. } => Self::MayCome(error.to_string()),
            SimError::State { source, .. } => source.into(),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<StateError> for Missed {
    fn from(error: StateError) -> Self {
        match error {
            StateError::NoHead => Self::MayCome(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

fn hold_back(ruling: &mut Ruling, because: &str) {
    ruling.would_decide = ruling.would_decide.min(Decision::Alert);
    ruling.decision = ruling.decision.min(Decision::Alert);
    ruling.reason = format!("{}; alert only: {because}", ruling.reason);
}

fn as_guardian(guardian: Address, calls: &[PauseCall]) -> Vec<CallOnly> {
    const GAS: u64 = 1_000_000;
    calls
        .iter()
        .map(|call| CallOnly {
            from: guardian,
            to: call.to,
            data: call.data.clone(),
            value: U256::ZERO,
            gas: GAS,
        })
        .collect()
}
