pragma solidity ^0.8.0;

contract Roles {
    mapping(bytes32 => mapping(address => bool)) members;
    bytes32 constant ADMIN = "admin";
    modifier only(bytes32 role) { _check(role, msg.sender); _; }
    function _check(bytes32 role, address who) internal view { if (!_has(role, who)) revert(); }
    function _has(bytes32 role, address who) internal view returns (bool) { return members[role][who]; }
    function grant(bytes32 role, address who) external only(ADMIN) { members[role][who] = true; }
    constructor() { members[ADMIN][msg.sender] = true; }
}

contract C is Roles {
    address owner;
    address signer;
    bool initialized;
    uint256 n;
    mapping(uint256 => bool) used;

    function initialize(address first) external { require(!initialized); initialized = true; owner = first; signer = first; }
    function bySender() external { require(msg.sender == owner); n = 1; }
    function byRole() external only(ADMIN) { n = 2; }
    function bySignature(uint256 nonce, uint8 v, bytes32 r, bytes32 s) external {
        require(!used[nonce]);
        used[nonce] = true;
        bytes32 hash = keccak256(abi.encode(nonce, address(this), block.chainid));
        address by = ecrecover(hash, v, r, s);
        require(by != address(0) && by == signer);
        n = 3;
    }
    function byNobody() external { n = 4; }
    function byChance() external { if (block.timestamp % 2 == 0) revert(); n = 5; }
}
