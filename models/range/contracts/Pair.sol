// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// A constant-product pool of two tokens with a fee of 0.3 %, paid first and checked afterwards.
abstract contract PairBase {
    IERC20 public immutable a;
    IERC20 public immutable b;
    uint256 public reserveA;
    uint256 public reserveB;
    uint256 public supply;
    mapping(address => uint256) public shares;

    constructor(IERC20 a_, IERC20 b_) {
        (a, b) = (a_, b_);
    }

    function add(uint256 x, uint256 y) external {
        a.transferFrom(msg.sender, address(this), x);
        b.transferFrom(msg.sender, address(this), y);
        uint256 minted = supply == 0 ? x : min(x * supply / reserveA, y * supply / reserveB);
        shares[msg.sender] += minted;
        supply += minted;
        store();
    }

    function remove(uint256 burnt) external {
        shares[msg.sender] -= burnt;
        uint256 x = reserveA * burnt / supply;
        uint256 y = reserveB * burnt / supply;
        supply -= burnt;
        a.transfer(msg.sender, x);
        b.transfer(msg.sender, y);
        store();
    }

    /// Pays out; what came in before must make up for it.
    function take(uint256 outA, uint256 outB, address to) public {
        if (outA > 0) a.transfer(to, outA);
        if (outB > 0) b.transfer(to, outB);
        uint256 heldA = a.balanceOf(address(this));
        uint256 heldB = b.balanceOf(address(this));
        uint256 inA = heldA > reserveA - outA ? heldA - (reserveA - outA) : 0;
        uint256 inB = heldB > reserveB - outB ? heldB - (reserveB - outB) : 0;
        uint256 afterA = heldA * 1000 - inA * 3;
        uint256 afterB = heldB * 1000 - inB * 3;
        require(afterA * afterB >= reserveA * reserveB * scale(), "k");
        store();
    }

    function swapA(uint256 x) external {
        a.transferFrom(msg.sender, address(this), x);
        take(0, reserveB * x * 997 / (reserveA * 1000 + x * 997), msg.sender);
    }

    function swapB(uint256 y) external {
        b.transferFrom(msg.sender, address(this), y);
        take(reserveA * y * 997 / (reserveB * 1000 + y * 997), 0, msg.sender);
    }

    function scale() internal pure virtual returns (uint256);

    function store() private {
        (reserveA, reserveB) = (a.balanceOf(address(this)), b.balanceOf(address(this)));
    }

    function min(uint256 x, uint256 y) private pure returns (uint256) {
        return x < y ? x : y;
    }
}

contract Pair is PairBase {
    constructor(IERC20 a_, IERC20 b_) PairBase(a_, b_) {}

    function scale() internal pure override returns (uint256) {
        return 1000 ** 2;
    }
}

/// One side of the check was brought to a finer scale and the other was forgotten.
contract PairFlawed is PairBase {
    constructor(IERC20 a_, IERC20 b_) PairBase(a_, b_) {}

    function scale() internal pure override returns (uint256) {
        return 100 ** 2;
    }
}
