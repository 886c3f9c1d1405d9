pragma solidity ^0.8.0;

interface Target { function hit() external; function look() external view returns (uint256); }
library Far { function act(uint256 n) public returns (uint256) { return n + 1; } }
contract Made { function hit() external {} }

contract C {
    address immutable owner = msg.sender;
    Target chosenByOwner;
    Target chosenByAnyone;
    Target constant FIXED = Target(0x000000000000000000000000000000000000dEaD);

    function choose(Target target) external { require(msg.sender == owner); chosenByOwner = target; }
    function chooseAny(Target target) external { chosenByAnyone = target; }

    function supplied(Target target) external { target.hit(); }
    function owners() external { chosenByOwner.hit(); }
    function anyones() external { chosenByAnyone.hit(); }
    function constant_() external { FIXED.hit(); }
    function library_() external { Far.act(1); }
    function precompile(bytes32 a) external returns (address) { return ecrecover(a, 27, a, a); }
    function itself() external { this.choose(FIXED); }
    function made() external { Made here = new Made(); here.hit(); }
    function static_(Target target) external returns (uint256 n) { n = target.look(); }
}
