//! The guard's events as lines: for people, or one JSON object a line.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256, utils::format_ether};
use portcullis_alerting::record::{Decision, Outcome, VerdictRow};
use portcullis_watcher::act::{GuardEvent, Judged, PauseShown, Started, Totals};

use crate::terminal::Paint;

/// What is printed of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Every transaction.
    All,
    /// Those that touch something protected or are not clear.
    Relevant,
}

/// Turns events into text for a terminal.
#[derive(Debug)]
pub(crate) struct StreamView {
    paint: Paint,
    show: Show,
    is_replay: bool,
    labels: BTreeMap<B256, String>,
}

impl StreamView {
    /// A view that prints `show`.
    pub(crate) fn new(paint: Paint, show: Show) -> Self {
        Self { paint, show, is_replay: false, labels: BTreeMap::new() }
    }

    /// The same with what is known of some transactions, by hash; printed beside their verdicts.
    #[must_use]
    pub(crate) fn with_labels(mut self, labels: BTreeMap<B256, String>) -> Self {
        self.labels = labels;
        self
    }

    /// The text of an event, line breaks included; empty where it is not shown.
    pub(crate) fn lines(&mut self, event: &GuardEvent) -> String {
        match event {
            GuardEvent::Started(started) => self.started(started),
            GuardEvent::Listening { address } => {
                self.note(&format!("metrics and health are served at http://{address}"))
            }
            GuardEvent::NodeUp { chain, node } => {
                self.note(&format!("{node} is up, on chain {chain}"))
            }
            GuardEvent::NodeDown { node, reason, retry_in_ms, attempt, .. } => {
                let text =
                    format!("{node} is down: {reason}; attempt {attempt} in {retry_in_ms} ms");
                format!("  {}\n", self.paint.yellow(&text))
            }
            GuardEvent::PauseReady { chain, pauser } => self.note(&format!(
                "the pause was tried out on {chain} and would work; {} may fire it",
                short(pauser)
            )),
            GuardEvent::PauseNotReady { chain, reason } => {
                format!(
                    "  {}\n",
                    self.paint.red(&format!("a pause on {chain} would fail now: {reason}"))
                )
            }
            GuardEvent::Ready { chain } => self.note(&format!("{chain} is guarded from here on")),
            GuardEvent::Head { number, transactions, state, .. } => {
                self.head(*number, *transactions, state)
            }
            GuardEvent::Verdict(judged) => self.verdict(judged),
            GuardEvent::Pause(pause) => self.pause(pause),
            // The pause itself was just printed, with more than this row says.
            GuardEvent::Action(row)
                if matches!(row.kind.as_str(), "pause_shown" | "pause_sent" | "pause_raised") =>
            {
                String::new()
            }
            GuardEvent::Action(row) => {
                let text = format!("{}: {}", row.kind.replace('_', " "), row.detail);
                let is_bad = row.kind.contains("failed")
                    || matches!(
                        row.kind.as_str(),
                        "attack_succeeded" | "pause_not_mined" | "arm_held"
                    );
                let text = if is_bad { self.paint.red(&text) } else { self.paint.bold(&text) };
                format!("    {text}\n")
            }
            GuardEvent::Refused { node, reason, count, .. } => {
                self.note(&format!("{node} told something unusable ({count}): {reason}"))
            }
            GuardEvent::Dropped { stage, count, .. } => {
                format!(
                    "  {}\n",
                    self.paint
                        .yellow(&format!("{count} transactions dropped unjudged, at {stage}"))
                )
            }
            GuardEvent::ChainEnded { chain, failure: Some(failure) } => {
                format!(
                    "  {}\n",
                    self.paint.red(&format!("chain {chain} is watched no longer: {failure}"))
                )
            }
            GuardEvent::ChainEnded { failure: None, .. } => String::new(),
            GuardEvent::Stopped { totals } => self.stopped(totals),
            _ => String::new(),
        }
    }

    fn started(&mut self, started: &Started) -> String {
        self.is_replay = started.is_replay;
        let protected: Vec<String> = started
            .protected
            .iter()
            .map(|(name, mode)| format!("{name} ({})", mode.word()))
            .collect();
        let model = started.model.as_ref().map_or_else(
            || self.paint.yellow("no model is asked"),
            |hash| format!("model {}", hash.get(..8).unwrap_or(hash)),
        );
        let verb = if started.is_replay { "replaying" } else { "watching" };
        format!(
            "  {verb} {}; protecting {}; {} rules, {model}\n\n",
            started.chains.join(", "),
            if protected.is_empty() { "nothing".to_owned() } else { protected.join(", ") },
            started.rules
        )
    }

    fn head(&self, number: u64, transactions: usize, state: &str) -> String {
        let state = if matches!(state, "exact" | "known") {
            String::new()
        } else {
            format!("; state {state}")
        };
        let noun = if transactions == 1 { "transaction" } else { "transactions" };
        format!(
            "  {}\n",
            self.paint.dim(&format!("── block {number}, {transactions} {noun}{state}"))
        )
    }

    fn verdict(&self, judged: &Judged) -> String {
        let row = &judged.row;
        let is_quiet = row.outcome == Outcome::Clear && row.would_decide == Decision::None;
        if self.show == Show::Relevant && is_quiet && judged.touched.is_empty() {
            return String::new();
        }
        // Where a story is told, what set its stage is no part of it.
        let is_told = self.labels.is_empty() || self.labels.contains_key(&row.tx_hash);
        if is_quiet && row.is_mined && !is_told {
            return String::new();
        }
        let (mark, word) = match row.outcome {
            Outcome::Clear => (" ", self.paint.green("clear     ")),
            Outcome::Suspicious => ("!", self.paint.yellow("suspicious")),
            Outcome::Attack => ("▼", self.paint.red("attack    ")),
            Outcome::Unknown => ("?", self.paint.yellow("unknown   ")),
        };
        let mut text = format!("{mark} {word}  {}  {:<32}", short_hash(&row.tx_hash), what(judged));
        if let Some(score) = row.score {
            text.push_str(&self.paint.dim(&format!("  model {score:.3}")));
        }
        if !self.is_replay {
            text.push_str(&self.paint.dim(&format!("  {:.1} ms", row.latency_us as f64 / 1_000.0)));
        }
        if row.is_mined {
            text.push_str(&self.paint.dim("  mined unannounced"));
        }
        if let Some(label) = self.labels.get(&row.tx_hash) {
            text.push_str(&format!("  {}", self.paint.dim(label)));
        }
        let mut text = text.trim_end().to_owned();
        text.push('\n');
        if !is_quiet {
            text.push_str(&self.because(judged));
        }
        text
    }

    fn because(&self, judged: &Judged) -> String {
        let mut text = String::new();
        for reason in &judged.reasons {
            text.push_str(&format!("    │ {reason}\n"));
        }
        if let Some(counterfactual) =
            judged.evidence.as_ref().and_then(|evidence| evidence.counterfactual.as_ref())
        {
            text.push_str(&format!(
                "    │ tried on the fork, the pause first: {}\n",
                counterfactual.detail
            ));
        }
        text.push_str(&format!("    └ {}\n", self.decision(&judged.row)));
        text
    }

    fn decision(&self, row: &VerdictRow) -> String {
        let word = |decision| match decision {
            Decision::None => "do nothing",
            Decision::Alert => "alert",
            Decision::Pause => "pause",
        };
        if row.decision == row.would_decide {
            return self.paint.bold(&format!("decision: {}", word(row.decision)));
        }
        let decided = self.paint.bold(&format!("decision: {}", word(row.decision)));
        format!("{decided} (mode {}; armed it would {})", row.mode.word(), word(row.would_decide))
    }

    fn pause(&self, pause: &PauseShown) -> String {
        let verb =
            if pause.pause_hash.is_some() { "pause sent" } else { "the pause that would be sent" };
        let mut text = format!("    {}\n", self.paint.red(&format!("▼ {verb}")));
        let mut line =
            |name: &str, value: String| text.push_str(&format!("      {name:<9} {value}\n"));
        line("protocol", pause.protocol.clone());
        line("target", pause.target.to_string());
        line("through", format!("guardian {}", pause.guardian));
        line(
            "fee cap",
            format!(
                "{} (the attack offers {})",
                gwei(pause.max_fee_per_gas_wei),
                gwei(pause.attack_max_fee_per_gas_wei)
            ),
        );
        line(
            "tip",
            format!(
                "{} (the attack offers {})",
                gwei(pause.max_tip_wei),
                gwei(pause.attack_max_tip_wei)
            ),
        );
        line("at stake", ether(pause.at_stake_wei));
        if let Some(hash) = pause.pause_hash {
            line("hash", hash.to_string());
        }
        text
    }

    fn stopped(&self, totals: &Totals) -> String {
        let mut text = format!(
            "\n  {} judged, {} of them touching something protected: {} alerts, {} pauses, {} unknown",
            totals.judged, totals.touching, totals.alerts, totals.pauses, totals.unknown
        );
        if totals.dropped > 0 || totals.journal_lost > 0 {
            let lost = format!(
                "; {} dropped unjudged, {} journal rows lost",
                totals.dropped, totals.journal_lost
            );
            text.push_str(&self.paint.yellow(&lost));
        }
        text.push('\n');
        if let Some(percent) = (totals.seen_pending * 100).checked_div(totals.mined) {
            let text_of = format!(
                "{} of {} mined transactions ({percent} %) had been seen pending",
                totals.seen_pending, totals.mined
            );
            text.push_str(&self.note(&text_of));
        }
        text
    }

    fn note(&self, text: &str) -> String {
        format!("  {}\n", self.paint.dim(text))
    }
}

fn what(judged: &Judged) -> String {
    if judged.touched.is_empty() {
        return "touches nothing protected".to_owned();
    }
    let touched = judged.touched.join(", ");
    if judged.outflow_wei.is_zero() {
        format!("touches {touched}")
    } else {
        format!("touches {touched}, {} out", ether(judged.outflow_wei))
    }
}

/// An amount in ether, without trailing zeros.
pub(crate) fn ether(wei: U256) -> String {
    let text = format_ether(wei);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{} ether", if text.is_empty() { "0" } else { text })
}

fn gwei(wei: u128) -> String {
    let (whole, rest) = (wei / 1_000_000_000, wei % 1_000_000_000);
    if rest == 0 {
        format!("{whole} gwei")
    } else {
        format!("{} gwei", format!("{whole}.{rest:09}").trim_end_matches('0'))
    }
}

fn short_hash(hash: &B256) -> String {
    let text = hash.to_string();
    format!("{}…{}", &text[..8], &text[text.len() - 4..])
}

fn short(address: &Address) -> String {
    let text = address.to_string();
    format!("{}…{}", &text[..8], &text[text.len() - 4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        assert_eq!(ether(U256::from(90) * U256::from(10).pow(U256::from(18))), "90 ether");
        assert_eq!(ether(U256::from(1_500_000_000_000_000_000_u64)), "1.5 ether");
        assert_eq!(ether(U256::ZERO), "0 ether");
        assert_eq!(gwei(61_000_000_000), "61 gwei");
        assert_eq!(gwei(1_500_000_000), "1.5 gwei");
    }
}
