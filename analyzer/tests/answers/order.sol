pragma solidity ^0.8.0;

interface Callee { function told(uint256 n) external; }

contract C {
    event Done(uint256 n);
    Callee callee;
    uint256 n;
    uint256 total;
    modifier sound() { _; require(total < 100); }
    function tell(uint256 more) internal { callee.told(more); }
    function checksFirst(uint256 more) external { require(more > n); n = more; tell(more); }
    function checksLast(uint256 more) external sound { tell(more); n = more; emit Done(total); }
    function perhaps(uint256 more) external { if (more > 5) { require(more < 9); } tell(more); }
    function rounds(uint256 more) external { for (uint256 i; i < 3; i++) { tell(i); } total = more; }
}
