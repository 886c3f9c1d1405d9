use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::suicidal::Suicidal;
use super::*;
use crate::project::{Project, ProjectOptions};
use crate::report::DiagnosticKind;
use crate::{AuditOptions, AuditReport, audit, audit_text};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/detectors")
}

/// The `//~ id …` marks of a text: an id and the line it is due on; each `^` means one line up.
fn marks(text: &str) -> BTreeSet<(u32, String)> {
    let mut marks = BTreeSet::new();
    for (line, number) in text.lines().zip(1_u32..) {
        let Some((_, ids)) = line.split_once("//~") else { continue };
        let up = ids.chars().take_while(|c| *c == '^').count();
        let number = number - u32::try_from(up).unwrap();
        marks.extend(
            ids.trim_start_matches('^').split_whitespace().map(|id| (number, id.to_owned())),
        );
    }
    marks
}

/// Findings must stand exactly where the marks are. Lighter ones than `least` are another matter.
#[track_caller]
fn check(name: &str, text: &str, report: &AuditReport, least: Severity) {
    let found: BTreeSet<_> = report
        .findings
        .iter()
        .filter(|finding| finding.severity >= least)
        .map(|finding| (finding.location.start.line, finding.detector.clone()))
        .collect();
    assert_eq!(report.diagnostics, [], "{name}: an example must be whole");
    assert_eq!(found, marks(text), "{name}: found on the left, marked on the right");
}

#[test]
fn every_page_is_whole() {
    for detector in all() {
        let metadata = detector.metadata();
        if let Err(error) = Page::parse(metadata.doc) {
            panic!("{}: {error}", metadata.id);
        }
    }
}

#[test]
fn three_spellings_of_one_name() {
    for (detector, (file, ty)) in all().zip(NAMES) {
        let id = detector.metadata().id;
        assert_eq!(*file, id.replace('-', "_"), "file and id");
        let camel: String =
            id.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        assert_eq!(*ty, camel, "type and id");
        assert_eq!(*ty, detector.metadata().name);
    }
}

#[test]
fn the_list_is_sorted() {
    let ids: Vec<_> = all().map(|detector| detector.metadata().id).collect();
    assert!(ids.is_sorted(), "{ids:?}");
}

#[test]
fn the_examples_of_every_page_hold() {
    for detector in all() {
        let metadata = detector.metadata();
        for (example, number) in Page::parse(metadata.doc).unwrap().examples.into_iter().zip(1..) {
            let name = format!("{}, example {number}", metadata.id);
            let own_marks = marks(&example.code).iter().filter(|(_, id)| id == metadata.id).count();
            assert_eq!(
                own_marks > 0,
                example.is_bad,
                "{name}: bad examples are marked, good ones are not"
            );
            check(
                &name,
                &example.code,
                &audit_text("example.sol", &example.code),
                metadata.severity,
            );
        }
    }
}

#[test]
fn the_fixtures_of_every_detector_hold() {
    for detector in all() {
        let metadata = detector.metadata();
        let folder = fixtures().join(metadata.id);
        let project = Project::read(&ProjectOptions {
            base: folder.clone(),
            paths: vec![folder.clone()],
            ..Default::default()
        });
        let (mut n_bad, mut n_good) = (0, 0);
        for file in project.unwrap().files {
            let name = format!("{}/{}", metadata.id, file.shown);
            let options = AuditOptions {
                base: folder.clone(),
                paths: vec![file.path],
                ..AuditOptions::default()
            };
            check(&name, &file.text, &audit(&options).unwrap(), metadata.severity);
            *if marks(&file.text).is_empty() { &mut n_good } else { &mut n_bad } += 1;
        }
        assert!(n_bad > 0 && n_good > 0, "{}: {n_bad} bad and {n_good} good fixtures", metadata.id);
    }
}

#[test]
fn every_fixture_folder_belongs_to_a_detector() {
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(by_id(&name).is_some(), "no detector is called {name}");
    }
}

detector! {
    /// A detector that crashes.
    Crasher { id: "crasher", severity: Info, confidence: Low, since: "0.1.0", slither: [], swc: [] }
}

impl Detector for Crasher {
    fn check(&self, _: &Facts<'_>, out: &mut Findings) {
        out.report(crate::syntax::Span::default(), "half done");
        panic!("no such block");
    }
}

#[test]
fn a_crash_costs_the_findings_of_that_detector_alone() {
    let bad = Page::parse(Suicidal.metadata().doc).unwrap().examples.remove(0).code;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.sol"), bad).unwrap();
    let options = ProjectOptions {
        base: folder.path().to_owned(),
        paths: vec![PathBuf::from("a.sol")],
        ..Default::default()
    };
    let report =
        crate::audit::audit_project(Project::read(&options).unwrap(), &[&Crasher, &Suicidal]);
    let ids: Vec<_> = report.findings.iter().map(|finding| finding.detector.as_str()).collect();
    assert_eq!(ids, ["suicidal"]);
    let [crash] = report.diagnostics.as_slice() else { panic!("{:?}", report.diagnostics) };
    assert_eq!(crash.kind, DiagnosticKind::DetectorCrashed);
    assert!(
        crash.message.contains("`crasher`")
            && crash.note.as_ref().unwrap().contains("no such block"),
        "{crash:?}"
    );
    assert!(report.has_failed());
    assert_eq!(report.stats.detectors, 1);
}

/// Words that mean something to the language or the machine; all others are the author's.
const RESERVED: &str = "
abstract address anonymous as assembly balance block bool break bytes bytes32 call calldata case catch constant
constructor continue contract data default delegatecall delete do else emit encode encodePacked enum error ether
event external fallback false final for from function gas gwei hex if immutable import in indexed interface internal
is keccak256 length let library mapping memory modifier msg new origin override pay payable pragma private public
pure receive require return returns revert selector selfdestruct send sender sig sload sstore solidity staticcall storage string
struct super switch this throw timestamp transfer transferFrom true try tx type uint256 unchecked unicode using value view virtual
wei while
add and calldatacopy calldatasize caller create create2 div eq gt iszero leave lt mload mstore mul not or returndatacopy
returndatasize shl shr sub tload tstore
balanceOf safeTransferFrom encodeCall encodeWithSelector encodeWithSignature prevrandao difficulty blockhash number chainid
coinbase gaslimit sar xor uint8 int256 sha256 permit approve uniswapV2Call
uniswapV3SwapCallback onFlashLoan decode catch try push ecrecover chainid bytes4 abi gasleft
days weeks hours minutes seconds uint128 uint64 uint32 uint16 uint112 uint160 int24 int128 bytes20 executeOperation
latestRoundData latestAnswer totalSupply allowance ownerOf getApproved pop slot uint80
swapExactETHForTokens swapExactTokensForETHSupportingFeeOnTransferTokens swapExactTokensForTokens exactInputSingle
addLiquidity getAmountsOut getReserves slot0 swap mint burn uint160 uint24 int96 uint96 max
tryRead tryReadWithAge getPrice getEmaPrice getPriceUnsafe getPriceNoOlderThan getEmaPriceNoOlderThan
createRetryableTicket unsafeCreateRetryableTicket int64 int32 bytes1 calldatasize extcodesize";

/// The text with every name of the author's replaced, line by line as it was.
fn renamed(text: &str) -> String {
    let reserved: BTreeSet<_> = RESERVED.split_whitespace().collect();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let mut out = String::new();
    for line in text.lines() {
        let (code, comment) =
            line.split_once("//").map_or((line, None), |(code, rest)| (code, Some(rest)));
        let mut rest = code;
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(length);
            rest = after;
            if !is_word(first) || first.is_ascii_digit() || token == "_" || reserved.contains(token)
            {
                out.push_str(token);
            } else {
                // Reversed, so that no prefix or meaning is left, and still one name per name.
                out.extend(["x".to_owned(), token.chars().rev().collect()]);
            }
        }
        out.extend(comment.map(|comment| format!("//{comment}")));
        out.push('\n');
    }
    out
}

#[test]
fn names_decide_nothing() {
    let mut n_files = 0;
    for detector in all() {
        let metadata = detector.metadata();
        for entry in std::fs::read_dir(fixtures().join(metadata.id)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            if text.contains("import ") {
                // A library keeps its names.
                continue;
            }
            let text = renamed(&text);
            check(
                &path.display().to_string(),
                &text,
                &audit_text("renamed.sol", &text),
                metadata.severity,
            );
            n_files += 1;
        }
    }
    assert!(n_files >= 5, "{n_files}");
}
