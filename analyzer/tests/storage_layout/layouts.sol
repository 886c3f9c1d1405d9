// SPDX-License-Identifier: MIT
pragma solidity ^0.8.31;

import {ERC20, ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {ERC20Permit, Nonces} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {ERC721Enumerable} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721Enumerable.sol";
import {AccessControlEnumerable} from "@openzeppelin/contracts/access/extensions/AccessControlEnumerable.sol";
import {COUNT as MANY} from "./library.sol";
import "./library.sol" as Lib;

uint256 constant LENGTH = 3;
uint256 constant BASE = LENGTH * 2 + 0x10;
type Price is uint96;
type Handle is bytes32;

struct Small { uint8 a; bool b; }
struct Wide { uint8 a; uint256 b; address c; uint96 d; }
struct Nested { Small small; Wide[2] wide; mapping(uint256 => Small) map; }

contract Packing {
    bool a;
    uint8 b;
    address c;
    uint96 d;
    int16 e;
    bytes3 f;
    bytes32 g;
    bytes31 h;
    uint248 i;
    uint8 j;
    Price k;
    Handle l;
    uint constant NOT_HERE = 1;
    address immutable nor = address(1);
    address payable m;
    Packing n;
}

contract Enums {
    enum Short { A, B, C }
    Short a;
    Short[33] b;
    mapping(Short => Short) c;
    Short[] d;
    Short e;
}

contract Functions {
    function() external a;
    function() internal b;
    function(uint) external view returns (uint) c;
    function() external[2] d;
    function() internal[5] e;
}

contract Dynamic {
    uint8 a;
    bytes b;
    uint8 c;
    string d;
    uint8[] e;
    mapping(address => mapping(uint => uint8)) f;
    uint8 g;
}

contract Arrays {
    uint8[3] a;
    uint8[32] b;
    uint8[33] c;
    uint96[5] d;
    uint128[LENGTH] e;
    uint136[2] f;
    uint8[3][5] g;
    uint8[][4] h;
    bytes32[LENGTH + 1] i;
    uint24[2 ** 4] j;
    Small[7] k;
    address[2] l;
    bool m;
    uint8[MANY] n;
    bool o;
}

contract Structs {
    uint8 a;
    Small b;
    uint8 c;
    Wide d;
    Nested e;
    Small[] f;
    bool g;
    Lib.Pair h;
    bool i;
}

contract Base { uint8 a; uint128 b; }
abstract contract Left is Base { uint8 c; uint immutable d = 1; bool transient t; }
abstract contract Right is Base { uint128 e; address transient u; }
contract Diamond is Left, Right { uint8 f; uint transient v; bool transient w; }
contract OtherDiamond is Right, Left { uint8 f; }

contract Transient {
    uint8 a;
    bool transient b;
    address transient c;
    uint256 d;
    uint96 transient e;
    uint8 transient f;
}

contract Placed layout at 0xAAAA + 0x11 { uint8 a; uint256 b; uint8 transient c; }
contract PlacedFar is Base layout at 2**256 - 2**64 { uint8 c; uint256 d; bool transient e; }
contract PlacedBefore layout at BASE * 1e3 is Left, Right { mapping(uint => uint) g; }
contract PlacedByName layout at erc7201("example.main") { uint a; Small b; bool c; }
contract PlacedOddly layout at (1 - 2 + 5) * 1 ether { uint a; bool b; }

contract Votes is ERC20Votes, ERC20Permit {
    bool last;
    constructor() ERC20("", "") ERC20Permit("") {}
    function _update(address a, address b, uint256 c) internal override(ERC20Votes, ERC20) { super._update(a, b, c); }
    function nonces(address a) public view override(ERC20Permit, Nonces) returns (uint256) { return super.nonces(a); }
}
abstract contract Governs is GovernorTimelockControl { bool last; }
abstract contract Tokens is ERC721Enumerable { bool last; }
abstract contract Roles is AccessControlEnumerable { bool last; }
