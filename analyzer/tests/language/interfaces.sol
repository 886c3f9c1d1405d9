pragma solidity ^0.8.20;
interface IToken { function balanceOf(address who) external view returns (uint); function transfer(address to, uint n) external returns (bool); }
contract Own is IToken { mapping(address => uint) public balanceOf; function transfer(address to, uint n) external returns (bool) { balanceOf[to] += n; return true; } }
contract C { IToken token; function f(address to) external { uint n = token.balanceOf(address(this)); if (!token.transfer(to, n)) revert(); Own(to).transfer{gas: 5000}(to, 1); } }
