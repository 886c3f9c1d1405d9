pragma solidity ^0.8.20;
contract C { function g(uint8 a) internal pure returns (uint) { return a; } function g(address) internal pure returns (uint) { return 2; } function g(uint a, uint b) internal pure returns (uint) { return a + b; } function f(uint8 a) external view returns (uint) { return g(a) + g(msg.sender) + g({b: 1, a: 2}); } }
