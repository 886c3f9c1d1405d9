//! The one inspector: frames, logs, ether, storage, mapping slots, creations and self-destructs, in order.

use std::collections::HashSet;

use alloy::primitives::{Address, B256, Bytes, Log, U256};
use revm::{
    Database, Inspector,
    bytecode::opcode,
    context_interface::{ContextTr, CreateScheme, JournalTr},
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, Gas, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr as _, Jumps as _, LoopControl as _, MemoryTr as _},
    },
};

use super::{
    Limits,
    execution::{EtherMove, Frame, FrameKind, LogRecord, MappingSlot, StorageAccess},
};

/// Return and revert data are cut here, bytes.
const OUTPUT_LIMIT: usize = 4096;
/// What a creation returns is the contract's code, which is kept whole: EIP-170 allows 24 KiB.
const CODE_LIMIT: usize = 64 * 1024;
/// Call inputs are cut here once the budget of bytes is spent.
const CUT_INPUT: usize = 4096;

/// Writes one execution down.
#[derive(Debug)]
pub(super) struct Recorder {
    limits: Limits,
    bytes_left: usize,
    order: u32,
    frames: Vec<Frame>,
    /// Open frames, innermost last; none where a frame was not written down.
    open: Vec<Option<usize>>,
    logs: Vec<LogRecord>,
    ether: Vec<EtherMove>,
    accesses: Vec<StorageAccess>,
    mapping_slots: Vec<MappingSlot>,
    mappings_seen: HashSet<(Address, U256)>,
    destroyed: Vec<(usize, Address)>,
    /// What the instruction under way will have done if it succeeds.
    under_way: Option<UnderWay>,
    truncated: bool,
}

#[derive(Debug)]
enum UnderWay {
    Read { slot: U256, transient: bool },
    Write { slot: U256, before: Option<U256>, after: U256, transient: bool },
    Hash { offset: usize },
}

/// What a [`Recorder`] wrote down, with `kept` filled in.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) frames: Vec<Frame>,
    pub(super) logs: Vec<LogRecord>,
    pub(super) ether: Vec<EtherMove>,
    pub(super) accesses: Vec<StorageAccess>,
    pub(super) mapping_slots: Vec<MappingSlot>,
    pub(super) created: Vec<Address>,
    pub(super) destroyed: Vec<Address>,
    pub(super) truncated: bool,
}

impl Recorder {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            bytes_left: limits.bytes,
            order: 0,
            frames: Vec::new(),
            open: Vec::new(),
            logs: Vec::new(),
            ether: Vec::new(),
            accesses: Vec::new(),
            mapping_slots: Vec::new(),
            mappings_seen: HashSet::new(),
            destroyed: Vec::new(),
            under_way: None,
            truncated: false,
        }
    }

    pub(super) fn finish(mut self) -> Recorded {
        // A frame's parent comes before it, so one pass settles what stayed.
        for idx in 0..self.frames.len() {
            let around = self.frames[idx].parent.is_none_or(|parent| self.frames[parent].kept);
            self.frames[idx].kept = self.frames[idx].success && around;
        }
        let kept = |frame: usize| self.frames[frame].kept;
        for log in &mut self.logs {
            log.kept = kept(log.frame);
        }
        for step in &mut self.ether {
            step.kept = kept(step.frame);
        }
        for access in &mut self.accesses {
            access.kept = access.after.is_none() || kept(access.frame);
        }
        let mut created: Vec<Address> = self
            .frames
            .iter()
            .filter(|frame| {
                frame.kept && matches!(frame.kind, FrameKind::Create | FrameKind::Create2)
            })
            .map(|frame| frame.acts_on)
            .collect();
        created.dedup();
        let mut destroyed: Vec<Address> = self
            .destroyed
            .iter()
            .filter(|(frame, _)| kept(*frame))
            .map(|(_, address)| *address)
            .collect();
        destroyed.dedup();
        Recorded {
            frames: self.frames,
            logs: self.logs,
            ether: self.ether,
            accesses: self.accesses,
            mapping_slots: self.mapping_slots,
            created,
            destroyed,
            truncated: self.truncated,
        }
    }

    fn tick(&mut self) -> u32 {
        let order = self.order;
        self.order = self.order.saturating_add(1);
        order
    }

    /// The innermost frame, if it was written down.
    fn current(&self) -> Option<usize> {
        self.open.last().copied().flatten()
    }

    fn cut(&mut self, bytes: &[u8], limit: usize) -> Bytes {
        let allowed = bytes.len().min(limit).min(self.bytes_left.max(CUT_INPUT));
        if allowed < bytes.len().min(limit) {
            self.truncated = true;
        }
        self.bytes_left = self.bytes_left.saturating_sub(allowed);
        Bytes::copy_from_slice(&bytes[..allowed])
    }

    fn enter(&mut self, frame: Frame) -> Option<usize> {
        let idx = if self.frames.len() < self.limits.frames {
            self.frames.push(frame);
            Some(self.frames.len() - 1)
        } else {
            self.truncated = true;
            None
        };
        self.open.push(idx);
        idx
    }

    fn leave(&mut self, output: &Bytes, gas: &Gas, is_ok: bool) {
        let order = self.tick();
        let Some(idx) = self.open.pop().flatten() else { return };
        let creates = matches!(self.frames[idx].kind, FrameKind::Create | FrameKind::Create2);
        let output = self.cut(output, if creates { CODE_LIMIT } else { OUTPUT_LIMIT });
        let frame = &mut self.frames[idx];
        frame.left = order;
        frame.gas_used = gas.total_gas_spent();
        frame.success = is_ok;
        frame.output = output;
    }

    fn pay(&mut self, frame: Option<usize>, from: Address, to: Address, value: U256) {
        if value.is_zero() {
            return;
        }
        let order = self.tick();
        match frame {
            Some(frame) if self.ether.len() < self.limits.events => {
                self.ether.push(EtherMove { frame, order, from, to, value, kept: false });
            }
            _ => self.truncated = true,
        }
    }

    fn access(&mut self, access: StorageAccess) {
        if self.accesses.len() < self.limits.accesses {
            self.accesses.push(access);
        } else {
            self.truncated = true;
        }
    }

    fn map(&mut self, address: Address, slot: U256, words: &[u8]) {
        let (Some(key), Some(base)) = (words.get(..32), words.get(32..64)) else { return };
        if self.mapping_slots.len() >= self.limits.events {
            self.truncated = true;
        } else if self.mappings_seen.insert((address, slot)) {
            let (key, base) = (B256::from_slice(key), U256::from_be_slice(base));
            self.mapping_slots.push(MappingSlot { address, slot, key, base });
        }
    }
}

impl<CTX, DB> Inspector<CTX> for Recorder
where
    DB: Database,
    CTX: ContextTr<Db = DB, Journal: JournalTr<Database = DB> + JournalExt>,
{
    fn step(&mut self, interp: &mut Interpreter<EthInterpreter>, context: &mut CTX) {
        let op = interp.bytecode.opcode();
        self.under_way = match op {
            opcode::SLOAD | opcode::TLOAD => interp
                .stack
                .peek(0)
                .ok()
                .map(|slot| UnderWay::Read { slot, transient: op == opcode::TLOAD }),
            opcode::SSTORE => match (interp.stack.peek(0), interp.stack.peek(1)) {
                (Ok(slot), Ok(after)) => {
                    let address = interp.input.target_address();
                    let before = context
                        .journal()
                        .evm_state()
                        .get(&address)
                        .and_then(|account| account.storage.get(&slot))
                        .map(|slot| slot.present_value());
                    Some(UnderWay::Write { slot, before, after, transient: false })
                }
                _ => None,
            },
            opcode::TSTORE => match (interp.stack.peek(0), interp.stack.peek(1)) {
                (Ok(slot), Ok(after)) => {
                    let before = context.journal_mut().tload(interp.input.target_address(), slot);
                    Some(UnderWay::Write { slot, before: Some(before), after, transient: true })
                }
                _ => None,
            },
            opcode::KECCAK256 => match (interp.stack.peek(0), interp.stack.peek(1)) {
                (Ok(offset), Ok(len)) if len == U256::from(64) => {
                    usize::try_from(offset).ok().map(|offset| UnderWay::Hash { offset })
                }
                _ => None,
            },
            opcode::SELFDESTRUCT => {
                let address = interp.input.target_address();
                if let Ok(heir) = interp.stack.peek(0) {
                    let heir = Address::from_word(heir.into());
                    let value = context
                        .journal()
                        .evm_state()
                        .get(&address)
                        .map(|account| account.info.balance);
                    let frame = self.current();
                    if heir != address {
                        self.pay(frame, address, heir, value.unwrap_or_default());
                    }
                    match frame {
                        Some(frame) if self.destroyed.len() < self.limits.events => {
                            self.destroyed.push((frame, address));
                        }
                        _ => self.truncated = true,
                    }
                }
                None
            }
            _ => return,
        };
    }

    fn step_end(&mut self, interp: &mut Interpreter<EthInterpreter>, context: &mut CTX) {
        let Some(under_way) = self.under_way.take() else { return };
        // An instruction that failed (out of gas, static) did nothing.
        if interp.bytecode.action().is_some() {
            return;
        }
        let address = interp.input.target_address();
        match under_way {
            UnderWay::Read { slot, transient } => {
                let order = self.tick();
                let (Ok(before), Some(frame)) = (interp.stack.peek(0), self.current()) else {
                    self.truncated = true;
                    return;
                };
                self.access(StorageAccess {
                    frame,
                    order,
                    address,
                    slot,
                    before,
                    after: None,
                    transient,
                    kept: true,
                });
            }
            UnderWay::Write { slot, before, after, transient } => {
                let order = self.tick();
                let Some(frame) = self.current() else {
                    self.truncated = true;
                    return;
                };
                // A slot that had not been loaded held what it held when the transaction began.
                let before = before.unwrap_or_else(|| {
                    context
                        .journal()
                        .evm_state()
                        .get(&address)
                        .and_then(|account| account.storage.get(&slot))
                        .map(|slot| slot.original_value())
                        .unwrap_or_default()
                });
                let after = Some(after);
                self.access(StorageAccess {
                    frame,
                    order,
                    address,
                    slot,
                    before,
                    after,
                    transient,
                    kept: false,
                });
            }
            UnderWay::Hash { offset } => {
                let end = offset.saturating_add(64);
                if end <= interp.memory.size()
                    && let Ok(slot) = interp.stack.peek(0)
                {
                    let words = interp.memory.slice(offset..end);
                    self.map(address, slot, &words);
                }
            }
        }
    }

    fn log_full(&mut self, _interp: &mut Interpreter<EthInterpreter>, context: &mut CTX, log: Log) {
        self.log(context, log);
    }

    fn log(&mut self, _context: &mut CTX, log: Log) {
        let order = self.tick();
        match self.current() {
            Some(frame) if self.logs.len() < self.limits.events => self.logs.push(LogRecord {
                frame,
                order,
                address: log.address,
                topics: log.data.topics().to_vec(),
                data: log.data.data.clone(),
                kept: false,
            }),
            _ => self.truncated = true,
        }
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let order = self.tick();
        let kind = match inputs.scheme {
            CallScheme::Call => FrameKind::Call,
            CallScheme::CallCode => FrameKind::CallCode,
            CallScheme::DelegateCall => FrameKind::DelegateCall,
            CallScheme::StaticCall => FrameKind::StaticCall,
        };
        let input = {
            let bytes = inputs.input.as_bytes(context);
            self.cut(&bytes, usize::MAX)
        };
        let idx = self.enter(Frame {
            parent: self.current(),
            depth: self.open.len(),
            kind,
            caller: inputs.caller,
            acts_on: inputs.target_address,
            code_at: inputs.bytecode_address,
            value: inputs.call_value(),
            input,
            output: Bytes::new(),
            gas_limit: inputs.gas_limit,
            gas_used: 0,
            entered: order,
            left: order,
            success: false,
            kept: false,
        });
        if kind == FrameKind::Call {
            self.pay(idx, inputs.caller, inputs.target_address, inputs.call_value());
        }
        None
    }

    fn call_end(&mut self, _context: &mut CTX, _inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.leave(&outcome.result.output, &outcome.result.gas, outcome.result.result.is_ok());
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        let order = self.tick();
        let nonce = context
            .journal()
            .evm_state()
            .get(&inputs.caller())
            .map(|account| account.info.nonce)
            .unwrap_or_default();
        let address = inputs.created_address(nonce);
        let kind = match inputs.scheme() {
            CreateScheme::Create2 { .. } => FrameKind::Create2,
            _ => FrameKind::Create,
        };
        let input = self.cut(&inputs.init_code().clone(), usize::MAX);
        let idx = self.enter(Frame {
            parent: self.current(),
            depth: self.open.len(),
            kind,
            caller: inputs.caller(),
            acts_on: address,
            code_at: address,
            value: inputs.value(),
            input,
            output: Bytes::new(),
            gas_limit: inputs.gas_limit(),
            gas_used: 0,
            entered: order,
            left: order,
            success: false,
            kept: false,
        });
        self.pay(idx, inputs.caller(), address, inputs.value());
        None
    }

    fn create_end(
        &mut self,
        _context: &mut CTX,
        _inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        let is_ok = outcome.result.result.is_ok() && outcome.address.is_some();
        self.leave(&outcome.result.output, &outcome.result.gas, is_ok);
    }
}
