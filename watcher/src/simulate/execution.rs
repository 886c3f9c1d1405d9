//! The execution of one transaction as a plain value: everything later stages may know of it.

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

/// One transaction, executed on top of a head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Envelope fields that later stages read.
    pub envelope: Envelope,
    /// Number of the head below.
    pub head: u64,
    /// Base fee of the block it was run in, wei.
    pub base_fee_wei: u128,
    /// How it ended.
    pub status: Status,
    /// Gas used, refunds applied.
    pub gas_used: u64,
    /// Call frames in the order they were entered; the root is the first.
    pub frames: Vec<Frame>,
    /// Logs in order, those of reverted frames included and marked.
    pub logs: Vec<LogRecord>,
    /// Ether moved by calls, creations and self-destructs, in order.
    pub ether: Vec<EtherMove>,
    /// Storage reads and writes in order.
    pub accesses: Vec<StorageAccess>,
    /// Mapping slots derived in this transaction: `hash = keccak256(key . base)`.
    pub mapping_slots: Vec<MappingSlot>,
    /// Contracts created, addresses in order.
    pub created: Vec<Address>,
    /// Contracts that self-destructed.
    pub destroyed: Vec<Address>,
    /// Ether balance before the transaction of every account it touched, wei; sorted by address.
    pub balances_before: Vec<(Address, U256)>,
    /// Ether balance after, same accounts and order (fees included).
    pub balances_after: Vec<(Address, U256)>,
    /// A limit cut the recording short: what is here is true, but not all.
    pub truncated: bool,
}

/// What the sender signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Hash, recomputed.
    pub tx_hash: B256,
    /// Sender, recovered.
    pub sender: Address,
    /// Receiver; none for a creation.
    pub to: Option<Address>,
    /// Sender's nonce.
    pub nonce: u64,
    /// Ether sent, wei.
    pub value: U256,
    /// Calldata or init code.
    pub input: Bytes,
    /// Gas limit.
    pub gas_limit: u64,
    /// `maxFeePerGas`, or `gasPrice` of a legacy transaction, wei.
    pub max_fee_per_gas: u128,
    /// `maxPriorityFeePerGas`, or `gasPrice` of a legacy transaction, wei.
    pub max_priority_fee_per_gas: u128,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "status")]
pub enum Status {
    /// Returned.
    Success,
    /// Reverted, with the decoded `Error(string)` or `Panic(uint256)` where there is one.
    Revert {
        /// Decoded reason or hex data.
        reason: String,
    },
    /// Stopped by the machine: out of gas, invalid opcode, ...
    Halt {
        /// The machine's word for it.
        reason: String,
    },
}

/// How a frame was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the opcodes' own names")]
pub enum FrameKind {
    Call,
    StaticCall,
    DelegateCall,
    CallCode,
    Create,
    Create2,
}

/// One call frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Index of the calling frame; none for the root.
    pub parent: Option<usize>,
    /// 0 for the root.
    pub depth: usize,
    /// How it was entered.
    pub kind: FrameKind,
    /// `msg.sender` inside.
    pub caller: Address,
    /// Account whose storage and balance it acts on (`address(this)`).
    pub acts_on: Address,
    /// Account whose code runs; differs from `acts_on` under delegatecall.
    pub code_at: Address,
    /// `msg.value`, wei.
    pub value: U256,
    /// Calldata or init code.
    pub input: Bytes,
    /// Return or revert data, cut at 4 KiB; of a creation the code, cut at 64 KiB.
    pub output: Bytes,
    /// Gas given.
    pub gas_limit: u64,
    /// Gas used.
    pub gas_used: u64,
    /// Position in the common order of events when entered.
    pub entered: u32,
    /// Position in the common order of events when left.
    pub left: u32,
    /// Returned without revert or halt.
    pub success: bool,
    /// Success of this frame and of every frame around it: its effects stayed.
    pub kept: bool,
}

impl Frame {
    /// First four bytes of the calldata, for calls that have them.
    pub fn selector(&self) -> Option<[u8; 4]> {
        match self.kind {
            FrameKind::Create | FrameKind::Create2 => None,
            _ => self.input.get(..4).and_then(|bytes| bytes.try_into().ok()),
        }
    }
}

/// One log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Frame that emitted it.
    pub frame: usize,
    /// Position in the common order of events.
    pub order: u32,
    /// Emitting account.
    pub address: Address,
    /// Topics, at most four.
    pub topics: Vec<B256>,
    /// Data.
    pub data: Bytes,
    /// It stayed.
    pub kept: bool,
}

/// Ether that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtherMove {
    /// Frame in which it arrived (for a call: the called frame).
    pub frame: usize,
    /// Position in the common order of events.
    pub order: u32,
    /// Payer.
    pub from: Address,
    /// Receiver.
    pub to: Address,
    /// Wei.
    pub value: U256,
    /// It stayed.
    pub kept: bool,
}

/// One read or write of storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageAccess {
    /// Frame that did it.
    pub frame: usize,
    /// Position in the common order of events.
    pub order: u32,
    /// Account whose storage it is.
    pub address: Address,
    /// Slot.
    pub slot: U256,
    /// Value before; for a read, the value read.
    pub before: U256,
    /// Value after a write; none for a read.
    pub after: Option<U256>,
    /// EIP-1153 transient storage.
    pub transient: bool,
    /// It stayed (always true for reads).
    pub kept: bool,
}

/// A mapping entry's slot, and what it was derived from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingSlot {
    /// Account that computed the hash.
    pub address: Address,
    /// The slot: keccak256 of 64 bytes.
    pub slot: U256,
    /// First word: the key.
    pub key: B256,
    /// Second word: the mapping's own slot.
    pub base: U256,
}
