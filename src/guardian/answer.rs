//! `portcullis guardian waiting` and `answer`: what people are asked about a pause, and what they say.
//!
//! An answer is signed here with a key, or anywhere else: without a key the typed data is printed, and the signature
//! that a wallet gave over it is handed in afterwards.

use std::path::PathBuf;
use std::process::ExitCode;

use alloy::primitives::{B256, U256};
use anyhow::{Context, bail};
use portcullis_alerting::guardian::{Answer, Say, SignedAnswer, Waiting, hand_in, waiting};

use super::On;
use super::owner::{Place, read_key};
use super::site::Site;
use super::status::Format;
use crate::{platform, terminal};

/// Arguments of `guardian waiting`.
#[derive(Debug, clap::Args)]
pub(super) struct WaitingArgs {
    #[command(flatten)]
    at: At,
    /// How to print it
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

/// Where the guard is asked.
#[derive(Debug, clap::Args)]
struct At {
    #[command(flatten)]
    on: On,
    /// The guard's address; default: the configuration's `[http]`
    #[arg(long, value_name = "URL")]
    guard: Option<String>,
}

/// Arguments of `guardian answer`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --signer-key the answer is signed and handed in. Without one, its typed data is printed \
    for a wallet (`eth_signTypedData_v4`); keep that in a file and hand it in with --typed-data and --signature."
)]
pub(super) struct AnswerArgs {
    #[command(flatten)]
    at: At,
    /// What is said
    #[arg(value_enum, required_unless_present = "typed_data")]
    say: Option<Word>,
    /// The decision that is meant, as the alert and `guardian waiting` name it
    #[arg(long, value_name = "ID", required_unless_present = "typed_data")]
    incident: Option<B256>,
    /// Minutes after which the answer lapses; a veto holds as long
    #[arg(long, value_name = "MINUTES", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=1440))]
    good_for: u64,
    /// The signer's key: `env:NAME`, `file:PATH` or `keystore:PATH`
    #[arg(long, value_name = "PLACE")]
    signer_key: Option<Place>,
    /// Password of the signer's keystore: `env:NAME` or `file:PATH`
    #[arg(long, value_name = "PLACE", requires = "signer_key")]
    signer_password: Option<Place>,
    /// Typed data that this command printed and a wallet signed
    #[arg(long, value_name = "FILE", requires = "signature", conflicts_with_all = ["say", "incident", "signer_key"])]
    typed_data: Option<PathBuf>,
    /// The wallet's signature over it, hexadecimal
    #[arg(long, value_name = "HEX", requires = "typed_data")]
    signature: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Word {
    /// Pause
    Approve,
    /// Do not pause, and do not ask about the same again until the answer lapses
    Veto,
}

/// Lists what waits.
pub(super) fn list(args: WaitingArgs) -> anyhow::Result<ExitCode> {
    let site = Site::open(&args.at.on)?;
    let waiting = waiting(&args.at.guard(&site)?)?;
    terminal::print(&match args.format {
        Format::Json => serde_json::to_string_pretty(&waiting)? + "\n",
        Format::Terminal if waiting.is_empty() => "nothing waits for an answer\n".to_owned(),
        Format::Terminal => waiting.iter().map(page).collect(),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn page(waiting: &Waiting) -> String {
    let left_s = waiting.until_ms.saturating_sub(platform::now_ms()) / 1_000;
    format!(
        "{}\n  {} on {} (chain {}): pause {} through {}\n  {}\n  transaction {}, {} wei at stake; {left_s} s left\n",
        waiting.incident,
        waiting.protocol,
        waiting.chain,
        waiting.chain_id,
        waiting.target,
        waiting.guardian,
        waiting.reason,
        waiting.tx_hash,
        waiting.at_stake_wei,
    )
}

/// Signs and hands in, or prints what is to be signed.
pub(super) fn run(args: AnswerArgs) -> anyhow::Result<ExitCode> {
    let site = Site::open(&args.at.on)?;
    let signed = match (&args.typed_data, &args.signature) {
        (Some(path), Some(signature)) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("{}: not read", path.display()))?;
            let answer =
                serde_json::from_str(&text).ok().as_ref().and_then(Answer::from_typed_data);
            let answer = answer.with_context(|| {
                format!("{}: expected the typed data that this command prints", path.display())
            })?;
            SignedAnswer::joined(answer, signature)?
        }
        _ => {
            let (Some(say), Some(incident)) = (args.say, args.incident) else {
                bail!("pass `approve` or `veto`, and --incident");
            };
            let now_ms = platform::now_ms();
            let answer = Answer {
                chain_id: site.chain.chain_id,
                guardian: site.guardian()?,
                incident,
                decision: match say {
                    Word::Approve => Say::Approve,
                    Word::Veto => Say::Veto,
                },
                // Any number does that this signer has not used yet, and time does not repeat.
                nonce: U256::from(now_ms),
                expiry: (now_ms / 1_000).saturating_add(args.good_for.saturating_mul(60)),
            };
            let key = read_key("signer", args.signer_key.as_ref(), args.signer_password.as_ref())?;
            let Some(key) = key else {
                terminal::say(
                    "no --signer-key: nothing was handed in; a listed account has to sign:",
                );
                terminal::print(&(serde_json::to_string_pretty(&answer.typed_data())? + "\n"))?;
                return Ok(ExitCode::SUCCESS);
            };
            key.answer(answer)?
        }
    };
    hand_in(&args.at.guard(&site)?, &signed)?;
    terminal::print(&format!(
        "{} accepted: {} by {}\n",
        signed.answer.decision,
        signed.answer.incident,
        signed.signer()?
    ))?;
    Ok(ExitCode::SUCCESS)
}

impl At {
    /// Where the guard is asked, without a slash at its end.
    fn guard(&self, site: &Site) -> anyhow::Result<String> {
        if let Some(url) = &self.guard {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                bail!("--guard: expected an `http://` or `https://` address, found `{url}`");
            }
            return Ok(url.trim_end_matches('/').to_owned());
        }
        let listen = site.listens_at().context("no [http] is configured; pass --guard")?;
        Ok(format!("http://{listen}"))
    }
}
