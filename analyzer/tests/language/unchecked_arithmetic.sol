pragma solidity ^0.8.20;
contract C { function f(uint a, uint b) external pure returns (uint c) { c = a + b; unchecked { c = c * a; } } }
