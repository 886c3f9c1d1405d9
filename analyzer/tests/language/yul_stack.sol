pragma solidity ^0.4.11;

contract C {
    uint stored;

    function sum(uint n) returns (uint r) {
        assembly { n 1 add 7 mul =: r }
    }

    function kept(uint n) returns (uint r) {
        // The old value of the slot is read before the slot is written.
        assembly { stored_slot sload n stored_slot sstore =: r }
    }

    function moved(uint a, uint b) returns (uint r, uint s) {
        assembly { a b swap1 =: s =: r }
    }

    function copied(uint n) returns (uint r) {
        assembly { n calldataload dup1 mul =: r }
    }

    function round(uint n) returns (uint r) {
        assembly {
            0
            again:
            1 add
            dup1 n gt again jumpi
            =: r
        }
    }

    // The example of the documentation of its time: variables are places of the stack too.
    function fibonacci(uint k) returns (uint r) {
        assembly {
            let n := k
            let a := 1
            let b := a
            loop:
            jumpi(loopend, eq(n, 0))
            a add swap1
            n := sub(n, 1)
            jump(loop)
            loopend:
            r := a
        }
    }

    function sent(address to) returns (bool done) {
        assembly { 0 0 0 0 callvalue to gas call =: done }
    }
}
