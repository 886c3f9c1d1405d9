//! The way from text to facts, stage by stage, against the bare parser in the same run.
//!
//! ```sh
//! cargo bench -p portcullis-analyzer --bench front -- [--json] [FOLDER]
//! ```
//!
//! Everything is read into memory first. CPU time is that of one thread, the best of several rounds; the last
//! figure is wall time on all processors that the process may use. Without a folder, `@openzeppelin/contracts`
//! as installed by `.ci/setup` is measured.

#![expect(clippy::print_stdout, reason = "the table is the result")]
#![expect(clippy::unwrap_used, reason = "a measurement fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_analyzer::facts::{Facts, HazardKind, dictionary};
use portcullis_analyzer::hir::{Program, Source};
use portcullis_analyzer::project::{Project, ProjectOptions};
use portcullis_analyzer::syntax::{self, FileId};

/// The stages by name, in order; each time includes nothing of the others.
const STAGES: [&str; 5] = ["bare parser", "parse", "hir", "cfg", "facts"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs this too: once is enough to see that it works.
    let rounds = if arguments.iter().any(|argument| argument == "--bench") { 15 } else { 1 };
    let is_json = arguments.iter().any(|argument| argument == "--json");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = arguments.iter().find(|argument| !argument.starts_with("--")).map_or_else(
        || root.join("node_modules/@openzeppelin/contracts"),
        |folder| root.join(folder),
    );
    if !folder.is_dir() {
        println!("{}: no such folder; did `bash .ci/setup` run?", folder.display());
        return;
    }
    let sources = read(folder);
    let bytes: usize = sources.iter().map(|source| source.text.len()).sum();

    let mut best = [Duration::MAX; 5];
    let mut functions = 0;
    for _ in 0..rounds {
        let (times, graphed) = syntax::on_deep_stack(|| one_thread(&sources));
        functions = graphed;
        for (best, time) in best.iter_mut().zip(times) {
            *best = time.min(*best);
        }
    }
    let wall = (0..rounds).map(|_| all_threads(&sources)).min().unwrap();

    let bare = best[0];
    let through: Duration = best[1..].iter().sum();
    let rows = STAGES.iter().copied().zip(best).chain([("through facts", through)]);
    if is_json {
        let stages: serde_json::Map<String, serde_json::Value> = rows
            .map(|(name, time)| (name.replace(' ', "_") + "_s", time.as_secs_f64().into()))
            .collect();
        let document = serde_json::json!({
            "files": sources.len(),
            "bytes": bytes,
            "functions": functions,
            "cpu": stages,
            "wall_s": wall.as_secs_f64(),
            "threads": rayon::current_num_threads(),
        });
        println!("{document:#}");
        return;
    }
    println!("{} files, {bytes} bytes, {functions} functions with a body", sources.len());
    println!(
        "{:<14} {:>9} {:>8} {:>12} {:>7}",
        "CPU, 1 thread", "ms", "MB/s", "us/function", "x bare"
    );
    for (name, time) in rows {
        let seconds = time.as_secs_f64();
        println!(
            "{name:<14} {:>9.2} {:>8.1} {:>12.2} {:>7.2}",
            seconds * 1e3,
            bytes as f64 / 1e6 / seconds,
            seconds * 1e6 / functions as f64,
            seconds / bare.as_secs_f64(),
        );
    }
    println!("wall, {} threads: {:.1} ms", rayon::current_num_threads(), wall.as_secs_f64() * 1e3);
}

fn read(folder: PathBuf) -> Vec<Source> {
    // A folder named as such is not a dependency, wherever it lies.
    let options =
        ProjectOptions { base: folder.clone(), paths: vec![folder], ..ProjectOptions::default() };
    Source::of_project(&Project::read(&options).unwrap())
}

/// The times of [`STAGES`] on this thread alone, and how many functions were graphed.
fn one_thread(sources: &[Source]) -> ([Duration; 5], u64) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().unwrap();
    let mut times = [Duration::ZERO; 5];

    let start = cpu_time();
    for source in sources {
        // What the parser cannot read costs it less than what it can: the ratio errs against us.
        drop(solang_parser::parse(&source.text, 0));
    }
    times[0] = cpu_time() - start;

    let start = cpu_time();
    for source in sources {
        drop(syntax::check(&source.text, FileId(0)));
    }
    times[1] = cpu_time() - start;

    let start = cpu_time();
    let (program, _) = Program::build(sources.to_vec());
    times[2] = (cpu_time() - start).saturating_sub(times[1]);

    let start = cpu_time();
    let facts = Facts::new(&program);
    times[3] = cpu_time() - start;

    let start = cpu_time();
    ask_everything(&facts);
    times[4] = cpu_time() - start;
    drop(pool);
    (times, facts.coverage().functions)
}

fn all_threads(sources: &[Source]) -> Duration {
    let sources = sources.to_vec();
    let start = Instant::now();
    let (program, _) = Program::build(sources);
    ask_everything(&Facts::new(&program));
    start.elapsed()
}

/// Makes everything be computed that waits until it is asked.
fn ask_everything(facts: &Facts<'_>) {
    std::hint::black_box(facts.function_tables(&dictionary()).len());
    std::hint::black_box(facts.reentrancies());
    std::hint::black_box(facts.late_effects());
    std::hint::black_box(facts.self_destructs());
    // All kinds are found at once.
    std::hint::black_box(facts.hazards(HazardKind::LockedEther).count());
    std::hint::black_box(facts.loops());
    std::hint::black_box(facts.call_graph());
}

/// What this thread has run so far. Linux counts it in nanoseconds; elsewhere the clock stands in.
fn cpu_time() -> Duration {
    thread_local! {
        static START: Instant = Instant::now();
    }
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|text| {
        text.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse().ok())
    });
    counted.map_or_else(|| START.with(Instant::elapsed), Duration::from_nanos)
}
