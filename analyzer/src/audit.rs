//! One audit from options to report.

mod cache;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_rules::{RuleSet, Subject};
use serde::{Deserialize, Serialize};

use crate::detectors::function_rules;
use crate::detectors::{self, Detector};
use crate::facts::Facts;
use crate::hir::{Program, Source};
use crate::inspect::Pictures;
use crate::project::{HistoryError, Past, Project, ProjectFile, ProjectOptions, SelectError};
use crate::report::{
    Asked, Date, Diagnostic, DiagnosticKind, Finding, Stats, Suppressed, suppress,
};

pub use cache::CacheOptions;

use reading::Reading;

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
    /// Ids of the detectors to ask; all where there are none.
    pub detectors: Vec<String>,
    /// Ids of detectors not to ask.
    pub exclude_detectors: Vec<String>,
    /// Rules whose function rules are asked beside the detectors, checked against
    /// [`crate::facts::dictionary`].
    pub rules: Option<Arc<RuleSet>>,
    /// A commit of the git repository that the paths lie in: only findings that its tree does not have are
    /// reported. Where it and today have parted, the last commit that they have in common is meant.
    pub since: Option<String>,
    /// The day of the audit, from which on suppressions with an earlier end count no longer; without it none ends.
    pub today: Option<Date>,
    /// Whether to draw the function of each finding, for [`crate::report::html`].
    pub has_pictures: bool,
    /// Whether to tell how long each step and each detector took; then nothing is taken from earlier audits.
    pub has_timings: bool,
    /// Where results of earlier audits are kept; without it everything is computed.
    pub cache: Option<CacheOptions>,
}

/// What an audit found: plain data.
#[derive(Debug, Clone, Default)]
pub struct AuditReport {
    /// Findings, the heaviest first, then by place.
    pub findings: Vec<Finding>,
    /// Findings that comments in the source allow, in the same order.
    pub suppressed: Vec<Suppressed>,
    /// What could not be read, found or analysed.
    pub diagnostics: Vec<Diagnostic>,
    /// How much was audited.
    pub stats: Stats,
    /// The texts that findings and diagnostics point into, by path as shown.
    pub sources: BTreeMap<String, Arc<str>>,
    /// The control flow around findings as SVG, by path as shown and fingerprint, where it was asked for.
    pub pictures: BTreeMap<(String, String), String>,
    /// How long each step took, in their order, where it was asked for.
    pub timings: Vec<Timing>,
}

/// How long one step of an audit took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// What was done: the id of a detector, or what all of them rest on.
    pub step: String,
    /// Whether it is a detector.
    pub is_detector: bool,
    /// By the wall clock.
    pub took: Duration,
}

/// Options that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// No path was given.
    #[error("no path to audit was given")]
    NoPath,
    /// A detector that does not exist.
    #[error("no detector is called `{id}`; there are: {}", known_detectors())]
    UnknownDetector {
        /// The id as it was given.
        id: String,
    },
    /// A glob cannot be understood.
    #[error(transparent)]
    Glob(#[from] SelectError),
    /// The state to compare with cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
}

impl AuditReport {
    /// Whether a part of the audit failed, although the rest of its results stands.
    pub fn has_failed(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.kind.is_fatal())
    }

    /// Draws the functions of the heaviest findings. What cannot be drawn has no picture.
    fn draw(&mut self, project: &Project) {
        let Ok((program, _)) = program_of(project) else { return };
        let drawn = detectors::contained(|| {
            let mut pictures = Pictures::new(&program);
            let mut drawn = BTreeMap::new();
            for finding in self.findings.iter().take(MAX_PICTURES) {
                let key = (finding.location.path.clone(), finding.fingerprint.clone());
                drawn.extend(pictures.draw(finding).map(|picture| (key, picture)));
            }
            drawn
        });
        self.pictures = drawn.unwrap_or_default();
    }
}

/// Findings whose function is drawn; a report of more is read as a list.
const MAX_PICTURES: usize = 200;

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
    let scope = ProjectOptions {
        base: options.base.clone(),
        paths: options.paths.clone(),
        include: options.include.clone(),
        exclude: options.exclude.clone(),
    };
    let asked = asked_detectors(options)?;
    let plan = Plan {
        detectors: &asked,
        rules: options.rules.as_deref(),
        today: options.today,
        cache: options.cache.as_ref().filter(|_| !options.has_timings),
        has_timings: options.has_timings,
    };
    let project = Project::read(&scope)?;
    let drawn = options.has_pictures.then(|| project.clone());
    let mut report = plan.run(project);
    if let Some(revision) = &options.since {
        let past = Past::read(&scope, revision)?;
        if !past.options().paths.is_empty() {
            report.leave_out_older(plan.run(Project::read(past.options())?), revision);
        }
    }
    if let Some(project) = drawn {
        report.draw(&project);
    }
    Ok(report)
}

fn asked_detectors(options: &AuditOptions) -> Result<Vec<&'static dyn Detector>, AuditError> {
    let named = options.detectors.iter().chain(&options.exclude_detectors);
    if let Some(id) = named.into_iter().find(|id| detectors::by_id(id).is_none()) {
        return Err(AuditError::UnknownDetector { id: id.clone() });
    }
    let is_in = |list: &[String], id: &str| list.iter().any(|listed| listed == id);
    let is_asked = |detector: &&dyn Detector| {
        let id = detector.metadata().id;
        (options.detectors.is_empty() || is_in(&options.detectors, id))
            && !is_in(&options.exclude_detectors, id)
    };
    Ok(detectors::all().filter(is_asked).collect())
}

fn known_detectors() -> String {
    detectors::all().map(|detector| detector.metadata().id).collect::<Vec<_>>().join(", ")
}

/// Audits one text that was not read from a file, under the given path.
pub fn audit_text(path: &str, text: &str) -> AuditReport {
    audit_texts((path, text), &[])
}

/// The same, of a text that imports others: each stands under the path by which it is imported, and is read but not
/// reported on.
pub fn audit_texts(reported: (&str, &str), imported: &[(&str, &str)]) -> AuditReport {
    let imports: BTreeMap<String, Option<usize>> =
        imported.iter().zip(1..).map(|((path, _), at)| ((*path).to_owned(), Some(at))).collect();
    let files =
        std::iter::once(&reported).chain(imported).zip(0..).map(|((path, text), at)| ProjectFile {
            path: PathBuf::from(path),
            shown: (*path).to_owned(),
            text: (*text).into(),
            imports: imports.clone(),
            is_reported: at == 0,
        });
    let project = Project { files: files.collect(), ..Project::default() };
    audit_project(project, &detectors::all().collect::<Vec<_>>())
}

/// Runs `detectors` over a project that was read.
pub(crate) fn audit_project(project: Project, detectors: &[&dyn Detector]) -> AuditReport {
    Plan { detectors, rules: None, today: None, cache: None, has_timings: false }.run(project)
}

/// What is asked of a project, whichever state of it is looked at.
struct Plan<'a> {
    detectors: &'a [&'a dyn Detector],
    rules: Option<&'a RuleSet>,
    today: Option<Date>,
    cache: Option<&'a CacheOptions>,
    has_timings: bool,
}

/// What reading and asking yields, before comments in the sources are looked at: it depends on nothing but the
/// texts and the questions.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Analysis {
    findings: Vec<Finding>,
    diagnostics: Vec<Diagnostic>,
    stats: Stats,
    #[serde(skip)]
    timings: Vec<Timing>,
}

impl Plan<'_> {
    fn run(&self, project: Project) -> AuditReport {
        let reading = Reading::new(&project);
        let n_off = detectors::all().count().saturating_sub(self.detectors.len());
        let Analysis { mut findings, mut diagnostics, mut stats, timings } =
            self.kept_or_drawn(&project, &reading);
        diagnostics.extend(project.problems.iter().map(|problem| reading.problem(problem)));
        let mut suppressed = Vec::new();
        let asked = self.asked();
        for (file, lines) in reading.files.iter().filter(|(file, _)| file.is_reported) {
            suppress(&file.shown, lines, &asked, &mut findings, &mut suppressed, &mut diagnostics);
        }
        suppressed.sort_by_key(|suppressed| std::cmp::Reverse(suppressed.finding.severity));
        stats.suppressed = suppressed.len() as u64;
        stats.detectors_off = n_off as u64;
        sort_diagnostics(&mut diagnostics);
        let pointed = pointed_at(&findings, &suppressed, &diagnostics);
        let sources = project
            .files
            .into_iter()
            .filter(|file| pointed.contains(&file.shown))
            .map(|file| (file.shown, file.text))
            .collect();
        AuditReport {
            findings,
            suppressed,
            diagnostics,
            stats,
            sources,
            pictures: BTreeMap::new(),
            timings,
        }
    }

    fn asked(&self) -> Asked<'_> {
        let rules = self.rules.into_iter().flat_map(RuleSet::rules);
        Asked {
            detectors: self.detectors.iter().map(|detector| detector.metadata().id).collect(),
            rules: rules
                .filter(|(_, rule)| rule.subject() == Subject::Function)
                .map(|(pack, rule)| format!("{}/{}", pack, rule.id()))
                .collect(),
            today: self.today,
        }
    }

    /// The analysis from the cache, or a new one that is kept there.
    fn kept_or_drawn(&self, project: &Project, reading: &Reading<'_>) -> Analysis {
        let Some(options) = self.cache else { return self.analyse(project, reading) };
        let key = cache::Key::new(options, self, project);
        if let Some(kept) = cache::read(options, &key) {
            return kept;
        }
        let analysis = self.analyse(project, reading);
        // After a crash the next run shall try again.
        if !analysis.diagnostics.iter().any(|diagnostic| diagnostic.kind.is_fatal()) {
            cache::write(options, &key, &analysis);
        }
        analysis
    }

    fn analyse(&self, project: &Project, reading: &Reading<'_>) -> Analysis {
        let mut diagnostics = Vec::new();
        let mut stats = reading.stats(project);
        let (mut drafts, mut of_rules) = (Vec::new(), Vec::new());
        let mut watch = Watch::new(self.has_timings);
        let sources = Source::of_project(project);
        let (program, syntax) = match detectors::contained(move || Program::build(sources)) {
            Ok(built) => built,
            Err(panic) => {
                let what = "reading the program crashed: no detector could run";
                diagnostics.push(crash(DiagnosticKind::AnalysisCrashed, what.to_owned(), panic));
                return Analysis { diagnostics, stats, ..Analysis::default() };
            }
        };
        watch.lap("names and types", false);
        diagnostics.extend(syntax.iter().map(|diagnostic| reading.syntax(diagnostic)));
        let facts = match detectors::contained(|| Facts::new(&program)) {
            Ok(facts) => facts,
            Err(panic) => {
                let what = "the analysis crashed: no detector could run";
                diagnostics.push(crash(DiagnosticKind::AnalysisCrashed, what.to_owned(), panic));
                return Analysis { diagnostics, stats, ..Analysis::default() };
            }
        };
        watch.lap("bodies as graphs", false);
        if self.has_timings {
            // Otherwise the first detector that asks for a fact would be charged with it. What crashes does so again.
            let mut step = |name: &str, compute: &dyn Fn()| {
                if detectors::contained(compute).is_ok() {
                    watch.lap(name, false);
                }
            };
            step("facts: summaries of entry points", &|| {
                facts.self_destructs();
            });
            step("facts: reentrancy", &|| {
                facts.reentrancies();
                facts.late_effects();
            });
            step("facts: hazards", &|| {
                facts.hazards(crate::facts::HazardKind::OriginCheck).count();
            });
        }
        let coverage = facts.coverage();
        stats.functions = coverage.functions;
        stats.names = coverage.names;
        stats.names_resolved = coverage.resolved_names;
        for detector in self.detectors {
            match detectors::run(*detector, &facts) {
                Ok(found) => {
                    stats.detectors += 1;
                    drafts.extend(found.into_iter().map(|draft| (*detector, draft)));
                }
                Err(panic) => {
                    let id = detector.metadata().id;
                    let what = format!("detector `{id}` crashed: its findings are missing");
                    diagnostics.push(crash(DiagnosticKind::DetectorCrashed, what, panic));
                }
            }
            watch.lap(detector.metadata().id, true);
        }
        if let Some(rules) = self.rules {
            match detectors::contained(|| function_rules::ask(rules, &facts)) {
                Ok(found) => of_rules = found,
                Err(panic) => {
                    let what = "the function rules crashed: their findings are missing".to_owned();
                    diagnostics.push(crash(DiagnosticKind::DetectorCrashed, what, panic));
                }
            }
        }
        watch.lap("function rules", false);
        let findings = reading.findings(drafts, of_rules);
        watch.lap("findings in order", false);
        Analysis { findings, diagnostics, stats, timings: watch.timings }
    }
}

/// Takes the time of one step after another, where that is wanted.
struct Watch {
    last: Option<Instant>,
    timings: Vec<Timing>,
}

impl Watch {
    fn new(is_wanted: bool) -> Self {
        Self { last: is_wanted.then(Instant::now), timings: Vec::new() }
    }

    fn lap(&mut self, step: &str, is_detector: bool) {
        let Some(last) = &mut self.last else { return };
        let now = Instant::now();
        let took = now.duration_since(std::mem::replace(last, now));
        self.timings.push(Timing { step: step.to_owned(), is_detector, took });
    }
}

/// The program that a project declares, and all that could not be read of it, sorted; a panic in the front end
/// is an error with its message.
pub(crate) fn program_of(project: &Project) -> Result<(Program, Vec<Diagnostic>), String> {
    let reading = Reading::new(project);
    let sources = Source::of_project(project);
    let (program, syntax) = detectors::contained(move || Program::build(sources))?;
    let problems = project.problems.iter().map(|problem| reading.problem(problem));
    let mut diagnostics: Vec<Diagnostic> =
        problems.chain(syntax.iter().map(|diagnostic| reading.syntax(diagnostic))).collect();
    sort_diagnostics(&mut diagnostics);
    Ok((program, diagnostics))
}

fn sort_diagnostics(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        (a.kind, &a.path, &a.location, &a.message).cmp(&(b.kind, &b.path, &b.location, &b.message))
    });
    diagnostics.dedup();
}

fn pointed_at(
    findings: &[Finding],
    suppressed: &[Suppressed],
    diagnostics: &[Diagnostic],
) -> BTreeSet<String> {
    let suppressed = suppressed.iter().map(|suppressed| &suppressed.finding);
    let of_findings = findings.iter().chain(suppressed).flat_map(|finding| {
        std::iter::once(&finding.location).chain(finding.steps.iter().map(|step| &step.location))
    });
    let of_diagnostics = diagnostics.iter().filter_map(|diagnostic| diagnostic.location.as_ref());
    of_findings.chain(of_diagnostics).map(|location| location.path.clone()).collect()
}

fn crash(kind: DiagnosticKind, message: String, panic: String) -> Diagnostic {
    let note = format!("this is a bug in portcullis, please report it: {panic}");
    Diagnostic { kind, message, note: Some(note), path: None, location: None }
}
