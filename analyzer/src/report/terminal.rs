//! The report for people: findings with the source they point into, as a good compiler prints them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::AuditReport;
use crate::detectors::Severity;

use super::excerpt::{Label, excerpt};
use super::paint::{Paint, Style, clean, push};
use super::{Diagnostic, Finding};

/// Diagnostics printed one by one; a project with a whole dependency missing has hundreds that say the same.
const MAX_DIAGNOSTICS: usize = 20;

/// How the terminal report looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct TerminalOptions {
    /// Whether to write colour sequences.
    pub is_coloured: bool,
    /// How long the audit took, to be said in the summary.
    pub elapsed: Option<Duration>,
}

/// The report as text: what could not be read, the findings, and one summary line.
pub fn terminal(report: &AuditReport, options: TerminalOptions) -> String {
    let paint = Paint { is_coloured: options.is_coloured };
    let mut out = String::new();
    for diagnostic in report.diagnostics.iter().take(MAX_DIAGNOSTICS) {
        write_diagnostic(&mut out, diagnostic, &report.sources, paint);
    }
    let n_cut = report.diagnostics.len().saturating_sub(MAX_DIAGNOSTICS);
    if n_cut > 0 {
        push(
            &mut out,
            format_args!(
                "{}: and {n_cut} more like these; `--format json` lists all\n\n",
                paint.text(Style::Warning, "warning")
            ),
        );
    }
    for finding in &report.findings {
        write_finding(&mut out, finding, &report.sources, paint);
    }
    push(&mut out, format_args!("{}\n", summary(report, options.elapsed, paint)));
    out
}

/// One finding with its source, followed by an empty line.
pub(crate) fn write_finding(
    out: &mut String,
    finding: &Finding,
    sources: &BTreeMap<String, Arc<str>>,
    paint: Paint,
) {
    let style = severity_style(finding.severity);
    let head = paint.text(style, &format!("{}[{}]", finding.severity.name(), finding.detector));
    push(
        out,
        format_args!(
            "{head}{}\n",
            paint.text(Style::Strong, &format!(": {}", clean(&finding.message)))
        ),
    );

    let is_way = finding.steps.len() > 1;
    let mut labels: Vec<Label<'_>> = finding
        .steps
        .iter()
        .zip(1..)
        .map(|(step, number)| Label {
            location: &step.location,
            text: if is_way { format!("{number}. {}", step.message) } else { step.message.clone() },
            is_primary: step.location == finding.location,
        })
        .collect();
    if !labels.iter().any(|label| label.is_primary) {
        labels.push(Label { location: &finding.location, text: String::new(), is_primary: true });
    }
    let place = match (&finding.contract, &finding.function) {
        (Some(contract), Some(function)) => format!("{contract}.{function}"),
        (Some(name), None) | (None, Some(name)) => name.clone(),
        (None, None) => String::new(),
    };
    let width = excerpt(out, &finding.location, &labels, &place, style, sources, paint);
    let mut foot = |key: &str, text: &str| {
        let key = paint.text(Style::Strong, key);
        push(
            out,
            format_args!(
                "{:width$} {} {key}: {}\n",
                "",
                paint.text(Style::Frame, "="),
                clean(text)
            ),
        );
    };
    foot("confidence", finding.confidence.name());
    foot("help", &finding.help);
    foot("more", &format!("portcullis explain {}", finding.detector));
    out.push('\n');
}

fn write_diagnostic(
    out: &mut String,
    diagnostic: &Diagnostic,
    sources: &BTreeMap<String, Arc<str>>,
    paint: Paint,
) {
    let (word, style) = if diagnostic.kind.is_fatal() {
        ("error", Style::Error)
    } else {
        ("warning", Style::Warning)
    };
    let message = paint.text(Style::Strong, &format!(": {}", clean(&diagnostic.message)));
    push(out, format_args!("{}{message}\n", paint.text(style, word)));
    let mut width = 1;
    if let Some(location) = &diagnostic.location {
        let label = Label { location, text: String::new(), is_primary: true };
        width = excerpt(out, location, &[label], "", style, sources, paint);
    } else if let Some(path) = &diagnostic.path {
        push(out, format_args!(" {} {}\n", paint.text(Style::Frame, "-->"), clean(path)));
    }
    if let Some(note) = &diagnostic.note {
        let mut key = paint.text(Style::Strong, "note");
        for line in note.lines() {
            push(
                out,
                format_args!(
                    "{:width$} {} {key}: {}\n",
                    "",
                    paint.text(Style::Frame, "="),
                    clean(line)
                ),
            );
            key = "    ".to_owned();
        }
    }
    out.push('\n');
}

/// One line without its end: what was found in how much.
pub(crate) fn summary(report: &AuditReport, elapsed: Option<Duration>, paint: Paint) -> String {
    let count =
        |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let counts: Vec<String> = Severity::ALL
        .into_iter()
        .map(|severity| (severity, count(severity)))
        .filter(|(_, count)| *count > 0)
        .map(|(severity, count)| {
            paint.text(severity_style(severity), &format!("{count} {}", severity.name()))
        })
        .collect();
    let found = match report.findings.len() {
        0 => paint.text(Style::Good, "no findings"),
        1 => format!("1 finding ({})", counts.join(", ")),
        n => format!("{n} findings ({})", counts.join(", ")),
    };
    let stats = report.stats;
    let mut line = found;
    let out = &mut line;
    push(out, format_args!(" in {}", counted(stats.files_reported, "file")));
    push(out, format_args!(", {}", counted(stats.lines_reported, "line")));
    if stats.suppressed > 0 {
        let suppressed = counted(stats.suppressed, "finding");
        push(out, format_args!("; {suppressed} allowed by comments"));
    }
    if stats.known > 0 {
        let known = counted(stats.known, "known finding");
        push(out, format_args!("; {known} left out by the baseline"));
    }
    if stats.older > 0 {
        push(out, format_args!("; {} left out", counted(stats.older, "older finding")));
    }
    if stats.detectors_off > 0 {
        push(out, format_args!("; {} not asked", counted(stats.detectors_off, "detector")));
    }
    if stats.files_imported > 0 {
        push(
            out,
            format_args!("; {} read for imports", counted(stats.files_imported, "more file")),
        );
    }
    if stats.left_out > 0 {
        let left_out = counted(stats.left_out, "folder or file");
        push(out, format_args!("; {left_out} of dependencies and tests left out"));
    }
    if !report.diagnostics.is_empty() {
        push(out, format_args!("; {}", counted(report.diagnostics.len() as u64, "diagnostic")));
    }
    let n_unresolved = stats.names.saturating_sub(stats.names_resolved);
    if n_unresolved > 0 {
        push(out, format_args!("; {} could not be resolved", counted(n_unresolved, "name")));
    }
    if let Some(elapsed) = elapsed {
        push(out, format_args!("; {:.2} s", elapsed.as_secs_f64()));
    }
    line
}

fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Critical | Severity::High => Style::Error,
        Severity::Medium => Style::Warning,
        Severity::Low => Style::Note,
        Severity::Info | Severity::Gas => Style::Frame,
    }
}

/// `1 file`, `12,345 lines`, `2 folders or files`.
fn counted(count: u64, noun: &str) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match (count, noun.split_once(" or ")) {
        (1, _) => format!("{grouped} {noun}"),
        (_, Some((one, other))) => format!("{grouped} {one}s or {other}s"),
        (_, None) => format!("{grouped} {noun}s"),
    }
}
