pragma solidity ^0.8.20;
contract A { uint a; constructor(uint x) { a = x; } }
contract B is A(3) { uint b = 4; }
contract C is A { address immutable owner; constructor(uint y) A(y * 2) { owner = msg.sender; } }
