pragma solidity ^0.8.20;
contract C { function f(uint n) external pure returns (uint r) { assembly { function twice(a) -> b { if gt(a, 9) { leave } b := mul(a, 2) } for { let i := 0 } lt(i, n) { i := add(i, 1) } { switch i case 0 { continue } case 1 { break } default { r := add(r, twice(i)) } } } } }
