//! What is written down of a verdict, once it was given: its reasons and its evidence, for the journal and for people.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock},
};

use alloy::primitives::Address;
use portcullis_alerting::record::{Counterfactual, Evidence, VerdictRow};
use portcullis_rules::Value;
use serde_json::json;

use crate::{
    act::{Desk, Judged},
    facts::{Observation, Protected, dictionary},
    simulate::execution::{Execution, Frame},
    verdict::{Judge, Verdict},
};

/// Hashing the schema anew for each transaction would take as long as its facts.
static SCHEMA_HASH: LazyLock<String> =
    LazyLock::new(|| portcullis_models::schema::TRANSACTION.hash_hex());
/// Frames of a call tree that the evidence keeps.
const TREE_FRAMES: usize = 512;

/// A verdict that was given, and all that it was given on.
#[derive(Debug)]
pub(super) struct Paper {
    pub(super) row: VerdictRow,
    pub(super) judge: Judge,
    pub(super) execution: Execution,
    pub(super) observation: Observation,
    pub(super) verdict: Verdict,
    pub(super) counterfactual: Option<Counterfactual>,
}

/// Writes papers and publishes them.
#[derive(Debug, Clone)]
pub(super) struct Scribe {
    pub(super) protected: Arc<Protected>,
    pub(super) desk: Arc<Desk>,
    pub(super) evidence_floor: f32,
}

impl Scribe {
    /// Publishes a verdict with its reasons, and with its evidence where that is kept. What panics costs the evidence,
    /// never the verdict.
    pub(super) fn publish(&self, mut paper: Paper) {
        let written = catch_unwind(AssertUnwindSafe(|| {
            paper.judge.explain(&mut paper.verdict, &paper.observation);
            let verdict = &paper.verdict;
            let is_kept = !paper.observation.touched.is_empty()
                || verdict.score().is_some_and(|score| score >= self.evidence_floor);
            is_kept.then(|| self.evidence(&paper))
        }));
        let evidence = written.unwrap_or_else(|_| {
            tracing::error!(target: "watcher::daemon", tx_hash = %paper.row.tx_hash, "evidence not written: it crashed");
            None
        });
        let judged = Judged {
            row: paper.row,
            reasons: paper.verdict.reasons,
            touched: self.names_of(&paper.observation.touched_groups),
            outflow_wei: paper.observation.outflow_wei,
            evidence,
        };
        self.desk.publish(judged, paper.observation.touched.first().copied());
    }

    /// Names of protocols.
    pub(super) fn names_of(&self, groups: &[usize]) -> Vec<String> {
        groups.iter().map(|group| self.protected.name(*group).to_owned()).collect()
    }

    fn evidence(&self, paper: &Paper) -> Evidence {
        let Paper { execution, observation, verdict, counterfactual, .. } = paper;
        let facts: BTreeMap<String, serde_json::Value> = dictionary()
            .specs()
            .iter()
            .zip(observation.facts.values())
            .map(|(spec, value)| (spec.name.to_owned(), fact_json(value)))
            .collect();
        Evidence {
            tx_hash: execution.envelope.tx_hash,
            facts,
            features: observation.vector.values().to_vec(),
            schema_hash: SCHEMA_HASH.clone(),
            rules: verdict.rule_evidence(),
            model: verdict.model_evidence().cloned(),
            call_tree: self.call_tree(execution),
            counterfactual: counterfactual.clone(),
        }
    }

    /// One object per frame in pre-order, with the protocol's name where the frame runs on a protected account.
    fn call_tree(&self, execution: &Execution) -> serde_json::Value {
        let frame = |frame: &Frame| {
            let selector = frame.selector().map(alloy::hex::encode_prefixed);
            json!({
                "depth": frame.depth,
                "kind": frame.kind,
                "caller": frame.caller,
                "acts_on": frame.acts_on,
                "code_at": frame.code_at,
                "protected": self.protected.group(&frame.acts_on).map(|group| self.protected.name(group)),
                "selector": selector,
                "value_wei": frame.value.to_string(),
                "gas_used": frame.gas_used,
                "success": frame.success,
            })
        };
        execution.frames.iter().take(TREE_FRAMES).map(frame).collect()
    }
}

/// Amounts and counts as decimal text, because JSON numbers lose what is beyond 2^53.
fn fact_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Unknown => serde_json::Value::Null,
        Value::Bool(value) => json!(value),
        Value::Uint(value) => json!(value.to_string()),
        Value::AtLeast(floor) => json!({ "at_least": floor.to_string() }),
        Value::Text(text) => json!(text),
        Value::Address(bytes) => json!(Address::from(*bytes)),
    }
}
