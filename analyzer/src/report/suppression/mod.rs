//! Findings that the source itself allows, with a reason.
//!
//! ```solidity
//! // portcullis-allow reentrancy-eth until 2027-06-30: the callee is our own vault, which cannot call back
//! (bool ok, ) = vault.call{value: amount}("");
//! ```
//!
//! A comment of its own allows the next line of code, one behind code allows its own line. Without a
//! reason it allows nothing; one that allows nothing, or no longer, is said, so that none outlives its finding.
//! Comments by which other tools are told the same are honoured too; see [`counterparts`].

mod comments;
mod counterparts;
mod date;
mod foreign;
mod own;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::{Diagnostic, DiagnosticKind, Finding, Lines, Location, Suppressed};

pub use counterparts::{Counterparts, counterparts};
pub use date::Date;

/// What suppressions are checked against.
#[derive(Debug, Default)]
pub(crate) struct Asked<'a> {
    /// Ids of the detectors that were asked.
    pub(crate) detectors: BTreeSet<&'a str>,
    /// Ids (`pack/rule`) of the function rules that were asked.
    pub(crate) rules: BTreeSet<String>,
    /// The day on which the audit runs; without it nothing expires.
    pub(crate) today: Option<Date>,
}

/// The lines that a comment speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// A finding that covers this line.
    Line(u32),
    /// A finding that has a part on this line: itself, a step to it, or the head of its function.
    AnyPart(u32),
    /// A finding that lies between these two lines.
    Between(u32, u32),
}

impl Reach {
    fn covers(self, finding: &Finding) -> bool {
        let place = &finding.location;
        let spans = |line: u32| (place.start.line..=place.end.line).contains(&line);
        match self {
            Self::Line(line) => spans(line),
            Self::AnyPart(line) => {
                let starts =
                    |other: &Location| other.path == place.path && other.start.line == line;
                spans(line)
                    || finding.extent.as_ref().is_some_and(starts)
                    || finding.steps.iter().any(|step| starts(&step.location))
            }
            Self::Between(first, last) => first < place.start.line && place.end.line < last,
        }
    }
}

/// One id that one comment allows.
#[derive(Debug)]
struct Suppression {
    id: String,
    reach: Reach,
    reason: Option<String>,
    /// The tool whose comment it is.
    tool: &'static str,
    /// The comment, where it is to be said that it allows nothing.
    said_at: Option<Location>,
    is_used: bool,
}

/// Takes out the findings of the file `path` that comments in it allow.
pub(crate) fn suppress(
    path: &str,
    lines: &Lines<'_>,
    asked: &Asked<'_>,
    findings: &mut Vec<Finding>,
    suppressed: &mut Vec<Suppressed>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let found = comments::speaking(lines.text());
    if found.is_empty() {
        return;
    }
    let mut suppressions = own::read(path, lines, &found, asked, diagnostics);
    suppressions.extend(foreign::read(lines, &found));
    let mut kept = Vec::with_capacity(findings.len());
    for finding in findings.drain(..) {
        let allowing = suppressions.iter_mut().find(|suppression| {
            finding.location.path == path
                && suppression.id == finding.detector
                && suppression.reach.covers(&finding)
        });
        match allowing {
            Some(suppression) => {
                suppression.is_used = true;
                let (tool, reason) = (suppression.tool.to_owned(), suppression.reason.clone());
                suppressed.push(Suppressed { tool, reason, finding });
            }
            None => kept.push(finding),
        }
    }
    *findings = kept;
    for unused in suppressions.into_iter().filter(|suppression| !suppression.is_used) {
        if let Some(location) = unused.said_at {
            let message = format!("nothing to allow: no `{}` here", unused.id);
            diagnostics.push(problem(location, message, "remove the comment"));
        }
    }
}

/// The next line that is neither empty nor a comment as a whole.
fn next_code_line(lines: &Lines<'_>, after: u32) -> u32 {
    let is_code = |number: &u32| {
        let line = lines.line(*number).trim();
        !line.is_empty() && !["//", "/*", "*"].iter().any(|head| line.starts_with(head))
    };
    (after + 1..=u32::try_from(lines.count()).unwrap_or(u32::MAX)).find(is_code).unwrap_or(after)
}

fn problem(location: Location, message: String, note: &str) -> Diagnostic {
    Diagnostic {
        kind: DiagnosticKind::Suppression,
        message,
        note: Some(note.to_owned()),
        path: Some(location.path.clone()),
        location: Some(location),
    }
}
