//! Findings that are known already.

use std::collections::BTreeMap;

use crate::AuditReport;

use super::{DiagnosticKind, Finding, FindingsDocument};

impl AuditReport {
    /// Takes out the findings that an earlier document holds, and counts them in the figures.
    ///
    /// They are matched by fingerprint alone, so lines that moved, files that were renamed and code that
    /// was laid out anew change nothing. A finding that the document holds once is taken out once: the
    /// same flaw copied to another file is new.
    pub fn leave_out_known(&mut self, baseline: &FindingsDocument) {
        self.stats.known += self.leave_out(&baseline.findings);
    }

    /// Takes out the findings that an audit of the state at `revision` has too, in the same way.
    pub(crate) fn leave_out_older(&mut self, before: AuditReport, revision: &str) {
        self.stats.older += self.leave_out(&before.findings);
        // Findings of a detector that crashed there look as if they were new.
        let crashes = before.diagnostics.into_iter().filter(|diagnostic| {
            matches!(
                diagnostic.kind,
                DiagnosticKind::DetectorCrashed | DiagnosticKind::AnalysisCrashed
            )
        });
        self.diagnostics.extend(crashes.map(|mut crash| {
            crash.message = format!("at `{revision}`: {}", crash.message);
            crash
        }));
    }

    /// Takes out one finding for each of the same fingerprint in `known`; returns how many these were.
    fn leave_out(&mut self, known: &[Finding]) -> u64 {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in known {
            *counts.entry(&finding.fingerprint).or_insert(0) += 1;
        }
        let n_all = self.findings.len();
        self.findings.retain(|finding| match counts.get_mut(finding.fingerprint.as_str()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        });
        (n_all - self.findings.len()) as u64
    }
}
