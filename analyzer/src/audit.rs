//! One audit from options to report.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_rules::RuleSet;

use crate::detectors::function_rules::{self, RuleDraft};
use crate::detectors::{self, Detector, Draft, Page};
use crate::facts::Facts;
use crate::hir::{Program, Source};
use crate::project::{Project, ProjectFile, ProjectOptions, ProjectProblem, SelectError};
use crate::report::{
    Diagnostic, DiagnosticKind, Finding, Fingerprints, Lines, Location, Stats, Step, suppress,
};
use crate::syntax::{self, FileId, Span};

/// What to audit.
#[derive(Debug, Clone, Default)]
pub struct AuditOptions {
    /// Folder that relative paths start from, and that paths in the report are relative to.
    pub base: PathBuf,
    /// Files and folders to audit.
    pub paths: Vec<PathBuf>,
    /// Globs over paths in the report; when there are any, only files that match one are reported on.
    pub include: Vec<String>,
    /// Globs over paths in the report; files that match one are not reported on.
    pub exclude: Vec<String>,
    /// Rules whose function rules are asked beside the detectors, checked against
    /// [`crate::facts::dictionary`].
    pub rules: Option<Arc<RuleSet>>,
}

/// What an audit found: plain data.
#[derive(Debug, Clone, Default)]
pub struct AuditReport {
    /// Findings, the heaviest first, then by place.
    pub findings: Vec<Finding>,
    /// What could not be read, found or analysed.
    pub diagnostics: Vec<Diagnostic>,
    /// How much was audited.
    pub stats: Stats,
    /// The texts that findings and diagnostics point into, by path as shown.
    pub sources: BTreeMap<String, Arc<str>>,
}

/// Options that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// No path was given.
    #[error("no path to audit was given")]
    NoPath,
    /// A glob cannot be understood.
    #[error(transparent)]
    Glob(#[from] SelectError),
}

impl AuditReport {
    /// Whether a part of the audit failed, although the rest of its results stands.
    pub fn has_failed(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.kind.is_fatal())
    }
}

/// Audits Solidity sources.
///
/// Broken sources, missing files and crashed detectors are diagnostics in the report, never errors.
///
/// # Errors
/// [`AuditError`] when the options themselves cannot be used.
pub fn audit(options: &AuditOptions) -> Result<AuditReport, AuditError> {
    if options.paths.is_empty() {
        return Err(AuditError::NoPath);
    }
    let project = Project::read(&ProjectOptions {
        base: options.base.clone(),
        paths: options.paths.clone(),
        include: options.include.clone(),
        exclude: options.exclude.clone(),
    })?;
    Ok(audit_with(project, &detectors::all().collect::<Vec<_>>(), options.rules.as_deref()))
}

/// Audits one text that was not read from a file, under the given path.
pub fn audit_text(path: &str, text: &str) -> AuditReport {
    let imports = BTreeMap::new();
    let file = ProjectFile {
        path: PathBuf::from(path),
        shown: path.to_owned(),
        text: text.into(),
        imports,
        is_reported: true,
    };
    let project = Project { files: vec![file], ..Project::default() };
    audit_project(project, &detectors::all().collect::<Vec<_>>())
}

/// Runs `detectors` over a project that was read.
pub(crate) fn audit_project(project: Project, detectors: &[&dyn Detector]) -> AuditReport {
    audit_with(project, detectors, None)
}

/// Runs `detectors` and function rules over a project that was read.
fn audit_with(
    project: Project,
    detectors: &[&dyn Detector],
    rules: Option<&RuleSet>,
) -> AuditReport {
    let reading = Reading::new(&project);
    let mut diagnostics: Vec<Diagnostic> =
        project.problems.iter().map(|problem| reading.problem(problem)).collect();
    let mut stats = reading.stats(&project);
    let mut drafts = Vec::new();
    let mut of_rules = Vec::new();

    let sources = sources(&project);
    match detectors::contained(move || Program::build(sources)) {
        Ok((program, syntax)) => {
            diagnostics.extend(syntax.iter().map(|diagnostic| reading.syntax(diagnostic)));
            match detectors::contained(|| Facts::new(&program)) {
                Ok(facts) => {
                    let coverage = facts.coverage();
                    stats.functions = coverage.functions;
                    stats.names = coverage.names;
                    stats.names_resolved = coverage.resolved_names;
                    for detector in detectors {
                        match detectors::run(*detector, &facts) {
                            Ok(found) => {
                                stats.detectors += 1;
                                drafts.extend(found.into_iter().map(|draft| (*detector, draft)));
                            }
                            Err(panic) => diagnostics.push(crash(
                                DiagnosticKind::DetectorCrashed,
                                format!(
                                    "detector `{}` crashed: its findings are missing",
                                    detector.metadata().id
                                ),
                                panic,
                            )),
                        }
                    }
                    if let Some(rules) = rules {
                        match detectors::contained(|| function_rules::ask(rules, &facts)) {
                            Ok(found) => of_rules = found,
                            Err(panic) => diagnostics.push(crash(
                                DiagnosticKind::DetectorCrashed,
                                "the function rules crashed: their findings are missing".to_owned(),
                                panic,
                            )),
                        }
                    }
                }
                Err(panic) => diagnostics.push(crash(
                    DiagnosticKind::AnalysisCrashed,
                    "the analysis crashed: no detector could run".to_owned(),
                    panic,
                )),
            }
        }
        Err(panic) => diagnostics.push(crash(
            DiagnosticKind::AnalysisCrashed,
            "reading the program crashed: no detector could run".to_owned(),
            panic,
        )),
    }
    let mut findings = reading.findings(drafts, of_rules);
    for (file, lines) in reading.files.iter().filter(|(file, _)| file.is_reported) {
        stats.suppressed += suppress(&file.shown, lines, &mut findings, &mut diagnostics);
    }
    diagnostics.sort_by(|a, b| {
        (a.kind, &a.path, &a.location, &a.message).cmp(&(b.kind, &b.path, &b.location, &b.message))
    });
    diagnostics.dedup();
    let pointed = pointed_at(&findings, &diagnostics);
    let sources = project
        .files
        .into_iter()
        .filter(|file| pointed.contains(&file.shown))
        .map(|file| (file.shown, file.text))
        .collect();
    AuditReport { findings, diagnostics, stats, sources }
}

fn sources(project: &Project) -> Vec<Source> {
    let id = |number: usize| FileId(u32::try_from(number).expect("fewer than four billion files"));
    let imports = |file: &ProjectFile| {
        file.imports.iter().map(|(import, target)| (import.clone(), target.map(id))).collect()
    };
    let source = |(number, file): (usize, &ProjectFile)| Source {
        id: id(number),
        path: PathBuf::from(&file.shown),
        text: Arc::clone(&file.text),
        imports: imports(file),
    };
    project.files.iter().enumerate().map(source).collect()
}

fn pointed_at(findings: &[Finding], diagnostics: &[Diagnostic]) -> BTreeSet<String> {
    let of_findings = findings.iter().flat_map(|finding| {
        std::iter::once(&finding.location).chain(finding.steps.iter().map(|step| &step.location))
    });
    let of_diagnostics = diagnostics.iter().filter_map(|diagnostic| diagnostic.location.as_ref());
    of_findings.chain(of_diagnostics).map(|location| location.path.clone()).collect()
}

fn crash(kind: DiagnosticKind, message: String, panic: String) -> Diagnostic {
    let note = format!("this is a bug in portcullis, please report it: {panic}");
    Diagnostic { kind, message, note: Some(note), path: None, location: None }
}

/// The files of a project with their lines, for turning spans into places.
struct Reading<'p> {
    files: Vec<(&'p ProjectFile, Lines<'p>)>,
}

impl<'p> Reading<'p> {
    fn new(project: &'p Project) -> Self {
        Self { files: project.files.iter().map(|file| (file, Lines::new(&file.text))).collect() }
    }

    fn stats(&self, project: &Project) -> Stats {
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

    fn findings(
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
            fingerprint,
        }
    }

    fn syntax(&self, diagnostic: &syntax::Diagnostic) -> Diagnostic {
        let location = self.location(diagnostic.span);
        Diagnostic {
            kind: DiagnosticKind::Syntax,
            message: diagnostic.message.clone(),
            note: diagnostic.note.clone(),
            path: Some(location.path.clone()),
            location: Some(location),
        }
    }

    fn problem(&self, problem: &ProjectProblem) -> Diagnostic {
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
