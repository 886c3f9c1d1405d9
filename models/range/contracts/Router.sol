// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// Brings an account's tokens to a pool by a call of the account's choice, and the proceeds back.
abstract contract RouterBase {
    function trade(IERC20 from, IERC20 to, uint256 amount, address target, bytes calldata data) external {
        require(permitted(target), "target");
        if (amount > 0) {
            from.transferFrom(msg.sender, address(this), amount);
            from.approve(target, amount);
        }
        (bool done,) = target.call(data);
        require(done, "call");
        uint256 proceeds = to.balanceOf(address(this));
        if (proceeds > 0) to.transfer(msg.sender, proceeds);
    }

    function permitted(address target) internal view virtual returns (bool);
}

contract Router is RouterBase {
    address public immutable pool;

    constructor(address pool_) {
        pool = pool_;
    }

    function permitted(address target) internal view override returns (bool) {
        return target == pool;
    }
}

contract RouterFlawed is RouterBase {
    constructor(address) {}

    function permitted(address) internal pure override returns (bool) {
        return true;
    }
}
