//! `portcullis rules new`: a pack to start from, which passes its own tests.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::terminal;

/// Subjects that there is a template for.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum TemplateSubject {
    /// One simulated transaction, asked by the guard
    Transaction,
    /// One Solidity function, asked by the audit
    Function,
}

/// Writes `NAME.yaml` into the working folder; a file that is there already stays as it is.
///
/// # Errors
/// A name that is none, or a file that cannot be written.
pub(super) fn write(name: &str, subject: TemplateSubject) -> anyhow::Result<ExitCode> {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if !name.split('-').all(is_word) {
        bail!("`{name}`: the name of a pack is lower case words joined by `-`");
    }
    let rule = match subject {
        TemplateSubject::Transaction => TRANSACTION,
        TemplateSubject::Function => FUNCTION,
    };
    let path = PathBuf::from(format!("{name}.yaml"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .with_context(|| path.display().to_string())?;
    file.write_all(format!("{}{rule}", HEAD.replace("NAME", name)).as_bytes())
        .with_context(|| path.display().to_string())?;
    let shown = path.display();
    terminal::print(&format!(
        "{shown} is written. Change its condition, then:\n  portcullis rules check {shown}\n  portcullis rules test {shown}\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

const HEAD: &str = "\
# The name of the pack is the name of the file.
pack: NAME
version: 1.0.0
# Version of the rule language.
engine: 1
author: you
rules:
";

const TRANSACTION: &str = "\
  # Lower case words joined by `-`, unique over all packs that are loaded together.
  - id: half-of-the-ether-left
    subject: transaction
    # critical, high, medium, low, info or gas
    severity: high
    # experimental: judged, journalled, may alert. stable: may also ask for a pause.
    maturity: experimental
    # The kind of attack. Two soft rules support each other only if their classes differ.
    class: drain
    # hard: firing proves that an invariant is broken. soft: a hint that needs another one.
    evidence: soft
    why: Nobody but a migration takes half of what a vault holds in one transaction.
    # `portcullis facts --subject transaction` lists the names. A comparison with an unknown fact is unknown, never true.
    when: touches_protected && tx_succeeded && outflow_bps >= bps(5000)
    # `{fact}` becomes the value.
    message: \"{outflow_wei} left, {outflow_bps} of 10000 parts of what was there\"
    # Honest behaviour that may look like this, for the person who is woken up.
    false_positives:
      - a planned migration
    # Write the look-alikes first. A rule without a firing and a silent test does not pass `rules test`.
    tests:
      - name: sixty percent at once
        # Facts that are left out are unknown.
        facts: { touches_protected: true, tx_succeeded: true, outflow_wei: eth(600), outflow_bps: 6000 }
        expect: fires
      - name: a whale withdraws a third
        facts: { touches_protected: true, tx_succeeded: true, outflow_wei: eth(330), outflow_bps: 3300 }
        expect: silent
      # Instead of `facts:`, a test may name a recorded transaction:
      #   recording: recordings/attack.jsonl
      #   tx: 0
";

const FUNCTION: &str = "\
  # Lower case words joined by `-`, unique over all packs that are loaded together.
  - id: payable-and-calls-strangers
    subject: function
    # critical, high, medium, low, info or gas
    severity: low
    # stable findings have medium confidence, experimental ones low confidence.
    maturity: experimental
    # The kind of weakness.
    class: foreign-calls
    why: A function that takes ether and calls whom a stranger names deserves a second look.
    # `portcullis facts --subject function` lists the names.
    when: payable && !guarded && !locked && stranger_calls > 0
    # `{fact}` becomes the value.
    message: \"`{function}` takes ether and makes {stranger_calls} calls to accounts that a stranger chooses\"
    # Honest code that may look like this.
    false_positives:
      - a router that forwards what it is given
    # A rule without a firing and a silent test does not pass `rules test`.
    tests:
      - name: an open forwarder
        # Facts that are left out are unknown.
        facts: { payable: true, guarded: false, locked: false, stranger_calls: 1 }
        expect: fires
      - name: a lock is held
        facts: { payable: true, guarded: false, locked: true, stranger_calls: 1 }
        expect: silent
";
