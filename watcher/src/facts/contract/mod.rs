//! Facts of a fresh contract: what stands in its code, and who deployed it with whose money.
//!
//! Nothing of it is run. The code is read instruction by instruction, so that data behind a push is not taken for one.

mod vector;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use alloy::primitives::{Address, B256, Bytes, U256, hex_literal::hex, map::AddressSet, uint};
use portcullis_models::Vector;
use portcullis_rules::{
    Dictionary, FactSpec, FactTable,
    FactType::{self, Bool, Uint},
    Subject, Value,
};

use super::{Observation, Protected};
use crate::{
    simulate::execution::{Execution, FrameKind},
    state::{StateError, StateView},
};

/// Callbacks by which lenders hand over a flash loan or a flash swap: ERC-3156, Uniswap v2 and v3, Balancer, Aave v1 to
/// v3, dYdX, DODO, Morpho, PancakeSwap.
const FLASH_CALLBACKS: &[[u8; 4]] = &[
    hex!("23e30c8b"),
    hex!("10d1e85c"),
    hex!("e9cbafb0"),
    hex!("fa461e33"),
    hex!("f04f2707"),
    hex!("920f5c84"),
    hex!("1b11d0ff"),
    hex!("ee872558"),
    hex!("8b418713"),
    hex!("7ed1f1dd"),
    hex!("d5b99797"),
    hex!("31f57072"),
    hex!("84800812"),
    hex!("a1d48336"),
    hex!("23a69e75"),
];
/// `approve`, `transfer`, `transferFrom`, `balanceOf` of ERC-20.
const TOKEN_SELECTORS: &[[u8; 4]] =
    &[hex!("095ea7b3"), hex!("a9059cbb"), hex!("23b872dd"), hex!("70a08231")];
/// Instructions between two that belong to one comparison of the caller.
const NEAR: usize = 6;

/// EIP-1967: where a proxy keeps the address of its code.
const IMPLEMENTATION: U256 =
    uint!(0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc_U256);
/// Storage slots from here on are no first ones.
const FIRST_SLOTS: U256 = uint!(20_U256);
/// What a creation returns is cut by the simulation from here on.
const CODE_LIMIT: usize = 64 * 1024;

/// A fresh contract.
#[derive(Debug, Clone, Copy)]
pub struct Deployment<'a> {
    /// Its runtime code; none where it was longer than what is written down.
    pub code: Option<&'a [u8]>,
    /// The code that made it, constructor arguments included.
    pub init_code: &'a [u8],
    /// Account that created it.
    pub creator: Address,
    /// Sender of the transaction.
    pub sender: Address,
    /// Transactions that the sender sent before.
    pub sender_nonce: u64,
    /// Who paid the sender first, and how many blocks ago, where that was seen.
    pub funder: Option<(Address, u64)>,
    /// The transaction is not mined yet.
    pub is_pending: bool,
    /// The transaction touches something protected.
    pub touches_protected: bool,
    /// Calls that its constructor made.
    pub constructor_calls: usize,
    /// Ether that it was given at birth, wei.
    pub value_wei: U256,
    /// What its constructor left in the first storage slots.
    pub first_slots: &'a [U256],
}

/// A contract that a transaction creates, with what its facts need of the transaction.
#[derive(Debug, Clone)]
pub struct Creation {
    /// The transaction.
    pub tx_hash: B256,
    /// The contract.
    pub address: Address,
    /// Sender of the transaction.
    pub sender: Address,
    init_code: Bytes,
    code: Option<Bytes>,
    creator: Address,
    sender_nonce: u64,
    touches_protected: bool,
    constructor_calls: usize,
    value_wei: U256,
    first_slots: Vec<U256>,
}

impl Creation {
    /// Every contract that stays; what a protected factory makes is the protocol's own, and left out.
    pub fn all_in(
        execution: &Execution,
        observation: &Observation,
        protected: &Protected,
    ) -> Vec<Self> {
        let is_creation = |kind| matches!(kind, FrameKind::Create | FrameKind::Create2);
        execution
            .frames
            .iter()
            .enumerate()
            .filter(|(_, frame)| frame.kept && is_creation(frame.kind))
            .filter(|(_, frame)| !frame.output.is_empty())
            .filter(|(_, frame)| protected.group(&frame.caller).is_none())
            .map(|(index, frame)| Self {
                tx_hash: execution.envelope.tx_hash,
                address: frame.acts_on,
                init_code: frame.input.clone(),
                code: (frame.output.len() < CODE_LIMIT && !execution.truncated)
                    .then(|| frame.output.clone()),
                creator: frame.caller,
                sender: execution.envelope.sender,
                sender_nonce: execution.envelope.nonce,
                touches_protected: !observation.touched.is_empty(),
                constructor_calls: execution
                    .frames
                    .iter()
                    .filter(|call| call.parent == Some(index))
                    .count(),
                value_wei: frame.value,
                first_slots: first_slots(execution, frame.acts_on),
            })
            .collect()
    }

    /// Its facts. `funder` is who paid the sender first, and how many blocks ago.
    pub fn facts(
        &self,
        targets: &Targets,
        funder: Option<(Address, u64)>,
        is_pending: bool,
    ) -> FactTable {
        observe_contract(self.deployment(funder, is_pending), targets)
    }

    /// Its vector, which the contract model reads.
    pub fn vector(&self, targets: &Targets) -> Vector {
        contract_vector(&self.deployment(None, false), targets)
    }

    fn deployment(&self, funder: Option<(Address, u64)>, is_pending: bool) -> Deployment<'_> {
        Deployment {
            code: self.code.as_ref().map(AsRef::as_ref),
            init_code: &self.init_code,
            creator: self.creator,
            sender: self.sender,
            sender_nonce: self.sender_nonce,
            funder,
            is_pending,
            touches_protected: self.touches_protected,
            constructor_calls: self.constructor_calls,
            value_wei: self.value_wei,
            first_slots: &self.first_slots,
        }
    }
}

/// The last values that stayed in the first slots of a contract's storage, by slot.
fn first_slots(execution: &Execution, at: Address) -> Vec<U256> {
    let mut slots: BTreeMap<U256, U256> = BTreeMap::new();
    for access in execution.accesses.iter().filter(|access| access.kept && !access.transient) {
        if let Some(after) = access.after
            && access.address == at
            && access.slot < FIRST_SLOTS
        {
            slots.insert(access.slot, after);
        }
    }
    slots.into_values().collect()
}

/// What the code of protected contracts tells about code that is made to call them.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    addresses: AddressSet,
    /// One bit for each two bytes that an address may begin with: most of what stands in code is ruled out by it.
    beginnings: Vec<u64>,
    /// Selectors that their dispatchers compare, sorted.
    selectors: BTreeSet<[u8; 4]>,
}

impl Targets {
    /// The protected contracts, and the code behind those that are proxies.
    ///
    /// # Errors
    /// Their code could not be had.
    pub fn read(protected: &Protected, view: &StateView<'_>) -> Result<Self, StateError> {
        let mut codes = Vec::new();
        for address in protected.addresses() {
            codes.push((address, view.code(address)?));
            let behind = Address::from_word(view.storage(address, IMPLEMENTATION)?.into());
            if !behind.is_zero() {
                codes.push((address, view.code(behind)?));
            }
        }
        Ok(Self::new(codes.iter().map(|(address, code)| (*address, code.as_ref()))))
    }

    /// Targets whose code is known.
    pub fn new<'c>(contracts: impl IntoIterator<Item = (Address, &'c [u8])>) -> Self {
        let mut targets = Self { beginnings: vec![0; 1 << 10], ..Self::default() };
        for (address, code) in contracts {
            targets.addresses.insert(address);
            let (word, bit) = place(address[0], address[1]);
            targets.beginnings[word] |= bit;
            targets.selectors.extend(Code::read(code).compared);
        }
        // What every token has says nothing about whom it is meant for.
        targets.selectors.retain(|selector| !TOKEN_SELECTORS.contains(selector));
        targets
    }

    /// Of the targets, those whose address stands anywhere in `bytes`, into `found`.
    fn named_in(&self, bytes: &[u8], found: &mut AddressSet) {
        for window in bytes.windows(20) {
            let (word, bit) = place(window[0], window[1]);
            if self.beginnings.get(word).is_some_and(|bits| bits & bit != 0) {
                let address = Address::from_slice(window);
                if self.addresses.contains(&address) {
                    found.insert(address);
                }
            }
        }
    }
}

/// Word and bit of two bytes among [`Targets::beginnings`].
fn place(first: u8, second: u8) -> (usize, u64) {
    let number = usize::from(u16::from_be_bytes([first, second]));
    (number / 64, 1 << (number % 64))
}

/// One fact, and how it is read.
struct ContractFact {
    spec: FactSpec,
    value: fn(&Found<'_>) -> Value,
}

struct Found<'a> {
    deployment: Deployment<'a>,
    code: Option<Code>,
    embedded_protected: usize,
    protected_selectors: Option<usize>,
}

const fn fact(
    name: &'static str,
    ty: FactType,
    unit: &'static str,
    doc: &'static str,
    value: fn(&Found<'_>) -> Value,
) -> ContractFact {
    let spec = FactSpec { name, subject: Subject::Contract, ty, unit, may_be_unknown: false, doc };
    ContractFact { spec, value }
}

/// A fact that is unknown where the code, or the past, is not known.
const fn doubtful(
    name: &'static str,
    ty: FactType,
    unit: &'static str,
    doc: &'static str,
    value: fn(&Found<'_>) -> Value,
) -> ContractFact {
    let spec = FactSpec { name, subject: Subject::Contract, ty, unit, may_be_unknown: true, doc };
    ContractFact { spec, value }
}

const FACTS: &[ContractFact] = &[
    doubtful("code_bytes", Uint, "bytes", "Length of the runtime code.", |found| {
        of_code(found, |code| code.bytes)
    }),
    fact(
        "embedded_protected",
        Uint,
        "count",
        "Protected contracts whose address stands in the runtime code, the init code, the constructor's arguments or one of \
         the first 20 storage slots.",
        |found| count(found.embedded_protected),
    ),
    doubtful(
        "protected_selectors",
        Uint,
        "count",
        "Function selectors in the code that protected contracts answer to, those of ERC-20 left out.",
        |found| found.protected_selectors.map_or(Value::Unknown, count),
    ),
    doubtful(
        "embedded_addresses",
        Uint,
        "count",
        "Distinct addresses that the code holds as constants or immutables.",
        |found| of_code(found, |code| code.addresses.len()),
    ),
    doubtful(
        "flash_callbacks",
        Uint,
        "count",
        "Callbacks of flash lenders and flash swaps that the code answers to or names.",
        |found| of_code(found, |code| named(code, FLASH_CALLBACKS)),
    ),
    doubtful(
        "token_selectors",
        Uint,
        "count",
        "How many of `approve`, `transfer`, `transferFrom` and `balanceOf` the code names.",
        |found| of_code(found, |code| named(code, TOKEN_SELECTORS)),
    ),
    doubtful(
        "selectors",
        Uint,
        "count",
        "Function selectors that the code compares: the functions it has.",
        |found| of_code(found, |code| code.compared.len()),
    ),
    doubtful("calls", Uint, "count", "CALL and CALLCODE instructions.", |found| {
        of_code(found, |code| code.calls)
    }),
    doubtful("delegate_calls", Uint, "count", "DELEGATECALL instructions.", |found| {
        of_code(found, |code| code.delegate_calls)
    }),
    doubtful("creations", Uint, "count", "CREATE and CREATE2 instructions.", |found| {
        of_code(found, |code| code.creations)
    }),
    doubtful("self_destructs", Uint, "count", "SELFDESTRUCT instructions.", |found| {
        of_code(found, |code| code.self_destructs)
    }),
    doubtful(
        "storage_writes",
        Uint,
        "count",
        "SSTORE instructions, those of loops once.",
        |found| of_code(found, |code| code.storage_writes),
    ),
    doubtful(
        "caller_checks",
        Uint,
        "count",
        "Places where the caller or the origin is compared with something.",
        |found| of_code(found, |code| code.caller_checks),
    ),
    fact(
        "deployer",
        FactType::Address,
        "",
        "Account that sent the deploying transaction.",
        |found| Value::Address(found.deployment.sender.into_array()),
    ),
    fact("deployer_nonce", Uint, "count", "Transactions that the deployer sent before.", |found| {
        Value::Uint(U256::from(found.deployment.sender_nonce))
    }),
    doubtful(
        "funder",
        FactType::Address,
        "",
        "Account whose plain transfer was the first ether of the deployer, where the guard saw it mined.",
        |found| {
            found
                .deployment
                .funder
                .map_or(Value::Unknown, |(funder, _)| Value::Address(funder.into_array()))
        },
    ),
    doubtful("funded_blocks_ago", Uint, "blocks", "Blocks since that first transfer.", |found| {
        found.deployment.funder.map_or(Value::Unknown, |(_, ago)| Value::Uint(U256::from(ago)))
    }),
    fact(
        "made_by_contract",
        Bool,
        "",
        "A contract created it, not the transaction itself.",
        |found| Value::Bool(found.deployment.creator != found.deployment.sender),
    ),
    fact("is_pending", Bool, "", "The deploying transaction is not mined yet.", |found| {
        Value::Bool(found.deployment.is_pending)
    }),
    fact(
        "deployment_touches_protected",
        Bool,
        "",
        "The deploying transaction itself touches something protected.",
        |found| Value::Bool(found.deployment.touches_protected),
    ),
];

/// The facts of a fresh contract: names, types, units and what they measure.
pub fn contract_dictionary() -> Dictionary {
    shared().clone()
}

fn shared() -> &'static Dictionary {
    static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(|| {
        let specs: Vec<FactSpec> = FACTS.iter().map(|fact| fact.spec).collect();
        Dictionary::new(Subject::Contract, [specs.as_slice()])
    });
    &DICTIONARY
}

/// Turns a deployment into facts.
pub fn observe_contract(deployment: Deployment<'_>, targets: &Targets) -> FactTable {
    let code = deployment.code.map(Code::read);
    let embedded_protected = embedded(&deployment, targets);
    let protected_selectors = code.as_ref().map(|code| {
        // A copy of the protected contract answers to its functions; code that calls it only names them.
        let named = code.pushed.intersection(&targets.selectors);
        named.filter(|selector| !code.compared.contains(*selector)).count()
    });
    let found = Found { deployment, code, embedded_protected, protected_selectors };
    let mut table = shared().empty_table();
    for (position, fact) in FACTS.iter().enumerate() {
        table.set(position, (fact.value)(&found));
    }
    table
}

/// Turns a deployment into the vector that the contract model reads.
pub fn contract_vector(deployment: &Deployment<'_>, targets: &Targets) -> Vector {
    let code = deployment.code.map(Code::read);
    vector::vector(deployment, code.as_ref(), embedded(deployment, targets) > 0)
}

/// Protected contracts whose address stands in a contract's code, in what made it, or in its first slots.
fn embedded(deployment: &Deployment<'_>, targets: &Targets) -> usize {
    let slots: Vec<u8> =
        deployment.first_slots.iter().flat_map(|slot| slot.to_be_bytes::<32>()).collect();
    let mut named = AddressSet::default();
    for bytes in [deployment.init_code, deployment.code.unwrap_or_default(), &slots] {
        targets.named_in(bytes, &mut named);
    }
    named.len()
}

fn of_code(found: &Found<'_>, read: impl Fn(&Code) -> usize) -> Value {
    found.code.as_ref().map_or(Value::Unknown, |code| count(read(code)))
}

fn named(code: &Code, selectors: &[[u8; 4]]) -> usize {
    selectors.iter().filter(|selector| code.pushed.contains(*selector)).count()
}

fn count(value: usize) -> Value {
    Value::Uint(U256::from(value))
}

/// What one pass over the instructions finds.
#[derive(Debug, Default)]
struct Code {
    bytes: usize,
    pushed: BTreeSet<[u8; 4]>,
    compared: BTreeSet<[u8; 4]>,
    addresses: BTreeSet<Address>,
    calls: usize,
    delegate_calls: usize,
    creations: usize,
    self_destructs: usize,
    storage_writes: usize,
    caller_checks: usize,
}

impl Code {
    fn read(code: &[u8]) -> Self {
        let mut found = Self { bytes: code.len(), ..Self::default() };
        let (mut last_selector, mut since_caller): (Option<([u8; 4], usize)>, _) = (None, NEAR);
        for (opcode, data) in instructions(code) {
            since_caller = since_caller.saturating_add(1);
            last_selector = last_selector
                .map(|(selector, age)| (selector, age.saturating_add(1)))
                .filter(|(_, age)| *age <= 2);
            let add = |count: &mut usize| *count = count.saturating_add(1);
            match opcode {
                // PUSH1 to PUSH32.
                0x60..=0x7f => {
                    if let Ok(selector) = <[u8; 4]>::try_from(data) {
                        found.pushed.insert(selector);
                        last_selector = Some((selector, 0));
                    }
                    // `PUSH32 selector << 224` is how a call's data begins.
                    if data.len() == 32 && data[4..].iter().all(|byte| *byte == 0) {
                        found.pushed.extend(<[u8; 4]>::try_from(&data[..4]).ok());
                    }
                    found.addresses.extend(address(data));
                }
                // EQ, and SUB or XOR, which compilers use in its place.
                0x14 | 0x03 | 0x18 => {
                    if let Some((selector, _)) = last_selector.filter(|_| opcode != 0x03) {
                        found.compared.insert(selector);
                    }
                    if opcode != 0x03 && since_caller <= NEAR || since_caller <= 2 {
                        add(&mut found.caller_checks);
                        since_caller = NEAR.saturating_add(1);
                    }
                }
                0x32 | 0x33 => since_caller = 0,
                0x55 => add(&mut found.storage_writes),
                0xf0 | 0xf5 => add(&mut found.creations),
                0xf1 | 0xf2 => add(&mut found.calls),
                0xf4 => add(&mut found.delegate_calls),
                0xff => add(&mut found.self_destructs),
                _ => {}
            }
        }
        found
    }
}

/// Every instruction with the data behind it: PUSH1 to PUSH32 have some, which may be cut by the end of the code.
fn instructions(code: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = without_metadata(code);
    std::iter::from_fn(move || {
        let (opcode, after) = rest.split_first()?;
        let length = match opcode {
            0x60..=0x7f => usize::from(opcode.saturating_sub(0x5f)).min(after.len()),
            _ => 0,
        };
        let (data, after) = after.split_at(length);
        rest = after;
        Some((*opcode, data))
    })
}

/// An address as a constant, or as an immutable in a word.
fn address(data: &[u8]) -> Option<Address> {
    let bytes = match data.len() {
        20 => data,
        32 if data[..12].iter().all(|byte| *byte == 0) => &data[12..],
        _ => return None,
    };
    // Masks and small numbers are no addresses.
    let is_plain =
        bytes.iter().all(|byte| *byte == 0xff) || bytes[..8].iter().all(|byte| *byte == 0);
    (!is_plain).then(|| Address::from_slice(bytes))
}

/// Code without the CBOR that solc appends: its last two bytes say how long it is.
fn without_metadata(code: &[u8]) -> &[u8] {
    let Some((body, tail)) = code.split_last_chunk::<2>() else { return code };
    let length = usize::from(u16::from_be_bytes(*tail));
    let start = body.len().checked_sub(length);
    match start.and_then(|start| Some((start, body.get(start)?))) {
        // A map of one to four entries.
        Some((start, 0xa1..=0xa4)) if length > 8 => &code[..start],
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Deployment, Targets, contract_dictionary, observe_contract};
    use alloy::primitives::{Address, U256, hex};
    use portcullis_rules::Value;

    fn deployment<'a>(code: &'a [u8], init_code: &'a [u8]) -> Deployment<'a> {
        Deployment {
            code: Some(code),
            init_code,
            creator: Address::repeat_byte(1),
            sender: Address::repeat_byte(1),
            sender_nonce: 0,
            funder: None,
            is_pending: true,
            touches_protected: false,
            constructor_calls: 0,
            value_wei: U256::ZERO,
            first_slots: &[],
        }
    }

    fn value(table: &portcullis_rules::FactTable, name: &str) -> Value {
        table.value(contract_dictionary().position(name).expect("a fact")).clone()
    }

    #[test]
    fn data_behind_a_push_is_no_instruction_and_metadata_no_code() {
        // PUSH3 f1f4ff, CALLER, PUSH20 …, EQ, DELEGATECALL; then metadata full of SELFDESTRUCT.
        let mut code = hex!("62f1f4ff33731111111111111111111111111111111111111111 14f4").to_vec();
        let metadata = [&[0xa2][..], &[0xff; 40]].concat();
        code.extend(&metadata);
        code.extend(u16::try_from(metadata.len()).unwrap().to_be_bytes());
        let found = Code::read(&code);
        assert_eq!((found.calls, found.delegate_calls, found.self_destructs), (0, 1, 0));
        assert_eq!((found.caller_checks, found.addresses.len()), (1, 1));
        // A push that reaches beyond the end is cut there.
        assert_eq!(Code::read(&hex!("7fff")).bytes, 2);
        assert_eq!(Code::read(&[]).bytes, 0);
    }

    #[test]
    fn code_made_for_a_protected_contract_is_told_from_a_copy_of_it() {
        let vault = Address::repeat_byte(0xaa);
        // DUP1 PUSH4 withdraw EQ PUSH2 … JUMPI.
        let vault_code = hex!("80632e1a7d4d14610020578063d0e30db01461003057");
        let targets = Targets::new([(vault, vault_code.as_slice())]);
        assert_eq!(targets.selectors.len(), 2);
        // Calls both: PUSH4, PUSH1 e0, SHL, MSTORE; the address stands in the constructor's arguments.
        let attacker = hex!("632e1a7d4d60e01b52 63d0e30db060e01b52 6323e30c8b1461ffff57 f1");
        let init = [&attacker[..], vault.as_slice()].concat();
        let table = observe_contract(deployment(&attacker, &init), &targets);
        assert_eq!(value(&table, "protected_selectors"), Value::Uint(U256::from(2)));
        assert_eq!(value(&table, "embedded_protected"), Value::Uint(U256::from(1)));
        assert_eq!(value(&table, "flash_callbacks"), Value::Uint(U256::from(1)));
        assert_eq!(value(&table, "funder"), Value::Unknown);
        let table = observe_contract(deployment(&vault_code, &vault_code), &targets);
        assert_eq!(value(&table, "protected_selectors"), Value::Uint(U256::ZERO));
        assert_eq!(value(&table, "embedded_protected"), Value::Uint(U256::ZERO));
        let cut = Deployment { code: None, ..deployment(&[], &init) };
        let table = observe_contract(cut, &targets);
        assert_eq!(value(&table, "calls"), Value::Unknown);
        assert_eq!(value(&table, "embedded_protected"), Value::Uint(U256::from(1)));
    }
}
