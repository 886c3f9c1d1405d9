//! Facts of any transaction: how it ended, how large it is, who sent it.

use alloy::primitives::U256;
use portcullis_rules::FactType::{Bool, Uint};

use crate::simulate::execution::{FrameKind, Status};

use super::{Fact, View, bool, count, uint};

/// Facts of this pass.
pub(super) const FACTS: &[Fact<Shape>] = &[
    Fact::new(
        "tx_succeeded",
        Bool,
        "",
        "The transaction ran to its end without a revert or halt.",
        |shape| bool(shape.succeeded),
    ),
    Fact::new(
        "sender_nonce",
        Uint,
        "count",
        "Nonce of the sender: how many transactions it sent before.",
        |shape| uint(U256::from(shape.sender_nonce)),
    ),
    Fact::new("value_wei", Uint, "wei", "Ether that the sender attached.", |shape| {
        uint(shape.value_wei)
    }),
    Fact::new("gas_used", Uint, "gas", "Gas used, refunds applied.", |shape| {
        uint(U256::from(shape.gas_used))
    }),
    Fact::new(
        "root_is_creation",
        Bool,
        "",
        "The transaction itself creates a contract.",
        |shape| bool(shape.root_is_creation),
    ),
    Fact::partial("frames", Uint, "count", "Call frames, the root included.", |shape| {
        count(shape.frames)
    }),
    Fact::partial(
        "depth",
        Uint,
        "count",
        "Deepest nesting of frames; a lone root frame is 1.",
        |shape| count(shape.depth),
    ),
    Fact::partial(
        "creates",
        Uint,
        "count",
        "Frames entered by CREATE or CREATE2, a creating root included.",
        |shape| count(shape.creates),
    ),
    Fact::partial("selfdestructs", Uint, "count", "Contracts that self-destructed.", |shape| {
        count(shape.selfdestructs)
    }),
];

/// What this pass finds.
#[derive(Debug)]
pub(super) struct Shape {
    /// Ran to its end.
    pub(super) succeeded: bool,
    sender_nonce: u64,
    value_wei: U256,
    gas_used: u64,
    /// No receiver.
    pub(super) root_is_creation: bool,
    /// Call frames.
    pub(super) frames: usize,
    /// Deepest nesting; a lone root frame is 1.
    pub(super) depth: usize,
    /// Frames that create.
    pub(super) creates: usize,
    selfdestructs: usize,
}

impl Shape {
    /// Runs the pass.
    pub(super) fn of(view: &View<'_>) -> Self {
        let execution = view.execution;
        let creation = |kind| matches!(kind, FrameKind::Create | FrameKind::Create2);
        Self {
            succeeded: execution.status == Status::Success,
            sender_nonce: execution.envelope.nonce,
            value_wei: execution.envelope.value,
            gas_used: execution.gas_used,
            root_is_creation: execution.envelope.to.is_none(),
            frames: execution.frames.len(),
            depth: execution
                .frames
                .iter()
                .map(|frame| frame.depth.saturating_add(1))
                .max()
                .unwrap_or(0),
            creates: execution.frames.iter().filter(|frame| creation(frame.kind)).count(),
            selfdestructs: execution.destroyed.len(),
        }
    }
}
