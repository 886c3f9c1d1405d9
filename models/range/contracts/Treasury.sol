// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// Pays what the holders of a voting token decide.
abstract contract TreasuryBase {
    struct Proposal {
        address to;
        uint256 amount;
        uint256 votes;
        uint256 since;
        bool done;
    }

    IERC20 public immutable votes;
    IERC20 public immutable money;
    uint256 public immutable quorum;
    Proposal[] public proposals;
    mapping(uint256 => mapping(address => bool)) public hasVoted;
    mapping(address => uint256) public locked;
    mapping(address => uint256) public lockedSince;

    constructor(IERC20 votes_, IERC20 money_, uint256 quorum_) {
        (votes, money, quorum) = (votes_, money_, quorum_);
    }

    function count() external view returns (uint256) {
        return proposals.length;
    }

    function lock(uint256 amount) external {
        votes.transferFrom(msg.sender, address(this), amount);
        locked[msg.sender] += amount;
        lockedSince[msg.sender] = block.number;
    }

    function unlock(uint256 amount) external {
        locked[msg.sender] -= amount;
        votes.transfer(msg.sender, amount);
    }

    function propose(address to, uint256 amount) external {
        proposals.push(Proposal(to, amount, 0, block.number, false));
    }

    function vote(uint256 id) external {
        require(!hasVoted[id][msg.sender] && counts(proposals[id].since), "vote");
        hasVoted[id][msg.sender] = true;
        proposals[id].votes += locked[msg.sender];
    }

    function execute(uint256 id) external {
        Proposal storage proposal = proposals[id];
        require(!proposal.done && proposal.votes >= quorum, "execute");
        proposal.done = true;
        money.transfer(proposal.to, proposal.amount);
    }

    function counts(uint256 since) internal view virtual returns (bool);
}

contract Treasury is TreasuryBase {
    constructor(IERC20 votes_, IERC20 money_, uint256 quorum_) TreasuryBase(votes_, money_, quorum_) {}

    /// Only what was locked before the proposal was made.
    function counts(uint256 since) internal view override returns (bool) {
        return lockedSince[msg.sender] < since;
    }
}

/// A vote counts from the moment it is locked.
contract TreasuryFlawed is TreasuryBase {
    constructor(IERC20 votes_, IERC20 money_, uint256 quorum_) TreasuryBase(votes_, money_, quorum_) {}

    function counts(uint256) internal pure override returns (bool) {
        return true;
    }
}
