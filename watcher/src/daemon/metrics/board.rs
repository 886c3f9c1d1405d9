//! Everything that can be asked of a running guard: readiness, health and figures for Prometheus.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use portcullis_alerting::record::Mode;
use serde_json::json;

use super::{Counters, Simulated, text::Exposition};
use crate::{
    act::{Consent, Desk},
    daemon::{
        chain::Chain,
        priority::Priority,
        top::{TOP_VERSION, Top, TopChain, TopJournal, TopNode, TopProtected},
    },
    source::CoverageMeter,
};

/// A head that is later than this many usual block times makes a chain not ready.
const LATE_BLOCKS: u64 = 10;
/// But never one that is younger than this, milliseconds.
const LATE_LEAST_MS: u64 = 60_000;

/// One chain as the board shows it.
pub(in crate::daemon) struct Watched {
    pub(in crate::daemon) chain: Arc<Chain>,
    pub(in crate::daemon) coverage: Option<CoverageMeter>,
    /// Transactions that were announced by hash and asked for.
    pub(in crate::daemon) fetched: Arc<AtomicU64>,
    pub(in crate::daemon) block_time_ms: u64,
}

/// Everything that can be asked of a running guard.
pub(in crate::daemon) struct Board {
    pub(in crate::daemon) desk: Arc<Desk>,
    pub(in crate::daemon) chains: Vec<Watched>,
    /// Protocol, chain, mode in force.
    pub(in crate::daemon) protected: Vec<(String, String, Mode)>,
    /// What observers were told.
    pub(in crate::daemon) counters: Counters,
    pub(in crate::daemon) started: Instant,
    /// Where people are asked before some pauses.
    pub(in crate::daemon) consent: Option<Arc<Consent>>,
}

impl Board {
    /// Whether every chain is guarded right now, and how each stands, as JSON.
    pub(in crate::daemon) fn readiness(&self) -> (bool, String) {
        let mut all = true;
        let chains: serde_json::Map<_, _> = self
            .chains
            .iter()
            .map(|watched| {
                let (why_not, standing) = watched.standing();
                all &= why_not.is_none();
                (watched.chain.name.clone(), standing)
            })
            .collect();
        (all, json!({ "ready": all, "chains": chains }).to_string() + "\n")
    }

    /// Whether the guard still does its work: no chain was given up.
    pub(in crate::daemon) fn health(&self) -> (bool, String) {
        let ended: BTreeMap<_, _> = self
            .chains
            .iter()
            .filter_map(|watched| {
                let ended = watched.chain.metrics.counted().ended.clone()?;
                Some((watched.chain.name.clone(), ended))
            })
            .collect();
        let is_healthy = ended.is_empty();
        (is_healthy, json!({ "healthy": is_healthy, "ended": ended }).to_string() + "\n")
    }

    /// How the guard stands.
    pub(in crate::daemon) fn top(&self) -> Top {
        let judge = self.chains.first().map(|watched| watched.chain.office.judge());
        Top {
            version: TOP_VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            at_ms: self.desk.now_ms(),
            up_ms: ms(self.started.elapsed()),
            totals: self.desk.totals(),
            rules: judge.as_ref().map_or(0, |judge| judge.n_rules()),
            model: judge.as_ref().and_then(|judge| judge.model_hash()),
            journal: self.desk.journal_health().map(|health| TopJournal {
                written: health.written_rows,
                waiting: health.queued_rows,
                lost: health.dropped_rows + health.failed_rows,
                failed_writes: health.failed_writes,
            }),
            chains: self.chains.iter().map(Watched::top).collect(),
            protected: self
                .protected
                .iter()
                .map(|(name, chain, mode)| TopProtected {
                    name: name.clone(),
                    chain: chain.clone(),
                    mode: *mode,
                    contracts: self.contracts(chain, name),
                })
                .collect(),
            verdicts: self.counters.last_verdicts(),
        }
    }

    /// How many contracts of a chain belong to a protocol.
    fn contracts(&self, chain: &str, protocol: &str) -> usize {
        let watched = self.chains.iter().find(|watched| watched.chain.name == chain);
        watched.map_or(0, |watched| {
            let protected = &watched.chain.protected;
            let group = |address| protected.group(address).map(|group| protected.name(group));
            let addresses = protected.addresses();
            addresses.iter().filter(|address| group(address) == Some(protocol)).count()
        })
    }

    /// All figures in the Prometheus text format.
    pub(in crate::daemon) fn exposition(&self) -> String {
        let mut text = Exposition::default();
        text.family("portcullis_build_info", "gauge", "The program's version.");
        text.sample("portcullis_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.flow(&mut text);
        self.latencies(&mut text);
        self.chains(&mut text);
        self.state(&mut text);
        self.rest(&mut text);
        text.into_text()
    }

    fn flow(&self, text: &mut Exposition) {
        let mut counter =
            |name, help, label: &str, values: &dyn Fn(&Watched) -> Vec<(String, u64)>| {
                text.family(name, "counter", help);
                for watched in &self.chains {
                    for (value, count) in values(watched) {
                        let labels = [("chain", watched.chain.name.as_str()), (label, &value)];
                        let labels = if label.is_empty() { &labels[..1] } else { &labels[..] };
                        text.sample(name, labels, count);
                    }
                }
            };
        let one = |value: &AtomicU64| vec![(String::new(), value.load(Ordering::Relaxed))];
        counter(
            "portcullis_seen_total",
            "Pending transactions taken in, once each.",
            "",
            &|watched| one(&watched.chain.metrics.seen),
        );
        counter(
            "portcullis_fetched_total",
            "Pending transactions that were announced by hash and fetched.",
            "",
            &|watched| one(&watched.fetched),
        );
        let by_priority = |counts: &[AtomicU64; Priority::ALL.len()]| {
            let of = |priority: Priority| {
                let count = counts[priority.place()].load(Ordering::Relaxed);
                (priority.word().to_owned(), count)
            };
            Priority::ALL.map(of).to_vec()
        };
        counter(
            "portcullis_queued_total",
            "Transactions offered to the simulation, by what could be told of them without it.",
            "priority",
            &|watched| by_priority(&watched.chain.metrics.queued),
        );
        counter(
            "portcullis_skipped_total",
            "Of them, those that were left out for want of time.",
            "priority",
            &|watched| by_priority(&watched.chain.metrics.skipped),
        );
        counter(
            "portcullis_simulated_total",
            "Simulations, by how they ended.",
            "result",
            &|watched| {
                let Simulated { done, not_minable, failed } = &watched.chain.metrics.simulated;
                [("done", done), ("not_minable", not_minable), ("failed", failed)]
                    .map(|(name, count)| (name.to_owned(), count.load(Ordering::Relaxed)))
                    .to_vec()
            },
        );
        counter("portcullis_judged_total", "Verdicts, by outcome.", "outcome", &|watched| {
            named(&watched.chain.metrics.counted().judged)
        });
        counter(
            "portcullis_decided_total",
            "Decisions under the mode in force.",
            "decision",
            &|watched| named(&watched.chain.metrics.counted().decided),
        );
        counter(
            "portcullis_would_decide_total",
            "What would have been decided if armed.",
            "decision",
            &|watched| named(&watched.chain.metrics.counted().would_decide),
        );
        let actions = |kinds: &'static [&'static str]| {
            move |watched: &Watched| {
                let counted = watched.chain.metrics.counted();
                let of = |kind: &&str| counted.actions.get(*kind).copied().unwrap_or_default();
                vec![(String::new(), kinds.iter().map(of).sum())]
            }
        };
        counter(
            "portcullis_sent_total",
            "Pauses sent, those included that raise the offer of one before.",
            "",
            &actions(&["pause_sent", "pause_raised"]),
        );
        counter("portcullis_included_total", "Pauses mined.", "", &actions(&["pause_mined"]));
        counter(
            "portcullis_actions_total",
            "Everything done after a decision, by kind; as in the journal.",
            "kind",
            &|watched| {
                let counted = watched.chain.metrics.counted();
                counted.actions.iter().map(|(kind, count)| (kind.clone(), *count)).collect()
            },
        );
        text.family(
            "portcullis_dropped_total",
            "counter",
            "Transactions that were not judged, by where they were lost and why.",
        );
        for watched in &self.chains {
            let chain = watched.chain.name.as_str();
            let counted = watched.chain.metrics.counted();
            let mut at_source: BTreeMap<&str, u64> = BTreeMap::new();
            for ((_, reason), count) in &counted.refused {
                *at_source.entry(reason).or_default() += count;
            }
            for (reason, count) in at_source {
                let labels = [("chain", chain), ("stage", "source"), ("reason", reason)];
                text.sample("portcullis_dropped_total", &labels, count);
            }
            for (stage, count) in &counted.dropped {
                let reason = if stage == "stopped" { "stopped" } else { "no_room" };
                let labels = [("chain", chain), ("stage", stage.as_str()), ("reason", reason)];
                text.sample("portcullis_dropped_total", &labels, count);
            }
        }
    }

    fn latencies(&self, text: &mut Exposition) {
        let name = "portcullis_verdict_seconds";
        text.family(
            name,
            "histogram",
            "From first seen to verdict, for pending and for mined transactions.",
        );
        for watched in &self.chains {
            let (chain, metrics) = (watched.chain.name.as_str(), &watched.chain.metrics);
            text.histogram(
                name,
                &[("chain", chain), ("flow", "pending")],
                &metrics.verdict_pending,
            );
            text.histogram(name, &[("chain", chain), ("flow", "mined")], &metrics.verdict_mined);
        }
        let name = "portcullis_stage_seconds";
        text.family(name, "histogram", "How long a stage took: waiting for a worker, simulation, judgement, taking a block over.");
        for watched in &self.chains {
            let (chain, metrics) = (watched.chain.name.as_str(), &watched.chain.metrics);
            for (stage, histogram) in [
                ("queue", &metrics.queue),
                ("simulate", &metrics.simulate),
                ("judge", &metrics.judge),
                ("advance", &metrics.advance),
            ] {
                text.histogram(name, &[("chain", chain), ("stage", stage)], histogram);
            }
        }
    }

    fn chains(&self, text: &mut Exposition) {
        text.family("portcullis_head", "gauge", "Height of the head.");
        for watched in &self.chains {
            if let Some((number, _)) = watched.chain.metrics.counted().head {
                text.sample("portcullis_head", &[("chain", &watched.chain.name)], number);
            }
        }
        text.family("portcullis_head_age_seconds", "gauge", "Time since the last head came.");
        for watched in &self.chains {
            if let Some((_, at)) = watched.chain.metrics.counted().head {
                let age = format!("{:.3}", at.elapsed().as_secs_f64());
                text.sample("portcullis_head_age_seconds", &[("chain", &watched.chain.name)], age);
            }
        }
        text.family("portcullis_heads_total", "counter", "Heads, by how the state followed.");
        for watched in &self.chains {
            for (how, count) in &watched.chain.metrics.counted().heads {
                let labels = [("chain", watched.chain.name.as_str()), ("state", how)];
                text.sample("portcullis_heads_total", &labels, count);
            }
        }
        text.family("portcullis_node_up", "gauge", "Whether a node is connected.");
        for watched in &self.chains {
            for (node, is_up) in &watched.chain.metrics.counted().nodes {
                let labels = [("chain", watched.chain.name.as_str()), ("node", node.as_str())];
                text.sample("portcullis_node_up", &labels, u8::from(*is_up));
            }
        }
        text.family(
            "portcullis_ready",
            "gauge",
            "Whether a chain is guarded: a node is up, the head is young, the pause was tried out.",
        );
        for watched in &self.chains {
            let is_ready = watched.standing().0.is_none();
            text.sample("portcullis_ready", &[("chain", &watched.chain.name)], u8::from(is_ready));
        }
        text.family(
            "portcullis_mined_total",
            "counter",
            "Transactions mined after the first head.",
        );
        let covered: Vec<_> = self
            .chains
            .iter()
            .filter_map(|watched| {
                Some((watched.chain.name.as_str(), watched.coverage.as_ref()?.figures()))
            })
            .collect();
        for (chain, figures) in &covered {
            text.sample("portcullis_mined_total", &[("chain", chain)], figures.mined);
        }
        text.family(
            "portcullis_mined_seen_total",
            "counter",
            "Of the mined transactions, those that a node had announced before.",
        );
        for (chain, figures) in &covered {
            for (node, seen) in &figures.nodes {
                let labels = [("chain", *chain), ("node", node)];
                text.sample("portcullis_mined_seen_total", &labels, seen);
            }
        }
        text.family(
            "portcullis_coverage_ratio",
            "gauge",
            "Share of the mined transactions that any node had announced before; absent while none was mined.",
        );
        for (chain, figures) in covered.iter().filter(|(_, figures)| figures.mined > 0) {
            let share = figures.seen as f64 / figures.mined as f64;
            text.sample("portcullis_coverage_ratio", &[("chain", chain)], share);
        }
    }

    fn state(&self, text: &mut Exposition) {
        let counts: Vec<_> = self
            .chains
            .iter()
            .map(|watched| (watched.chain.name.as_str(), watched.chain.simulator.state().counts()))
            .collect();
        text.family("portcullis_state_fetches_total", "counter", "State asked of nodes.");
        for (chain, counts) in &counts {
            text.sample("portcullis_state_fetches_total", &[("chain", chain)], counts.fetches);
        }
        text.family(
            "portcullis_state_emptied_total",
            "counter",
            "State caches emptied, by reason.",
        );
        for (chain, counts) in &counts {
            for (reason, count) in [
                ("reorg", counts.emptied_reorg),
                ("mismatch", counts.emptied_mismatch),
                ("not_runnable", counts.emptied_not_runnable),
                ("full", counts.emptied_full),
            ] {
                let labels = [("chain", *chain), ("reason", reason)];
                text.sample("portcullis_state_emptied_total", &labels, count);
            }
        }
        text.family(
            "portcullis_reorgs_total",
            "counter",
            "Heads that do not stand on the one before.",
        );
        for (chain, counts) in &counts {
            let reorgs = counts.emptied_reorg + counts.rolled_back;
            text.sample("portcullis_reorgs_total", &[("chain", chain)], reorgs);
        }
        text.family("portcullis_state_accounts", "gauge", "Accounts in the state cache.");
        for (chain, counts) in &counts {
            text.sample("portcullis_state_accounts", &[("chain", chain)], counts.accounts);
        }
        text.family("portcullis_state_slots", "gauge", "Storage slots in the state cache.");
        for (chain, counts) in &counts {
            text.sample("portcullis_state_slots", &[("chain", chain)], counts.slots);
        }
    }

    fn drift(&self, text: &mut Exposition) {
        // One judge sits for all chains.
        let judge = self.chains.first().map(|watched| watched.chain.office.judge());
        let Some(moved) = judge.and_then(|judge| judge.drift()) else { return };
        let help = "How far what the model is asked has moved from its training: population stability index.";
        text.family("portcullis_model_drift_psi", "gauge", help);
        for moved in moved {
            let psi = format!("{:.6}", moved.psi);
            text.sample("portcullis_model_drift_psi", &[("feature", moved.name)], psi);
        }
    }

    fn rest(&self, text: &mut Exposition) {
        self.drift(text);
        text.family("portcullis_protected", "gauge", "Protocols and the mode in force for each.");
        for (protocol, chain, mode) in &self.protected {
            let labels = [("chain", chain.as_str()), ("protocol", protocol), ("mode", mode.word())];
            text.sample("portcullis_protected", &labels, 1);
        }
        if let Some(health) = self.desk.journal_health() {
            text.family(
                "portcullis_journal_rows_total",
                "counter",
                "Journal rows, by what became of them.",
            );
            for (result, count) in [
                ("written", health.written_rows),
                ("dropped", health.dropped_rows),
                ("failed", health.failed_rows),
            ] {
                text.sample("portcullis_journal_rows_total", &[("result", result)], count);
            }
            text.family(
                "portcullis_journal_waiting_rows",
                "gauge",
                "Journal rows that wait for the disk.",
            );
            text.sample("portcullis_journal_waiting_rows", &[], health.queued_rows);
            text.family(
                "portcullis_journal_failed_writes_total",
                "counter",
                "Attempts at writing the journal that failed.",
            );
            text.sample("portcullis_journal_failed_writes_total", &[], health.failed_writes);
        }
    }
}

impl Watched {
    fn top(&self) -> TopChain {
        let (why_not, _) = self.standing();
        let coverage = self.coverage.as_ref().map(CoverageMeter::figures);
        let metrics = &self.chain.metrics;
        let counted = metrics.counted();
        let seen_by = |node: &str| {
            let (_, seen) = coverage.as_ref()?.nodes.iter().find(|(name, _)| &**name == node)?;
            Some(*seen)
        };
        let refused: u64 = counted.refused.values().sum();
        TopChain {
            name: self.chain.name.clone(),
            chain_id: self.chain.chain_id,
            why_not: why_not.map(str::to_owned),
            head: counted.head.map(|(number, _)| number),
            head_age_ms: counted.head.map(|(_, at)| ms(at.elapsed())),
            block_time_ms: self.block_time_ms,
            nodes: counted
                .nodes
                .iter()
                .map(|(name, is_up)| TopNode {
                    name: name.clone(),
                    is_up: *is_up,
                    seen: seen_by(name),
                })
                .collect(),
            seen: metrics.seen.load(Ordering::Relaxed),
            waiting: metrics.waiting.load(Ordering::Relaxed) as u64,
            judged: counted.judged.values().sum(),
            dropped: counted.dropped.values().sum::<u64>() + refused,
            coverage: coverage.as_ref().map(|figures| (figures.mined, figures.seen)),
            verdict_p50_us: metrics.verdict_pending.within_us(0.5),
            verdict_p99_us: metrics.verdict_pending.within_us(0.99),
            pause: counted.pause.clone(),
        }
    }

    /// Why the chain is not guarded right now, if it is not; and how it stands.
    fn standing(&self) -> (Option<&'static str>, serde_json::Value) {
        let counted = self.chain.metrics.counted();
        let late = Duration::from_millis(
            self.block_time_ms.saturating_mul(LATE_BLOCKS).max(LATE_LEAST_MS),
        );
        let nodes_up = counted.nodes.values().filter(|is_up| **is_up).count();
        let why_not = if counted.ended.is_some() {
            Some("it is watched no longer")
        } else if nodes_up == 0 {
            Some("no node is up")
        } else if !counted.is_ready {
            Some("the first head or the trial of the pause is missing")
        } else if counted.head.is_some_and(|(_, at)| at.elapsed() > late) {
            Some("the head is late")
        } else {
            None
        };
        let standing = json!({
            "ready": why_not.is_none(),
            "why_not": why_not,
            "head": counted.head.map(|(number, _)| number),
            "nodes_up": nodes_up,
        });
        (why_not, standing)
    }
}

fn named(counts: &BTreeMap<&'static str, u64>) -> Vec<(String, u64)> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
