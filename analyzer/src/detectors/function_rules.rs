//! Rules with subject `function`, asked beside the detectors about every entry point.

use std::collections::BTreeMap;

use portcullis_rules::{Answer, AnswerOutcome, Maturity, Rule, RuleSet, Subject};

use super::{Confidence, Draft, Severity};
use crate::facts::{self, EntryPoint, Facts};

/// What a rule reports.
#[derive(Debug, Clone)]
pub(crate) struct RuleDraft {
    /// `pack/rule`.
    pub(crate) id: String,
    /// As the rule says.
    pub(crate) severity: Severity,
    /// The finding.
    pub(crate) draft: Draft,
}

/// Asks every function rule of `rules` about every entry point. A rule that cannot tell reports nothing.
///
/// The packs were checked against [`facts::dictionary`].
pub(crate) fn ask(rules: &RuleSet, facts: &Facts<'_>) -> Vec<RuleDraft> {
    let by_id: BTreeMap<&str, &Rule> = rules.rules().map(|(_, rule)| (rule.id(), rule)).collect();
    let mut found = Vec::new();
    for (entry, table) in facts.function_tables(&facts::dictionary()) {
        for answer in rules.evaluate(Subject::Function, &table) {
            let why = by_id.get(answer.rule.as_str()).map(|rule| rule.why());
            found.extend(draft(facts, entry, answer, why.unwrap_or_default()));
        }
    }
    found
}

fn draft(facts: &Facts<'_>, entry: EntryPoint, answer: Answer, why: &str) -> Option<RuleDraft> {
    let AnswerOutcome::Fires { message, because } = answer.outcome else { return None };
    let program = facts.program();
    let span = program.function_name_span(entry.function);
    let mut draft = Draft {
        span,
        message: message.trim().replace('\n', " "),
        contract: None,
        function: None,
        extent: None,
        steps: vec![(span, because.join("; "))],
        // A rule sees facts and not the code, so none is as sure as a detector can be.
        confidence: match answer.maturity {
            Maturity::Stable => Confidence::Medium,
            Maturity::Experimental | Maturity::Retired => Confidence::Low,
        },
        help: Some(why.split_whitespace().collect::<Vec<_>>().join(" ")),
    };
    draft.inside(program, entry.function);
    Some(RuleDraft {
        id: format!("{}/{}", answer.pack, answer.rule),
        severity: severity(answer.severity),
        draft,
    })
}

fn severity(severity: portcullis_rules::Severity) -> Severity {
    match severity {
        portcullis_rules::Severity::Critical => Severity::Critical,
        portcullis_rules::Severity::High => Severity::High,
        portcullis_rules::Severity::Medium => Severity::Medium,
        portcullis_rules::Severity::Low => Severity::Low,
        portcullis_rules::Severity::Info => Severity::Info,
        portcullis_rules::Severity::Gas => Severity::Gas,
    }
}
