//! Facts in, findings out: one file per detector.
//!
//! A detector says what is wrong, how sure it is and how to fix it. Its doc comment is its page:
//! `portcullis explain` and SARIF print it, and its examples are tests. To add one, write its file and
//! name it in the list below. A detector that starts to walk statements is asking for a new fact.

mod findings;
pub(crate) mod function_rules;
mod metadata;
mod page;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::facts::Facts;

pub use findings::{Draft, Findings};
pub use metadata::{Confidence, Metadata, Severity};
pub use page::{Example, Page, PageError};

/// Finds one kind of weakness.
pub trait Detector: Described + Sync {
    /// Reports every place where the facts show the weakness.
    fn check(&self, facts: &Facts<'_>, out: &mut Findings);
}

/// Has a page; written by `detector!`.
pub trait Described {
    /// The detector's identity and page.
    fn metadata(&self) -> &'static Metadata;
}

impl fmt::Debug for dyn Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metadata().id)
    }
}

/// Declares a detector: its doc comment is its page, the rest its metadata.
macro_rules! detector {
    (
        $(#[doc = $doc:literal])+
        $name:ident {
            id: $id:literal,
            severity: $severity:ident,
            confidence: $confidence:ident,
            since: $since:literal,
            slither: [$($slither:literal),* $(,)?],
            swc: [$($swc:literal),* $(,)?] $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub(super) struct $name;

        impl $crate::detectors::Described for $name {
            fn metadata(&self) -> &'static $crate::detectors::Metadata {
                static METADATA: $crate::detectors::Metadata = $crate::detectors::Metadata {
                    id: $id,
                    name: stringify!($name),
                    severity: $crate::detectors::Severity::$severity,
                    confidence: $crate::detectors::Confidence::$confidence,
                    since: $since,
                    slither: &[$($slither),*],
                    swc: &[$($swc),*],
                    doc: concat!($($doc, "\n"),+),
                };
                &METADATA
            }
        }
    };
}

/// Declares the module of each detector and the table of all.
macro_rules! detectors {
    ($($module:ident::$name:ident),+ $(,)?) => {
        $(mod $module;)+

        static DETECTORS: &[&dyn Detector] = &[$(&$module::$name),+];

        /// Name of the file and of the type of each detector, as written in the list.
        #[cfg(test)]
        static NAMES: &[(&str, &str)] = &[$((stringify!($module), stringify!($name))),+];
    };
}

// Sorted, so that two branches which add a detector seldom touch the same line.
detectors! {
    approve_race::ApproveRace,
    arbitrary_call::ArbitraryCall,
    arbitrary_send_erc20::ArbitrarySendErc20,
    arbitrary_send_erc20_permit::ArbitrarySendErc20Permit,
    arbitrary_send_eth::ArbitrarySendEth,
    array_by_reference::ArrayByReference,
    block_timestamp_deadline::BlockTimestampDeadline,
    boolean_cst::BooleanCst,
    cache_array_length::CacheArrayLength,
    calls_loop::CallsLoop,
    chronicle_unchecked_price::ChronicleUncheckedPrice,
    controlled_array_length::ControlledArrayLength,
    controlled_delegatecall::ControlledDelegatecall,
    copied_answer::CopiedAnswer,
    costly_loop::CostlyLoop,
    delegatecall_loop::DelegatecallLoop,
    divide_before_multiply::DivideBeforeMultiply,
    ecrecover::Ecrecover,
    encode_packed_collision::EncodePackedCollision,
    enumerable_loop_removal::EnumerableLoopRemoval,
    erc20_interface::Erc20Interface,
    erc721_interface::Erc721Interface,
    fee_on_transfer::FeeOnTransfer,
    flash_loan_votes::FlashLoanVotes,
    griefable_payment::GriefablePayment,
    incorrect_equality::IncorrectEquality,
    incorrect_exp::IncorrectExp,
    incorrect_return::IncorrectReturn,
    incorrect_shift::IncorrectShift,
    integer_overflow::IntegerOverflow,
    locked_ether::LockedEther,
    mapping_deletion::MappingDeletion,
    missing_authorization::MissingAuthorization,
    missing_signature_deadline::MissingSignatureDeadline,
    missing_signature_domain::MissingSignatureDomain,
    missing_slippage::MissingSlippage,
    msg_value_loop::MsgValueLoop,
    out_of_order_retryable::OutOfOrderRetryable,
    pyth_deprecated_functions::PythDeprecatedFunctions,
    pyth_unchecked_confidence::PythUncheckedConfidence,
    reentrancy_balance::ReentrancyBalance,
    reentrancy_benign::ReentrancyBenign,
    reentrancy_eth::ReentrancyEth,
    reentrancy_events::ReentrancyEvents,
    reentrancy_no_eth::ReentrancyNoEth,
    reentrancy_read_only::ReentrancyReadOnly,
    repeated_withdrawal::RepeatedWithdrawal,
    return_bomb::ReturnBomb,
    rtlo::Rtlo,
    share_inflation::ShareInflation,
    signature_malleability::SignatureMalleability,
    signature_replay::SignatureReplay,
    spot_price::SpotPrice,
    stale_price::StalePrice,
    suicidal::Suicidal,
    tautological_compare::TautologicalCompare,
    tautology::Tautology,
    timestamp::Timestamp,
    tx_origin::TxOrigin,
    unbounded_loop::UnboundedLoop,
    unchecked_lowlevel::UncheckedLowlevel,
    unchecked_send::UncheckedSend,
    unchecked_transfer::UncheckedTransfer,
    uninitialized_local::UninitializedLocal,
    uninitialized_state::UninitializedState,
    uninitialized_storage::UninitializedStorage,
    unprotected_callback::UnprotectedCallback,
    unprotected_initializer::UnprotectedInitializer,
    unprotected_upgrade::UnprotectedUpgrade,
    unsafe_cast::UnsafeCast,
    unused_return::UnusedReturn,
    weak_prng::WeakPrng,
    write_after_write::WriteAfterWrite,
}

/// All detectors, by id.
pub fn all() -> impl Iterator<Item = &'static dyn Detector> {
    DETECTORS.iter().copied()
}

/// The detector with the given id.
pub fn by_id(id: &str) -> Option<&'static dyn Detector> {
    all().find(|detector| detector.metadata().id == id)
}

/// Runs one detector.
///
/// # Errors
/// The text of its panic when it crashes; what it had reported is lost, as it may be wrong.
pub(crate) fn run(detector: &dyn Detector, facts: &Facts<'_>) -> Result<Vec<Draft>, String> {
    contained(|| {
        let mut findings = Findings::new(detector.metadata());
        detector.check(facts, &mut findings);
        findings.into_drafts()
    })
}

/// Runs `work`; a panic becomes its text.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // Whatever a panic leaves half-done is dropped with it: facts are only read, findings are its own.
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned())
    })
}

// Below the macros, which are only known from where they stand on.
#[cfg(test)]
mod locks;
#[cfg(test)]
mod metamorphic;
#[cfg(test)]
mod tests;
