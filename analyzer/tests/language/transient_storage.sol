pragma solidity ^0.8.28;
contract C { bool transient busy; uint kept; modifier once() { require(!busy); busy = true; _; busy = false; } function f() external once { kept++; } function g() external { assembly { tstore(busy.slot, 1) } } }
