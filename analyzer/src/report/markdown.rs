//! The report as Markdown, for a comment on a pull request.

use crate::AuditReport;

use super::paint::{Paint, clean, push};
use super::terminal::{summary, write_finding};
use super::{Diagnostic, Finding};

/// A comment on GitHub holds 65,536 characters; what would make it longer is counted instead.
const MAX_BYTES: usize = 60_000;
const MAX_DIAGNOSTICS: usize = 20;

/// The report as Markdown: a summary, a table, then each finding with its source folded away.
pub fn markdown(report: &AuditReport) -> String {
    let plain = Paint { is_coloured: false };
    let mut out = format!("**Portcullis:** {}\n", inline(&summary(report, None, plain)));
    if !report.findings.is_empty() {
        out += "\n| Severity | Finding | Where |\n| --- | --- | --- |\n";
    }
    let rows: Vec<String> = report.findings.iter().map(row).collect();
    let n_rows = push_while_short(&mut out, &rows);
    let details: Vec<String> =
        report.findings.iter().take(n_rows).map(|finding| detail(finding, report, plain)).collect();
    out.push('\n');
    let n_details = push_while_short(&mut out, &details);
    if n_details < report.findings.len() {
        let n_cut = report.findings.len() - n_details;
        push(
            &mut out,
            format_args!(
                "{n_cut} findings are not shown in full here; `--format json` has all.\n\n"
            ),
        );
    }
    if !report.diagnostics.is_empty() {
        out += "**Not everything could be read:**\n\n";
        for diagnostic in report.diagnostics.iter().take(MAX_DIAGNOSTICS) {
            push(&mut out, format_args!("- {}\n", diagnostic_line(diagnostic)));
        }
        let n_cut = report.diagnostics.len().saturating_sub(MAX_DIAGNOSTICS);
        if n_cut > 0 {
            push(&mut out, format_args!("- and {n_cut} more\n"));
        }
    }
    out
}

fn row(finding: &Finding) -> String {
    let place = format!("{}:{}", finding.location.path, finding.location.start.line);
    let message = inline(&finding.message).replace('|', "\\|");
    format!(
        "| {} | `{}`: {message} | {} |\n",
        finding.severity.name(),
        finding.detector,
        code(&place).replace('|', "\\|")
    )
}

fn detail(finding: &Finding, report: &AuditReport, paint: Paint) -> String {
    let mut body = String::new();
    write_finding(&mut body, finding, &report.sources, paint);
    let longest = body.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let place = format!("{}:{}", finding.location.path, finding.location.start.line);
    format!(
        "<details><summary>{} at {}</summary>\n\n{fence}text\n{}\n{fence}\n\n</details>\n\n",
        finding.detector,
        inline(&place),
        body.trim_end()
    )
}

fn diagnostic_line(diagnostic: &Diagnostic) -> String {
    let place = match (&diagnostic.location, &diagnostic.path) {
        (Some(location), _) => format!("{}:{}: ", location.path, location.start.line),
        (None, Some(path)) => format!("{path}: "),
        (None, None) => String::new(),
    };
    inline(&format!("{place}{}", diagnostic.message))
}

/// Foreign text in a line of Markdown: code in backticks stays, markup and mentions do not.
fn inline(text: &str) -> String {
    let text = clean(text);
    // Within a pair of backticks nothing is markup; one that is left alone opens no pair.
    let n_paired = text.matches('`').count() / 2 * 2;
    let part = |(idx, part): (usize, &str)| {
        if idx % 2 == 1 && idx < n_paired {
            return part.to_owned();
        }
        part.replace('&', "&amp;").replace('<', "&lt;").replace('@', "@\u{200b}")
    };
    text.split('`').enumerate().map(part).collect::<Vec<_>>().join("`").trim().to_owned()
}

/// A code span, whose backticks outnumber those of the text.
fn code(text: &str) -> String {
    let text = clean(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest + 1);
    if longest == 0 { format!("{ticks}{text}{ticks}") } else { format!("{ticks} {text} {ticks}") }
}

/// Appends parts as long as the whole stays short; returns how many.
fn push_while_short(out: &mut String, parts: &[String]) -> usize {
    let mut n_pushed = 0;
    for part in parts {
        if out.len() + part.len() > MAX_BYTES {
            break;
        }
        out.push_str(part);
        n_pushed += 1;
    }
    n_pushed
}
