pragma solidity ^0.4.11;
contract C { uint got; function () payable { got += msg.value; } }
