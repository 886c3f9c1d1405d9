pragma solidity ^0.4.11;
contract C { function pair() returns (uint, bool) { return (1, true); } function f() returns (uint) { var a = 5; var (b, c) = pair(); if (!c) throw; return a + b; } }
