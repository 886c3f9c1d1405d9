//! `portcullis notify`: send a test alert through each configured channel; list what could not be told, and send it again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use portcullis_alerting::journal::Journal;
use portcullis_alerting::notify::{Alert, Clock, Dispatcher, RetryPolicy, Severity};
use portcullis_alerting::record::DeadLetter;
use serde_json::json;

use crate::config::Config;
use crate::guardian::Format;
use crate::terminal::{self, Paint};
use crate::{config, guard, platform};

/// How long a channel may take to be told what it missed.
const TELL_WITHIN: Duration = Duration::from_secs(15);
/// Something waits to be told.
const LISTED: u8 = 1;

/// Arguments of `notify`.
#[derive(Debug, clap::Args)]
pub(crate) struct NotifyArgs {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, clap::Subcommand)]
enum NotifyCommand {
    /// Send a test alert, marked as one, through each configured channel
    Test(TestArgs),
    /// List what people should have been told and were not
    Failed(FailedArgs),
    /// Send again what `failed` lists
    Resend(ResendArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 everything was told; 1 something is listed; 2 the command failed."
)]
struct FailedArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// How to print it
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 all of it arrived; 2 something did not, or the command failed."
)]
struct ResendArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Only these, by their numbers; default: all
    #[arg(value_name = "NUMBER")]
    numbers: Vec<u64>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 every channel took the alert; 2 one did not, or the command failed."
)]
struct TestArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Only this channel
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
}

/// Sends the test alert.
pub(crate) fn run(args: NotifyArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        NotifyCommand::Test(args) => test(&args),
        NotifyCommand::Failed(args) => failed(&args),
        NotifyCommand::Resend(args) => resend(&args),
    }
}

fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(&args.config)?;
    let base = args.config.parent().unwrap_or(Path::new(""));
    let names = || config.notify.iter().map(config::Notify::name).collect::<Vec<_>>().join(", ");
    let is_wanted = |name: &str| args.channel.as_deref().is_none_or(|wanted| wanted == name);
    let channels: Vec<_> =
        config.notify.iter().filter(|channel| is_wanted(channel.name())).collect();
    match (&args.channel, channels.is_empty()) {
        (Some(name), true) => {
            bail!("--channel: no channel is named `{name}`; expected one of: {}", names())
        }
        (None, true) => bail!("{}: no [[notify]] channel is configured", args.config.display()),
        _ => {}
    }
    let clock = Arc::new(platform::now_ms) as Clock;
    let paint = Paint { on: terminal::stdout_has_colour() };
    let mut failed = 0;
    for channel in channels {
        let sent = channel.sink(base, &clock).and_then(|sink| {
            // Once and at once: whoever tests a channel wants to hear of its first stumble. The severity that the
            // channel asks for is passed over, so that it is told in any case.
            let policy = RetryPolicy {
                attempts: 1,
                timeout: Duration::from_secs(15),
                ..RetryPolicy::default()
            };
            let dispatcher = Dispatcher::new(vec![(Severity::Info, sink)], policy);
            let alert = test_alert(channel.min_severity());
            let mut deliveries = guard::runtime()?.block_on(dispatcher.deliver(&alert));
            match deliveries.pop().and_then(|delivery| delivery.failure) {
                None => Ok(()),
                Some(failure) => bail!("{failure}"),
            }
        });
        terminal::print(&match sent {
            Ok(()) => format!("{} {}: delivered\n", paint.green("✓"), channel.name()),
            Err(error) => {
                failed += 1;
                format!("{} {}: {error:#}\n", paint.red("✗"), channel.name())
            }
        })?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(terminal::FAILED) })
}

fn failed(args: &FailedArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(&args.config)?;
    let letters = journal(&config, &args.config)?.dead_letters()?;
    terminal::print(&match args.format {
        Format::Json => {
            let shown: Vec<_> = letters
                .iter()
                .map(|(number, letter)| json!({ "number": number, "letter": letter }))
                .collect();
            serde_json::to_string_pretty(&shown)? + "\n"
        }
        Format::Terminal if letters.is_empty() => "nothing waits to be told\n".to_owned(),
        Format::Terminal => letters.iter().map(|(number, letter)| line(*number, letter)).collect(),
    })?;
    Ok(if letters.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(LISTED) })
}

fn line(number: u64, letter: &DeadLetter) -> String {
    let channel = letter.channel.as_deref().unwrap_or("every channel");
    let title = letter.alert["title"].as_str().unwrap_or("an alert that cannot be read");
    let over = if letter.is_over { "over: " } else { "" };
    format!(
        "{number:>5}  {}  {channel}: {over}{title} ({}, {} attempts)\n",
        letter.at_ms, letter.failure, letter.attempts
    )
}

/// Sends each letter to its channel, as the configuration describes it now; one without a channel to all that want it.
fn resend(args: &ResendArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(&args.config)?;
    let base = args.config.parent().unwrap_or(Path::new(""));
    let journal = journal(&config, &args.config)?;
    let letters = journal.dead_letters()?;
    let known: Vec<u64> = letters.iter().map(|(number, _)| *number).collect();
    if let Some(unknown) = args.numbers.iter().find(|number| !known.contains(number)) {
        bail!("nothing waits under number {unknown}; `portcullis notify failed` lists what does");
    }
    let wanted = |number: &u64| args.numbers.is_empty() || args.numbers.contains(number);
    let clock = Arc::new(platform::now_ms) as Clock;
    let runtime = guard::runtime()?;
    let paint = Paint { on: terminal::stdout_has_colour() };
    let mut has_failed = false;
    for (number, letter) in letters.iter().filter(|(number, _)| wanted(number)) {
        let sent = serde_json::from_value::<Alert>(letter.alert.clone())
            .context("the alert cannot be read")
            .and_then(|alert| {
                let alert = Alert { title: format!("(late) {}", alert.title), ..alert };
                let channels = config.notify.iter().filter(|channel| match &letter.channel {
                    Some(name) => channel.name() == name,
                    None => alert.severity >= channel.min_severity(),
                });
                let mut reached = 0;
                for channel in channels {
                    let sink = channel.sink(base, &clock)?;
                    let telling = async {
                        let told = if letter.is_over {
                            sink.resolve(&alert)
                        } else {
                            sink.deliver(&alert)
                        };
                        tokio::time::timeout(TELL_WITHIN, told).await
                    };
                    match runtime.block_on(telling) {
                        Ok(told) => told?,
                        Err(_) => bail!("no answer within {} s", TELL_WITHIN.as_secs()),
                    }
                    reached += 1;
                }
                if reached == 0 {
                    bail!("no configured channel is the one that it was meant for");
                }
                journal.note_resent(*number, platform::now_ms())?;
                Ok(())
            });
        terminal::print(&match sent {
            Ok(()) => format!("{} {number}: delivered\n", paint.green("✓")),
            Err(error) => {
                has_failed = true;
                format!("{} {number}: {error:#}\n", paint.red("✗"))
            }
        })?;
    }
    Ok(if has_failed { ExitCode::from(terminal::FAILED) } else { ExitCode::SUCCESS })
}

fn journal(config: &Config, path: &Path) -> anyhow::Result<Journal> {
    let path = path.parent().unwrap_or(Path::new("")).join(&config.journal.path);
    if !path.is_file() {
        bail!("{}: there is no journal; a guard writes one", path.display());
    }
    Ok(Journal::open(path)?)
}

/// Nobody should run because of it.
fn test_alert(severity: Severity) -> Alert {
    Alert {
        incident: "portcullis/test".to_owned(),
        severity,
        title: "TEST: portcullis can reach this channel".to_owned(),
        text: "This is a test that somebody started with `portcullis notify test`. Nothing happened, and nothing \
               is to be done."
            .to_owned(),
        chain: "test".to_owned(),
        tx_hash: None,
        contract: None,
        at_ms: platform::now_ms(),
    }
}
