//! The guardian contract's interface, as far as this program speaks it, and its compiled code.

use std::sync::LazyLock;

use alloy::primitives::Bytes;
use serde::Deserialize;

alloy::sol! {
    #[derive(Debug)]
    interface IGuardian {
        struct RegisteredCall {
            address to;
            bytes data;
        }

        error NotPauser(address caller);
        error NotRegistered(address target);
        error CoolingDown(address target, uint256 until);
        error TooManyPauses(address target, uint256 until);
        error NothingPaused(address target);

        function pause(address target, bytes32 evidence) external;
        function register(address target, RegisteredCall[] calls) external;
        function setPauser(address pauser, uint64 expiresAt) external;
        function setLimits(uint32 cooldown, uint32 period, uint32 maxPausesPerPeriod) external;
        function renounce() external;
        function transferOwnership(address newOwner) external;
        function acceptOwnership() external;
        function owner() external view returns (address);
        function pendingOwner() external view returns (address);
        function cooldown() external view returns (uint32);
        function period() external view returns (uint32);
        function maxPausesPerPeriod() external view returns (uint32);
        function pauserExpiresAt(address pauser) external view returns (uint64);
        function callsOf(address target) external view returns (RegisteredCall[] memory);
        function nextPauseAt(address target) external view returns (uint256);
    }
}

// Why a protected contract refuses to be paused, in the words of the usual libraries.
alloy::sol! {
    #[derive(Debug)]
    interface IPausable {
        error EnforcedPause();
        error AccessControlUnauthorizedAccount(address account, bytes32 neededRole);
        error OwnableUnauthorizedAccount(address account);
        error Error(string reason);
    }
}

/// Creation code of `alerting/contracts/Guardian.sol`, as `alerting/contracts/build.mjs` compiled it.
pub(super) static CREATION_CODE: LazyLock<Bytes> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Artifact {
        bytecode: Bytes,
    }
    let artifact: Artifact = serde_json::from_str(include_str!("../../contracts/Guardian.json"))
        .expect("the committed artifact is proven current by a test");
    artifact.bytecode
});
