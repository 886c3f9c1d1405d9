pragma solidity ^0.8.20;
type Price is uint128;
using {add as +, negate as -, isNone} for Price global;
function add(Price a, Price b) pure returns (Price) { return Price.wrap(Price.unwrap(a) + Price.unwrap(b)); }
function negate(Price a) pure returns (Price) { return a; }
function isNone(Price a) pure returns (bool) { return Price.unwrap(a) == 0; }
contract C { Price last; function f(Price p) external returns (bool) { last = -last + p; return last.isNone(); } }
