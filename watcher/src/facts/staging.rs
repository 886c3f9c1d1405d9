//! Executions built by hand for tests: what a simulation would have written down.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};

use crate::simulate::execution::{
    Envelope, EtherMove, Execution, Frame, FrameKind, LogRecord, MappingSlot, Status, StorageAccess,
};

/// An execution in the making. Calls nest as they are entered and left; `finish` decides what was kept.
#[derive(Debug)]
pub(crate) struct Stage {
    execution: Execution,
    order: u32,
    open: Vec<usize>,
}

/// The address whose last byte is `number`, outside of the precompiles.
pub(crate) fn account(number: u8) -> Address {
    let mut address = Address::repeat_byte(0xa0);
    address.0[19] = number;
    address
}

/// The slot of `key` in the mapping at `base`.
pub(crate) fn mapping_slot(key: Address, base: u64) -> U256 {
    let mut preimage = key.into_word().to_vec();
    preimage.extend(U256::from(base).to_be_bytes::<32>());
    keccak256(preimage).into()
}

impl Stage {
    /// A transaction from `sender` to `to`, its root frame open.
    pub(crate) fn new(sender: Address, to: Address, value: u64) -> Self {
        let envelope = Envelope {
            tx_hash: keccak256([sender.as_slice(), to.as_slice()].concat()),
            sender,
            to: Some(to),
            nonce: 7,
            value: U256::from(value),
            input: Bytes::new(),
            gas_limit: 1_000_000,
            max_fee_per_gas: 2_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
        };
        let execution = Execution {
            envelope,
            head: 100,
            base_fee_wei: 1_000_000_000,
            status: Status::Success,
            gas_used: 21_000,
            frames: Vec::new(),
            logs: Vec::new(),
            ether: Vec::new(),
            accesses: Vec::new(),
            mapping_slots: Vec::new(),
            created: Vec::new(),
            destroyed: Vec::new(),
            balances_before: Vec::new(),
            balances_after: Vec::new(),
            truncated: false,
        };
        let mut stage = Self { execution, order: 0, open: Vec::new() };
        stage.enter(FrameKind::Call, to, to, value);
        stage
    }

    fn tick(&mut self) -> u32 {
        self.order = self.order.saturating_add(1);
        self.order
    }

    fn here(&self) -> Address {
        self.open
            .last()
            .map_or(self.execution.envelope.sender, |&top| self.execution.frames[top].acts_on)
    }

    /// Enters a frame.
    pub(crate) fn enter(
        &mut self,
        kind: FrameKind,
        acts_on: Address,
        code_at: Address,
        value: u64,
    ) -> &mut Self {
        let caller = self.here();
        let order = self.tick();
        let frame = self.execution.frames.len();
        if value > 0 && kind != FrameKind::DelegateCall {
            let value = U256::from(value);
            self.execution.ether.push(EtherMove {
                frame,
                order,
                from: caller,
                to: acts_on,
                value,
                kept: true,
            });
        }
        if matches!(kind, FrameKind::Create | FrameKind::Create2) {
            self.execution.created.push(acts_on);
        }
        self.execution.frames.push(Frame {
            parent: self.open.last().copied(),
            depth: self.open.len(),
            kind,
            caller,
            acts_on,
            code_at,
            value: U256::from(value),
            input: Bytes::new(),
            output: Bytes::new(),
            gas_limit: 100_000,
            gas_used: 1_000,
            entered: order,
            left: order,
            success: true,
            kept: true,
        });
        self.open.push(frame);
        self
    }

    /// Enters an ordinary call.
    pub(crate) fn call(&mut self, to: Address, value: u64) -> &mut Self {
        self.enter(FrameKind::Call, to, to, value)
    }

    /// Leaves the innermost frame.
    pub(crate) fn leave(&mut self, success: bool) -> &mut Self {
        let order = self.tick();
        let frame = self.open.pop().expect("a frame is open");
        self.execution.frames[frame].left = order;
        self.execution.frames[frame].success = success;
        self
    }

    /// Reads a slot of the account the innermost frame acts on.
    pub(crate) fn read(&mut self, slot: U256, value: u64) -> &mut Self {
        self.access(slot, value, None)
    }

    /// Writes a slot of the account the innermost frame acts on.
    pub(crate) fn write(&mut self, slot: U256, before: u64, after: u64) -> &mut Self {
        self.access(slot, before, Some(U256::from(after)))
    }

    fn access(&mut self, slot: U256, before: u64, after: Option<U256>) -> &mut Self {
        let access = StorageAccess {
            frame: *self.open.last().expect("a frame is open"),
            order: self.tick(),
            address: self.here(),
            slot,
            before: U256::from(before),
            after,
            transient: false,
            kept: true,
        };
        self.execution.accesses.push(access);
        self
    }

    /// Derives the slot of `key` in the mapping at `base`, as the innermost frame's account.
    pub(crate) fn derive(&mut self, key: Address, base: u64) -> U256 {
        let slot = mapping_slot(key, base);
        let address = self.here();
        self.execution.mapping_slots.push(MappingSlot {
            address,
            slot,
            key: key.into_word(),
            base: U256::from(base),
        });
        slot
    }

    /// Logs an ERC-20 transfer as the innermost frame's account.
    pub(crate) fn transfer(&mut self, from: Address, to: Address, amount: u64) -> &mut Self {
        let topic = keccak256("Transfer(address,address,uint256)");
        let log = LogRecord {
            frame: *self.open.last().expect("a frame is open"),
            order: self.tick(),
            address: self.here(),
            topics: vec![topic, from.into_word(), to.into_word()],
            data: B256::from(U256::from(amount)).to_vec().into(),
            kept: true,
        };
        self.execution.logs.push(log);
        self
    }

    /// Marks the innermost frame's account as self-destructed.
    pub(crate) fn destroy(&mut self) -> &mut Self {
        let address = self.here();
        self.execution.destroyed.push(address);
        self
    }

    /// Cuts the recording short.
    pub(crate) fn truncate(&mut self) -> &mut Self {
        self.execution.truncated = true;
        self
    }

    /// Leaves what is open and marks what was kept. `balances` are those before, wei.
    pub(crate) fn finish(mut self, balances: &[(Address, u64)]) -> Execution {
        while !self.open.is_empty() {
            self.leave(true);
        }
        let mut kept: Vec<bool> = Vec::new();
        for frame in &mut self.execution.frames {
            frame.kept = frame.success && frame.parent.is_none_or(|parent| kept[parent]);
            kept.push(frame.kept);
        }
        let execution = &mut self.execution;
        execution.logs.iter_mut().for_each(|log| log.kept = kept[log.frame]);
        execution.ether.iter_mut().for_each(|moved| moved.kept = kept[moved.frame]);
        let writes = execution.accesses.iter_mut().filter(|access| access.after.is_some());
        writes.for_each(|access| access.kept = kept[access.frame]);
        if !kept[0] {
            execution.status = Status::Revert { reason: "staged".into() };
        }
        execution.balances_before =
            balances.iter().map(|(address, wei)| (*address, U256::from(*wei))).collect();
        execution.balances_before.sort_unstable();
        self.execution
    }
}
