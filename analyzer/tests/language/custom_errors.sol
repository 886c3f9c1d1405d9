pragma solidity ^0.8.26;
error Poor(address who, uint has);
contract C { error Late(); mapping(address => uint) has; function f(uint n) external view { if (n == 0) revert Late(); if (n == 1) revert Poor({has: n, who: msg.sender}); require(has[msg.sender] >= n, Poor(msg.sender, n)); } }
