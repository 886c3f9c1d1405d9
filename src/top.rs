//! `portcullis top`: how a running guard stands, over its control socket.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use portcullis_alerting::record::{Decision, Mode, Outcome};
use portcullis_watcher::daemon::{TOP_VERSION, Top, TopChain, TopVerdict};

use crate::terminal::{self, Paint};
use crate::{config, guard, platform};

/// How long the guard may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer that is read, bytes.
const ANSWER_LIMIT_BYTES: u64 = 4 * 1024 * 1024;
/// Takes the screen and hides the cursor; gives both back.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// A screen whose size nobody tells.
const SCREEN: (usize, usize) = (100, 40);

/// Arguments of `top`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Shown anew every interval until Ctrl-C on a terminal; once where the output is none.\n\
                  Exit codes: 0 shown; 2 no guard answers."
)]
pub(crate) struct TopArgs {
    /// The configuration of the guard, whose `[control]` names the socket
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// The socket itself
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// Show it once
    #[arg(long)]
    once: bool,
    /// Milliseconds between two looks
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    every: u64,
    /// How to print
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Terminal,
    /// For programs: one JSON object a line
    Json,
}

/// Asks and shows.
pub(crate) fn run(args: TopArgs) -> anyhow::Result<ExitCode> {
    let socket = match &args.socket {
        Some(socket) => socket.clone(),
        None => configured(&args.config)?,
    };
    let is_live = !args.once && (args.format == Format::Json || std::io::stdout().is_terminal());
    if !is_live {
        print_once(&socket, args.format)?;
        return Ok(ExitCode::SUCCESS);
    }
    // Asked once before the screen is taken: an error should stay readable.
    let first = ask(&socket)?;
    guard::runtime()?.block_on(watch(&socket, &args, first))?;
    Ok(ExitCode::SUCCESS)
}

fn configured(path: &Path) -> anyhow::Result<PathBuf> {
    let config = config::load(path)?;
    let Some(control) = &config.control else {
        bail!(
            "{}: control: not configured; with a table `[control]` the guard can be looked at",
            path.display()
        )
    };
    Ok(path.parent().unwrap_or(Path::new("")).join(&control.socket))
}

fn print_once(socket: &Path, format: Format) -> anyhow::Result<()> {
    let (top, line) = ask(socket)?;
    let text = match format {
        Format::Json => line + "\n",
        Format::Terminal => draw(&top, Paint { on: terminal::stdout_has_colour() }, None),
    };
    terminal::print(&text)?;
    Ok(())
}

async fn watch(socket: &Path, args: &TopArgs, first: (Top, String)) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(platform::interrupted());
    let mut ticks = tokio::time::interval(Duration::from_millis(args.every));
    let paint = Paint { on: terminal::stdout_has_colour() };
    let is_screen = args.format == Format::Terminal;
    if is_screen {
        terminal::print(ENTER)?;
    }
    let mut answer = Ok(first);
    let shown = loop {
        tokio::select! {
            () = &mut stop => break Ok(()),
            _ = ticks.tick() => {}
        }
        let text = match (&answer, args.format) {
            (Ok((_, line)), Format::Json) => format!("{line}\n"),
            (Err(error), Format::Json) => break Err(anyhow::anyhow!("{error:#}")),
            (Ok((top, _)), Format::Terminal) => screen(&draw(top, paint, Some(size()))),
            // A guard that is started again is found again.
            (Err(error), Format::Terminal) => {
                screen(&format!("  {}\n", paint.red(&format!("{error:#}; trying again"))))
            }
        };
        if let Err(error) = terminal::print(&text) {
            break Err(error.into());
        }
        let socket = socket.to_owned();
        answer = tokio::task::spawn_blocking(move || ask(&socket))
            .await
            .context("the question crashed")
            .and_then(|answer| answer);
    };
    if is_screen {
        terminal::print(LEAVE)?;
    }
    shown
}

/// One look: the answer, and the line that it came in.
fn ask(socket: &Path) -> anyhow::Result<(Top, String)> {
    let asked = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(b"top\n")?;
        let mut answer = String::new();
        stream.take(ANSWER_LIMIT_BYTES).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer =
        asked().with_context(|| format!("{}: no guard answers there", socket.display()))?;
    let top: Top = serde_json::from_str(&answer)
        .with_context(|| format!("{}: the answer is not a guard's", socket.display()))?;
    if top.version != TOP_VERSION {
        bail!(
            "{}: expected an answer of version {TOP_VERSION}, found {}",
            socket.display(),
            top.version
        );
    }
    Ok((top, answer.trim_end().to_owned()))
}

/// Columns and lines of the terminal.
fn size() -> (usize, usize) {
    terminal_size::terminal_size().map_or(SCREEN, |(width, height)| {
        (usize::from(width.0).max(20), usize::from(height.0).max(5))
    })
}

/// A frame over the one before, without blinking.
fn screen(text: &str) -> String {
    let mut frame = "\u{1b}[H".to_owned();
    for line in text.lines() {
        frame.push_str(line);
        frame.push_str("\u{1b}[K\r\n");
    }
    frame.push_str("\u{1b}[J");
    frame
}

/// The whole view; within `size` (columns, lines), what is least important is left out.
fn draw(top: &Top, paint: Paint, size: Option<(usize, usize)>) -> String {
    let mut lines = Vec::new();
    let model = top
        .model
        .as_ref()
        .map_or("no model".to_owned(), |hash| format!("model {}", hash.get(..8).unwrap_or(hash)));
    lines.push(Line::of(
        format!("portcullis {}, up {}, {} rules, {model}", top.program, age(top.up_ms), top.rules),
        Tone::Bold,
    ));
    let totals = &top.totals;
    lines.push(Line::plain(format!(
        "judged {}  touching {}  unknown {}  alerts {}  pauses {}  dropped {}",
        totals.judged,
        totals.touching,
        totals.unknown,
        totals.alerts,
        totals.pauses,
        totals.dropped
    )));
    if let Some(journal) = &top.journal {
        let text = format!(
            "journal: {} rows, {} waiting, {} lost, {} failed writes",
            journal.written, journal.waiting, journal.lost, journal.failed_writes
        );
        let is_bad = journal.lost > 0 || journal.failed_writes > 0;
        lines.push(Line::of(text, if is_bad { Tone::Red } else { Tone::Plain }));
    }
    lines.push(Line::plain(String::new()));
    lines.push(Line::of(
        format!(
            "{:<14} {:>10} {:>8} {:>6} {:>8} {:>8} {:>7} {:>9} {:>9}  {}",
            "CHAIN", "HEAD", "AGE", "QUEUE", "SEEN", "JUDGED", "DROPPED", "p50", "p99", "COVERAGE"
        ),
        Tone::Dim,
    ));
    for chain in &top.chains {
        chain_lines(chain, &mut lines);
    }
    lines.push(Line::plain(String::new()));
    lines.push(Line::of(
        format!("{:<24} {:<14} {:<8} {}", "PROTECTED", "CHAIN", "MODE", "CONTRACTS"),
        Tone::Dim,
    ));
    for entry in &top.protected {
        let text = format!(
            "{:<24} {:<14} {:<8} {}",
            entry.name,
            entry.chain,
            entry.mode.word(),
            entry.contracts
        );
        lines
            .push(Line::of(text, if entry.mode == Mode::Armed { Tone::Bold } else { Tone::Plain }));
    }
    lines.push(Line::plain(String::new()));
    lines.push(Line::of("LAST VERDICTS".to_owned(), Tone::Dim));
    if top.verdicts.is_empty() {
        lines.push(Line::plain("nothing protected was touched yet".to_owned()));
    }
    lines.extend(top.verdicts.iter().map(|verdict| verdict_line(verdict, top.at_ms)));
    let (width, height) = size.unwrap_or((usize::MAX, usize::MAX));
    let shown = lines.iter().take(height.saturating_sub(1));
    shown.map(|line| line.paint(paint, width)).collect()
}

fn chain_lines(chain: &TopChain, lines: &mut Vec<Line>) {
    let or_dash = |value: Option<u64>, show: fn(u64) -> String| value.map_or("-".to_owned(), show);
    let coverage = match chain.coverage {
        Some((mined, seen)) => (seen * 100)
            .checked_div(mined)
            .map_or("nothing mined yet".to_owned(), |percent| format!("{percent} % of {mined}")),
        None => "no public pool".to_owned(),
    };
    let text = format!(
        "{:<14} {:>10} {:>8} {:>6} {:>8} {:>8} {:>7} {:>9} {:>9}  {coverage}",
        chain.name,
        or_dash(chain.head, |head| head.to_string()),
        or_dash(chain.head_age_ms, age),
        chain.waiting,
        chain.seen,
        chain.judged,
        chain.dropped,
        or_dash(chain.verdict_p50_us, |us| format!("≤{}", short_us(us))),
        or_dash(chain.verdict_p99_us, |us| format!("≤{}", short_us(us))),
    );
    let tone = if chain.why_not.is_some() { Tone::Red } else { Tone::Green };
    lines.push(Line::of(text, tone));
    if let Some(why_not) = &chain.why_not {
        lines.push(Line::of(format!("  not guarded: {why_not}"), Tone::Red));
    }
    for node in &chain.nodes {
        let (word, tone) = if node.is_up { ("up", Tone::Plain) } else { ("down", Tone::Yellow) };
        let seen =
            node.seen.map_or(String::new(), |seen| format!(", announced {seen} of the mined"));
        lines.push(Line::of(format!("  {} {word}{seen}", node.name), tone));
    }
    if let Some(pause) = &chain.pause {
        let tone = if pause.starts_with("would fail") { Tone::Red } else { Tone::Plain };
        lines.push(Line::of(format!("  a pause {pause}"), tone));
    }
}

fn verdict_line(verdict: &TopVerdict, now_ms: u64) -> Line {
    let hash = verdict.tx_hash.to_string();
    let decision = match verdict.decision {
        Decision::None => "",
        Decision::Alert => " alert",
        Decision::Pause => " PAUSE",
    };
    let score = verdict.score.map_or(String::new(), |score| format!(" model {score:.2}"));
    let text = format!(
        "{:>6} ago  {:<10}{decision}  {}…{}  {}{score}  {}",
        age(now_ms.saturating_sub(verdict.at_ms)),
        verdict.outcome.word(),
        hash.get(..8).unwrap_or(&hash),
        hash.get(62..).unwrap_or_default(),
        verdict.touched.join(", "),
        verdict.reason.as_deref().unwrap_or_default()
    );
    Line::of(
        text,
        match verdict.outcome {
            Outcome::Attack => Tone::Red,
            Outcome::Suspicious | Outcome::Unknown => Tone::Yellow,
            Outcome::Clear => Tone::Plain,
        },
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Bold,
    Dim,
    Green,
    Yellow,
    Red,
}

struct Line {
    text: String,
    tone: Tone,
}

impl Line {
    fn plain(text: String) -> Self {
        Self { text, tone: Tone::Plain }
    }

    fn of(text: String, tone: Tone) -> Self {
        Self { text, tone }
    }

    /// Cut before it is coloured, so that no colour is cut. What is no printable character came from outside, and must
    /// not steer the terminal.
    fn paint(&self, paint: Paint, width: usize) -> String {
        let clean = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
        let text: String = self.text.trim_end().chars().map(clean).take(width).collect();
        let text = match self.tone {
            Tone::Plain => text,
            Tone::Bold => paint.bold(&text),
            Tone::Dim => paint.dim(&text),
            Tone::Green => paint.green(&text),
            Tone::Yellow => paint.yellow(&text),
            Tone::Red => paint.red(&text),
        };
        text + "\n"
    }
}

/// A time span in the largest unit that tells something.
fn age(ms: u64) -> String {
    match ms / 1_000 {
        0 => format!("{ms} ms"),
        s @ 1..=119 => format!("{s} s"),
        s @ 120..=7_199 => format!("{} min", s / 60),
        s @ 7_200..=172_799 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

fn short_us(us: u64) -> String {
    match us {
        0..=999 => format!("{us} µs"),
        1_000..=999_999 => format!("{} ms", us / 1_000),
        _ => format!("{} s", us / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use portcullis_watcher::daemon::{TopNode, TopProtected};

    use super::*;

    fn top() -> Top {
        Top {
            version: TOP_VERSION,
            program: "0.1.0".to_owned(),
            at_ms: 100_000,
            up_ms: 3_600_000 * 3,
            totals: Default::default(),
            rules: 7,
            model: Some("0123456789abcdef".to_owned()),
            journal: None,
            chains: vec![TopChain {
                name: "mainnet".to_owned(),
                chain_id: 1,
                why_not: Some("the head is late".to_owned()),
                head: Some(21_000_000),
                head_age_ms: Some(90_000),
                block_time_ms: 12_000,
                nodes: vec![TopNode { name: "mainnet/0".to_owned(), is_up: false, seen: Some(3) }],
                seen: 10,
                waiting: 2,
                judged: 8,
                dropped: 1,
                coverage: Some((4, 3)),
                verdict_p50_us: Some(250),
                verdict_p99_us: Some(5_000),
                pause: Some("would fail now: no right".to_owned()),
            }],
            protected: vec![TopProtected {
                name: "vault".to_owned(),
                chain: "mainnet".to_owned(),
                mode: Mode::Armed,
                contracts: 2,
            }],
            verdicts: vec![TopVerdict {
                at_ms: 98_000,
                chain: "mainnet".to_owned(),
                tx_hash: [0xab; 32].into(),
                outcome: Outcome::Attack,
                decision: Decision::Pause,
                score: Some(0.991),
                latency_us: 900,
                touched: vec!["vault".to_owned()],
                reason: Some("drains\u{1b}[2J/all: gone".to_owned()),
            }],
        }
    }

    #[test]
    fn everything_stands_there_and_nothing_steers_the_terminal() {
        let text = draw(&top(), Paint { on: false }, None);
        for part in [
            "up 3 h, 7 rules, model 01234567",
            "21000000     90 s      2       10        8       1",
            "≤250 µs     ≤5 ms  75 % of 4",
            "not guarded: the head is late",
            "mainnet/0 down, announced 3 of the mined",
            "a pause would fail now: no right",
            "armed    2",
            "2 s ago  attack     PAUSE  0xababab…abab  vault model 0.99  drains\u{fffd}[2J/all: gone",
        ] {
            assert!(text.contains(part), "no `{part}` in:\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_small_screen_is_never_overrun() {
        let text = draw(&top(), Paint { on: false }, Some((30, 6)));
        assert_eq!(text.lines().count(), 5);
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
        assert!(screen(&text).starts_with("\u{1b}[H") && screen(&text).ends_with("\u{1b}[J"));
    }

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        let told: Vec<_> =
            [12, 1_500, 119_999, 120_000, 7_200_000, 172_800_000].map(age).into_iter().collect();
        assert_eq!(told, ["12 ms", "1 s", "119 s", "2 min", "2 h", "2 d"]);
    }
}
