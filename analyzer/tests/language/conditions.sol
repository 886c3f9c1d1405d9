pragma solidity ^0.8.20;
contract C { function g() internal returns (bool) {} function f(bool a, bool b) external returns (uint) { if (a && g() || !b) return 1; bool c = a || g(); return c ? 2 : b ? 3 : 4; } }
