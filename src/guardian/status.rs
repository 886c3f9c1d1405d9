//! `portcullis guardian status`: what the guardian says of itself, and whether a pause simulated now would work.

use std::fmt::Write as _;
use std::process::ExitCode;

use alloy::primitives::{Address, Bytes};
use portcullis_alerting::guardian::{GuardianError, PauseTerms, deploy, head_time_s, preflight};
use serde::Serialize;

use super::On;
use super::site::{Nodes, Site};
use crate::guard::SHOWN_PAUSE_GAS;
use crate::terminal::{self, Paint};

/// Something would keep a pause from working.
pub(super) const FOUND: u8 = 1;

/// Arguments of `guardian status`.
#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    on: On,
    /// Account to ask for; may be repeated; default: that of the configured key
    #[arg(long, value_name = "ADDR")]
    pauser: Vec<Address>,
    /// Protected contract to ask for; may be repeated; default: those of the configuration
    #[arg(long, value_name = "ADDR")]
    target: Vec<Address>,
    /// How to print it
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Terminal,
    /// For programs: one JSON object
    Json,
}

/// What was found; the JSON form of the command.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    chain: String,
    chain_id: u64,
    guardian: Address,
    owner: Address,
    /// Offered the ownership.
    pending_owner: Option<Address>,
    cooldown_s: u32,
    period_s: u32,
    max_pauses_per_period: u32,
    /// Time of the newest block, Unix seconds.
    head_time_s: u64,
    pausers: Vec<PauserReport>,
    targets: Vec<TargetReport>,
    /// Everything that would keep a pause from working; empty where all is well.
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PauserReport {
    address: Address,
    /// When the right to pause ends, Unix seconds; 0 for no right.
    expires_at_s: u64,
}

#[derive(Debug, Serialize)]
struct TargetReport {
    address: Address,
    calls: Vec<CallReport>,
    /// From when on the limits allow the next pause, Unix seconds; in the past where they do now.
    next_pause_at_s: u64,
    rehearsals: Vec<Rehearsal>,
}

#[derive(Debug, Serialize)]
struct CallReport {
    to: Address,
    data: Bytes,
}

/// One pause, simulated now.
#[derive(Debug, Serialize)]
struct Rehearsal {
    pauser: Address,
    works: bool,
    problem: Option<String>,
}

/// Asks and prints.
pub(super) async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let site = Site::open(&args.on)?;
    let pausers = match args.pauser.as_slice() {
        [] => site.pauser_key()?.map(|key| key.address()).into_iter().collect(),
        given => given.to_vec(),
    };
    let targets = match args.target.as_slice() {
        [] => site.targets().map(|(address, _)| address).collect(),
        given => given.to_vec(),
    };
    let nodes = site.connect().await?;
    let report = ask(&site, &nodes, &pausers, &targets).await?;
    match args.format {
        Format::Json => terminal::print(&(serde_json::to_string_pretty(&report)? + "\n"))?,
        Format::Terminal => {
            terminal::print(&report.page(Paint { on: terminal::stdout_has_colour() }))?
        }
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

pub(super) async fn ask(
    site: &Site,
    nodes: &Nodes,
    pausers: &[Address],
    targets: &[Address],
) -> anyhow::Result<Report> {
    let guardian = site.guardian()?;
    let mut problems = nodes.unreachable.clone();
    if pausers.is_empty() {
        problems.push("nobody to pause: configure `guardian.key`, or ask with --pauser".to_owned());
    }
    if targets.is_empty() {
        problems.push(format!("chain `{}` has no protected contract to pause", site.chain.name));
    }
    let mut terms = PauseTerms {
        chain: site.chain.name.to_string(),
        chain_id: site.chain.chain_id,
        guardian,
        pauser: Address::ZERO,
        max_cost_wei: site.chain.fees.max_cost_wei,
        gas_limit: SHOWN_PAUSE_GAS,
    };
    let mut rehearsed: Vec<(Address, Vec<Rehearsal>)> =
        targets.iter().map(|target| (*target, Vec::new())).collect();
    for &pauser in pausers {
        terms.pauser = pauser;
        for (target, rehearsals) in &mut rehearsed {
            let outcome = preflight(&nodes.rpcs, &terms, &[*target]).await;
            if let Err(
                error @ (GuardianError::NoGuardian { .. } | GuardianError::WrongChain { .. }),
            ) = outcome
            {
                // Nothing else can be asked there.
                return Err(error.into());
            }
            let problem = outcome.err().map(|error| error.to_string());
            if let Some(problem) = &problem
                && !problems.contains(problem)
            {
                problems.push(problem.clone());
            }
            rehearsals.push(Rehearsal { pauser, works: problem.is_none(), problem });
        }
    }
    let status = deploy::status(nodes.first(), guardian, pausers, targets).await?;
    let targets = status.targets.into_iter().zip(rehearsed).map(
        |((address, calls, next_pause_at_s), (_, rehearsals))| {
            let calls =
                calls.into_iter().map(|call| CallReport { to: call.to, data: call.data }).collect();
            TargetReport { address, calls, next_pause_at_s, rehearsals }
        },
    );
    Ok(Report {
        chain: site.chain.name.to_string(),
        chain_id: site.chain.chain_id,
        guardian,
        owner: status.owner,
        pending_owner: Some(status.pending_owner).filter(|owner| !owner.is_zero()),
        cooldown_s: status.cooldown_s,
        period_s: status.period_s,
        max_pauses_per_period: status.max_pauses_per_period,
        head_time_s: head_time_s(nodes.first()).await?,
        pausers: status
            .pausers
            .into_iter()
            .map(|(address, expires_at_s)| PauserReport { address, expires_at_s })
            .collect(),
        targets: targets.collect(),
        problems,
    })
}

impl Report {
    /// Everything that would keep a pause from working.
    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Target and pauser of each pause that would work now.
    pub(super) fn works(&self) -> impl Iterator<Item = (Address, Address)> {
        self.targets.iter().flat_map(|target| {
            let works = target.rehearsals.iter().filter(|rehearsal| rehearsal.works);
            works.map(|rehearsal| (target.address, rehearsal.pauser))
        })
    }

    /// The calls that are registered for a target.
    pub(super) fn calls(&self, target: Address) -> Vec<(Address, Bytes)> {
        let found = self.targets.iter().filter(|known| known.address == target);
        found.flat_map(|known| &known.calls).map(|call| (call.to, call.data.clone())).collect()
    }

    fn page(&self, paint: Paint) -> String {
        let mut out = format!(
            "{} on `{}` ({})\n",
            paint.bold(&format!("guardian {}", self.guardian)),
            self.chain,
            self.chain_id
        );
        let mut line = |text: String| writeln!(out, "{text}").expect("a string grows");
        line(format!("  owner    {}", self.owner));
        if let Some(pending) = self.pending_owner {
            line(format!("           {pending} is offered the ownership"));
        }
        line(format!(
            "  limits   {} s between two pauses of one contract, {} in {} s",
            self.cooldown_s, self.max_pauses_per_period, self.period_s
        ));
        for pauser in &self.pausers {
            line(format!("  pauser   {}: {}", pauser.address, self.right(pauser, paint)));
        }
        for target in &self.targets {
            line(format!("  target   {}", target.address));
            if target.calls.is_empty() {
                line(format!("           {}", paint.red("no call is registered")));
            }
            for call in &target.calls {
                line(format!("           calls {} with {}", call.to, call.data));
            }
            line(format!("           next pause {}", self.in_seconds(target.next_pause_at_s)));
            for rehearsal in &target.rehearsals {
                line(match &rehearsal.problem {
                    None => format!(
                        "           {} a pause by {} would work now",
                        paint.green("✓"),
                        rehearsal.pauser
                    ),
                    Some(problem) => format!("           {} {problem}", paint.red("✗")),
                });
            }
        }
        let rehearsed = self.targets.iter().flat_map(|target| &target.rehearsals);
        let told: Vec<&str> =
            rehearsed.filter_map(|rehearsal| rehearsal.problem.as_deref()).collect();
        for problem in self.problems.iter().filter(|problem| !told.contains(&problem.as_str())) {
            line(format!("  {} {problem}", paint.red("✗")));
        }
        line(if self.problems.is_empty() {
            paint.green("a pause would work now")
        } else {
            paint.red(&format!(
                "{} would keep a pause from working",
                super::count(self.problems.len(), "problem")
            ))
        });
        out
    }

    fn right(&self, pauser: &PauserReport, paint: Paint) -> String {
        match pauser.expires_at_s {
            0 => paint.red("no right to pause"),
            at if at <= self.head_time_s => paint.red("the right to pause has ended"),
            at => format!("may pause for another {}", span(at - self.head_time_s)),
        }
    }

    fn in_seconds(&self, at_s: u64) -> String {
        match at_s.saturating_sub(self.head_time_s) {
            0 => "possible now".to_owned(),
            wait => format!("possible in {}", span(wait)),
        }
    }
}

/// A span of time in its largest unit, rounded down.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
