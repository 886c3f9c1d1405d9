//! How many words each machine instruction takes from the stack and leaves on it (Yellow Paper, appendix H, and
//! the EIPs that added to it), under the names that assembly has for them.

/// An instruction's words taken and left; `None` where there is none of that name. `dup`, `swap` and jumps are
/// not here: what they do depends on more than a count.
pub(super) fn effect(name: &str) -> Option<(usize, usize)> {
    Some(match name {
        "stop" | "invalid" => (0, 0),
        "address" | "origin" | "caller" | "callvalue" | "calldatasize" | "codesize"
        | "gasprice" | "returndatasize" | "coinbase" | "timestamp" | "number" | "difficulty"
        | "prevrandao" | "gaslimit" | "chainid" | "selfbalance" | "basefee" | "blobbasefee"
        | "pc" | "msize" | "gas" => (0, 1),
        "pop" | "selfdestruct" | "suicide" => (1, 0),
        "iszero" | "not" | "clz" | "balance" | "calldataload" | "extcodesize" | "extcodehash"
        | "blockhash" | "blobhash" | "mload" | "sload" | "tload" => (1, 1),
        "mstore" | "mstore8" | "sstore" | "tstore" | "log0" | "return" | "revert" => (2, 0),
        "add" | "mul" | "sub" | "div" | "sdiv" | "mod" | "smod" | "exp" | "signextend" | "lt"
        | "gt" | "slt" | "sgt" | "eq" | "and" | "or" | "xor" | "byte" | "shl" | "shr" | "sar"
        | "keccak256" | "sha3" => (2, 1),
        "calldatacopy" | "codecopy" | "returndatacopy" | "mcopy" | "log1" => (3, 0),
        "addmod" | "mulmod" | "create" => (3, 1),
        "extcodecopy" | "log2" => (4, 0),
        "create2" => (4, 1),
        "log3" => (5, 0),
        "log4" => (6, 0),
        "delegatecall" | "staticcall" => (6, 1),
        "call" | "callcode" => (7, 1),
        _ => return None,
    })
}

/// The number in `dup1` to `dup16` and `swap1` to `swap16`, with whether it is a swap.
pub(super) fn place(name: &str) -> Option<(bool, usize)> {
    let (is_swap, number) = match name.strip_prefix("dup") {
        Some(number) => (false, number),
        None => (true, name.strip_prefix("swap")?),
    };
    let number = number.parse().ok().filter(|number| (1..=16).contains(number))?;
    Some((is_swap, number))
}
