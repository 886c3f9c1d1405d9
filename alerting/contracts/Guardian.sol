// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title Guardian
/// @notice Holds the right to pause a protocol, and no other right.
///
/// The owner (a multisig) registers, per protected contract, the exact calls that pause it, and names pausers
/// whose right expires. A pauser can do one thing: run the registered calls of one protected contract. A stolen
/// pauser key can therefore cause a bounded number of pauses until the owner revokes it or it expires. Ending a
/// pause is not possible from here unless the owner registers a call that does so; it belongs to the protocol's
/// own administration.
contract Guardian {
    /// @notice One call that helps to pause a protected contract.
    struct Call {
        address to;
        bytes data;
    }

    /// @notice When and how often a protected contract was paused from here.
    struct Record {
        uint64 lastAt;
        uint64 periodStartedAt;
        uint32 countInPeriod;
    }

    /// @notice More calls per protected contract are refused, so that a pause always fits in a block.
    uint256 public constant MAX_CALLS = 16;

    /// @notice May change everything below; cannot be zero.
    address public owner;

    /// @notice Becomes the owner by calling `acceptOwnership`.
    address public pendingOwner;

    /// @notice Seconds between two pauses of the same protected contract.
    uint32 public cooldown = 10 minutes;

    /// @notice Length in seconds of the period over which pauses are counted.
    uint32 public period = 1 days;

    /// @notice Pauses of one protected contract that one period allows.
    uint32 public maxPausesPerPeriod = 6;

    /// @notice Unix time at which a pauser's right ends; zero for everyone else.
    mapping(address pauser => uint64) public pauserExpiresAt;

    /// @notice What happened so far, per protected contract.
    mapping(address target => Record) public records;

    mapping(address target => Call[]) private _calls;

    /// @notice `target` was paused by `pauser`; `evidence` names the journalled evidence.
    event Paused(address indexed target, address indexed pauser, bytes32 indexed evidence);

    /// @notice One of several registered calls failed while another succeeded.
    event CallFailed(address indexed target, address indexed to, uint256 index);

    /// @notice The registered calls of `target` were replaced; none means that it can no longer be paused.
    event Registered(address indexed target, uint256 count);

    /// @notice A pauser's right now ends at `expiresAt`; zero means at once.
    event PauserSet(address indexed pauser, uint64 expiresAt);

    /// @notice The limits on pauses changed.
    event LimitsSet(uint32 cooldown, uint32 period, uint32 maxPausesPerPeriod);

    /// @notice A transfer of ownership waits for the new owner.
    event OwnershipTransferStarted(address indexed owner, address indexed pendingOwner);

    /// @notice The owner changed.
    event OwnershipTransferred(address indexed previousOwner, address indexed owner);

    error NotOwner(address caller);
    error NotPendingOwner(address caller);
    error NotPauser(address caller);
    error NotRegistered(address target);
    error CoolingDown(address target, uint256 until);
    error TooManyPauses(address target, uint256 until);
    error NothingPaused(address target);
    error NoCode(address to);
    error TooManyCalls(uint256 count);
    error ZeroAddress();
    error ZeroPeriod();

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        _;
    }

    constructor(address owner_) {
        if (owner_ == address(0)) revert ZeroAddress();
        owner = owner_;
        emit OwnershipTransferred(address(0), owner_);
    }

    /// @notice Runs every registered call of `target`. One that fails does not stop the others; if all fail,
    /// nothing happened and the cool-down does not start.
    /// @param evidence Reference to the evidence that led to this pause.
    function pause(address target, bytes32 evidence) external {
        if (block.timestamp >= pauserExpiresAt[msg.sender]) revert NotPauser(msg.sender);
        Call[] storage calls = _calls[target];
        uint256 count = calls.length;
        if (count == 0) revert NotRegistered(target);
        _count(target);
        emit Paused(target, msg.sender, evidence);

        bool anySucceeded = false;
        for (uint256 i = 0; i < count; i++) {
            if (_run(calls[i].to, calls[i].data)) anySucceeded = true;
            else emit CallFailed(target, calls[i].to, i);
        }
        if (!anySucceeded) revert NothingPaused(target);
    }

    /// @notice Gives up the caller's own right to pause.
    function renounce() external {
        pauserExpiresAt[msg.sender] = 0;
        emit PauserSet(msg.sender, 0);
    }

    /// @notice Replaces the calls that pause `target`; an empty list takes the target out.
    function register(address target, Call[] calldata calls) external onlyOwner {
        if (calls.length > MAX_CALLS) revert TooManyCalls(calls.length);
        delete _calls[target];
        for (uint256 i = 0; i < calls.length; i++) {
            // A call to an address without code succeeds and does nothing: it would look like a pause.
            if (calls[i].to.code.length == 0) revert NoCode(calls[i].to);
            _calls[target].push(calls[i]);
        }
        emit Registered(target, calls.length);
    }

    /// @notice Lets `pauser` pause until `expiresAt`; zero revokes.
    function setPauser(address pauser, uint64 expiresAt) external onlyOwner {
        pauserExpiresAt[pauser] = expiresAt;
        emit PauserSet(pauser, expiresAt);
    }

    /// @notice Changes how often one protected contract may be paused.
    function setLimits(uint32 cooldown_, uint32 period_, uint32 maxPausesPerPeriod_) external onlyOwner {
        if (period_ == 0) revert ZeroPeriod();
        cooldown = cooldown_;
        period = period_;
        maxPausesPerPeriod = maxPausesPerPeriod_;
        emit LimitsSet(cooldown_, period_, maxPausesPerPeriod_);
    }

    /// @notice Offers the ownership to `newOwner`; zero withdraws an offer.
    function transferOwnership(address newOwner) external onlyOwner {
        pendingOwner = newOwner;
        emit OwnershipTransferStarted(msg.sender, newOwner);
    }

    /// @notice Takes an offered ownership.
    function acceptOwnership() external {
        if (msg.sender != pendingOwner) revert NotPendingOwner(msg.sender);
        emit OwnershipTransferred(owner, msg.sender);
        owner = msg.sender;
        pendingOwner = address(0);
    }

    /// @notice The calls that pause `target`.
    function callsOf(address target) external view returns (Call[] memory) {
        return _calls[target];
    }

    /// @notice Unix time from which the limits allow the next pause of `target`; in the past when it is free.
    function nextPauseAt(address target) external view returns (uint256) {
        Record memory record = records[target];
        uint256 cooled = record.lastAt == 0 ? 0 : uint256(record.lastAt) + cooldown;
        uint256 periodEnd = uint256(record.periodStartedAt) + period;
        bool isFull = block.timestamp < periodEnd && record.countInPeriod >= maxPausesPerPeriod;
        return isFull && periodEnd > cooled ? periodEnd : cooled;
    }

    /// Counts a pause of `target` against its limits, before any call leaves this contract.
    function _count(address target) private {
        Record memory record = records[target];
        if (record.lastAt != 0 && block.timestamp < uint256(record.lastAt) + cooldown) {
            revert CoolingDown(target, uint256(record.lastAt) + cooldown);
        }
        if (block.timestamp >= uint256(record.periodStartedAt) + period) {
            record.periodStartedAt = uint64(block.timestamp);
            record.countInPeriod = 0;
        }
        if (record.countInPeriod >= maxPausesPerPeriod) {
            revert TooManyPauses(target, uint256(record.periodStartedAt) + period);
        }
        record.lastAt = uint64(block.timestamp);
        record.countInPeriod += 1;
        records[target] = record;
    }

    /// Runs one registered call; false where it reverted or its contract is gone. The answer is not copied, so
    /// that a paused contract cannot burn the gas of the calls after it with a long one.
    function _run(address to, bytes memory data) private returns (bool success) {
        if (to.code.length == 0) return false;
        assembly ("memory-safe") {
            success := call(gas(), to, 0, add(data, 0x20), mload(data), 0, 0)
        }
    }
}
