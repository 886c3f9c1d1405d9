//! `portcullis demo`: the main job on an embedded default.
//!
//! It does nothing that the commands do not: the audit is [`portcullis_analyzer::audit_texts`], the stream is the
//! code of `guard --replay` (or of `guard` itself with `--live`) under a configuration written to a folder of its
//! own.

mod live;
pub(crate) mod scene;

use std::path::PathBuf;
use std::process::ExitCode;

use alloy::primitives::U256;
use anyhow::Context;
use portcullis_alerting::record::Decision;
use portcullis_range::story::{self, StoryOptions};
use portcullis_watcher::act::GuardEvent;

use crate::guard::{self, Show, StreamView, ether};
use crate::terminal::{self, Paint};
use scene::Scene;

/// The recording that is played by default.
const RECORDING: &str = include_str!("../../fixtures/recordings/vault-attack.jsonl");

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Play it on a real node: anvil, from PATH or from the project's npm folder
    #[arg(long, conflicts_with_all = ["recording", "write_recording"])]
    live: bool,
    /// Replay this recording instead of the one that ships; the contracts it marks as protected are protected
    #[arg(long, value_name = "FILE")]
    recording: Option<PathBuf>,
    /// Ask no model
    #[arg(long)]
    without_model: bool,
    /// Ask none of the rules that ship
    #[arg(long)]
    without_rules: bool,
    /// Write the recording that ships again, and do nothing else
    #[arg(long, value_name = "FILE", hide = true)]
    write_recording: Option<PathBuf>,
}

/// Shows both halves at work.
pub(crate) fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.write_recording {
        let file = std::fs::File::create(path).with_context(|| path.display().to_string())?;
        story::record(&StoryOptions::default(), path, std::io::BufWriter::new(file))?;
        return Ok(ExitCode::SUCCESS);
    }
    let paint = Paint { on: terminal::stdout_has_colour() };
    #[cfg(feature = "audit")]
    audit(paint)?;
    if args.live {
        return live::run(paint, args.without_model, args.without_rules);
    }
    heading(paint, "The guard replays a recorded stream in which that vault is attacked")?;
    let scene = match &args.recording {
        Some(path) => Scene::of_recording(path)?,
        None => Scene::of_text(RECORDING)?,
    };
    replay(&scene, paint, &args)?;
    Ok(ExitCode::SUCCESS)
}

fn heading(paint: Paint, text: &str) -> std::io::Result<()> {
    terminal::print(&format!("\n{}\n\n", paint.bold(&format!("▌ {text}"))))
}

#[cfg(feature = "audit")]
fn audit(paint: Paint) -> anyhow::Result<()> {
    use portcullis_analyzer::report::{TerminalOptions, terminal as page};

    const VAULT: &str = include_str!("../../fixtures/contracts/Vault.sol");
    heading(paint, "The audit reads a vault before it ships")?;
    // What the vault inherits is published elsewhere; without it nobody could say that it holds no lock.
    const BASES: [(&str, &str); 2] = [
        (
            "@openzeppelin/contracts/access/AccessControl.sol",
            include_str!("../../fixtures/contracts/abridged/AccessControl.sol"),
        ),
        (
            "@openzeppelin/contracts/utils/Pausable.sol",
            include_str!("../../fixtures/contracts/abridged/Pausable.sol"),
        ),
    ];
    let report = portcullis_analyzer::audit_texts(("fixtures/contracts/Vault.sol", VAULT), &BASES);
    terminal::print(&page(&report, TerminalOptions { is_coloured: paint.on, elapsed: None }))?;
    Ok(())
}

fn replay(scene: &Scene, paint: Paint, args: &DemoArgs) -> anyhow::Result<()> {
    let config = scene.write_config(&[], args.without_model, args.without_rules)?;
    let mut view = StreamView::new(paint, Show::All).with_labels(scene.labels()?);
    let events = guard::replay(&config, scene.recording(), move |event| {
        terminal::print(&view.lines(event))
    })?;
    let mut told = Told::default();
    events.iter().for_each(|event| told.note(event));
    terminal::print(&format!("\n{}\n", told.closing(paint)))?;
    Ok(())
}

/// What the closing line is made from.
#[derive(Debug, Default)]
struct Told {
    judged: usize,
    at_stake: U256,
    would_pause: usize,
}

impl Told {
    fn note(&mut self, event: &GuardEvent) {
        match event {
            GuardEvent::Verdict(judged) => {
                self.judged += 1;
                self.would_pause += usize::from(judged.row.would_decide == Decision::Pause);
            }
            GuardEvent::Pause(pause) => self.at_stake = self.at_stake.max(pause.at_stake_wei),
            _ => {}
        }
    }

    fn closing(&self, paint: Paint) -> String {
        if self.would_pause == 0 {
            return paint.green(&format!(
                "{} transactions judged, and nothing in them to pause for.",
                self.judged
            ));
        }
        let others = self.judged - self.would_pause;
        format!(
            "{} {others} other transactions were let pass.\nNothing was sent: `portcullis demo --live` does this on a \
             real node, where the pause is mined before the attack.",
            paint.bold(&format!("{} would have stayed in the vault.", ether(self.at_stake)))
        )
    }
}
