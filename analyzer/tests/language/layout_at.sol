pragma solidity ^0.8.31;
contract Base { uint8 a; }
contract C layout at 2**64 + 1 is Base { uint8 b; uint c; }
