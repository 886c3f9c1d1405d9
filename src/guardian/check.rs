//! `portcullis guardian check`: the configuration against the chain, before anything is armed.
//!
//! What `status` asks of the guardian, and besides: that code stands behind every address that is named, that what is
//! configured to pause is what is registered, and that the contracts called know the functions they are called with.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;

use alloy::primitives::{Address, B256, Bytes, U256, address, b256};
use anyhow::Context;
use serde::Serialize;
use serde_json::json;

use super::On;
use super::site::{Nodes, Site};
use super::status::{self, FOUND, Format};
use crate::terminal::{self, Paint};

/// Where a proxy keeps its implementation (EIP-1967).
const IMPLEMENTATION: B256 =
    b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
/// The precompiled contracts and what lies around them, which hold no code.
const LAST_PRECOMPILE: Address = address!("00000000000000000000000000000000000001ff");

/// Arguments of `guardian check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    on: On,
    /// How to print it
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

/// What was found; the JSON form of the command.
#[derive(Debug, Serialize)]
struct Report {
    chain: String,
    chain_id: u64,
    guardian: Address,
    /// What holds, one line each.
    sound: Vec<String>,
    /// What cannot be told from here.
    notes: Vec<String>,
    /// What would keep a pause from working, or from doing what the configuration says.
    problems: Vec<String>,
}

/// Asks and prints.
pub(super) async fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let site = Site::open(&args.on)?;
    let nodes = site.connect().await?;
    let report = check(&site, &nodes).await?;
    terminal::print(&match args.format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Terminal => report.page(Paint { on: terminal::stdout_has_colour() }),
    })?;
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

async fn check(site: &Site, nodes: &Nodes) -> anyhow::Result<Report> {
    let pausers: Vec<Address> = site.pauser_key()?.map(|key| key.address()).into_iter().collect();
    let targets: Vec<Address> = site.targets().map(|(address, _)| address).collect();
    let status = status::ask(site, nodes, &pausers, &targets).await?;
    let mut report = Report {
        chain: site.chain.name.to_string(),
        chain_id: site.chain.chain_id,
        guardian: site.guardian()?,
        sound: vec![format!("{} nodes serve chain {}", nodes.rpcs.len(), site.chain.chain_id)],
        notes: Vec::new(),
        problems: status.problems().to_vec(),
    };
    for (target, pauser) in status.works() {
        report.sound.push(format!("a pause of {target} by {pauser} works now"));
    }
    for (target, protected) in site.targets() {
        let wanted = super::pause_calls(site, target);
        let registered = status.calls(target);
        if code(nodes, target).await?.is_empty() {
            report.problems.push(format!("{target} (`{}`) has no code", protected.name));
            continue;
        }
        report.sound.push(format!("{target} (`{}`) has code", protected.name));
        for call in &wanted {
            let is_registered =
                registered.iter().any(|(to, data)| (*to, data) == (call.to, &call.data));
            let what = format!("the pause of {target} by {} at {}", call.data, call.to);
            if is_registered {
                report.sound.push(format!("{what} is registered"));
            } else {
                report.problems.push(format!(
                    "{what} is configured and not registered; `portcullis guardian register` does so"
                ));
            }
        }
        for (to, data) in &registered {
            if !wanted.iter().any(|call| (&call.to, &call.data) == (to, data)) {
                report
                    .notes
                    .push(format!("{data} at {to} is registered for {target} and not configured"));
            }
            look_for_function(nodes, *to, data, &mut report).await?;
        }
    }
    Ok(report)
}

/// Whether the contract behind an address, or behind a proxy there, knows the function that is called.
async fn look_for_function(
    nodes: &Nodes,
    to: Address,
    data: &Bytes,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut code = self::code(nodes, to).await?;
    if code.is_empty() && to > LAST_PRECOMPILE {
        report.problems.push(format!("{to} is called to pause and has no code"));
        return Ok(());
    }
    let Some(selector) = data.get(..4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()) else {
        report.notes.push(format!("{to} is called without a function"));
        return Ok(());
    };
    let word: U256 = ask(nodes, "eth_getStorageAt", json!([to, IMPLEMENTATION, "latest"])).await?;
    let implementation = Address::from_word(word.into());
    if !implementation.is_zero() {
        code = self::code(nodes, implementation).await?;
    }
    let selector_text = alloy::hex::encode_prefixed(selector);
    if selectors(&code).contains(&selector) {
        report.sound.push(format!("{to} knows the function {selector_text}"));
    } else {
        report.notes.push(format!(
            "{to} does not show the function {selector_text} in its code: an unusual proxy or compiler, or the wrong \
             function; the pause simulated above tells"
        ));
    }
    Ok(())
}

/// What a contract's dispatcher may compare selectors with: everything of up to four bytes that the code pushes.
fn selectors(code: &[u8]) -> BTreeSet<[u8; 4]> {
    const PUSH1: u8 = 0x60;
    const PUSH32: u8 = 0x7f;
    let mut found = BTreeSet::new();
    let mut at = 0;
    while let Some(op) = code.get(at).copied() {
        at += 1;
        if (PUSH1..=PUSH32).contains(&op) {
            let length = usize::from(op - PUSH1) + 1;
            if let (1..=4, Some(pushed)) = (length, code.get(at..at + length)) {
                let mut selector = [0; 4];
                selector[4 - length..].copy_from_slice(pushed);
                found.insert(selector);
            }
            at += length;
        }
    }
    found
}

async fn code(nodes: &Nodes, address: Address) -> anyhow::Result<Bytes> {
    ask(nodes, "eth_getCode", json!([address, "latest"])).await
}

async fn ask<T: serde::de::DeserializeOwned>(
    nodes: &Nodes,
    method: &str,
    params: serde_json::Value,
) -> anyhow::Result<T> {
    let answer = nodes.first().request(method, params).await.with_context(|| method.to_owned())?;
    serde_json::from_value(answer).with_context(|| format!("{method}: an answer of another kind"))
}

impl Report {
    fn page(&self, paint: Paint) -> String {
        let mut out = format!(
            "{} on `{}` ({})\n",
            paint.bold(&format!("guardian {}", self.guardian)),
            self.chain,
            self.chain_id
        );
        let mut line = |text: String| writeln!(out, "  {text}").expect("a string grows");
        for sound in &self.sound {
            line(format!("{} {sound}", paint.green("✓")));
        }
        for note in &self.notes {
            line(format!("{} {note}", paint.yellow("?")));
        }
        for problem in &self.problems {
            line(format!("{} {problem}", paint.red("✗")));
        }
        out.push_str(&if self.problems.is_empty() {
            paint.green("the configuration fits the chain\n")
        } else {
            paint.red(&format!("{}\n", super::count(self.problems.len(), "problem")))
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_as_data_of_a_longer_push_is_no_selector() {
        // PUSH4 of pause(), PUSH32 that holds a PUSH4 of something else, PUSH3 of a selector that begins with zero.
        let mut code = vec![0x63, 0x84, 0x56, 0xcb, 0x59, 0x7f, 0x63, 1, 2, 3, 4];
        code.resize(5 + 33, 0);
        code.extend([0x62, 9, 8, 7, 0x63, 1]);
        assert_eq!(selectors(&code), BTreeSet::from([[0x84, 0x56, 0xcb, 0x59], [0, 9, 8, 7]]));
    }
}
