//! Findings that the source itself allows, with a reason.
//!
//! ```solidity
//! // portcullis-allow reentrancy-eth: the callee is our own vault, which cannot call back
//! (bool ok, ) = vault.call{value: amount}("");
//! ```
//!
//! A comment of its own allows the next line of code, one behind code allows its own line. Without a
//! reason it allows nothing; one that allows nothing is said, so that none outlives its finding.

use crate::detectors;

use super::{Diagnostic, DiagnosticKind, Finding, Lines, Location};

const MARKER: &str = "portcullis-allow";

/// One id that one comment allows.
struct Suppression {
    id: String,
    /// The comment, from its marker on.
    location: Location,
    /// The line of code that it is about.
    line: u32,
    is_used: bool,
}

/// Takes out the findings of the file `path` that comments in it allow; returns how many these were.
pub(crate) fn suppress(
    path: &str,
    lines: &Lines<'_>,
    findings: &mut Vec<Finding>,
    diagnostics: &mut Vec<Diagnostic>,
) -> u64 {
    let mut suppressions = read(path, lines, diagnostics);
    if suppressions.is_empty() {
        return 0;
    }
    let n_all = findings.len();
    findings.retain(|finding| {
        let place = &finding.location;
        let is_allowed = |found: &&mut Suppression| {
            found.id == finding.detector
                && (place.start.line..=place.end.line).contains(&found.line)
        };
        if place.path != path {
            return true;
        }
        match suppressions.iter_mut().find(is_allowed) {
            Some(found) => {
                found.is_used = true;
                false
            }
            None => true,
        }
    });
    for unused in suppressions.into_iter().filter(|suppression| !suppression.is_used) {
        let message = format!("nothing to allow: no `{}` here", unused.id);
        diagnostics.push(problem(unused.location, message, "remove the comment"));
    }
    (n_all - findings.len()) as u64
}

fn read(path: &str, lines: &Lines<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Suppression> {
    let mut suppressions = Vec::new();
    for (marker, _) in lines.text().match_indices(MARKER) {
        let start = lines.position(marker);
        let line = lines.line(start.line);
        let before = &line[..marker - lines.start(start.line)];
        // Elsewhere than at the head of a comment the word is prose.
        let Some(code) = before.trim_end().strip_suffix("//") else { continue };
        let text = &line[before.len() + MARKER.len()..];
        let end = lines.position(marker + MARKER.len() + text.trim_end().len());
        let location = Location { path: path.to_owned(), start, end };
        let (ids, reason) = text.split_once(':').unwrap_or((text, ""));
        if reason.trim().is_empty() {
            let note = "write `// portcullis-allow ID: why this is safe`";
            diagnostics.push(problem(location, "a suppression without a reason".to_owned(), note));
            continue;
        }
        let target =
            if code.trim().is_empty() { next_code_line(lines, start.line) } else { start.line };
        for id in ids.split(',').map(str::trim) {
            if detectors::by_id(id).is_none() {
                let note = "`portcullis audit --list-detectors` lists all";
                diagnostics.push(problem(
                    location.clone(),
                    format!("no detector is called `{id}`"),
                    note,
                ));
                continue;
            }
            suppressions.push(Suppression {
                id: id.to_owned(),
                location: location.clone(),
                line: target,
                is_used: false,
            });
        }
    }
    suppressions
}

/// The next line that is neither empty nor a comment as a whole.
fn next_code_line(lines: &Lines<'_>, after: u32) -> u32 {
    let is_code = |number: &u32| {
        let line = lines.line(*number).trim();
        !line.is_empty() && !line.starts_with("//")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::{Confidence, Severity};

    /// Runs `suppress` with a `suicidal` finding on each line that holds `selfdestruct`; returns the
    /// lines of the findings left and what was said.
    #[track_caller]
    fn check(text: &str, left: &[u32], said: &[&str]) {
        let lines = Lines::new(text);
        let finding = |(start, word): (usize, &str)| Finding {
            detector: "suicidal".to_owned(),
            severity: Severity::Critical,
            confidence: Confidence::High,
            message: String::new(),
            contract: None,
            function: None,
            location: Location {
                path: "a.sol".to_owned(),
                start: lines.position(start),
                end: lines.position(start + word.len()),
            },
            steps: Vec::new(),
            help: String::new(),
            fingerprint: String::new(),
        };
        let mut findings: Vec<_> = text.match_indices("selfdestruct").map(finding).collect();
        let (n_all, mut diagnostics) = (findings.len(), Vec::new());
        let n_taken = suppress("a.sol", &lines, &mut findings, &mut diagnostics);
        let found: Vec<_> = findings.iter().map(|finding| finding.location.start.line).collect();
        assert_eq!(found, left, "{text}");
        assert_eq!(n_taken as usize, n_all - left.len());
        let messages: Vec<_> =
            diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
        assert_eq!(messages, said, "{text}");
    }

    #[test]
    fn a_comment_allows_its_own_line_or_the_next_line_of_code() {
        check("selfdestruct(a); // portcullis-allow suicidal: a test\nselfdestruct(b);", &[2], &[]);
        check(
            "//portcullis-allow suicidal: a test\n\n// more\n  selfdestruct(a);\nselfdestruct(b);",
            &[5],
            &[],
        );
        check(
            "// portcullis-allow suicidal, reentrancy-eth: a\nselfdestruct(a);",
            &[],
            &["nothing to allow: no `reentrancy-eth` here"],
        );
    }

    #[test]
    fn what_allows_nothing_is_said() {
        check(
            "// portcullis-allow suicidal\nselfdestruct(a);",
            &[2],
            &["a suppression without a reason"],
        );
        check(
            "// portcullis-allow suicidal:  \nselfdestruct(a);",
            &[2],
            &["a suppression without a reason"],
        );
        check(
            "// portcullis-allow sucidal: typo\nselfdestruct(a);",
            &[2],
            &["no detector is called `sucidal`"],
        );
        check(
            "// portcullis-allow suicidal: gone\nf();",
            &[],
            &["nothing to allow: no `suicidal` here"],
        );
        check("// see portcullis-allow suicidal: prose\nselfdestruct(a);", &[2], &[]);
    }
}
