// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// A token, all of it given out at birth.
contract Coin is ERC20 {
    constructor(address[] memory holders, uint256[] memory amounts) ERC20("Coin", "COIN") {
        for (uint256 i = 0; i < holders.length; ++i) _mint(holders[i], amounts[i]);
    }
}
