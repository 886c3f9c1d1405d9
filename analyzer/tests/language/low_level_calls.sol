pragma solidity ^0.8.20;
contract C { function f(address payable a, bytes calldata data) external payable { (bool ok, bytes memory back) = a.call{value: msg.value, gas: 2300}(data); require(ok && back.length > 0); a.transfer(1 ether); if (!a.send(1)) revert(); (ok, ) = a.staticcall(abi.encodeWithSignature("g()")); C made = new C{salt: bytes32(0)}(); made.f(a, data); } }
