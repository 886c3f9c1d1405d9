//! The only file that asks the operating system for something: environment and wall clock.
//!
//! Linux x86-64 is tested. What another system needs differently belongs here.

#[cfg(feature = "audit")]
use std::path::PathBuf;

/// An environment variable, where it is set and is UTF-8.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line is the one place that reads the environment"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Milliseconds since the Unix epoch; 0 where the clock stands before it.
#[cfg(any(feature = "audit", feature = "guard"))]
#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of the program; everything below is handed it"
)]
pub(crate) fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// The folder for what can be computed again: `PORTCULLIS_CACHE`, else `portcullis` in the user's cache folder.
#[cfg(feature = "audit")]
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let named = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("PORTCULLIS_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|folder| folder.join("portcullis")))
        .or_else(|| named("LOCALAPPDATA").map(|folder| folder.join("portcullis").join("cache")))
        .or_else(|| named("HOME").map(|folder| folder.join(".cache").join("portcullis")))
}

/// What tells this build of the program from every other: its version, and length and time of its file.
#[cfg(feature = "audit")]
pub(crate) fn this_build() -> Option<String> {
    let metadata = std::fs::metadata(std::env::current_exe().ok()?).ok()?;
    let modified = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let (version, length) = (env!("CARGO_PKG_VERSION"), metadata.len());
    Some(format!("{version} {length} {}", modified.as_nanos()))
}

/// Ready once the program is asked to end: Ctrl-C, or SIGTERM where there is one.
#[cfg(feature = "guard")]
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    // Where no signal can be waited for, the guard goes on until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Requests to read rules and models again: SIGHUP, where there is one.
#[cfg(feature = "guard")]
#[derive(Debug)]
pub(crate) struct Hangups {
    #[cfg(unix)]
    signals: Option<tokio::signal::unix::Signal>,
}

#[cfg(feature = "guard")]
impl Hangups {
    /// Listens from now on; without it SIGHUP would end the program.
    pub(crate) fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Self { signals: signal(SignalKind::hangup()).ok() }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// Ready at the next request.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signals) = &mut self.signals
            && signals.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
