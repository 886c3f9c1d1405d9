//! One graph per function and modifier body: blocks of three-address statements.
//!
//! ```text
//! syntax tree + names (hir) -> lower (Solidity) / yul (assembly) -> Body -> view (one contract's entry, inlined)
//! ```

mod builder;
mod builtin;
mod call;
mod deployment;
mod expr;
mod external;
mod ir;
mod lower;
mod name;
mod operator;
mod overload;
pub(crate) mod text;
mod value;
mod view;
mod yul;

#[cfg(test)]
mod tests;

pub(crate) use deployment::{Parts, deployment};
pub(crate) use ir::*;
pub(crate) use lower::{lower_base_arguments, lower_function, lower_initialiser};
pub(crate) use text::print_body;
pub(crate) use view::{Calls, Frame, Shapes, View, compose, dispatch, view};
