// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// Shares rewards out among stakes.
abstract contract StakingBase {
    IERC20 public immutable token;
    IERC20 public immutable reward;
    uint256 public perStake;
    uint256 public total;
    mapping(address => uint256) public stakes;
    mapping(address => uint256) public settledAt;
    mapping(address => uint256) public due;

    constructor(IERC20 token_, IERC20 reward_) {
        (token, reward) = (token_, reward_);
    }

    function fund(uint256 amount) external {
        reward.transferFrom(msg.sender, address(this), amount);
        perStake += amount * 1e18 / total;
    }

    function stake(uint256 amount) external {
        settle(msg.sender);
        stakes[msg.sender] += amount;
        total += amount;
        token.transferFrom(msg.sender, address(this), amount);
    }

    function unstake(uint256 amount) external {
        settle(msg.sender);
        stakes[msg.sender] -= amount;
        total -= amount;
        token.transfer(msg.sender, amount);
    }

    function claim() external {
        settle(msg.sender);
        uint256 amount = due[msg.sender];
        due[msg.sender] = 0;
        reward.transfer(msg.sender, amount);
    }

    function move(address to, uint256 amount) external {
        settle(msg.sender);
        receiving(to);
        stakes[msg.sender] -= amount;
        stakes[to] += amount;
    }

    function pending(address account) external view returns (uint256) {
        return due[account] + stakes[account] * (perStake - settledAt[account]) / 1e18;
    }

    function settle(address account) internal {
        due[account] += stakes[account] * (perStake - settledAt[account]) / 1e18;
        settledAt[account] = perStake;
    }

    function receiving(address to) internal virtual;
}

contract Staking is StakingBase {
    constructor(IERC20 token_, IERC20 reward_) StakingBase(token_, reward_) {}

    function receiving(address to) internal override {
        settle(to);
    }
}

/// A stake that is moved to a new account earns its rewards again from the beginning.
contract StakingFlawed is StakingBase {
    constructor(IERC20 token_, IERC20 reward_) StakingBase(token_, reward_) {}

    function receiving(address) internal override {}
}
