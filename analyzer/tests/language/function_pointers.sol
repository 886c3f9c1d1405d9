pragma solidity ^0.8.20;
contract C { function(uint) internal returns (uint) step; uint n; function one(uint a) internal returns (uint) { n = a; return a; } function f(function(uint) external back) external { step = one; step(2); back(3); bytes4 s = this.f.selector; require(s != 0); } }
