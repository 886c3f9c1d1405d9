pragma solidity ^0.8.20;
uint constant a = 1;
contract C { uint b = a; function f(uint b_) external returns (uint a_) { uint c = b_; { uint c = 2; b = c; } for (uint c = 0; c < 3; c++) { b += c; } return c + b; } }
