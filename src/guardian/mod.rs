//! `portcullis guardian`: set a guardian contract up, and see whether it could pause right now.
//!
//! The owner is usually a multisig. Without `--owner-key` the owner's commands therefore send nothing: they print
//! the call, as JSON, for the multisig to propose.

mod answer;
mod check;
mod drill;
mod owner;
mod site;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use alloy::primitives::{Address, Bytes, bytes};
use anyhow::{Context, bail};
use portcullis_alerting::guardian::deploy::{self, RegisteredCall};
use portcullis_alerting::guardian::{Transaction, head_time_s};

use crate::{guard, terminal};
use owner::OwnerKey;
use site::Site;
pub(crate) use status::Format;

/// Selector of `pause()`, which most pausable contracts have.
const PAUSE: Bytes = bytes!("8456cb59");
/// Seconds in a day.
const DAY_S: u64 = 86_400;

/// Arguments of `guardian`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 done; 1 `status` or `check` found something that would keep a pause from working, or a step of \
                  `drill` did not pass; 2 the command failed."
)]
pub(crate) struct GuardianArgs {
    #[command(subcommand)]
    command: GuardianCommand,
}

#[derive(Debug, clap::Subcommand)]
enum GuardianCommand {
    /// Deploy a guardian contract and print its address
    Deploy(DeployArgs),
    /// Owner: register the calls that pause a protected contract
    Register(RegisterArgs),
    /// Owner: let an account pause for some days
    Grant(GrantArgs),
    /// Pauser: give up the right of the configured key to pause
    Renounce(On),
    /// Check the configuration against the chain: role, funds, code, functions, and the pause itself
    Check(check::CheckArgs),
    /// List the pauses that wait for a person's answer
    Waiting(answer::WaitingArgs),
    /// Approve or veto a pause that waits
    Answer(answer::AnswerArgs),
    /// Rehearse the whole chain: an attack seen, judged, paused for and blocked
    Drill(drill::DrillArgs),
    /// Tell whether a pause would work now, and what would keep it from working
    Status(status::StatusArgs),
}

/// Which chain is meant.
#[derive(Debug, clap::Args)]
struct On {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Name of a chain of the configuration; needed where it has several
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
    /// The guardian contract; default: the configuration's
    #[arg(long, value_name = "ADDR")]
    guardian: Option<Address>,
}

#[derive(Debug, clap::Args)]
struct DeployArgs {
    #[command(flatten)]
    on: On,
    /// Who shall own the guardian, usually a multisig; default: the account that deploys it
    #[arg(long, value_name = "ADDR")]
    owner: Option<Address>,
    #[command(flatten)]
    key: OwnerKey,
}

#[derive(Debug, clap::Args)]
struct RegisterArgs {
    #[command(flatten)]
    on: On,
    /// The protected contract; default: every protected contract of the chain
    #[arg(long, value_name = "ADDR")]
    target: Option<Address>,
    #[command(flatten)]
    key: OwnerKey,
}

#[derive(Debug, clap::Args)]
struct GrantArgs {
    #[command(flatten)]
    on: On,
    /// The account that may pause; default: that of the configured key
    #[arg(long, value_name = "ADDR")]
    pauser: Option<Address>,
    /// Days after which the right ends by itself
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3650))]
    expires_in: u64,
    #[command(flatten)]
    key: OwnerKey,
}

/// Does one of them.
pub(crate) fn run(args: GuardianArgs) -> anyhow::Result<ExitCode> {
    guard::runtime()?.block_on(async {
        match args.command {
            GuardianCommand::Check(args) => check::run(args).await,
            GuardianCommand::Waiting(args) => answer::list(args),
            GuardianCommand::Answer(args) => answer::run(args),
            GuardianCommand::Deploy(args) => deploy(args).await,
            GuardianCommand::Register(args) => register(args).await,
            GuardianCommand::Grant(args) => grant(args).await,
            GuardianCommand::Renounce(on) => renounce(on).await,
            GuardianCommand::Drill(args) => drill::run(args).await,
            GuardianCommand::Status(args) => status::run(args).await,
        }
    })
}

async fn deploy(args: DeployArgs) -> anyhow::Result<ExitCode> {
    let key = args.key.read()?.context("`deploy` sends a transaction: pass --owner-key")?;
    let site = Site::open(&args.on)?;
    let nodes = site.connect().await?;
    let owner = args.owner.unwrap_or_else(|| key.address());
    let receipt = nodes
        .send(&key, &deploy::deployment(owner))
        .await
        .context("the guardian was not deployed")?;
    let Some(guardian) = receipt.contract_address.filter(|_| receipt.has_succeeded()) else {
        bail!("the deployment {} was mined and failed", receipt.transaction_hash);
    };
    terminal::say(&format!(
        "deployed on chain `{}` in block {}, owned by {owner}; next: `address = \"{guardian}\"` under [guardian], \
         `guardian register`, `guardian grant`, and the right to pause for {guardian} on each protected contract",
        site.chain.name, receipt.block_number
    ));
    terminal::print(&format!("{guardian}\n"))?;
    Ok(ExitCode::SUCCESS)
}

async fn register(args: RegisterArgs) -> anyhow::Result<ExitCode> {
    let key = args.key.read()?;
    let site = Site::open(&args.on)?;
    let guardian = site.guardian()?;
    let targets = match args.target {
        Some(target) => vec![target],
        None => site.targets().map(|(target, _)| target).collect(),
    };
    if targets.is_empty() {
        bail!("chain `{}` has no protected contract; pass --target", site.chain.name);
    }
    let registrations = targets.into_iter().map(|target| {
        let calls = pause_calls(&site, target);
        let done = format!("registered {} to pause {target}", count(calls.len(), "call"));
        (done, deploy::register_call(target, &calls))
    });
    owner::call(&site, key.as_ref(), guardian, registrations.collect()).await
}

/// The calls that the configuration gives for a contract; by default its own `pause()`.
fn pause_calls(site: &Site, target: Address) -> Vec<RegisteredCall> {
    let configured =
        site.targets().find(|(known, _)| *known == target).map(|(_, protected)| &protected.pause);
    match configured.filter(|calls| !calls.is_empty()) {
        Some(calls) => calls
            .iter()
            .map(|call| RegisteredCall { to: call.to, data: call.data.clone() })
            .collect(),
        None => vec![RegisteredCall { to: target, data: PAUSE }],
    }
}

async fn grant(args: GrantArgs) -> anyhow::Result<ExitCode> {
    let key = args.key.read()?;
    let site = Site::open(&args.on)?;
    let guardian = site.guardian()?;
    let pauser = match args.pauser {
        Some(pauser) => pauser,
        None => {
            site.pauser_key()?.context("no `guardian.key` is configured; pass --pauser")?.address()
        }
    };
    let nodes = site.connect().await?;
    // The contract compares with its chain's clock, not with this machine's.
    let expires_at =
        head_time_s(nodes.first()).await?.saturating_add(args.expires_in.saturating_mul(DAY_S));
    let what = format!("granted {pauser} the right to pause for {} days", args.expires_in);
    let call = deploy::add_pauser_call(pauser, expires_at);
    owner::call_over(&nodes, key.as_ref(), guardian, vec![(what, call)]).await
}

async fn renounce(on: On) -> anyhow::Result<ExitCode> {
    let site = Site::open(&on)?;
    let guardian = site.guardian()?;
    let key = site
        .pauser_key()?
        .context("`renounce` gives up the right of `guardian.key`, and none is configured")?;
    let nodes = site.connect().await?;
    let call = Transaction {
        to: Some(guardian),
        data: deploy::renounce_call(),
        value_wei: Default::default(),
    };
    let receipt = nodes.send(&key, &call).await.context("the right was not given up")?;
    if !receipt.has_succeeded() {
        bail!("transaction {} was mined and failed", receipt.transaction_hash);
    }
    terminal::print(&format!("{} may no longer pause through {guardian}\n", key.address()))?;
    Ok(ExitCode::SUCCESS)
}

/// `1 call`, `2 calls`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
