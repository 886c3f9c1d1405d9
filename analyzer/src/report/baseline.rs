//! Findings that are known already.

use std::collections::BTreeMap;

use crate::AuditReport;

use super::FindingsDocument;

impl AuditReport {
    /// Takes out the findings that an earlier document holds, and counts them in the figures.
    ///
    /// They are matched by fingerprint alone, so lines that moved, files that were renamed and code that
    /// was laid out anew change nothing. A finding that the document holds once is taken out once: the
    /// same flaw copied to another file is new.
    pub fn leave_out_known(&mut self, baseline: &FindingsDocument) {
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &baseline.findings {
            *known.entry(&finding.fingerprint).or_insert(0) += 1;
        }
        let n_all = self.findings.len();
        self.findings.retain(|finding| match known.get_mut(finding.fingerprint.as_str()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        });
        self.stats.known += (n_all - self.findings.len()) as u64;
    }
}
