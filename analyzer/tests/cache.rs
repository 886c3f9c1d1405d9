//! Results of earlier audits: used when nothing changed, and never otherwise.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use portcullis_analyzer::report::{Date, FindingsDocument};
use portcullis_analyzer::{AuditOptions, AuditReport, CacheOptions, audit};
use sha2::{Digest, Sha256};

const TRAP: &str = "contract Trap {\n    // portcullis-allow suicidal until 2026-06-30: soon mended\n\
                    \x20   function end() external { selfdestruct(payable(msg.sender)); }\n\
                    \x20   function go() external { selfdestruct(payable(msg.sender)); }\n}\n";

struct Place {
    folder: tempfile::TempDir,
    options: AuditOptions,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("src")).unwrap();
        std::fs::write(folder.path().join("src/Trap.sol"), TRAP).unwrap();
        let cache = CacheOptions {
            folder: folder.path().join("cache/audit"),
            program: "this build".to_owned(),
            max_bytes: 1_000_000,
        };
        let options = AuditOptions {
            base: folder.path().join("src"),
            paths: vec![PathBuf::from(".")],
            today: Date::parse("2026-06-15"),
            cache: Some(cache),
            ..AuditOptions::default()
        };
        Self { folder, options }
    }

    fn audit(&self) -> AuditReport {
        audit(&self.options).unwrap()
    }

    fn cache(&mut self) -> &mut CacheOptions {
        self.options.cache.as_mut().unwrap()
    }

    fn entries(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.folder.path().join("cache/audit")) else {
            return Vec::new();
        };
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Writes another message into the only entry, in its proper form: whoever reports it has read it there.
    fn mark(&self) {
        let [entry] = self.entries().try_into().unwrap();
        let text = std::fs::read_to_string(&entry).unwrap();
        let (_, result) = text.split_once('\n').unwrap();
        let marked = result.replacen("\"message\":\"", "\"message\":\"MARKED ", 1);
        let mut check = String::new();
        for byte in Sha256::digest(&marked) {
            write!(check, "{byte:02x}").unwrap();
        }
        std::fs::write(entry, format!("{check}\n{marked}")).unwrap();
    }
}

fn is_marked(report: &AuditReport) -> bool {
    let suppressed = report.suppressed.iter().map(|suppressed| &suppressed.finding);
    report.findings.iter().chain(suppressed).any(|finding| finding.message.starts_with("MARKED"))
}

#[test]
fn an_unchanged_project_is_answered_from_the_cache_with_the_same_words() {
    let place = Place::new();
    let first = place.audit();
    let second = place.audit();
    assert_eq!((first.findings.len(), first.suppressed.len()), (1, 1));
    assert_eq!(FindingsDocument::new(&first).to_json(), FindingsDocument::new(&second).to_json());
    assert_eq!(first.sources, second.sources);
    place.mark();
    assert!(is_marked(&place.audit()));
}

#[test]
fn whatever_decides_a_result_is_part_of_its_name() {
    let changes: [fn(&mut Place); 6] = [
        |place| place.cache().program = "the next build".to_owned(),
        |place| place.options.exclude_detectors = vec!["tx-origin".to_owned()],
        |place| {
            std::fs::write(place.folder.path().join("src/Trap.sol"), format!("{TRAP} ")).unwrap()
        },
        |place| {
            std::fs::write(place.folder.path().join("src/Other.sol"), "contract Other {}").unwrap()
        },
        |place| {
            let (from, to) = (
                place.folder.path().join("src/Trap.sol"),
                place.folder.path().join("src/Snare.sol"),
            );
            std::fs::rename(from, to).unwrap();
        },
        |place| {
            place.options.base = place.folder.path().to_owned();
            place.options.paths = vec![PathBuf::from("src")];
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut place = Place::new();
        place.audit();
        place.mark();
        assert!(is_marked(&place.audit()), "before change {number}");
        change(&mut place);
        assert!(!is_marked(&place.audit()), "after change {number}");
    }
}

#[test]
fn what_a_comment_allows_is_not_kept() {
    let mut place = Place::new();
    assert_eq!(place.audit().findings.len(), 1);
    place.options.today = Date::parse("2026-07-01");
    let later = place.audit();
    assert_eq!(later.findings.len(), 2, "the comment has expired since");
    assert!(later.diagnostics.iter().any(|said| said.message.contains("has expired")));
}

#[test]
fn a_damaged_entry_is_as_good_as_none() {
    let place = Place::new();
    let sound = FindingsDocument::new(&place.audit()).to_json();
    let [entry] = place.entries().try_into().unwrap();
    let text = std::fs::read_to_string(&entry).unwrap();
    let half = text.get(..text.len() / 2).unwrap();
    let turned = text.replace("high", "low");
    for damage in [half, "", "\n", "{}", "not\nJSON", "\u{0}\u{1}", &turned] {
        std::fs::write(&entry, damage).unwrap();
        assert_eq!(FindingsDocument::new(&place.audit()).to_json(), sound, "{damage:?}");
    }
    std::fs::write(&entry, [0xff, 0xfe, b'\n', 0xff]).unwrap();
    assert_eq!(FindingsDocument::new(&place.audit()).to_json(), sound);
}

#[test]
fn it_stays_within_its_bound_and_works_without_a_place() {
    let mut place = Place::new();
    place.audit();
    let length = std::fs::metadata(&place.entries()[0]).unwrap().len();
    place.cache().max_bytes = 2 * length + length / 2;
    for number in 0..5 {
        let text = format!("{TRAP}// {number}\n");
        std::fs::write(place.folder.path().join("src/Trap.sol"), text).unwrap();
        place.audit();
    }
    assert_eq!(place.entries().len(), 2);
    // A file stands where the folder should be: nothing can be kept, and nothing fails.
    std::fs::write(place.folder.path().join("file"), "").unwrap();
    place.cache().folder = Path::new(place.folder.path()).join("file/below");
    assert_eq!(place.audit().findings.len(), 1);
}
