//! `portcullis notify test`: send a test alert through each configured channel and tell what happened.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use portcullis_alerting::notify::{Alert, Clock, Dispatcher, RetryPolicy, Severity};

use crate::terminal::{self, Paint};
use crate::{config, guard, platform};

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
    let NotifyCommand::Test(args) = args.command;
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
        let sent = channel.settings(base).and_then(|settings| {
            let sink = settings.build(&clock)?;
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
