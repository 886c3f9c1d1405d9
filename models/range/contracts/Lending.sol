// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

interface IReserves {
    function reserveA() external view returns (uint256);
    function reserveB() external view returns (uint256);
}

/// Lends `b` against `a`, up to three quarters of its value.
abstract contract LendingBase {
    IERC20 public immutable a;
    IERC20 public immutable b;
    mapping(address => uint256) public supplied;
    mapping(address => uint256) public pledged;
    mapping(address => uint256) public debt;

    constructor(IERC20 a_, IERC20 b_) {
        (a, b) = (a_, b_);
    }

    /// `b` for one whole `a`, 18 decimals.
    function price() public view virtual returns (uint256);

    function supply(uint256 amount) external {
        supplied[msg.sender] += amount;
        b.transferFrom(msg.sender, address(this), amount);
    }

    function withdraw(uint256 amount) external {
        supplied[msg.sender] -= amount;
        b.transfer(msg.sender, amount);
    }

    function pledge(uint256 amount) external {
        pledged[msg.sender] += amount;
        a.transferFrom(msg.sender, address(this), amount);
    }

    function release(uint256 amount) external {
        pledged[msg.sender] -= amount;
        check(msg.sender);
        a.transfer(msg.sender, amount);
    }

    function borrow(uint256 amount) external {
        debt[msg.sender] += amount;
        check(msg.sender);
        b.transfer(msg.sender, amount);
    }

    function repay(uint256 amount) external {
        debt[msg.sender] -= amount;
        b.transferFrom(msg.sender, address(this), amount);
    }

    function check(address account) private view {
        require(debt[account] * 4 <= pledged[account] * price() / 1e18 * 3, "undercollateralised");
    }
}

contract Lending is LendingBase {
    address public immutable feeder;
    uint256 private answer;

    constructor(IERC20 a_, IERC20 b_, address, address feeder_, uint256 answer_) LendingBase(a_, b_) {
        (feeder, answer) = (feeder_, answer_);
    }

    function post(uint256 answer_) external {
        require(msg.sender == feeder, "feeder");
        answer = answer_;
    }

    function price() public view override returns (uint256) {
        return answer;
    }
}

/// Believes what one pool says at this moment.
contract LendingFlawed is LendingBase {
    IReserves public immutable pool;

    constructor(IERC20 a_, IERC20 b_, IReserves pool_, address, uint256) LendingBase(a_, b_) {
        pool = pool_;
    }

    function price() public view override returns (uint256) {
        return pool.reserveB() * 1e18 / pool.reserveA();
    }
}
