//! `portcullis simulate`: one transaction, judged as the guard would judge it, and drawn.

mod find;
pub(crate) mod names;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use portcullis_rules::{AnswerOutcome, Value as Fact};
use portcullis_watcher::daemon::Parts;
use portcullis_watcher::facts::{Observation, Protected, dictionary};
use portcullis_watcher::settings::GuardSettings;
use portcullis_watcher::simulate::execution::{Execution, Status};
use portcullis_watcher::source::recording::Recording;
use portcullis_watcher::verdict::{Judge, Verdict};
use serde_json::{Map, Value, json};

use crate::guard::{self, ether};
use crate::node;
use crate::terminal::{self, Paint};
use find::Eye;
use names::Names;
use tree::Tree;

/// Version of the JSON form.
const FORMAT_VERSION: u32 = 1;

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A transaction that is mined already is run on the block below its own, after those that stand before \
                  it.\n\nExit codes: 0 judged; 2 it could not be found, run or judged."
)]
pub(crate) struct SimulateArgs {
    /// Hash of a transaction, a signed transaction in hex, or a JSON file that holds one as nodes tell it
    #[arg(value_name = "TXHASH|RAW|FILE")]
    transaction: String,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Run it on the state of a recording instead of a node's
    #[arg(long, value_name = "RECORDING")]
    replay: Option<PathBuf>,
    /// Chain to run it on; needed where more than one is configured
    #[arg(long, value_name = "NAME", conflicts_with = "replay")]
    chain: Option<String>,
    /// Draw what is written to the storage of protected contracts
    #[arg(long)]
    storage: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Terminal,
    /// For programs
    Json,
}

/// Finds, runs, judges and prints.
pub(crate) fn run(args: SimulateArgs) -> anyhow::Result<ExitCode> {
    let (settings, parts) = guard::load(&args.config)?;
    let wanted = find::Wanted::parse(&args.transaction)?;
    let eye = |chain: &str| Eye {
        protected: protected(&settings, chain),
        rules: Arc::clone(&parts.rules),
    };
    let (chain, found) = match &args.replay {
        Some(path) => {
            let recording = Recording::open(path)?;
            let chain = recording.header().chain.name.clone();
            let found = find::in_recording(&wanted, &recording, path, &eye(&chain))?;
            (chain, found)
        }
        None => {
            let chain = node::choose(&settings, args.chain.as_deref())?;
            (chain.name.to_string(), find::at_node(&wanted, chain, &parts, &eye(&chain.name))?)
        }
    };
    let judged = Judged::new(&chain, found, &settings, &parts);
    let text = match args.format {
        Format::Terminal => judged.draw(Paint { on: terminal::stdout_has_colour() }, args.storage),
        Format::Json => serde_json::to_string_pretty(&judged.json())? + "\n",
    };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What is protected on a chain, with what is listed around it.
fn protected(settings: &GuardSettings, chain: &str) -> Protected {
    let protocols = || settings.protected.iter().filter(|protected| *protected.chain == *chain);
    let groups = protocols().map(|protocol| (protocol.name.clone(), protocol.addresses.clone()));
    Protected::new(groups).listing(protocols().map(|protocol| &protocol.listed))
}

/// One transaction, run and judged.
struct Judged {
    execution: Execution,
    names: Names,
    protected: Protected,
    observation: Observation,
    verdict: Verdict,
}

impl Judged {
    fn new(chain: &str, found: find::Found, settings: &GuardSettings, parts: &Parts) -> Self {
        let find::Found { execution, observation, instances, contracts } = found;
        let protocols = settings.protected.iter().filter(|protected| *protected.chain == *chain);
        let mut names = Names::default();
        for (address, name) in contracts {
            names.add(address, &name);
        }
        for protocol in protocols {
            for address in &protocol.addresses {
                names.add(*address, &protocol.name);
            }
            for oracle in &protocol.listed.oracles {
                names.add(*oracle, &format!("{}'s price source", protocol.name));
            }
        }
        if let Some(guardian) = settings.guardian {
            names.add(guardian, "guardian");
        }
        names.add(execution.envelope.sender, "sender");
        let judge =
            Judge::new(Arc::clone(&parts.rules), parts.model.clone()).with(parts.beside.clone());
        let verdict = judge.judge_on(&observation, &instances);
        Self { execution, names, protected: protected(settings, chain), observation, verdict }
    }

    fn tree(&self, with_storage: bool) -> Tree<'_> {
        Tree::new(&self.execution, &self.names, |access| {
            with_storage && !access.transient && self.protected.group(&access.address).is_some()
        })
    }

    fn draw(&self, paint: Paint, with_storage: bool) -> String {
        let envelope = &self.execution.envelope;
        let status = match &self.execution.status {
            Status::Success => paint.green("succeeds"),
            Status::Revert { reason } => paint.red(&format!("reverts: {reason}")),
            Status::Halt { reason } => paint.red(&format!("halts: {reason}")),
        };
        let mut text = format!(
            "{}\n  from {} (nonce {}), on block {}: {status}, {} gas\n\n",
            paint.bold(&envelope.tx_hash.to_string()),
            envelope.sender,
            envelope.nonce,
            self.execution.head,
            self.execution.gas_used,
        );
        text.push_str(&self.tree(with_storage).draw(paint));
        if self.execution.truncated {
            text.push_str(&paint.yellow("a limit cut this short: there is more than is shown\n"));
        }

        let told: Vec<_> = self.facts().filter(|(_, fact)| !is_nothing(fact)).collect();
        let heading = |name: &str| format!("\n{}\n", paint.bold(name));
        text.push_str(&heading("Facts"));
        if told.is_empty() {
            text.push_str(&paint.dim("  all are zero\n"));
        }
        let width = told.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, fact) in told {
            let unit = if name.ends_with("_wei") {
                match fact {
                    Fact::Uint(wei) => format!("  {}", paint.dim(&format!("({})", ether(*wei)))),
                    _ => String::new(),
                }
            } else {
                String::new()
            };
            text.push_str(&format!("  {name:<width$}  {}{unit}\n", fact_text(fact)));
        }

        text.push_str(&heading("Rules and model"));
        if self.verdict.reasons.is_empty() {
            text.push_str(&paint.dim("  no rule fired, and no model was asked\n"));
        }
        for reason in &self.verdict.reasons {
            text.push_str(&format!("  {reason}\n"));
        }
        text
    }

    fn json(&self) -> Value {
        let facts: Map<String, Value> =
            self.facts().map(|(name, fact)| (name.to_owned(), fact_json(fact))).collect();
        let fired = self.verdict.answers.iter().filter_map(|answer| match &answer.outcome {
            AnswerOutcome::Fires { message, .. } => Some(json!({
                "rule": format!("{}/{}", answer.pack, answer.rule), "message": message,
            })),
            AnswerOutcome::Unknown { .. } => None,
        });
        json!({
            "version": FORMAT_VERSION,
            "tx_hash": self.execution.envelope.tx_hash,
            "from": self.execution.envelope.sender,
            "head": self.execution.head,
            "status": self.execution.status,
            "gas_used": self.execution.gas_used,
            "truncated": self.execution.truncated,
            "tree": self.tree(true).json(),
            "touched": self.observation.touched,
            "facts": facts,
            "fired": fired.collect::<Vec<_>>(),
            "model": self.verdict.model_evidence(),
            "reasons": self.verdict.reasons,
        })
    }

    fn facts(&self) -> impl Iterator<Item = (&'static str, &Fact)> {
        let names = dictionary().specs().iter().map(|spec| spec.name).collect::<Vec<_>>();
        names.into_iter().zip(self.observation.facts.values())
    }
}

fn is_nothing(fact: &Fact) -> bool {
    match fact {
        Fact::Bool(value) => !value,
        Fact::Uint(value) | Fact::AtLeast(value) => value.is_zero(),
        Fact::Text(text) => text.is_empty(),
        Fact::Unknown | Fact::Address(_) => false,
    }
}

fn fact_text(fact: &Fact) -> String {
    match fact_json(fact) {
        Value::Null => "unknown".to_owned(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Amounts and counts as decimal text, because JSON numbers lose what is beyond 2^53.
fn fact_json(fact: &Fact) -> Value {
    match fact {
        Fact::Unknown => Value::Null,
        Fact::Bool(value) => json!(value),
        Fact::Uint(value) => json!(value.to_string()),
        Fact::AtLeast(floor) => json!({ "at_least": floor.to_string() }),
        Fact::Text(text) => json!(text),
        Fact::Address(bytes) => json!(alloy::primitives::Address::from(*bytes)),
    }
}
