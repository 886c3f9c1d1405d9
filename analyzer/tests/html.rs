//! The HTML report in a real browser: what it shows, and that keys and filters work.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_analyzer::{AuditOptions, AuditReport, audit, report};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The browser that `.ci/setup` installs; none on a machine on which it said that it cannot.
fn browser() -> Option<&'static str> {
    let works = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(works);
    if found.is_none() {
        let excuse = root().join(".parts/no-browser");
        assert!(excuse.is_file(), "no browser: run .ci/setup, which installs Debian's chromium");
        // Past the harness, which keeps what a test that passes prints to itself.
        let said =
            "NOT TESTED: no browser could be installed, so the HTML report was not looked at\n";
        std::io::stderr().write_all(said.as_bytes()).unwrap();
    }
    found
}

fn report() -> AuditReport {
    audit(&AuditOptions {
        base: root().join("fixtures"),
        paths: ["audit", "contracts"].map(PathBuf::from).to_vec(),
        has_pictures: true,
        ..AuditOptions::default()
    })
    .unwrap()
}

/// Opens a page of that size in which `script` runs at the end, and returns what it gives back.
fn look(browser: &str, html: &str, size: &str, dark: bool, script: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let probe = format!(
        "<script>addEventListener('load', () => {{ const seen = (() => {{ {script} }})(); \
         document.body.innerHTML = ''; document.body.dataset.seen = JSON.stringify(seen); }});</script></body>"
    );
    std::fs::write(&path, html.replace("</body>", &probe)).unwrap();
    let mut command = Command::new(browser);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
    ]);
    command.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
    command.arg(format!("--blink-settings=preferredColorScheme={}", if dark { 0 } else { 1 }));
    command.arg(format!("--window-size={size}")).args(["--timeout=20000", "--dump-dom"]);
    let output = command.arg(format!("file://{}", path.display())).output().unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let seen = dom.split("data-seen=\"").nth(1).and_then(|rest| rest.split('"').next());
    let seen = seen.unwrap_or_else(|| panic!("{dom}\n{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(&seen.replace("&quot;", "\"").replace("&amp;", "&")).unwrap()
}

#[test]
fn a_browser_shows_the_findings_and_obeys_the_keyboard() {
    let Some(browser) = browser() else { return };
    let report = report();
    let n_findings = report.findings.len();
    assert!(n_findings >= 3 && report.pictures.len() == n_findings, "{:?}", report.pictures.keys());
    let html = report::html(&report);
    let script = r##"
        const key = (name) => document.activeElement.dispatchEvent(
            new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
        const focused = () => document.activeElement.id || document.activeElement.name || "";
        const pictures = [...document.images].map((image) => image.complete && image.naturalWidth > 100);
        const out = { pictures, fits: document.documentElement.scrollWidth <= innerWidth };
        out.articles = document.querySelectorAll("article").length;
        out.entries = document.querySelectorAll("nav li").length;
        out.marks = document.querySelectorAll("article mark").length;
        out.keys = ["j", "j", "k"].map((name) => { key(name); return focused(); });
        out.current = document.querySelector("nav a[aria-current]").getAttribute("href");
        key("/");
        out.keys.push(focused());
        const field = document.activeElement;
        field.value = "no such finding";
        field.dispatchEvent(new Event("input", { bubbles: true }));
        out.none = [...document.querySelectorAll("article")].filter((article) => !article.hidden).length;
        out.said = document.querySelector(".shown").textContent;
        key("Escape");
        out.all = [...document.querySelectorAll("article")].filter((article) => !article.hidden).length;
        const box = document.querySelector("input[value=high]");
        box.click();
        out.withoutHigh = [...document.querySelectorAll("article:not([hidden])")]
            .filter((article) => article.dataset.severity === "high").length;
        return out;
    "##;
    let seen = look(browser, &html, "1300,900", false, script);
    let count = u64::try_from(n_findings).unwrap();
    assert_eq!(seen["pictures"].as_array().unwrap().len(), n_findings);
    assert!(seen["pictures"].as_array().unwrap().iter().all(|drawn| drawn == true), "{seen}");
    assert_eq!((&seen["articles"], &seen["entries"]), (&count.into(), &count.into()));
    assert!(seen["marks"].as_u64().unwrap() >= count);
    assert_eq!(seen["keys"], serde_json::json!(["f1", "f2", "f1", "text"]));
    assert_eq!(seen["current"], "#f1");
    assert_eq!((&seen["none"], &seen["all"]), (&0.into(), &count.into()));
    assert_eq!(seen["said"], format!("0 of {n_findings} shown"));
    assert_eq!((&seen["withoutHigh"], &seen["fits"]), (&0.into(), &true.into()));
}

#[test]
fn it_can_be_read_in_the_dark_and_on_a_small_screen() {
    let Some(browser) = browser() else { return };
    let html = report::html(&report());
    // Contrast by the formula of the Web Content Accessibility Guidelines.
    let script = r##"
        const parts = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);
        const light = (colour) => parts(colour).map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
            .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
        const ground = (node) => {
            for (let at = node; at; at = at.parentElement) {
                const colour = getComputedStyle(at).backgroundColor;
                if (!colour.startsWith("rgba(0, 0, 0, 0")) return colour;
            }
            return "rgb(255, 255, 255)";
        };
        const contrast = (node) => {
            const [a, b] = [light(getComputedStyle(node).color), light(ground(node))];
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        };
        const looked = [...document.querySelectorAll("h1, h2, p, li, code, .badge, mark, summary, .n, .where, .what")];
        return {
            dark: light(getComputedStyle(document.body).backgroundColor) < 0.1,
            worst: Math.min(...looked.map(contrast)),
            fits: document.documentElement.scrollWidth <= innerWidth,
        };
    "##;
    for (dark, size) in [(false, "1300,900"), (true, "1300,900"), (true, "500,900")] {
        let seen = look(browser, &html, size, dark, script);
        assert_eq!(seen["dark"], dark, "{seen}");
        assert!(seen["worst"].as_f64().unwrap() >= 4.5, "{size}, dark {dark}: {seen}");
        assert_eq!(seen["fits"], true, "{size}: {seen}");
    }
}

#[test]
fn what_sources_say_is_never_markup() {
    let mut report = report();
    let hostile =
        "</code></pre><script>document.body.dataset.owned=1</script><img src=x onerror=\"x\">";
    for finding in &mut report.findings {
        finding.message = format!("`{hostile}` {hostile}");
        finding.location.path = hostile.to_owned();
        finding.contract = Some(hostile.to_owned());
        finding.help = hostile.to_owned();
        for step in &mut finding.steps {
            step.message = hostile.to_owned();
        }
    }
    for diagnostic in &mut report.diagnostics {
        diagnostic.message = hostile.to_owned();
        diagnostic.note = Some(hostile.to_owned());
    }
    let html = report::html(&report);
    assert_eq!(html.matches("<script").count(), 1, "its own");
    assert!(!html.contains("<img src=x"));
}
