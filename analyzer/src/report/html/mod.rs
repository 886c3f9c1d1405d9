//! The report as one HTML file that needs nothing besides: for reading in a browser, and for handing on.
//!
//! Without scripts everything is there to be read; scripts add filters and keys. A policy in the file forbids it to
//! load anything.

use std::fmt::Write as _;

use crate::AuditReport;
use crate::detectors::{self, Page, Severity};

use super::paint::{Paint, clean, clean_char};
use super::terminal::summary;
use super::{Diagnostic, Finding, Lines, Location};

/// Findings that are shown in full; a browser shows no more with ease.
const MAX_FINDINGS: usize = 1_000;
/// Source lines shown around a place.
const CONTEXT_LINES: u32 = 2;
/// Characters of a line that are shown.
const MAX_CHARS: usize = 400;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// The report as an HTML document.
pub fn html(report: &AuditReport) -> String {
    let title = match report.findings.len() {
        0 => "Portcullis: no findings".to_owned(),
        1 => "Portcullis: 1 finding".to_owned(),
        count => format!("Portcullis: {count} findings"),
    };
    let plain = Paint { is_coloured: false };
    let mut page = Sheet { out: String::new() };
    page.add(&format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; img-src data:\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#findings\">Skip to the findings</a>\n<header>\n<h1>Portcullis audit</h1>\n<p class=\"summary\">{}</p>\n",
        text(&summary(report, None, plain))
    ));
    page.filters(report);
    page.add("</header>\n<div class=\"columns\">\n");
    page.list(report);
    page.add("<main id=\"findings\">\n");
    if report.findings.is_empty() {
        page.add("<p class=\"none\">No findings.</p>\n");
    }
    let shown = report.findings.iter().take(MAX_FINDINGS).zip(1..);
    shown.for_each(|(finding, number)| page.finding(report, finding, number));
    let n_cut = report.findings.len().saturating_sub(MAX_FINDINGS);
    if n_cut > 0 {
        page.add(&format!(
            "<p class=\"cut\">{n_cut} findings of the least severity are not shown here; <code>--format json</code> has \
             all.</p>\n"
        ));
    }
    page.suppressed(report);
    page.diagnostics(report);
    page.add("</main>\n</div>\n<footer><p>");
    page.add(&format!("portcullis {} &middot; ", env!("CARGO_PKG_VERSION")));
    page.add(
        "<span class=\"keys\">Keys: <kbd>j</kbd> next, <kbd>k</kbd> previous finding, <kbd>/</kbd> filter, \
         <kbd>Esc</kbd> show all</span></p></footer>\n<script>\n",
    );
    page.add(SCRIPT);
    page.add("</script>\n</body>\n</html>\n");
    page.out
}

struct Sheet {
    out: String,
}

impl Sheet {
    fn add(&mut self, html: &str) {
        self.out.push_str(html);
    }

    fn filters(&mut self, report: &AuditReport) {
        if report.findings.is_empty() {
            return;
        }
        self.add("<form class=\"filters\" role=\"search\" hidden>\n");
        for severity in Severity::ALL {
            let count = report.findings.iter().filter(|found| found.severity == severity).count();
            if count > 0 {
                let name = severity.name();
                self.add(&format!(
                    "<label class=\"chip {name}\"><input type=\"checkbox\" name=\"severity\" value=\"{name}\" checked> \
                     {name} <span>{count}</span></label>\n"
                ));
            }
        }
        self.add(
            "<label class=\"text\"><span class=\"unseen\">Filter by text</span><input type=\"search\" name=\"text\" \
             placeholder=\"Filter: detector, contract, file\" autocomplete=\"off\"></label>\n\
             <output class=\"shown\" aria-live=\"polite\"></output>\n</form>\n",
        );
    }

    fn list(&mut self, report: &AuditReport) {
        self.add("<nav aria-label=\"Findings\">\n<ol>\n");
        for (finding, number) in report.findings.iter().take(MAX_FINDINGS).zip(1..) {
            let severity = finding.severity.name();
            let at = &finding.location;
            let name = place_name(finding).map(|name| format!("{name}, ")).unwrap_or_default();
            let place = format!("{name}{}:{}", at.path, at.start.line);
            self.add(&format!(
                "<li data-for=\"f{number}\"><a href=\"#f{number}\"><span class=\"badge {severity}\">{severity}</span> \
                 <span class=\"what\">{}</span><span class=\"where\">{}</span></a></li>\n",
                text(&finding.detector),
                text(&place)
            ));
        }
        self.add("</ol>\n</nav>\n");
    }

    fn finding(&mut self, report: &AuditReport, finding: &Finding, number: usize) {
        let severity = finding.severity.name();
        let at = &finding.location;
        self.add(&format!(
            "<article id=\"f{number}\" tabindex=\"-1\" data-severity=\"{severity}\" aria-labelledby=\"h{number}\">\n\
             <h2 id=\"h{number}\"><span class=\"badge {severity}\">{severity}</span> {}</h2>\n\
             <p class=\"facts\"><code>{}</code> &middot; {}:{}:{}{} &middot; confidence {}</p>\n",
            code(&finding.message),
            text(&finding.detector),
            text(&at.path),
            at.start.line,
            at.start.column,
            place_name(finding)
                .map(|name| format!(" in <code>{}</code>", text(&name)))
                .unwrap_or_default(),
            finding.confidence.name()
        ));
        if finding.steps.len() > 1 {
            self.add("<h3>The way of the attack</h3>\n<ol class=\"way\">\n");
            for step in &finding.steps {
                self.add(&format!(
                    "<li{}><p>{} <span class=\"line\">{}:{}</span></p>\n",
                    if step.location == finding.location { " class=\"flaw\"" } else { "" },
                    code(&step.message),
                    text(&step.location.path),
                    step.location.start.line
                ));
                self.excerpt(report, &step.location, 0);
                self.add("</li>\n");
            }
            self.add("</ol>\n");
        } else {
            self.excerpt(report, at, CONTEXT_LINES);
        }
        self.add(&format!(
            "<p class=\"help\"><strong>How to fix it:</strong> {}</p>\n",
            code(&finding.help)
        ));
        self.picture(report, finding, number);
        if let Some(page) = detectors::by_id(&finding.detector)
            .and_then(|found| Page::parse(found.metadata().doc).ok())
        {
            self.add(&format!(
                "<details><summary>About <code>{}</code></summary>\n<pre class=\"page\" tabindex=\"0\">{}</pre></details>\n",
                text(&finding.detector),
                lines_of(&page.to_string())
            ));
        }
        self.add(&format!(
            "<p class=\"print\">fingerprint <code>{}</code></p>\n</article>\n",
            text(&finding.fingerprint)
        ));
    }

    fn picture(&mut self, report: &AuditReport, finding: &Finding, number: usize) {
        let key = (finding.location.path.clone(), finding.fingerprint.clone());
        let Some(picture) = report.pictures.get(&key) else { return };
        let name = place_name(finding).unwrap_or_default();
        self.add(&format!(
            "<details class=\"picture\" open><summary>Control flow, with the way marked</summary>\n\
             <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Control flow of finding {number}\">\
             <img alt=\"Control flow around {}; the numbered steps are listed above\" src=\"{}\"></div></details>\n",
            text(&name),
            data_uri(picture)
        ));
    }

    /// Source lines with the place marked.
    fn excerpt(&mut self, report: &AuditReport, at: &Location, around: u32) {
        let Some(source) = report.sources.get(&at.path) else { return };
        let lines = Lines::new(source);
        let n_lines = u32::try_from(lines.count()).unwrap_or(u32::MAX);
        let first = at.start.line.saturating_sub(around).max(1);
        // A place of many lines is shown by its first ones.
        let last = at
            .end
            .line
            .min(at.start.line.saturating_add(11))
            .saturating_add(around)
            .min(n_lines.max(first));
        // What all lines are indented by tells nothing.
        let indent = |number: u32| {
            let line = lines.line(number);
            (!line.trim().is_empty())
                .then(|| line.len() - line.trim_start_matches([' ', '\t']).len())
        };
        let shared = (first..=last).filter_map(indent).min().unwrap_or(0);
        self.add("<pre class=\"source\" tabindex=\"0\"><code>");
        for number in first..=last {
            let line = lines.line(number);
            let shared = shared.min(indent(number).unwrap_or(0));
            let from =
                if number == at.start.line { utf16_to_byte(line, at.start.column) } else { 0 };
            let to =
                if number == at.end.line { utf16_to_byte(line, at.end.column) } else { line.len() };
            let is_marked = (at.start.line..=at.end.line).contains(&number) && from <= to;
            let body = if is_marked {
                let (before, rest) = line.split_at(from.max(shared));
                let (inside, after) = rest.split_at(to.saturating_sub(from.max(shared)));
                format!("{}<mark>{}</mark>{}", text(&before[shared..]), text(inside), text(after))
            } else {
                text(&line[shared..])
            };
            self.add(&format!("<span class=\"n\">{number}</span>{body}\n"));
        }
        self.add("</code></pre>\n");
    }

    fn suppressed(&mut self, report: &AuditReport) {
        if report.suppressed.is_empty() {
            return;
        }
        self.add(&format!(
            "<section>\n<h2>Allowed by comments ({})</h2>\n<ul>\n",
            report.suppressed.len()
        ));
        for allowed in &report.suppressed {
            let finding = &allowed.finding;
            let reason = match &allowed.reason {
                Some(reason) => text(reason),
                None => format!("a comment for {}", text(&allowed.tool)),
            };
            self.add(&format!(
                "<li><span class=\"badge {0}\">{0}</span> <code>{1}</code> at {2}:{3}: {reason}</li>\n",
                finding.severity.name(),
                text(&finding.detector),
                text(&finding.location.path),
                finding.location.start.line
            ));
        }
        self.add("</ul>\n</section>\n");
    }

    fn diagnostics(&mut self, report: &AuditReport) {
        if report.diagnostics.is_empty() {
            return;
        }
        self.add(&format!(
            "<section>\n<h2>What could not be read ({})</h2>\n<ul>\n",
            report.diagnostics.len()
        ));
        for diagnostic in report.diagnostics.iter().take(MAX_FINDINGS) {
            let note = diagnostic.note.as_deref().map(|note| format!(" &mdash; {}", code(note)));
            self.add(&format!(
                "<li>{}{}{}</li>\n",
                text(&diagnostic_place(diagnostic)),
                code(&diagnostic.message),
                note.unwrap_or_default()
            ));
        }
        self.add("</ul>\n</section>\n");
    }
}

fn diagnostic_place(diagnostic: &Diagnostic) -> String {
    match (&diagnostic.location, &diagnostic.path) {
        (Some(location), _) => format!("{}:{}: ", location.path, location.start.line),
        (None, Some(path)) => format!("{path}: "),
        (None, None) => String::new(),
    }
}

fn place_name(finding: &Finding) -> Option<String> {
    match (&finding.contract, &finding.function) {
        (Some(contract), Some(function)) => Some(format!("{contract}.{function}")),
        (Some(name), None) | (None, Some(name)) => Some(name.clone()),
        (None, None) => None,
    }
}

/// The byte of a column, which counts UTF-16 units from 1.
fn utf16_to_byte(line: &str, column: u32) -> usize {
    let mut units = column.saturating_sub(1) as usize;
    for (byte, c) in line.char_indices() {
        if units == 0 {
            return byte;
        }
        units = units.saturating_sub(c.len_utf16());
    }
    line.len()
}

/// Foreign text between tags and in attributes.
fn text(foreign: &str) -> String {
    let mut out = String::with_capacity(foreign.len());
    for (number, c) in foreign.chars().enumerate() {
        if number == MAX_CHARS {
            out.push('…');
            break;
        }
        push_char(&mut out, c);
    }
    out
}

/// Text of several lines, of any length.
fn lines_of(own: &str) -> String {
    let mut out = String::with_capacity(own.len());
    for c in own.chars() {
        if c == '\n' { out.push(c) } else { push_char(&mut out, c) }
    }
    out
}

fn push_char(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        '\t' => out.push_str("    "),
        c => out.push(clean_char(c)),
    }
}

/// A sentence in which backticks hold code.
fn code(sentence: &str) -> String {
    let sentence = clean(sentence);
    let n_paired = sentence.matches('`').count() / 2 * 2;
    let mut out = String::new();
    for (number, part) in sentence.split('`').enumerate() {
        match number {
            number if number % 2 == 1 && number <= n_paired => {
                out.push_str(&format!("<code>{}</code>", text(part)));
            }
            0 => out.push_str(&text(part)),
            number if number > n_paired => out.push_str(&format!("`{}", text(part))),
            _ => out.push_str(&text(part)),
        }
    }
    out
}

/// A picture that stands in the file itself, apart from the styles of the page.
fn data_uri(svg: &str) -> String {
    let mut uri = "data:image/svg+xml,".to_owned();
    for byte in svg.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b' '
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'/'
            | b'='
            | b':'
            | b';'
            | b','
            | b'('
            | b')'
            | b'{'
            | b'}'
            | b'*'
            | b'!'
            | b'@'
            | b'$'
            | b'+' => uri.push(byte.into()),
            other => write!(uri, "%{other:02X}").expect("a string takes all"),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(text("<b>&\"'\u{202e}"), "&lt;b&gt;&amp;&quot;&#39;\u{fffd}");
        assert_eq!(code("`a<b>` is `c"), "<code>a&lt;b&gt;</code> is `c");
        assert_eq!(code("a `b` c `d` e"), "a <code>b</code> c <code>d</code> e");
        assert_eq!(
            data_uri("<a b=\"#1\">é</a>"),
            "data:image/svg+xml,%3Ca b=%22%231%22%3E%C3%A9%3C/a%3E"
        );
        assert_eq!(utf16_to_byte("\u{1f510}é b", 3), 4);
    }
}
