pragma solidity ^0.8.24;
contract C { function f() external payable returns (uint) { return block.timestamp + block.number + block.chainid + block.prevrandao + block.basefee + tx.gasprice + gasleft() + msg.value + address(this).balance + uint160(tx.origin) + uint160(address(block.coinbase)) + uint32(msg.sig) + type(uint8).max + uint(blockhash(1)); } }
