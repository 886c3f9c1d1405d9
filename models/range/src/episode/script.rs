//! Small contracts assembled on the spot: a list of calls, made from a constructor or whenever they are called.

use alloy::primitives::{Address, U256};

mod op {
    pub(super) const ISZERO: u8 = 0x15;
    pub(super) const CALLDATASIZE: u8 = 0x36;
    pub(super) const CODECOPY: u8 = 0x39;
    pub(super) const POP: u8 = 0x50;
    pub(super) const MSTORE: u8 = 0x52;
    pub(super) const JUMPI: u8 = 0x57;
    pub(super) const GAS: u8 = 0x5a;
    pub(super) const JUMPDEST: u8 = 0x5b;
    pub(super) const PUSH1: u8 = 0x60;
    pub(super) const PUSH3: u8 = 0x62;
    pub(super) const PUSH20: u8 = 0x73;
    pub(super) const PUSH32: u8 = 0x7f;
    pub(super) const CREATE: u8 = 0xf0;
    pub(super) const CALL: u8 = 0xf1;
    pub(super) const RETURN: u8 = 0xf3;
    pub(super) const STATICCALL: u8 = 0xfa;
    pub(super) const REVERT: u8 = 0xfd;
    pub(super) const STOP: u8 = 0x00;
}

/// Calls in order; one that must not fail reverts everything when it does.
#[derive(Debug, Clone, Default)]
pub(super) struct Script {
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Call { to: Address, value: U256, data: Vec<u8> },
    Read { to: Address, data: Vec<u8> },
    Create { code: Vec<u8>, value: U256 },
}

impl Script {
    /// Calls, and reverts if that fails.
    pub(super) fn call(&mut self, to: Address, value: U256, data: Vec<u8>) {
        self.steps.push(Step::Call { to, value, data });
    }

    /// Calls statically, and goes on whatever comes of it.
    pub(super) fn read(&mut self, to: Address, data: Vec<u8>) {
        self.steps.push(Step::Read { to, data });
    }

    /// Creates a contract with some ether; the script's first one stands at `script.create(1)`.
    pub(super) fn create(&mut self, code: Vec<u8>, value: U256) {
        self.steps.push(Step::Create { code, value });
    }

    /// Appends what another script does.
    pub(super) fn extend(&mut self, other: &Self) {
        self.steps.extend(other.steps.iter().cloned());
    }

    /// Creation code that makes all calls at once and leaves an account without code.
    pub(super) fn constructor(&self) -> Vec<u8> {
        let mut code = Assembler::default();
        code.steps(&self.steps);
        code.op(op::STOP);
        code.finish()
    }

    /// Creation code that runs this script and then leaves a contract that makes the calls of `later` whenever
    /// it is called with data, and those of `on_ether` when it is sent bare ether.
    pub(super) fn deploying(&self, later: &Self, on_ether: &Self) -> Vec<u8> {
        let mut runtime = Assembler::default();
        runtime.op(op::CALLDATASIZE);
        runtime.jump_over(|code| {
            code.steps(&on_ether.steps);
            code.op(op::STOP);
        });
        runtime.steps(&later.steps);
        runtime.op(op::STOP);
        let runtime = runtime.finish();

        let mut code = Assembler::default();
        code.steps(&self.steps);
        let length = runtime.len();
        code.copy(runtime);
        code.push(length);
        code.push(0);
        code.op(op::RETURN);
        code.finish()
    }
}

/// Bytes of code, and data behind it whose places are known only at the end.
#[derive(Debug, Default)]
struct Assembler {
    code: Vec<u8>,
    /// Where a place was left open, and the data it points to.
    data: Vec<(usize, Vec<u8>)>,
}

impl Assembler {
    fn op(&mut self, op: u8) {
        self.code.push(op);
    }

    fn push(&mut self, number: usize) {
        self.code.push(op::PUSH3);
        self.code
            .extend_from_slice(&u32::try_from(number).expect("code is short").to_be_bytes()[1..]);
    }

    /// Runs `skipped` unless the top of the stack is true.
    fn jump_over(&mut self, skipped: impl FnOnce(&mut Self)) {
        self.push(0);
        let open = self.code.len() - 3;
        self.op(op::JUMPI);
        skipped(self);
        let target = u32::try_from(self.code.len()).expect("code is short");
        self.code[open..open + 3].copy_from_slice(&target.to_be_bytes()[1..]);
        self.op(op::JUMPDEST);
    }

    /// Copies data that stands behind the code to the start of the memory.
    fn copy(&mut self, data: Vec<u8>) {
        self.push(data.len());
        self.push(0);
        self.data.push((self.code.len() - 3, data));
        self.push(0);
        self.op(op::CODECOPY);
    }

    fn store(&mut self, data: &[u8]) {
        for (index, word) in data.chunks(32).enumerate() {
            let mut padded = [0; 32];
            padded[..word.len()].copy_from_slice(word);
            self.op(op::PUSH32);
            self.code.extend_from_slice(&padded);
            self.push(index * 32);
            self.op(op::MSTORE);
        }
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Call { to, value, data } => {
                    self.arguments(data);
                    self.op(op::PUSH32);
                    self.code.extend_from_slice(&value.to_be_bytes::<32>());
                    self.address(*to);
                    self.op(op::CALL);
                    self.or_revert();
                }
                Step::Read { to, data } => {
                    self.arguments(data);
                    self.address(*to);
                    self.op(op::STATICCALL);
                    self.op(op::POP);
                }
                Step::Create { code, value } => {
                    let length = code.len();
                    self.copy(code.clone());
                    self.push(length);
                    self.push(0);
                    self.op(op::PUSH32);
                    self.code.extend_from_slice(&value.to_be_bytes::<32>());
                    self.op(op::CREATE);
                    self.or_revert();
                }
            }
        }
    }

    /// Memory and the four numbers that say where a call reads and writes it.
    fn arguments(&mut self, data: &[u8]) {
        self.store(data);
        self.push(0);
        self.push(0);
        self.push(data.len());
        self.push(0);
    }

    fn address(&mut self, to: Address) {
        self.op(op::PUSH20);
        self.code.extend_from_slice(to.as_slice());
        self.op(op::GAS);
    }

    fn or_revert(&mut self) {
        self.op(op::ISZERO);
        self.op(op::ISZERO);
        self.jump_over(|code| {
            code.code.extend_from_slice(&[op::PUSH1, 0, op::PUSH1, 0, op::REVERT]);
        });
    }

    fn finish(mut self) -> Vec<u8> {
        for (open, data) in std::mem::take(&mut self.data) {
            let place = u32::try_from(self.code.len()).expect("code is short");
            self.code[open..open + 3].copy_from_slice(&place.to_be_bytes()[1..]);
            self.code.extend_from_slice(&data);
        }
        self.code
    }
}
