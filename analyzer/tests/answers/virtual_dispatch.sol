pragma solidity ^0.8.0;

interface Hook { function called(uint256 n) external; }

abstract contract Base {
    function run(Hook hook, function(uint256) internal pointer) internal {
        step();
        hook.called(1);
        pointer(2);
        missing(3);
    }
    function step() internal virtual;
}

contract Middle is Base {
    function step() internal virtual override { done(); }
    function done() internal virtual {}
    function go(Hook hook) external { run(hook, noted); }
    function noted(uint256) internal {}
}

contract Leaf is Middle, Hook {
    function step() internal override { super.step(); }
    function done() internal override { this.called(4); }
    function called(uint256) external override {}
}
