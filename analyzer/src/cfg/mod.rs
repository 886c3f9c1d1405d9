//! One graph per function and modifier body: blocks of three-address statements.
//!
//! ```text
//! syntax tree + names (hir) -> lower (Solidity) / yul (assembly) -> Body -> view (one contract's entry, inlined)
//! ```

mod builder;
mod call;
mod expr;
mod ir;
mod lower;
pub(crate) mod text;
mod value;
mod view;
mod yul;

#[cfg(test)]
mod tests;

pub(crate) use ir::*;
pub(crate) use lower::{lower_function, lower_initialiser};
pub(crate) use text::print_body;
pub(crate) use view::{Calls, Frame, Shapes, View, compose, dispatch, view};
