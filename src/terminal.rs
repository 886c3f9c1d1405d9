//! What every command shares of the terminal: exit codes, colour, logs.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::platform;

/// The tool failed: usage, configuration, an unreadable path, a crash.
pub(crate) const FAILED: u8 = 2;

/// Prints an error with its causes on stderr and gives exit code 2.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    say(&format!("error: {}", causes(error)));
    ExitCode::from(FAILED)
}

/// An error and its causes in one line; a cause that the message before it already tells is not told again.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

/// Prints what clap has to say: help and version leave 0, wrong usage leaves 2.
pub(crate) fn usage_error(error: &clap::Error) -> ExitCode {
    // A closed pipe is the only way this can fail, and then nobody reads it.
    drop(error.print());
    if error.use_stderr() { ExitCode::from(FAILED) } else { ExitCode::SUCCESS }
}

/// Writes one line to stderr.
pub(crate) fn say(line: &str) {
    // A closed stderr leaves nowhere to report to.
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

/// Writes text to stdout as it stands; a reader that has gone away is not an error.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Whether stdout should be coloured: only on a terminal, and never when `NO_COLOR` is set.
pub(crate) fn stdout_has_colour() -> bool {
    std::io::stdout().is_terminal() && platform::variable("NO_COLOR").is_none()
}

/// Sends logs to stderr; `PORTCULLIS_LOG` chooses what is logged (default `warn`).
pub(crate) fn start_logging() {
    let filter = platform::variable("PORTCULLIS_LOG").unwrap_or_else(|| "warn".to_owned());
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|error| {
        say(&format!("warning: PORTCULLIS_LOG: {error}; logging warnings"));
        EnvFilter::new("warn")
    });
    let colour = std::io::stderr().is_terminal() && platform::variable("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(std::io::stderr)
        // A log on a full disk must not end whoever logs: that failure would be printed, and printing it panic.
        .log_internal_errors(false)
        .init();
}

/// Colours of a terminal, or none of them.
#[cfg(feature = "guard")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    /// Whether anything is coloured.
    pub on: bool,
}

#[cfg(feature = "guard")]
impl Paint {
    /// For what matters most.
    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// For what deserves a look.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// For what is well.
    pub(crate) fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// For what can be passed over.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// For headings.
    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
