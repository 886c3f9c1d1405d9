pragma solidity ^0.8.20;
contract C { struct S { uint a; address[] list; } S kept; mapping(address => S) by; function f(S calldata given) external { S storage s = by[msg.sender]; S memory m = kept; m.a = given.a; s.a = m.a; s.list = given.list; delete kept; by[address(this)] = m; s = kept; s.a = 1; } }
