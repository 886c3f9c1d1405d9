//! Rows of the journal as text: for people, and as comma-separated values.

use std::fmt::Write as _;

use portcullis_alerting::journal::JournalStats;
use portcullis_alerting::record::{Evidence, Outcome, VerdictRow};
use serde_json::Value;

use super::Known;
use crate::terminal::Paint;

/// Names of the values of [`csv`].
pub(super) const CSV_HEADER: &str = "chain,chain_id,block,tx_hash,from,to,seen_at_ms,latency_us,outcome,decision,\
                                     would_decide,mode,score,reason";

/// One line a verdict.
pub(super) fn list(verdicts: &[VerdictRow], paint: Paint) -> String {
    let mut out = String::new();
    for row in verdicts {
        let score = row.score.map_or("    -".to_owned(), |score| format!("{score:.3}"));
        let decided = if row.decision == row.would_decide {
            row.decision.word().to_owned()
        } else {
            format!("{} (armed: {})", row.decision.word(), row.would_decide.word())
        };
        line(
            &mut out,
            &format!(
                "{}  {:<10} {:>9}  {}  {}  {decided:<20}  {}",
                paint.dim(&row.seen_at_ms.to_string()),
                row.chain,
                row.block,
                row.tx_hash,
                outcome(row.outcome, paint),
                paint.dim(&format!("{score}  {}", row.reason)),
            ),
        );
    }
    if verdicts.is_empty() {
        line(&mut out, "no verdict matches");
    }
    out
}

/// Everything that is known of one transaction.
pub(super) fn transaction(known: &Known, paint: Paint) -> String {
    let mut out = String::new();
    for row in &known.verdicts {
        verdict(&mut out, row, paint);
    }
    for evidence in &known.evidence {
        self::evidence(&mut out, evidence, paint);
    }
    if !known.actions.is_empty() {
        line(&mut out, &paint.bold("actions"));
        for action in &known.actions {
            let sent = action.action_tx_hash.map_or(String::new(), |hash| format!(" ({hash})"));
            let kind = action.kind.replace('_', " ");
            line(
                &mut out,
                &format!(
                    "  {}  {kind}: {}{sent}",
                    paint.dim(&action.at_ms.to_string()),
                    action.detail
                ),
            );
        }
    }
    out
}

fn verdict(out: &mut String, row: &VerdictRow, paint: Paint) {
    line(out, &format!("{} {}", paint.bold("transaction"), row.tx_hash));
    let to = row.to.map_or("creates a contract".to_owned(), |to| to.to_string());
    for (name, value) in [
        ("chain", format!("{} ({}), on head {}", row.chain, row.chain_id, row.block)),
        ("from", row.from.to_string()),
        ("to", to),
        (
            "seen",
            format!(
                "{} ms, judged after {:.1} ms",
                row.seen_at_ms,
                row.latency_us as f64 / 1_000.0
            ),
        ),
        ("outcome", outcome(row.outcome, paint).trim_end().to_owned()),
        (
            "decision",
            format!(
                "{} in mode {}; armed: {}",
                row.decision.word(),
                row.mode.word(),
                row.would_decide.word()
            ),
        ),
        (
            "model",
            row.score.map_or("not asked, or no answer".to_owned(), |score| format!("{score:.4}")),
        ),
        ("reason", row.reason.clone()),
    ] {
        line(out, &format!("  {name:<9} {value}"));
    }
}

fn evidence(out: &mut String, evidence: &Evidence, paint: Paint) {
    if !evidence.rules.is_empty() {
        line(out, &paint.bold("rules"));
    }
    for rule in &evidence.rules {
        line(out, &format!("  {} ({}) {}", rule.rule, rule.severity, rule.outcome));
        for because in &rule.because {
            line(out, &format!("    │ {because}"));
        }
    }
    if let Some(model) = &evidence.model {
        let hash = model.model_hash.get(..8).unwrap_or(&model.model_hash);
        let probability = model.probability.map_or("no answer".to_owned(), |p| format!("{p:.4}"));
        line(out, &format!("{} {hash} ({}): {probability}", paint.bold("model"), model.engine));
        for (feature, contribution) in &model.contributions {
            line(out, &format!("  {contribution:>+8.4}  {feature}"));
        }
    }
    if let Some(counterfactual) = &evidence.counterfactual {
        line(out, &paint.bold("tried on the fork, the pause first"));
        line(out, &format!("  {}", counterfactual.detail));
    }
    if let Some(frames) = evidence.call_tree.as_array().filter(|frames| !frames.is_empty()) {
        line(out, &paint.bold("calls"));
        for frame in frames {
            line(out, &call(frame, paint));
        }
    }
}

/// One frame of the call tree, as deep as it was called.
fn call(frame: &Value, paint: Paint) -> String {
    let depth = frame["depth"].as_u64().and_then(|depth| usize::try_from(depth).ok()).unwrap_or(0);
    let word = |key: &str| frame[key].as_str().unwrap_or_default().to_owned();
    let mut text =
        format!("{}{} {}", "  ".repeat(depth.min(64) + 1), word("kind"), word("acts_on"));
    if let Some(name) = frame["protected"].as_str() {
        text.push_str(&format!(" [{name}]"));
    }
    if frame["code_at"] != frame["acts_on"] && frame["code_at"].is_string() {
        text.push_str(&format!(" with the code of {}", word("code_at")));
    }
    if let Some(selector) = frame["selector"].as_str() {
        text.push_str(&format!(" {selector}"));
    }
    if let Some(value) = frame["value_wei"].as_str().filter(|value| *value != "0") {
        text.push_str(&format!(" value {value} wei"));
    }
    if frame["success"] == false {
        text.push_str(&paint.red(" reverted"));
    }
    text
}

/// The counts.
pub(super) fn stats(stats: &JournalStats, paint: Paint) -> String {
    let mut out = String::new();
    line(&mut out, &format!("{} {}", paint.bold("verdicts"), stats.verdicts));
    for (title, counts) in [
        ("outcome", &stats.outcomes),
        ("decision", &stats.decisions),
        ("decision if armed", &stats.would_decide),
    ] {
        let counts: Vec<String> =
            counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        line(&mut out, &format!("  {title:<18} {}", counts.join(", ")));
    }
    let ms =
        |us: Option<u64>| us.map_or("-".to_owned(), |us| format!("{:.1} ms", us as f64 / 1_000.0));
    line(
        &mut out,
        &format!(
            "  {:<18} p50 {}, p99 {}",
            "seen to verdict",
            ms(stats.latency_p50_us),
            ms(stats.latency_p99_us)
        ),
    );
    if !stats.days.is_empty() {
        line(
            &mut out,
            &format!(
                "{:<12} {:>9} {:>7} {:>7} {:>12} {:>8}",
                "day (UTC)", "verdicts", "alerts", "pauses", "would pause", "unknown"
            ),
        );
    }
    for (day, counts) in &stats.days {
        line(
            &mut out,
            &format!(
                "{day:<12} {:>9} {:>7} {:>7} {:>12} {:>8}",
                counts.verdicts, counts.alerts, counts.pauses, counts.would_pause, counts.unknown
            ),
        );
    }
    out
}

/// One verdict as comma-separated values (RFC 4180), in the order of [`CSV_HEADER`].
pub(super) fn csv(row: &VerdictRow) -> String {
    let cells = [
        row.chain.clone(),
        row.chain_id.to_string(),
        row.block.to_string(),
        row.tx_hash.to_string(),
        row.from.to_string(),
        row.to.map_or(String::new(), |to| to.to_string()),
        row.seen_at_ms.to_string(),
        row.latency_us.to_string(),
        row.outcome.word().to_owned(),
        row.decision.word().to_owned(),
        row.would_decide.word().to_owned(),
        row.mode.word().to_owned(),
        row.score.map_or(String::new(), |score| score.to_string()),
        row.reason.clone(),
    ];
    cells.map(|cell| quoted(&cell)).join(",")
}

/// A cell that a reader takes apart as it was, and that a spreadsheet does not take for a formula.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string grows");
}

fn outcome(outcome: Outcome, paint: Paint) -> String {
    let word = format!("{:<10}", outcome.word());
    match outcome {
        Outcome::Clear => paint.green(&word),
        Outcome::Suspicious | Outcome::Unknown => paint.yellow(&word),
        Outcome::Attack => paint.red(&word),
    }
}
