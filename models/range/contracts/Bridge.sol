// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// Holds tokens here for their doubles elsewhere.
abstract contract BridgeBase {
    IERC20 public immutable token;
    address public owner;
    mapping(address => bool) public isValidator;
    mapping(bytes32 => bool) public isUsed;

    event Locked(address indexed from, uint256 amount);

    constructor(IERC20 token_, address owner_, address validator) {
        (token, owner) = (token_, owner_);
        isValidator[validator] = true;
    }

    function lock(uint256 amount) external {
        token.transferFrom(msg.sender, address(this), amount);
        emit Locked(msg.sender, amount);
    }

    function release(address to, uint256 amount, uint256 number, uint8 v, bytes32 r, bytes32 s) external {
        bytes32 digest = keccak256(abi.encode(address(this), to, amount, number));
        require(!isUsed[digest], "used");
        isUsed[digest] = true;
        address signer = ecrecover(digest, v, r, s);
        require(isValidator[signer] && acceptable(signer), "signature");
        token.transfer(to, amount);
    }

    function setOwner(address owner_) external {
        authorise();
        owner = owner_;
    }

    function rescue(IERC20 token_, address to, uint256 amount) external {
        require(msg.sender == owner, "owner");
        token_.transfer(to, amount);
    }

    function acceptable(address signer) internal view virtual returns (bool);

    function authorise() internal view virtual;
}

contract Bridge is BridgeBase {
    constructor(IERC20 token_, address owner_, address validator) BridgeBase(token_, owner_, validator) {}

    function acceptable(address signer) internal pure override returns (bool) {
        return signer != address(0);
    }

    function authorise() internal view override {
        require(msg.sender == owner, "owner");
    }
}

/// Nobody, who signs every malformed signature, is a validator.
contract BridgeZeroSigner is BridgeBase {
    constructor(IERC20 token_, address owner_, address validator) BridgeBase(token_, owner_, validator) {
        isValidator[address(0)] = true;
    }

    function acceptable(address) internal pure override returns (bool) {
        return true;
    }

    function authorise() internal view override {
        require(msg.sender == owner, "owner");
    }
}

/// Anyone may become the owner.
contract BridgeOpenOwner is BridgeBase {
    constructor(IERC20 token_, address owner_, address validator) BridgeBase(token_, owner_, validator) {}

    function acceptable(address signer) internal pure override returns (bool) {
        return signer != address(0);
    }

    function authorise() internal view override {}
}
