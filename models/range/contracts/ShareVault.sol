// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// The published vault as it is.
contract ShareVault is ERC4626 {
    constructor(IERC20 asset) ERC20("Share", "SHARE") ERC4626(asset) {}
}

/// Rounds in favour of whoever withdraws.
contract ShareVaultFlawed is ERC4626 {
    constructor(IERC20 asset) ERC20("Share", "SHARE") ERC4626(asset) {}

    function previewWithdraw(uint256 assets) public view override returns (uint256) {
        return _convertToShares(assets, Math.Rounding.Floor);
    }
}
