//! The guard as a process of its own, its stream read line by line.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a guard may take to say or do what a test waits for.
const PATIENCE: Duration = Duration::from_secs(300);

/// A guard that runs as its own process; it ends with the test.
pub(crate) struct GuardProcess {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<serde_json::Value>,
}

impl GuardProcess {
    #[allow(dead_code, reason = "each test binary uses its own part of this file")]
    pub(crate) fn start(config: &Path, key: Option<&str>) -> Self {
        Self::start_with(config, key, &[])
    }

    /// Under limits that are set while it runs: a write that meets one fails, as on a full disk, and does not end it.
    #[allow(dead_code, reason = "each test binary uses its own part of this file")]
    pub(crate) fn start_under_limits(config: &Path, log: std::fs::File) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_portcullis")]);
        Self::spawn(command, config, None, &[], log.into())
    }

    /// Sets the size over which no file of it may grow, bytes; none lifts the limit.
    #[allow(dead_code, reason = "each test binary uses its own part of this file")]
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let soft = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let status = Command::new("prlimit")
            .args([format!("--pid={}", self.child.id()), format!("--fsize={soft}:")])
            .status()
            .expect("prlimit runs");
        assert!(status.success());
    }

    /// With more arguments to `guard`.
    pub(crate) fn start_with(config: &Path, key: Option<&str>, arguments: &[&str]) -> Self {
        Self::spawn(
            Command::new(env!("CARGO_BIN_EXE_portcullis")),
            config,
            key,
            arguments,
            Stdio::inherit(),
        )
    }

    fn spawn(
        mut command: Command,
        config: &Path,
        key: Option<&str>,
        arguments: &[&str],
        log: Stdio,
    ) -> Self {
        let mut child = command
            .args(["guard", "--format", "json", "--config"])
            .arg(config)
            .args(arguments)
            .envs(key.map(|key| ("PORTCULLIS_TEST_KEY", key)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the guard starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for an event of this kind; everything on the way is kept in `seen`.
    pub(crate) fn wait_for(&mut self, kind: &str) -> serde_json::Value {
        self.wait_until(kind, |event| event["event"] == kind)
    }

    /// Waits for the first event that is wanted; everything on the way is kept in `seen`.
    pub(crate) fn wait_until(
        &mut self,
        what: &str,
        is_wanted: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        // For the whole wait: a guard that goes on to speak of other things must not keep the test waiting.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
                .unwrap_or_else(|error| panic!("no `{what}`: {error}; seen: {:#?}", self.seen));
            let event: serde_json::Value =
                serde_json::from_str(&line).expect("each line is one JSON object");
            self.seen.push(event.clone());
            if is_wanted(&event) {
                return event;
            }
        }
    }

    /// Whether it has told such a thing already, as far as it was listened to.
    #[allow(dead_code, reason = "each test binary uses its own part of this file")]
    pub(crate) fn has_told(&self, is_wanted: impl Fn(&serde_json::Value) -> bool) -> bool {
        self.seen.iter().any(is_wanted)
    }

    /// Everything that it told until it ended; waits for that.
    #[allow(dead_code, reason = "each test binary uses its own part of this file")]
    pub(crate) fn rest(&mut self) -> Vec<serde_json::Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line =
                match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(line) => line,
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        panic!("it speaks on; seen: {:#?}", self.seen)
                    }
                };
            self.seen.push(serde_json::from_str(&line).expect("each line is one JSON object"));
        }
        std::mem::take(&mut self.seen)
    }

    /// Sends it a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success());
    }

    /// Interrupts it as Ctrl-C would, and waits until it has ended; returns its exit code.
    pub(crate) fn interrupt(&mut self) -> Option<i32> {
        self.signal("INT");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the guard can be asked after") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "an interrupted guard ends; seen: {:#?}", self.seen);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for GuardProcess {
    fn drop(&mut self) {
        // It may have ended already; either way nothing is left behind.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
