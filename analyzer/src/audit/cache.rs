//! Results kept by the content they were drawn from.
//!
//! The name of an entry is a hash over everything that decides a result: the program, the questions, and of each
//! file its path, its text and what its imports name. So an entry never has to be thrown away because something
//! changed, and none can be taken for another. An entry that is damaged is as good as none.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use portcullis_rules::RuleSet;
use sha2::{Digest, Sha256};

use super::{Analysis, Plan};
use crate::project::Project;

/// Results that are larger are computed anew each time.
const MAX_ENTRY_BYTES: usize = 32 * 1024 * 1024;

/// Where results are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// Folder that belongs to the cache alone; it is made when something is kept.
    pub folder: PathBuf,
    /// What tells this build of the program from every other one; another build draws other results.
    pub program: String,
    /// Bytes that all entries together may have; the oldest are removed first.
    pub max_bytes: u64,
}

/// The name of the result that `plan` draws from `project`.
pub(super) struct Key(String);

impl Key {
    pub(super) fn new(options: &CacheOptions, plan: &Plan<'_>, project: &Project) -> Self {
        let mut hash = Parts(Sha256::new());
        hash.part(options.program.as_bytes());
        hash.number(plan.detectors.len());
        for detector in plan.detectors {
            hash.part(detector.metadata().id.as_bytes());
        }
        hash.rules(plan.rules);
        hash.number(project.files.len());
        hash.number(project.skipped);
        for file in &project.files {
            hash.part(file.shown.as_bytes());
            hash.part(&[u8::from(file.is_reported)]);
            hash.part(file.text.as_bytes());
            hash.number(file.imports.len());
            for (import, target) in &file.imports {
                hash.part(import.as_bytes());
                hash.number(target.map_or(0, |target| target + 1));
            }
        }
        Self(hex(&hash.0.finalize()))
    }
}

/// A hash over parts none of which can run into the next.
struct Parts(Sha256);

impl Parts {
    fn part(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.update(bytes);
    }

    fn number(&mut self, number: usize) {
        self.0.update((number as u64).to_le_bytes());
    }

    fn rules(&mut self, rules: Option<&RuleSet>) {
        self.number(rules.map_or(0, RuleSet::len));
        for (pack, rule) in rules.into_iter().flat_map(RuleSet::rules) {
            for text in [pack, rule.id(), rule.when(), rule.why(), rule.message_template()] {
                self.part(text.as_bytes());
            }
            let weights = format!("{} {} {}", rule.subject(), rule.severity(), rule.maturity());
            self.part(weights.as_bytes());
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("a string takes all");
        digits
    })
}

/// The result of that name, if it is kept and sound: a line with its hash, by which damage is noticed, and itself.
pub(super) fn read(options: &CacheOptions, key: &Key) -> Option<Analysis> {
    let path = options.folder.join(&key.0);
    let length = std::fs::metadata(&path).ok()?.len();
    if length > 2 * MAX_ENTRY_BYTES as u64 {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    let (check, result) = text.split_once('\n')?;
    if check != hex(&Sha256::digest(result)) {
        return None;
    }
    serde_json::from_str(result).ok()
}

/// Keeps a result. What fails here costs the next run its time and nothing else.
pub(super) fn write(options: &CacheOptions, key: &Key, analysis: &Analysis) {
    let Ok(result) = serde_json::to_string(analysis) else { return };
    if result.len() > MAX_ENTRY_BYTES {
        return;
    }
    let written = || -> std::io::Result<()> {
        std::fs::create_dir_all(&options.folder)?;
        let mut file = tempfile::Builder::new().prefix("partial-").tempfile_in(&options.folder)?;
        writeln!(file, "{}", hex(&Sha256::digest(&result)))?;
        file.write_all(result.as_bytes())?;
        // Whoever reads meanwhile sees the whole entry or none.
        file.persist(options.folder.join(&key.0))?;
        Ok(())
    };
    if written().is_ok() {
        shrink(&options.folder, options.max_bytes);
    }
}

/// Removes the oldest entries until all together fit.
fn shrink(folder: &Path, max_bytes: u64) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut files: Vec<(SystemTime, PathBuf, u64)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let metadata = entry.metadata().ok()?;
            let modified = metadata.modified().ok()?;
            metadata.is_file().then(|| (modified, entry.path(), metadata.len()))
        })
        .collect();
    files.sort();
    let mut total: u64 = files.iter().map(|(_, _, length)| length).sum();
    for (_, path, length) in files {
        if total <= max_bytes {
            break;
        }
        if std::fs::remove_file(path).is_ok() {
            total -= length;
        }
    }
}
