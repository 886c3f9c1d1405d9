pragma solidity ^0.8.22;
uint constant SCALE = 10 ** 6;
event Scaled(uint indexed by);
function scale(uint a) pure returns (uint) { return a * SCALE; }
contract C { function f(uint a) external returns (uint) { emit Scaled(a); return scale(a); } }
