pragma solidity ^0.4.11;
contract C { uint end; function f() { end = now + 2 years + 3 days + 1 szabo; } }
