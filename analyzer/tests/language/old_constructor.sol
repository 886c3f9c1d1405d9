pragma solidity ^0.4.11;
contract Owned { address owner; function Owned() { owner = msg.sender; } }
contract Child is Owned { uint since; function Child(uint at) { since = at; } function age() constant returns (uint) { return now - since; } }
