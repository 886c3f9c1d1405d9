pragma solidity ^0.8.0;

interface Other { function count() external view returns (uint256); function hit() external; }

contract C {
    uint256[] list;
    uint256 stored;
    Other other;
    uint256 sum;
    function grow(uint256 n) external { list.push(n); stored = n; }
    function constantly() external { for (uint256 i; i < 10; i++) sum += i; }
    function overList() external { for (uint256 i; i < list.length; i++) sum += list[i]; }
    function toStored() external { uint256 i; while (i < stored) { i++; sum += i; } }
    function toArgument(uint256 n) external { uint256 i; do { sum += i; i++; } while (i < n); }
    function toAnswer() external { uint256 n = other.count(); for (uint256 i; i < n; ++i) other.hit(); }
    function halving(uint256 n) external { while (n > 1) { n /= 2; sum++; } }
}
