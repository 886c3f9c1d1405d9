// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// Lends for the length of one call, for nothing.
contract FlashLender {
    function flash(IERC20 token, uint256 amount) external {
        uint256 held = token.balanceOf(address(this));
        token.transfer(msg.sender, amount);
        (bool done,) = msg.sender.call("");
        require(done && token.balanceOf(address(this)) >= held, "not repaid");
    }
}
