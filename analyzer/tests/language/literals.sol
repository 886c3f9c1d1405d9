pragma solidity ^0.8.20;
contract C { string s; bytes b; function f() external { s = unicode"grüße 🚪"; b = hex"00ff" hex"aa"; s = "one" "two"; } function g() external pure returns (uint, address) { return (1_000e3 + 0xff, 0x00000000219ab540356cBB839Cbe05303d7705Fa); } }
