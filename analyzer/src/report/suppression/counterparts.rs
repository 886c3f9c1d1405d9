//! What other tools call the weaknesses that our detectors find.

use crate::detectors::{self, Detector};

/// Ids of one weakness in other tools.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counterparts {
    /// Slither's detectors.
    pub slither: Vec<&'static str>,
    /// Aderyn's detectors.
    pub aderyn: Vec<&'static str>,
    /// Lints of `forge lint`.
    pub forge_lint: Vec<&'static str>,
    /// Rules of solhint.
    pub solhint: Vec<&'static str>,
    /// Entries of the SWC registry.
    pub swc: Vec<&'static str>,
}

impl Counterparts {
    /// The ids with the name of their tool.
    pub fn by_tool(&self) -> [(&'static str, &[&'static str]); 5] {
        [
            ("slither", &self.slither),
            ("aderyn", &self.aderyn),
            ("forge-lint", &self.forge_lint),
            ("solhint", &self.solhint),
            ("swc", &self.swc),
        ]
    }
}

/// What other tools call the weakness that `detector` finds.
pub fn counterparts(detector: &dyn Detector) -> Counterparts {
    let metadata = detector.metadata();
    let mut all = Counterparts {
        slither: metadata.slither.to_vec(),
        swc: metadata.swc.to_vec(),
        ..Counterparts::default()
    };
    for row in rows(detector) {
        all.aderyn.extend(row.aderyn);
        all.forge_lint.extend(row.forge_lint);
        all.solhint.extend(row.solhint);
    }
    for ids in [&mut all.aderyn, &mut all.forge_lint, &mut all.solhint] {
        ids.sort_unstable();
        ids.dedup();
    }
    all
}

/// A tool whose comments are honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Slither,
    Aderyn,
    ForgeLint,
    Solhint,
}

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Slither => "slither",
            Self::Aderyn => "aderyn",
            Self::ForgeLint => "forge-lint",
            Self::Solhint => "solhint",
        }
    }

    /// Ids of our detectors of the weakness that the tool calls `id`.
    pub(super) fn ours(self, id: &str) -> Vec<&'static str> {
        self.of_detectors(|theirs| theirs.contains(&id))
    }

    /// Ids of our detectors of all weaknesses that the tool would find, where it is one for security.
    pub(super) fn everything(self) -> Vec<&'static str> {
        match self {
            Self::Slither | Self::Aderyn => self.of_detectors(|theirs| !theirs.is_empty()),
            Self::ForgeLint | Self::Solhint => Vec::new(),
        }
    }

    fn of_detectors(self, wanted: impl Fn(&[&'static str]) -> bool) -> Vec<&'static str> {
        let is_wanted = |detector: &&dyn Detector| {
            let all = counterparts(*detector);
            wanted(match self {
                Self::Slither => &all.slither,
                Self::Aderyn => &all.aderyn,
                Self::ForgeLint => &all.forge_lint,
                Self::Solhint => &all.solhint,
            })
        };
        detectors::all().filter(is_wanted).map(|detector| detector.metadata().id).collect()
    }
}

/// One weakness, by Slither's id or, where Slither does not know it, by ours.
struct Row {
    weakness: &'static str,
    aderyn: &'static [&'static str],
    forge_lint: &'static [&'static str],
    solhint: &'static [&'static str],
}

fn rows(detector: &dyn Detector) -> impl Iterator<Item = &'static Row> {
    let metadata = detector.metadata();
    TABLE
        .iter()
        .filter(move |row| row.weakness == metadata.id || metadata.slither.contains(&row.weakness))
}

const fn row(
    weakness: &'static str,
    aderyn: &'static [&'static str],
    forge_lint: &'static [&'static str],
    solhint: &'static [&'static str],
) -> Row {
    Row { weakness, aderyn, forge_lint, solhint }
}

/// Only rules that mean the same weakness: solhint's `avoid-low-level-calls` stands above nearly every low-level
/// call that is written, and says nothing of whether its target or its result is safe.
const TABLE: &[Row] = &[
    row("arbitrary-send-erc20", &["arbitrary-transfer-from"], &["arbitrary-send-erc20"], &[]),
    row("arbitrary-send-erc20-permit", &[], &["arbitrary-send-erc20-permit"], &[]),
    row("arbitrary-send-eth", &["eth-send-unchecked-address"], &["arbitrary-send-eth"], &[]),
    row("boolean-cst", &["misused-boolean"], &["boolean-cst"], &[]),
    row("calls-loop", &[], &["calls-loop"], &["multiple-sends"]),
    row("constant-function-state", &["constant-function-changes-state"], &[], &[]),
    row("controlled-array-length", &["dynamic-array-length-assignment"], &[], &[]),
    row(
        "controlled-delegatecall",
        &["delegate-call-unchecked-address"],
        &["controlled-delegatecall"],
        &[],
    ),
    row("costly-loop", &["costly-loop"], &["costly-loop"], &[]),
    row("delegatecall-loop", &["delegatecall-in-loop"], &["delegatecall-loop"], &[]),
    row(
        "divide-before-multiply",
        &["division-before-multiplication"],
        &["divide-before-multiply"],
        &[],
    ),
    row("enumerable-loop-removal", &["enumerable-loop-removal"], &["enumerable-loop-removal"], &[]),
    row("ecrecover", &["ecrecover"], &["ecrecover"], &[]),
    row(
        "encode-packed-collision",
        &["abi-encode-packed-hash-collision"],
        &["encode-packed-collision"],
        &[],
    ),
    row("erc20-interface", &["incorrect-erc20-interface"], &["incorrect-erc20-interface"], &[]),
    row("erc721-interface", &["incorrect-erc721-interface"], &["incorrect-erc721-interface"], &[]),
    row(
        "incorrect-equality",
        &["strict-equality-contract-balance"],
        &["incorrect-strict-equality"],
        &[],
    ),
    row("incorrect-exp", &["incorrect-caret-operator"], &["incorrect-exp"], &[]),
    row("incorrect-shift", &["incorrect-shift-order"], &["incorrect-shift"], &[]),
    row("incorrect-unary", &["dangerous-unary-operator"], &["dangerous-unary-operator"], &[]),
    row("incorrect-return", &["yul-return"], &[], &[]),
    row("array-by-reference", &["storage-array-memory-edit"], &[], &[]),
    row("block-timestamp-deadline", &["block-timestamp-deadline"], &[], &[]),
    row("locked-ether", &["contract-locks-ether"], &["locked-ether"], &[]),
    row("mapping-deletion", &["delete-nested-mapping"], &["mapping-deletion"], &[]),
    row("missing-zero-check", &["state-no-address-check"], &["missing-zero-check"], &[]),
    row("msg-value-loop", &["msg-value-in-loop"], &["msg-value-loop"], &[]),
    row("out-of-order-retryable", &["out-of-order-retryable"], &[], &[]),
    row("protected-vars", &[], &["protected-vars"], &[]),
    row(
        "reentrancy-balance",
        &["reentrancy-state-change"],
        &["reentrancy-balance"],
        &["reentrancy"],
    ),
    row("reentrancy-benign", &["reentrancy-state-change"], &[], &["reentrancy"]),
    row("reentrancy-eth", &["reentrancy-state-change"], &["reentrancy-eth"], &["reentrancy"]),
    row("reentrancy-events", &[], &["reentrancy-events"], &["reentrancy"]),
    row("reentrancy-no-eth", &["reentrancy-state-change"], &["reentrancy-no-eth"], &["reentrancy"]),
    row("return-bomb", &["return-bomb"], &["return-bomb"], &[]),
    row("rtlo", &["rtlo"], &["rtlo"], &[]),
    row("shadowing-state", &["state-variable-shadowing"], &[], &[]),
    row("storage-array", &["signed-integer-storage-array"], &[], &[]),
    row("suicidal", &["selfdestruct"], &[], &[]),
    row("tautological-compare", &["tautological-compare"], &["tautological-compare"], &[]),
    row("tautology", &["tautology-or-contradiction"], &["type-based-tautology"], &[]),
    row("timestamp", &[], &["block-timestamp"], &["not-rely-on-time"]),
    row("tx-origin", &["tx-origin-used-for-auth"], &["tx-origin"], &["avoid-tx-origin"]),
    row("unchecked-lowlevel", &["unchecked-low-level-call"], &["unchecked-call"], &[]),
    row("unchecked-send", &["unchecked-send"], &[], &["check-send-result"]),
    row("unchecked-transfer", &["unsafe-erc20-operation"], &["erc20-unchecked-transfer"], &[]),
    row("uninitialized-local", &["uninitialized-local-variable"], &["uninitialized-local"], &[]),
    row("uninitialized-state", &[], &["uninitialized-state"], &[]),
    row("unprotected-initializer", &["unprotected-initializer"], &["unprotected-initializer"], &[]),
    row("unprotected-upgrade", &["unprotected-initializer"], &["unprotected-initializer"], &[]),
    row("unsafe-cast", &["unsafe-casting"], &["unsafe-typecast"], &[]),
    row("unused-return", &["unchecked-return"], &["unused-return"], &[]),
    row("weak-prng", &["weak-randomness"], &["weak-prng"], &[]),
    row("write-after-write", &[], &["write-after-write"], &[]),
];
