pragma solidity ^0.4.11;
contract C { function f(uint n) returns (uint r) { assembly { add(n, 1) =: r } } function g() returns (uint r) { assembly { let x := 1 loop: jumpi(loop, r) r := x } } }
