pragma solidity ^0.8.28;
contract C { uint x; function solidity(address payable a) external { x = x + 1; (bool ok, ) = a.delegatecall(""); require(ok); selfdestruct(a); } function assembly_(address a) external { assembly { sstore(x.slot, add(sload(x.slot), 1)) if iszero(delegatecall(gas(), a, 0, 0, 0, 0)) { revert(0, 0) } selfdestruct(a) } } }
