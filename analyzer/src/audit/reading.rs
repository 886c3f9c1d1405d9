//! Places and words of what was found.

use crate::detectors::function_rules::RuleDraft;
use crate::detectors::{self, Detector, Draft, Page};
use crate::project::{Project, ProjectFile, ProjectProblem};
use crate::report::{
    Diagnostic, DiagnosticKind, Finding, Fingerprints, Lines, Location, Stats, Step,
};
use crate::syntax::{self, FileId, Span};

/// The files of a project with their lines, for turning spans into places.
pub(super) struct Reading<'p> {
    pub(super) files: Vec<(&'p ProjectFile, Lines<'p>)>,
}

impl<'p> Reading<'p> {
    pub(super) fn new(project: &'p Project) -> Self {
        Self { files: project.files.iter().map(|file| (file, Lines::new(&file.text))).collect() }
    }

    pub(super) fn stats(&self, project: &Project) -> Stats {
        let reported = self.files.iter().filter(|(file, _)| file.is_reported);
        let n_reported = reported.clone().count() as u64;
        Stats {
            files_reported: n_reported,
            files_imported: self.files.len() as u64 - n_reported,
            lines_reported: reported.map(|(_, lines)| lines.count() as u64).sum(),
            left_out: project.skipped as u64,
            ..Stats::default()
        }
    }

    fn file(&self, id: FileId) -> &(&'p ProjectFile, Lines<'p>) {
        self.files.get(id.0 as usize).expect("spans point into files of the program")
    }

    fn location(&self, span: Span) -> Location {
        let (file, lines) = self.file(span.file);
        let range = span.range();
        Location {
            path: file.shown.clone(),
            start: lines.position(range.start),
            end: lines.position(range.end),
        }
    }

    pub(super) fn findings(
        &self,
        drafts: Vec<(&dyn Detector, Draft)>,
        of_rules: Vec<RuleDraft>,
    ) -> Vec<Finding> {
        let mut drafts: Vec<_> = drafts
            .into_iter()
            .filter(|(_, draft)| self.file(draft.span.file).0.is_reported)
            .collect();
        drafts.sort_by(|(a_detector, a), (b_detector, b)| {
            (a.span, a_detector.metadata().id, &a.message).cmp(&(
                b.span,
                b_detector.metadata().id,
                &b.message,
            ))
        });
        // One flaw seen from several derived contracts is one finding.
        drafts.dedup_by(|(a_detector, a), (b_detector, b)| {
            a.span == b.span && a_detector.metadata().id == b_detector.metadata().id
        });
        let mut fingerprints = Fingerprints::default();
        let mut findings: Vec<_> = drafts
            .into_iter()
            .map(|(detector, draft)| self.finding(detector, draft, &mut fingerprints))
            .collect();
        findings.extend(self.rule_findings(of_rules, &mut fingerprints));
        // Stable, so findings of one weight stay in source order.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings
    }

    fn rule_findings(
        &self,
        mut of_rules: Vec<RuleDraft>,
        fingerprints: &mut Fingerprints,
    ) -> Vec<Finding> {
        of_rules.retain(|found| self.file(found.draft.span.file).0.is_reported);
        of_rules.sort_by(|a, b| (a.draft.span, &a.id).cmp(&(b.draft.span, &b.id)));
        of_rules.dedup_by(|a, b| a.draft.span == b.draft.span && a.id == b.id);
        let finding = |found: RuleDraft| {
            self.place(&found.id, found.severity, found.draft, String::new(), fingerprints)
        };
        of_rules.into_iter().map(finding).collect()
    }

    fn finding(
        &self,
        detector: &dyn Detector,
        draft: Draft,
        fingerprints: &mut Fingerprints,
    ) -> Finding {
        let metadata = detector.metadata();
        let help = Page::parse(metadata.doc)
            .ok()
            .and_then(|page| page.section("How to fix").map(|help| help.replace('\n', " ")));
        self.place(metadata.id, metadata.severity, draft, help.unwrap_or_default(), fingerprints)
    }

    /// A draft with its place in words; `help` is what stands where the draft brings none.
    fn place(
        &self,
        id: &str,
        severity: detectors::Severity,
        draft: Draft,
        help: String,
        fingerprints: &mut Fingerprints,
    ) -> Finding {
        let (file, _) = self.file(draft.span.file);
        let contract = draft.contract.as_deref().unwrap_or_default();
        let function = draft.function.as_deref().unwrap_or_default();
        let fingerprint =
            fingerprints.of(&file.shown, id, contract, function, draft.span.text(&file.text));
        Finding {
            detector: id.to_owned(),
            severity,
            confidence: draft.confidence,
            message: draft.message,
            location: self.location(draft.span),
            steps: draft
                .steps
                .into_iter()
                .map(|(span, message)| Step { location: self.location(span), message })
                .collect(),
            help: draft.help.unwrap_or(help),
            contract: draft.contract,
            function: draft.function,
            extent: draft.extent.map(|span| self.location(span)),
            fingerprint,
        }
    }

    pub(super) fn syntax(&self, diagnostic: &syntax::Diagnostic) -> Diagnostic {
        let location = self.location(diagnostic.span);
        Diagnostic {
            kind: DiagnosticKind::Syntax,
            message: diagnostic.message.clone(),
            note: diagnostic.note.clone(),
            path: Some(location.path.clone()),
            location: Some(location),
        }
    }

    pub(super) fn problem(&self, problem: &ProjectProblem) -> Diagnostic {
        let without_place = |kind, message: String, note: &str, path: &str| Diagnostic {
            kind,
            message,
            note: Some(note.to_owned()),
            path: Some(path.to_owned()),
            location: None,
        };
        match problem {
            ProjectProblem::NamedPath { path, reason } => Diagnostic {
                kind: DiagnosticKind::NamedPath,
                message: format!("cannot audit `{path}`: {reason}"),
                note: None,
                path: Some(path.clone()),
                location: None,
            },
            ProjectProblem::File { path, reason } => without_place(
                DiagnosticKind::UnreadableFile,
                format!("cannot read `{path}`: {reason}"),
                "it is left out",
                path,
            ),
            ProjectProblem::Configuration { path, reason } => without_place(
                DiagnosticKind::Configuration,
                format!("cannot use `{path}`"),
                reason,
                path,
            ),
            ProjectProblem::NotUtf8 { path } => without_place(
                DiagnosticKind::NotUtf8,
                format!("`{path}` is not UTF-8"),
                "the bytes that are not were replaced; columns after them may be off",
                path,
            ),
            ProjectProblem::MissingImport { path, offset, import, importers } => {
                let place = self.files.iter().find(|(file, _)| file.shown == *path);
                let location = place.map(|(_, lines)| Location {
                    path: path.clone(),
                    start: lines.position(*offset),
                    end: lines.position(offset + import.len()),
                });
                let others = match importers {
                    0 | 1 => String::new(),
                    2 => " (and by one more file)".to_owned(),
                    n => format!(" (and by {} more files)", n - 1),
                };
                Diagnostic {
                    kind: DiagnosticKind::MissingImport,
                    message: format!("import `{import}` was not found"),
                    note: Some(format!("what it declares is unknown to the analysis{others}")),
                    path: Some(path.clone()),
                    location,
                }
            }
        }
    }
}
