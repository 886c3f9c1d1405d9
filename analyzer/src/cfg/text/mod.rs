//! The intermediate representation as text, out and in again.
//!
//! A document says on which contract names are looked up, declares the locals with their types, and lists the
//! blocks, one statement a line. What is printed reads back to the same body, blocks that cannot be reached
//! aside; spans and the frames of inlined calls are kept if asked. Lines that begin with `//` are not read.

mod names;
mod parse;
mod print;

#[cfg(test)]
mod tests;

pub(crate) use names::Names;
pub use parse::IrError;
pub(crate) use parse::parse;
pub(crate) use print::{Printer, Spans, print_body};

/// What [`super::Rvalue::Pure`] can compute, by name.
pub(crate) const PURE: &[&str] = &[
    "abi.decode",
    "abi.encode",
    "addmod",
    "allocate",
    "arithmetic",
    "array",
    "balance",
    "blockhash",
    "calldata",
    "code",
    "codehash",
    "concat",
    "ecrecover",
    "element",
    "environment",
    "error",
    "field",
    "keccak256",
    "length",
    "mload",
    "mulmod",
    "returned_data",
    "ripemd160",
    "selector",
    "sha256",
    "slice",
    "struct",
    "update",
];

/// What [`super::Environment::Block`] can be.
pub(crate) const BLOCK: &[&str] = &[
    "basefee",
    "blobbasefee",
    "chainid",
    "coinbase",
    "difficulty",
    "gas",
    "gaslimit",
    "gasprice",
    "number",
    "prevrandao",
    "timestamp",
];

/// Words that a name alone would be taken for; such a name is printed with a path.
const RESERVED: &[&str] = &[
    "abi",
    "bitnot",
    "block",
    "call",
    "cast",
    "delegatecall",
    "emit",
    "end",
    "external",
    "false",
    "fn",
    "goto",
    "if",
    "load",
    "msg",
    "negate",
    "new",
    "not",
    "number",
    "pointer",
    "return",
    "revert",
    "selfdestruct",
    "send",
    "slot",
    "staticcall",
    "stop",
    "store",
    "super",
    "this",
    "transfer",
    "true",
    "tslot",
    "tx",
    "unknown",
    "unresolved",
    "virtual",
    "zero",
];

/// Units of numbers, which stand behind a blank.
const UNITS: &[&str] = &[
    "wei", "gwei", "szabo", "finney", "ether", "seconds", "minutes", "hours", "days", "weeks",
    "years",
];
