//! SARIF 2.1.0, as code scanning on GitHub shows it best.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::AuditReport;
use crate::detectors::{self, Metadata, Page, Severity};

use super::{Diagnostic, DiagnosticKind, Finding, Location, Step};

/// GitHub keeps 5,000 results of a run; the rest would be cut there without a word.
const MAX_RESULTS: usize = 5_000;
/// GitHub shows 1,000 locations of a flow.
const MAX_STEPS: usize = 1_000;
/// GitHub shows 100 locations beside that of the flaw.
const MAX_RELATED: usize = 100;
/// GitHub shows 10 tags of a rule.
const MAX_TAGS: usize = 10;

/// The report as a SARIF log, indented, with a final newline.
///
/// `exit_code` is what the process will exit with.
pub fn sarif(report: &AuditReport, exit_code: u8) -> String {
    let log = Log {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: vec![run(report, exit_code)],
    };
    let mut text =
        serde_json::to_string_pretty(&log).expect("plain data with text keys always serialises");
    text.push('\n');
    text
}

fn run(report: &AuditReport, exit_code: u8) -> Run<'_> {
    let kept = &report.findings[..report.findings.len().min(MAX_RESULTS)];
    let rules = rules(kept);
    let index: BTreeMap<&str, usize> =
        rules.iter().enumerate().map(|(idx, rule)| (rule.id, idx)).collect();
    let mut notifications: Vec<_> = report.diagnostics.iter().map(notification).collect();
    let n_cut = report.findings.len().saturating_sub(MAX_RESULTS);
    if n_cut > 0 {
        notifications.push(Notification {
            descriptor: DescriptorReference { id: "results-cut" },
            level: "warning",
            message: Text::new(format!(
                "{n_cut} findings of the least severity are left out: a run holds {MAX_RESULTS}"
            )),
            locations: Vec::new(),
        });
    }
    let is_successful = !report.diagnostics.iter().any(|diagnostic| diagnostic.kind.is_fatal());
    let results =
        kept.iter().map(|finding| result(finding, index.get(finding.detector.as_str()))).collect();
    Run {
        tool: Tool {
            driver: Driver {
                name: "portcullis",
                semantic_version: env!("CARGO_PKG_VERSION"),
                rules,
            },
        },
        invocations: vec![Invocation {
            execution_successful: is_successful,
            exit_code,
            tool_execution_notifications: notifications,
        }],
        column_kind: "utf16CodeUnits",
        results,
    }
}

/// Every detector, and the function rules that reported something.
fn rules(findings: &[Finding]) -> Vec<Rule<'_>> {
    let mut rules: Vec<_> = detectors::all().map(|detector| rule(detector.metadata())).collect();
    let known: BTreeSet<&str> = rules.iter().map(|rule| rule.id).collect();
    let mut of_packs: BTreeMap<&str, &Finding> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| !known.contains(finding.detector.as_str())) {
        of_packs.entry(&finding.detector).or_insert(finding);
    }
    rules.extend(of_packs.into_values().map(rule_of_pack));
    rules
}

/// What a finding of a rule in a pack tells of the rule.
fn rule_of_pack(finding: &Finding) -> Rule<'_> {
    let why = if finding.help.is_empty() { &finding.message } else { &finding.help };
    Rule {
        id: &finding.detector,
        name: finding.detector.rsplit('/').next().unwrap_or_default(),
        short_description: Text::new(finding.message.clone()),
        full_description: Text::new(why.clone()),
        help: Help { text: why.clone(), markdown: why.clone() },
        default_configuration: Configuration { level: level(finding.severity) },
        properties: RuleProperties {
            tags: vec!["security".to_owned()],
            precision: finding.confidence.name(),
            security_severity: security_severity(finding.severity),
        },
    }
}

fn rule(metadata: &'static Metadata) -> Rule<'static> {
    // The page test holds that every page parses.
    let page = Page::parse(metadata.doc).ok();
    let headline = page.as_ref().map(|page| page.headline.clone()).unwrap_or_default();
    let section = |title: &str| {
        page.as_ref().and_then(|page| page.section(title)).unwrap_or_default().to_owned()
    };
    let markdown = page.as_ref().map(ToString::to_string).unwrap_or_default();
    let swc = metadata.swc.iter().map(|id| format!("external/swc/{}", id.to_lowercase()));
    Rule {
        id: metadata.id,
        name: metadata.name,
        short_description: Text::new(headline),
        full_description: Text::new(section("Why it matters")),
        help: Help { text: section("How to fix"), markdown },
        default_configuration: Configuration { level: level(metadata.severity) },
        properties: RuleProperties {
            tags: std::iter::once("security".to_owned()).chain(swc).take(MAX_TAGS).collect(),
            precision: metadata.confidence.name(),
            security_severity: security_severity(metadata.severity),
        },
    }
}

/// GitHub's bands: over 9.0 critical, from 7.0 high, from 4.0 medium, above 0 low.
fn security_severity(severity: Severity) -> Option<&'static str> {
    match severity {
        Severity::Critical => Some("9.5"),
        Severity::High => Some("8.0"),
        Severity::Medium => Some("5.5"),
        Severity::Low => Some("3.0"),
        Severity::Info | Severity::Gas => None,
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info | Severity::Gas => "note",
    }
}

fn result(finding: &Finding, rule_index: Option<&usize>) -> SarifResult {
    let qualified = match (&finding.contract, &finding.function) {
        (Some(contract), Some(function)) => Some(format!("{contract}.{function}")),
        (Some(name), None) | (None, Some(name)) => Some(name.clone()),
        (None, None) => None,
    };
    let logical = qualified
        .map(|fully_qualified_name| LogicalLocation { fully_qualified_name, kind: "function" });
    let related =
        finding.steps.iter().filter(|step| step.location != finding.location).take(MAX_RELATED);
    // A single step is the flaw itself, and no way to it.
    let is_way = finding.steps.len() > 1;
    SarifResult {
        rule_id: finding.detector.clone(),
        rule_index: rule_index.copied(),
        level: level(finding.severity),
        message: Text::new(finding.message.clone()),
        locations: vec![SarifLocation {
            id: None,
            physical_location: physical(&finding.location),
            logical_locations: logical.into_iter().collect(),
            message: None,
        }],
        related_locations: related
            .zip(1..)
            .map(|(step, id)| SarifLocation { id: Some(id), ..step_location(step) })
            .collect(),
        partial_fingerprints: Fingerprints {
            primary_location_line_hash: finding.fingerprint.clone(),
            portcullis: finding.fingerprint.clone(),
        },
        code_flows: is_way.then(|| code_flow(finding)).into_iter().collect(),
        properties: ResultProperties { confidence: finding.confidence.name() },
    }
}

/// The way of the attack: GitHub shows it as numbered steps.
fn code_flow(finding: &Finding) -> CodeFlow {
    let location = |(step, execution_order): (&Step, usize)| FlowLocation {
        importance: if step.location == finding.location { "essential" } else { "important" },
        location: step_location(step),
        execution_order,
    };
    CodeFlow {
        message: Text::new(finding.message.clone()),
        thread_flows: vec![ThreadFlow {
            locations: finding.steps.iter().take(MAX_STEPS).zip(1..).map(location).collect(),
        }],
    }
}

fn step_location(step: &Step) -> SarifLocation {
    SarifLocation {
        id: None,
        physical_location: physical(&step.location),
        logical_locations: Vec::new(),
        message: Some(Text::new(step.message.clone())),
    }
}

fn physical(location: &Location) -> PhysicalLocation {
    PhysicalLocation {
        artifact_location: ArtifactLocation {
            uri: uri(&location.path),
            uri_base_id: Some("%SRCROOT%"),
        },
        region: Some(Region {
            start_line: location.start.line,
            start_column: location.start.column,
            end_line: location.end.line,
            end_column: location.end.column,
        }),
    }
}

fn notification(diagnostic: &Diagnostic) -> Notification {
    let location = match (&diagnostic.location, &diagnostic.path) {
        (Some(location), _) => Some(physical(location)),
        // A path that was named by the user may be absolute, and then it has no base.
        (None, Some(path)) => {
            let base = (!path.starts_with('/')).then_some("%SRCROOT%");
            Some(PhysicalLocation {
                artifact_location: ArtifactLocation { uri: uri(path), uri_base_id: base },
                region: None,
            })
        }
        (None, None) => None,
    };
    let message = match &diagnostic.note {
        Some(note) => format!("{}\n{note}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    Notification {
        descriptor: DescriptorReference {
            id: match diagnostic.kind {
                DiagnosticKind::NamedPath => "named-path",
                DiagnosticKind::DetectorCrashed => "detector-crashed",
                DiagnosticKind::AnalysisCrashed => "analysis-crashed",
                DiagnosticKind::UnreadableFile => "unreadable-file",
                DiagnosticKind::Configuration => "configuration",
                DiagnosticKind::NotUtf8 => "not-utf8",
                DiagnosticKind::Syntax => "syntax",
                DiagnosticKind::MissingImport => "missing-import",
                DiagnosticKind::Suppression => "suppression",
            },
        },
        level: if diagnostic.kind.is_fatal() { "error" } else { "warning" },
        message: Text::new(message),
        locations: location
            .map(|physical_location| NotificationLocation { physical_location })
            .into_iter()
            .collect(),
    }
}

/// A path as a URI reference: everything but unreserved characters and slashes is percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'@' => {
                uri.push(byte.into())
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: Vec<Run<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    invocations: Vec<Invocation>,
    column_kind: &'static str,
    results: Vec<SarifResult>,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    id: &'a str,
    name: &'a str,
    short_description: Text,
    full_description: Text,
    help: Help,
    default_configuration: Configuration,
    properties: RuleProperties,
}

#[derive(Serialize)]
struct Help {
    text: String,
    markdown: String,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct RuleProperties {
    tags: Vec<String>,
    precision: &'static str,
    #[serde(rename = "security-severity", skip_serializing_if = "Option::is_none")]
    security_severity: Option<&'static str>,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

impl Text {
    fn new(text: String) -> Self {
        Self { text }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    exit_code: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    descriptor: DescriptorReference,
    level: &'static str,
    message: Text,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<NotificationLocation>,
}

#[derive(Serialize)]
struct DescriptorReference {
    id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotificationLocation {
    physical_location: PhysicalLocation,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    level: &'static str,
    message: Text,
    locations: Vec<SarifLocation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<SarifLocation>,
    partial_fingerprints: Fingerprints,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    code_flows: Vec<CodeFlow>,
    properties: ResultProperties,
}

#[derive(Serialize)]
struct ResultProperties {
    confidence: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifLocation {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    physical_location: PhysicalLocation,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<LogicalLocation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation {
    fully_qualified_name: String,
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CodeFlow {
    message: Text,
    thread_flows: Vec<ThreadFlow>,
}

#[derive(Serialize)]
struct ThreadFlow {
    locations: Vec<FlowLocation>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FlowLocation {
    location: SarifLocation,
    execution_order: usize,
    importance: &'static str,
}

#[derive(Serialize)]
struct Fingerprints {
    /// The name that GitHub matches alerts by.
    #[serde(rename = "primaryLocationLineHash")]
    primary_location_line_hash: String,
    #[serde(rename = "portcullis/v1")]
    portcullis: String,
}
