pragma solidity ^0.8.20;
contract C { function f(uint n) external pure returns (uint s) { for (uint i; i < n; i++) { if (i == 2) continue; if (i == 5) break; s += i; } do { s--; } while (s > 9); while (true) { if (s == 0) return s; s /= 2; } } }
