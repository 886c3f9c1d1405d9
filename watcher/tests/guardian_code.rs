//! The guardian's own bytecode, run: against a model of what it should do, in random sequences of calls, and until both
//! outcomes of every conditional jump were seen.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    primitives::{Address, B256, Bytes, U256, bytes},
    sol,
    sol_types::{SolCall, SolError},
};
use portcullis_alerting::guardian::deploy;
use revm::{
    Context, InspectCommitEvm as _, Inspector, Journal, MainBuilder as _,
    bytecode::{Bytecode, opcode},
    context::{BlockEnv, CfgEnv, TxEnv, result::ExecutionResult},
    database::{CacheDB, EmptyDB},
    interpreter::{
        Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr as _, Jumps as _},
    },
    primitives::{TxKind, hardfork::SpecId},
    state::AccountInfo,
};

sol! {
    #[derive(Debug)]
    interface Guardian {
        struct Call { address to; bytes data; }
        function pause(address target, bytes32 evidence) external;
        function renounce() external;
        function register(address target, Call[] calldata calls) external;
        function setPauser(address pauser, uint64 expiresAt) external;
        function setLimits(uint32 cooldown_, uint32 period_, uint32 maxPausesPerPeriod_) external;
        function transferOwnership(address newOwner) external;
        function acceptOwnership() external;
        function callsOf(address target) external view returns (Call[] memory);
        function nextPauseAt(address target) external view returns (uint256);
        function owner() external view returns (address);
        function pendingOwner() external view returns (address);
        function cooldown() external view returns (uint32);
        function period() external view returns (uint32);
        function maxPausesPerPeriod() external view returns (uint32);
        function pauserExpiresAt(address pauser) external view returns (uint64);
        function records(address target) external view returns (uint64, uint64, uint32);
        function MAX_CALLS() external view returns (uint256);
        error NotOwner(address caller);
        error NotPendingOwner(address caller);
        error NotPauser(address caller);
        error NotRegistered(address target);
        error CoolingDown(address target, uint256 until);
        error TooManyPauses(address target, uint256 until);
        error NothingPaused(address target);
        error NoCode(address to);
        error TooManyCalls(uint256 count);
        error ZeroPeriod();
    }
}

const OWNER: Address = Address::repeat_byte(0x01);
const START_S: u64 = 1_700_000_000;
/// Counts in its first slot how often it was called.
const WILLING: (Address, Bytes) = (Address::repeat_byte(0x11), bytes!("600160005401600055"));
/// Takes every call back.
const UNWILLING: (Address, Bytes) = (Address::repeat_byte(0x12), bytes!("60006000fd"));
/// Has no code.
const NOBODY: Address = Address::repeat_byte(0x13);

/// Both outcomes of the conditional jumps of one contract.
#[derive(Debug, Default)]
struct Jumps {
    of: Address,
    seen: BTreeSet<(usize, bool)>,
}

impl<CTX> Inspector<CTX, EthInterpreter> for Jumps {
    fn step(&mut self, interp: &mut Interpreter<EthInterpreter>, _context: &mut CTX) {
        if interp.bytecode.opcode() == opcode::JUMPI && interp.input.target_address() == self.of {
            let is_taken = interp.stack.peek(1).is_ok_and(|condition| !condition.is_zero());
            self.seen.insert((interp.bytecode.pc(), is_taken));
        }
    }
}

/// A chain in memory with one guardian on it.
struct World {
    layer: CacheDB<EmptyDB>,
    guardian: Address,
    now_s: u64,
    jumps: Jumps,
}

impl World {
    fn new() -> Self {
        Self::owned_by(OWNER)
    }

    fn owned_by(owner: Address) -> Self {
        let mut layer = CacheDB::new(EmptyDB::default());
        for (address, code) in [WILLING, UNWILLING] {
            let code = Bytecode::new_raw(code);
            layer.insert_account_info(address, AccountInfo::from_bytecode(code));
        }
        let mut world =
            Self { layer, guardian: Address::ZERO, now_s: START_S, jumps: Jumps::default() };
        let created = world.send(OWNER, TxKind::Create, deploy::deployment_data(owner), U256::ZERO);
        let ExecutionResult::Success { output, .. } = created else { panic!("{created:?}") };
        world.guardian = *output.address().unwrap();
        world.jumps.of = world.guardian;
        world
    }

    fn send(&mut self, from: Address, kind: TxKind, data: Bytes, value: U256) -> ExecutionResult {
        let mut cfg = CfgEnv::new_with_spec(SpecId::PRAGUE);
        cfg.set_spec_and_mainnet_gas_params(SpecId::PRAGUE);
        cfg.disable_nonce_check = true;
        cfg.disable_balance_check = true;
        // An owner that is a contract, as a multisig is.
        cfg.disable_eip3607 = true;
        let block = BlockEnv {
            timestamp: U256::from(self.now_s),
            gas_limit: 30_000_000,
            ..BlockEnv::default()
        };
        let tx = TxEnv {
            caller: from,
            kind,
            data,
            value,
            gas_limit: 10_000_000,
            gas_price: 0,
            chain_id: Some(cfg.chain_id),
            ..TxEnv::default()
        };
        Context::<BlockEnv, TxEnv, CfgEnv, _, Journal<_>, ()>::new(&mut self.layer, cfg.spec)
            .with_cfg(cfg)
            .with_block(block)
            .build_mainnet_with_inspector(&mut self.jumps)
            .inspect_tx_commit(tx)
            .unwrap()
    }

    /// Calls the guardian: what it returned, or the data that it reverted with.
    fn raw(&mut self, from: Address, data: impl Into<Bytes>) -> Result<Bytes, Bytes> {
        match self.send(from, TxKind::Call(self.guardian), data.into(), U256::ZERO) {
            ExecutionResult::Success { output, .. } => Ok(output.into_data()),
            ExecutionResult::Revert { output, .. } => Err(output),
            other => panic!("{other:?}"),
        }
    }

    fn call<C: SolCall>(&mut self, from: Address, call: &C) -> Result<C::Return, Bytes> {
        let answer = self.raw(from, call.abi_encode())?;
        Ok(C::abi_decode_returns(&answer).unwrap())
    }

    fn view<C: SolCall>(&mut self, call: &C) -> C::Return {
        self.call(NOBODY, call).unwrap()
    }

    /// How often the willing contract was called.
    fn pauses(&mut self) -> U256 {
        use revm::Database as _;
        self.layer.storage(WILLING.0, U256::ZERO).unwrap()
    }
}

/// What a call should come to, in the words of the contract's errors.
type Outcome = Result<(), Bytes>;

/// The guardian as its documentation describes it.
#[derive(Debug, Clone)]
struct Model {
    owner: Address,
    pending: Address,
    cooldown_s: u32,
    period_s: u32,
    most: u32,
    pausers: BTreeMap<Address, u64>,
    /// By target: the contracts called.
    calls: BTreeMap<Address, Vec<Address>>,
    /// By target: last pause, begin of the period, pauses in it.
    records: BTreeMap<Address, (u64, u64, u32)>,
    /// Calls of the willing contract.
    paused: u64,
}

/// One call of the guardian.
#[derive(Debug, Clone)]
enum Deed {
    Pause(Address),
    Register(Address, Vec<Address>),
    SetPauser(Address, u64),
    SetLimits(u32, u32, u32),
    Renounce,
    Transfer(Address),
    Accept,
}

fn refused(error: impl SolError) -> Outcome {
    Err(error.abi_encode().into())
}

impl Model {
    fn new() -> Self {
        Self {
            owner: OWNER,
            pending: Address::ZERO,
            cooldown_s: 600,
            period_s: 86_400,
            most: 6,
            pausers: BTreeMap::new(),
            calls: BTreeMap::new(),
            records: BTreeMap::new(),
            paused: 0,
        }
    }

    fn apply(&mut self, from: Address, deed: &Deed, now_s: u64) -> Outcome {
        let only_owner = |owner: Address| {
            if from == owner { Ok(()) } else { refused(Guardian::NotOwner { caller: from }) }
        };
        match deed {
            Deed::Pause(target) => self.pause(from, *target, now_s),
            Deed::Register(target, calls) => {
                only_owner(self.owner)?;
                if calls.len() > 16 {
                    return refused(Guardian::TooManyCalls { count: U256::from(calls.len()) });
                }
                if calls.contains(&NOBODY) {
                    return refused(Guardian::NoCode { to: NOBODY });
                }
                self.calls.insert(*target, calls.clone());
                Ok(())
            }
            Deed::SetPauser(pauser, until) => {
                only_owner(self.owner)?;
                self.pausers.insert(*pauser, *until);
                Ok(())
            }
            Deed::SetLimits(cooldown, period, most) => {
                only_owner(self.owner)?;
                if *period == 0 {
                    return refused(Guardian::ZeroPeriod {});
                }
                (self.cooldown_s, self.period_s, self.most) = (*cooldown, *period, *most);
                Ok(())
            }
            Deed::Renounce => {
                self.pausers.insert(from, 0);
                Ok(())
            }
            Deed::Transfer(to) => {
                only_owner(self.owner)?;
                self.pending = *to;
                Ok(())
            }
            Deed::Accept => {
                if from != self.pending {
                    return refused(Guardian::NotPendingOwner { caller: from });
                }
                (self.owner, self.pending) = (from, Address::ZERO);
                Ok(())
            }
        }
    }

    fn pause(&mut self, from: Address, target: Address, now_s: u64) -> Outcome {
        if now_s >= self.pausers.get(&from).copied().unwrap_or_default() {
            return refused(Guardian::NotPauser { caller: from });
        }
        let calls = self.calls.get(&target).cloned().unwrap_or_default();
        if calls.is_empty() {
            return refused(Guardian::NotRegistered { target });
        }
        let (last, mut since, mut count) = self.records.get(&target).copied().unwrap_or_default();
        let cooled = last + u64::from(self.cooldown_s);
        if last != 0 && now_s < cooled {
            return refused(Guardian::CoolingDown { target, until: U256::from(cooled) });
        }
        if now_s >= since + u64::from(self.period_s) {
            (since, count) = (now_s, 0);
        }
        if count >= self.most {
            let until = U256::from(since + u64::from(self.period_s));
            return refused(Guardian::TooManyPauses { target, until });
        }
        let willing = calls.iter().filter(|to| **to == WILLING.0).count();
        if willing == 0 {
            return refused(Guardian::NothingPaused { target });
        }
        self.records.insert(target, (now_s, since, count + 1));
        self.paused += willing as u64;
        Ok(())
    }

    /// From when on the limits allow the next pause.
    fn next_at(&self, target: Address, now_s: u64) -> u64 {
        let (last, since, count) = self.records.get(&target).copied().unwrap_or_default();
        let cooled = if last == 0 { 0 } else { last + u64::from(self.cooldown_s) };
        let end = since + u64::from(self.period_s);
        let is_full = now_s < end && count >= self.most;
        if is_full { end.max(cooled) } else { cooled }
    }
}

fn data(deed: &Deed) -> Bytes {
    match deed {
        Deed::Pause(target) => {
            Guardian::pauseCall { target: *target, evidence: B256::ZERO }.abi_encode()
        }
        Deed::Register(target, calls) => {
            // Data of many lengths, short enough for one slot and too long for it.
            let call = |(place, to): (usize, &Address)| Guardian::Call {
                to: *to,
                data: vec![0x84; place * 17].into(),
            };
            let calls = calls.iter().enumerate().map(call).collect();
            Guardian::registerCall { target: *target, calls }.abi_encode()
        }
        Deed::SetPauser(pauser, expires_at) => {
            Guardian::setPauserCall { pauser: *pauser, expiresAt: *expires_at }.abi_encode()
        }
        Deed::SetLimits(cooldown_, period_, most) => Guardian::setLimitsCall {
            cooldown_: *cooldown_,
            period_: *period_,
            maxPausesPerPeriod_: *most,
        }
        .abi_encode(),
        Deed::Renounce => Guardian::renounceCall {}.abi_encode(),
        Deed::Transfer(to) => Guardian::transferOwnershipCall { newOwner: *to }.abi_encode(),
        Deed::Accept => Guardian::acceptOwnershipCall {}.abi_encode(),
    }
    .into()
}

/// SplitMix64: each run is the same.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn deed(&mut self, people: &[Address], targets: &[Address], now_s: u64) -> Deed {
        match self.below(16) {
            0..=7 => Deed::Pause(self.one_of(targets)),
            8 | 9 => {
                let target = self.one_of(targets);
                let count = self.one_of(&[0, 1, 1, 2, 3, 16, 17]);
                let contracts = [WILLING.0, WILLING.0, WILLING.0, UNWILLING.0, UNWILLING.0, NOBODY];
                let calls = (0..count).map(|_| self.one_of(&contracts)).collect();
                Deed::Register(target, calls)
            }
            10 | 11 => {
                let until = self.one_of(&[0, now_s, now_s + 1, now_s + 5_000, u64::MAX]);
                Deed::SetPauser(self.one_of(people), until)
            }
            12 => Deed::SetLimits(
                self.one_of(&[0, 1, 600, u32::MAX]),
                self.one_of(&[0, 1, 3_600, u32::MAX]),
                self.one_of(&[0, 1, 2, 6]),
            ),
            13 => Deed::Renounce,
            14 => Deed::Transfer(self.one_of(&[people[0], people[1], Address::ZERO])),
            _ => Deed::Accept,
        }
    }
}

/// After every call the contract says what the model says: who owns it, who may pause until when, what is registered,
/// what was counted, and how often anything really was called.
#[test]
fn random_sequences_of_calls_come_to_what_the_model_says() {
    let people = [OWNER, Address::repeat_byte(0x02), Address::repeat_byte(0x03)];
    let targets = [Address::repeat_byte(0x21), Address::repeat_byte(0x22)];
    let (mut done, mut refusals) = (0, BTreeSet::new());
    for seed in 0..40 {
        let (mut world, mut model, mut draws) = (World::new(), Model::new(), Draws(seed));
        for step in 0..60 {
            world.now_s += draws.one_of(&[0, 1, 30, 599, 601, 3_600, 90_000]);
            // Mostly whoever may: otherwise hardly anything would happen.
            let from = if draws.below(3) > 0 { model.owner } else { draws.one_of(&people) };
            let deed = draws.deed(&people, &targets, world.now_s);
            let expected = model.apply(from, &deed, world.now_s);
            let found = world.raw(from, data(&deed)).map(|_| ());
            assert_eq!(found, expected, "seed {seed}, step {step}: {deed:?} by {from}");
            match &found {
                Ok(()) => done += 1,
                Err(reason) => drop(refusals.insert(reason[..4].to_vec())),
            }
            assert_eq!(world.view(&Guardian::ownerCall {}), model.owner);
            assert_eq!(world.view(&Guardian::pendingOwnerCall {}), model.pending);
            assert!(!model.owner.is_zero(), "somebody always owns it");
            assert_eq!(
                world.pauses(),
                U256::from(model.paused),
                "seed {seed}, step {step}: {deed:?}"
            );
            for &target in &targets {
                let next = world.view(&Guardian::nextPauseAtCall { target });
                assert_eq!(next, U256::from(model.next_at(target, world.now_s)));
                let record = world.view(&Guardian::recordsCall { target });
                let expected = model.records.get(&target).copied().unwrap_or_default();
                assert_eq!((record._0, record._1, record._2), expected);
            }
            if step % 10 == 9 {
                for &pauser in &people {
                    let expected = model.pausers.get(&pauser).copied().unwrap_or_default();
                    assert_eq!(world.view(&Guardian::pauserExpiresAtCall { pauser }), expected);
                }
                for &target in &targets {
                    let calls = world.view(&Guardian::callsOfCall { target });
                    let to: Vec<Address> = calls.iter().map(|call| call.to).collect();
                    assert_eq!(Some(&to), model.calls.get(&target).or(Some(&Vec::new())));
                    for (place, call) in calls.iter().enumerate() {
                        assert_eq!(call.data.len(), place * 17, "data comes back whole");
                    }
                }
            }
        }
    }
    assert!(done > 500, "{done} calls did something");
    assert_eq!(refusals.len(), 10, "each way of refusing was met: {refusals:02x?}");
}

/// Every conditional jump of the runtime code, and what it cannot do with a sentence why.
///
/// The places are those of the committed artifact, which a test of `alerting` proves current.
const NEVER: &[(usize, bool, &str)] = &[
    (
        1_201,
        false,
        "`calls[i]` in `register`: the loop's own condition keeps `i` below the length of the call data",
    ),
    (1_267, false, "`calls[i]` in `register`, a second time in the same turn"),
    (1_377, false, "`calls[i]` in `register`, a third time in the same turn"),
    (
        2_146,
        false,
        "`calls[i].data` in `pause`: nothing is called after `calls[i].to` has found the place",
    ),
    (
        2_333,
        false,
        "`calls[i].to` of a call that failed: whatever it changed is undone, the list with it",
    ),
    (
        4_441,
        false,
        "bytes in storage whose length is in neither form: only the compiler's own code writes them",
    ),
    (
        4_526,
        false,
        "bytes written over longer ones: `delete` empties the list before anything is pushed",
    ),
    (4_534, false, "within the clearing of longer bytes, which never runs"),
    (4_534, true, "within the clearing of longer bytes, which never runs"),
    (4_557, false, "within the clearing of longer bytes, which never runs"),
    (4_557, true, "within the clearing of longer bytes, which never runs"),
    (4_582, false, "within the clearing of longer bytes, which never runs"),
    (4_582, true, "within the clearing of longer bytes, which never runs"),
    (4_917, false, "the sum of a 64-bit time and a 32-bit span, in 256 bits"),
    (
        4_945,
        false,
        "`countInPeriod + 1`: it is below `maxPausesPerPeriod`, which is of the same 32 bits",
    ),
];

#[test]
fn both_outcomes_of_every_conditional_jump_were_seen_or_cannot_be() {
    let mut world = World::new();
    exercise(&mut world);
    let shrinking = a_list_that_shrinks_while_it_is_run();
    world.jumps.seen.extend(shrinking.jumps.seen);
    let all = conditional_jumps(&deployed());
    assert!(all.len() > 50, "{} conditional jumps", all.len());
    let seen = &world.jumps.seen;
    let missing: Vec<(usize, bool)> = all
        .iter()
        .flat_map(|pc| [(*pc, false), (*pc, true)])
        .filter(|outcome| !seen.contains(outcome))
        .collect();
    let expected: Vec<(usize, bool)> = NEVER.iter().map(|(pc, taken, _)| (*pc, *taken)).collect();
    assert_eq!(
        missing,
        expected,
        "{} of {} outcomes seen",
        2 * all.len() - missing.len(),
        2 * all.len()
    );
    assert!(NEVER.iter().all(|(_, _, why)| why.len() > 20), "each has its reason");
}

/// Calls of every kind, well and badly made.
fn exercise(world: &mut World) {
    let (pauser, stranger) = (Address::repeat_byte(0x02), Address::repeat_byte(0x03));
    let (target, other) = (Address::repeat_byte(0x21), Address::repeat_byte(0x22));
    let one = |to: Address, length: usize| Guardian::Call { to, data: vec![0x84; length].into() };
    let register =
        |target: Address, calls: Vec<Guardian::Call>| Guardian::registerCall { target, calls };

    // By whoever may and whoever may not, with ether, cut short, with too large a number, and of an unknown function.
    let each: Vec<Vec<u8>> = vec![
        Guardian::pauseCall { target, evidence: B256::ZERO }.abi_encode(),
        Guardian::renounceCall {}.abi_encode(),
        register(target, vec![one(WILLING.0, 4)]).abi_encode(),
        Guardian::setPauserCall { pauser, expiresAt: u64::MAX }.abi_encode(),
        Guardian::setLimitsCall { cooldown_: 600, period_: 86_400, maxPausesPerPeriod_: 6 }
            .abi_encode(),
        Guardian::transferOwnershipCall { newOwner: OWNER }.abi_encode(),
        Guardian::acceptOwnershipCall {}.abi_encode(),
        Guardian::callsOfCall { target }.abi_encode(),
        Guardian::nextPauseAtCall { target }.abi_encode(),
        Guardian::ownerCall {}.abi_encode(),
        Guardian::pendingOwnerCall {}.abi_encode(),
        Guardian::cooldownCall {}.abi_encode(),
        Guardian::periodCall {}.abi_encode(),
        Guardian::maxPausesPerPeriodCall {}.abi_encode(),
        Guardian::pauserExpiresAtCall { pauser }.abi_encode(),
        Guardian::recordsCall { target }.abi_encode(),
        Guardian::MAX_CALLSCall {}.abi_encode(),
    ];
    for call in &each {
        for from in [OWNER, stranger] {
            world.raw(from, call.clone()).ok();
        }
        let paid =
            world.send(OWNER, TxKind::Call(world.guardian), call.clone().into(), U256::from(1));
        assert!(!paid.is_success(), "no function takes ether");
        for length in 0..call.len() {
            world.raw(OWNER, call[..length].to_vec()).ok();
        }
        for word in 0..call.len() / 32 {
            for value in [U256::MAX, U256::from(u64::MAX), U256::from(u32::MAX) + U256::from(1)] {
                let mut odd = call.clone();
                odd[4 + 32 * word..36 + 32 * word].copy_from_slice(&value.to_be_bytes::<32>());
                world.raw(OWNER, odd).ok();
            }
        }
    }
    // Selectors below, between and above those that exist.
    for selector in (0..=255_u8).flat_map(|byte| [[byte, 0, 0, 0], [byte, 0xff, 0xff, 0xff]]) {
        world.raw(OWNER, selector.to_vec()).unwrap_err();
    }

    // Lists that grow and shrink, with data of one slot, of several and of none, each over the other.
    let lengths = [0, 4, 31, 32, 33, 100, 4, 0, 64, 31, 100];
    for window in lengths.windows(3) {
        for count in [1, 3, 2, 0] {
            let calls = window.iter().take(count).map(|length| one(WILLING.0, *length)).collect();
            world.call(OWNER, &register(target, calls)).unwrap();
            world.view(&Guardian::callsOfCall { target });
        }
    }
    world.call(OWNER, &register(target, (0..16).map(|_| one(UNWILLING.0, 4)).collect())).unwrap();
    world.call(OWNER, &register(other, vec![one(UNWILLING.0, 4), one(WILLING.0, 40)])).unwrap();
    world.call(OWNER, &Guardian::setPauserCall { pauser, expiresAt: START_S + 1_000_000 }).unwrap();
    let pause = |target| Guardian::pauseCall { target, evidence: B256::repeat_byte(7) };
    world.call(pauser, &pause(target)).unwrap_err();
    for wait_s in [0, 1, 600, 600, 600, 600, 600, 600, 90_000] {
        world.now_s += wait_s;
        world.call(pauser, &pause(other)).ok();
        world.view(&Guardian::nextPauseAtCall { target: other });
    }
    // Few pauses in a long period after a short cool-down, and the other way round.
    for (cooldown_, period_) in [(0, 3_600), (7_200, 60), (0, 60)] {
        let limits = Guardian::setLimitsCall { cooldown_, period_, maxPausesPerPeriod_: 1 };
        world.call(OWNER, &limits).unwrap();
        for _ in 0..3 {
            world.call(pauser, &pause(other)).ok();
            world.view(&Guardian::nextPauseAtCall { target: other });
            world.now_s += 30;
        }
        world.now_s += 10_000;
    }
    // What the contract refuses though it is well made, and a call without data.
    world.call(OWNER, &register(target, (0..17).map(|_| one(WILLING.0, 4)).collect())).unwrap_err();
    let limits = Guardian::setLimitsCall { cooldown_: 0, period_: 0, maxPausesPerPeriod_: 1 };
    world.call(OWNER, &limits).unwrap_err();
    world.call(pauser, &pause(Address::repeat_byte(0x29))).unwrap_err();
    world.call(OWNER, &register(target, vec![one(WILLING.0, 0)])).unwrap();
    world.call(pauser, &pause(target)).unwrap();
    // A registered contract that is gone.
    world.layer.insert_account_info(WILLING.0, AccountInfo::default());
    world.call(pauser, &pause(other)).unwrap_err();
    world.call(OWNER, &Guardian::transferOwnershipCall { newOwner: stranger }).unwrap();
    world.call(stranger, &Guardian::acceptOwnershipCall {}).unwrap();
}

/// An owner that takes the calls off the list while they are run: the rest of them cannot be found, and the pause as a
/// whole is undone. Only an owner can do that, and it needs no pause to take the list away.
fn a_list_that_shrinks_while_it_is_run() -> World {
    let owner = Address::repeat_byte(0x14);
    let (pauser, target) = (Address::repeat_byte(0x02), Address::repeat_byte(0x21));
    let mut world = World::owned_by(owner);
    let shrink = Guardian::registerCall { target, calls: Vec::new() }.abi_encode();
    let length = u16::try_from(shrink.len()).unwrap().to_be_bytes();
    // CODECOPY of what follows the code, CALL of the guardian with it, STOP.
    let code = [
        [&[0x61], length.as_slice(), &[0x61, 0, 39, 0x5f, 0x39]].concat(),
        [&[0x5f, 0x5f, 0x61], length.as_slice(), &[0x5f, 0x5f, 0x73]].concat(),
        [world.guardian.as_slice(), &[0x5a, 0xf1, 0x00]].concat(),
        shrink,
    ]
    .concat();
    let code = Bytecode::new_raw(code.into());
    world.layer.insert_account_info(owner, AccountInfo::from_bytecode(code));
    let calls = [owner, WILLING.0].map(|to| Guardian::Call { to, data: Bytes::new() }).to_vec();
    world.call(owner, &Guardian::registerCall { target, calls }).unwrap();
    world.call(owner, &Guardian::setPauserCall { pauser, expiresAt: u64::MAX }).unwrap();
    let pause = Guardian::pauseCall { target, evidence: B256::ZERO };
    let refused = world.call(pauser, &pause).unwrap_err();
    let panic =
        [&[0x4e, 0x48, 0x7b, 0x71], U256::from(0x32).to_be_bytes::<32>().as_slice()].concat();
    assert_eq!(refused, Bytes::from(panic), "an index beyond the list");
    assert_eq!(world.view(&Guardian::callsOfCall { target }).len(), 2, "undone as a whole");
    assert_eq!(world.view(&Guardian::recordsCall { target })._0, 0, "no cool-down has begun");
    world
}

/// The runtime code that was deployed, as the artifact has it.
fn deployed() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../alerting/contracts/Guardian.json");
    let artifact: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let code: Bytes = serde_json::from_value(artifact["deployedBytecode"].clone()).unwrap();
    code.to_vec()
}

/// Places of conditional jumps, what is pushed left out. The artifact ends with its code: no metadata follows.
fn conditional_jumps(code: &[u8]) -> Vec<usize> {
    let (mut pc, mut found) = (0, Vec::new());
    while let Some(op) = code.get(pc) {
        if *op == opcode::JUMPI {
            found.push(pc);
        }
        pc += 1 + if (opcode::PUSH1..=opcode::PUSH32).contains(op) {
            usize::from(op - opcode::PUSH1) + 1
        } else {
            0
        };
    }
    found
}
