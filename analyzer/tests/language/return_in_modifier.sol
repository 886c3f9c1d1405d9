pragma solidity ^0.8.20;
contract C { bool on; uint n; modifier gate() { if (!on) return; _; n = 1; } function f() external gate returns (uint) { if (n == 0) return 3; n = 2; return 4; } }
