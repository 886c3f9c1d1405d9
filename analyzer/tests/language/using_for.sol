pragma solidity ^0.8.20;
library L { struct Set { uint[] all; } function put(Set storage s, uint v) internal { s.all.push(v); } function half(uint a) internal pure returns (uint) { return a / 2; } }
contract C { using L for L.Set; using L for uint; L.Set set; function f(uint a) external { set.put(a.half()); L.put(set, 1); } }
