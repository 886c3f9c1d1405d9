pragma solidity ^0.8.20;
contract C { uint n; modifier twice(uint k) { n = k; _; if (n > k) { _; } n = 0; } modifier never() { if (n == 7) return; _; } function f(uint a) external twice(a + 1) never returns (uint) { n += a; return n; } }
