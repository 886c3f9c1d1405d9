//! The vector that the contract model reads: what stands in the code, and how it came to stand there.
//!
//! The code is read once, in a line. A call is taken to ask for the selector that was put on the stack last before it; a
//! call without one computes it, or hands on what it was given. Which function reaches which call is not followed, so
//! `token_calls_max` stays unknown, as does `fund_source` without a file of labels.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use alloy::primitives::keccak256;
use portcullis_models::schema::{CONTRACT, Vector, contract as place};

use super::{Code, Deployment, FLASH_CALLBACKS, IMPLEMENTATION, TOKEN_SELECTORS, instructions};

/// What asks for a flash loan or a flash swap: ERC-3156, Aave v1 to v3, Balancer, Morpho, DODO, Uniswap v2 and v3.
static FLASH_REQUESTS: LazyLock<BTreeSet<[u8; 4]>> = LazyLock::new(|| {
    selectors(&[
        "flashLoan(address,address,uint256,bytes)",
        "flashLoan(address,address[],uint256[],uint256[],address,bytes,uint16)",
        "flashLoanSimple(address,address,uint256,bytes,uint16)",
        "flashLoan(address,address[],uint256[],bytes)",
        "flashLoan(address,uint256,bytes)",
        "flashLoan(uint256,uint256,address,bytes)",
        "flash(address,uint256,uint256,bytes)",
        "swap(uint256,uint256,address,bytes)",
    ])
});
/// What pools and routers are asked.
static AMM_CALLS: LazyLock<BTreeSet<[u8; 4]>> = LazyLock::new(|| {
    selectors(&[
        "swap(uint256,uint256,address,bytes)",
        "swap(address,bool,int256,uint160,bytes)",
        "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)",
        "swapTokensForExactTokens(uint256,uint256,address[],address,uint256)",
        "swapExactETHForTokens(uint256,address[],address,uint256)",
        "swapExactTokensForETH(uint256,uint256,address[],address,uint256)",
        "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
        "exactInput((bytes,address,uint256,uint256,uint256))",
        "addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)",
        "removeLiquidity(address,address,uint256,uint256,uint256,address,uint256)",
        "exchange(int128,int128,uint256,uint256)",
        "getReserves()",
        "slot0()",
    ])
});
static SKIM_SYNC: LazyLock<BTreeSet<[u8; 4]>> =
    LazyLock::new(|| selectors(&["skim(address)", "sync()"]));
static MINT_BURN: LazyLock<BTreeSet<[u8; 4]>> = LazyLock::new(|| {
    selectors(&[
        "mint(address)",
        "mint(address,uint256)",
        "mint(uint256)",
        "mint(uint256,address)",
        "burn(address)",
        "burn(uint256)",
        "burn(address,uint256)",
        "deposit()",
        "deposit(uint256)",
        "deposit(uint256,address)",
        "withdraw(uint256)",
        "withdraw(uint256,address,address)",
        "redeem(uint256)",
        "redeem(uint256,address,address)",
    ])
});
/// `totalSupply()` and `ownerOf(uint256)`: what a token has beside `transfer` or `balanceOf`.
const TOKEN_MARKS: [[u8; 4]; 2] = [[0x18, 0x16, 0x0d, 0xdd], [0x63, 0x52, 0x21, 0x1e]];
/// `Panic(uint256)` and `Error(string)`, which a compiler puts everywhere, and the mask of a selector.
const NO_SELECTORS: [[u8; 4]; 3] =
    [[0x4e, 0x48, 0x7b, 0x71], [0x08, 0xc3, 0x79, 0xa0], [0xff, 0xff, 0xff, 0xff]];
/// How the code of a minimal proxy (ERC-1167) begins.
const MINIMAL_PROXY: [u8; 10] = [0x36, 0x3d, 0x3d, 0x37, 0x3d, 0x3d, 0x3d, 0x36, 0x3d, 0x73];

fn selectors(signatures: &[&str]) -> BTreeSet<[u8; 4]> {
    let selector = |signature: &&str| {
        let [a, b, c, d, ..] = keccak256(signature.as_bytes()).0;
        [a, b, c, d]
    };
    signatures.iter().map(selector).collect()
}

/// Fills what can be known; of a contract whose code was too long to be written down, only its deployment.
pub(super) fn vector(
    deployment: &Deployment<'_>,
    code: Option<&Code>,
    embeds_protected: bool,
) -> Vector {
    let mut vector = Vector::unknown(&CONTRACT);
    if let (Some(bytes), Some(code)) = (deployment.code, code) {
        let walk = Walk::over(bytes);
        surface(&mut vector, deployment, bytes, code, &walk);
        calls(&mut vector, code, &walk);
        effects(&mut vector, deployment, bytes, code, &walk);
    }
    vector.set(place::EMBEDS_PROTECTED, flag(embeds_protected));
    vector.set(place::CONSTRUCTOR_CALLS, float(deployment.constructor_calls));
    // A thousandth of an ether is 10^15 wei.
    vector.set(place::DEPLOY_VALUE_LOG, (f32::from(deployment.value_wei) / 1e15).ln_1p());
    let nonce = usize::try_from(deployment.sender_nonce).unwrap_or(usize::MAX);
    vector.set(place::DEPLOYER_NONCE_LOG, log(nonce));
    vector
}

fn surface(
    vector: &mut Vector,
    deployment: &Deployment<'_>,
    bytes: &[u8],
    code: &Code,
    walk: &Walk,
) {
    let asked: BTreeSet<[u8; 4]> = walk.asked.iter().flatten().copied().collect();
    vector.set(place::SIZE_LOG, log(bytes.len()));
    let init = quotient(deployment.init_code.len(), bytes.len().max(1));
    vector.set(place::INIT_OVER_RUNTIME, init.ln_1p());
    vector.set(place::PUBLIC_FUNCTIONS, float(code.compared.len()));
    vector.set(place::EXTERNAL_SELECTORS, float(asked.len()));
    let callbacks =
        FLASH_CALLBACKS.iter().filter(|selector| code.compared.contains(*selector)).count();
    vector.set(place::FLASH_CALLBACKS, float(callbacks));
    vector.set(place::FLASH_CALLBACK_SHARE, share(callbacks, code.compared.len()));
    vector.set(place::EMBEDDED_ADDRESSES, float(code.addresses.len()));
    let thousands = quotient(bytes.len().max(1), 1_024);
    vector.set(place::ADDRESSES_PER_KB, float(code.addresses.len()) / thousands);
}

fn calls(vector: &mut Vector, code: &Code, walk: &Walk) {
    let of = |is_one: &dyn Fn(&[u8; 4]) -> bool| {
        walk.asked.iter().flatten().filter(|selector| is_one(selector)).count()
    };
    let n_calls = walk.asked.len();
    let token = of(&|selector| TOKEN_SELECTORS.contains(selector));
    vector.set(place::FLASH_REQUESTS, float(of(&|selector| FLASH_REQUESTS.contains(selector))));
    vector.set(place::TOKEN_CALLS, float(token));
    vector.set(place::TOKEN_CALL_SHARE, share(token, n_calls));
    vector.set(place::TOKEN_CALLS_PER_FUNCTION, quotient(token, code.compared.len().max(1)));
    vector.set(place::AMM_CALLS, float(of(&|selector| AMM_CALLS.contains(selector))));
    let [approve, transfer, transfer_from, balance_of] =
        [0, 1, 2, 3].map(|place| of(&|selector| TOKEN_SELECTORS.get(place) == Some(selector)));
    vector.set(place::APPROVE_CALLS, float(approve));
    vector.set(place::BALANCE_OF_CALLS, float(balance_of));
    vector.set(place::TRANSFER_CALLS, float(transfer.saturating_add(transfer_from)));
    vector.set(place::SKIM_SYNC_CALLS, float(of(&|selector| SKIM_SYNC.contains(selector))));
    vector.set(place::MINT_BURN_CALLS, float(of(&|selector| MINT_BURN.contains(selector))));
    let computed = walk.asked.iter().filter(|selector| selector.is_none()).count();
    vector.set(place::COMPUTED_TARGETS_SHARE, share(computed, n_calls));
    let writes = code.storage_writes.saturating_add(1);
    vector.set(place::CALLS_PER_SSTORE, quotient(n_calls, writes));
}

fn effects(
    vector: &mut Vector,
    deployment: &Deployment<'_>,
    bytes: &[u8],
    code: &Code,
    walk: &Walk,
) {
    let holds_deployer = code.addresses.contains(&deployment.sender);
    vector.set(place::ORIGIN_GATE, flag(holds_deployer || walk.compares_origin));
    vector.set(place::CALLER_GATE, flag(code.caller_checks > 0));
    let has = |selector: &[u8; 4]| code.compared.contains(selector);
    let moves = TOKEN_SELECTORS.iter().skip(1).filter(|selector| has(selector)).count() >= 2;
    vector.set(place::IS_TOKEN, flag(moves && TOKEN_MARKS.iter().any(has)));
    let is_proxy = bytes.starts_with(&MINIMAL_PROXY) || walk.names_implementation;
    vector.set(place::IS_PROXY, flag(is_proxy));
    vector.set(place::EVENTS_ANY, flag(walk.logs > 0));
    vector.set(place::SELFDESTRUCTS, float(code.self_destructs));
    vector.set(place::CREATES, float(code.creations));
    vector.set(place::DELEGATECALLS, float(code.delegate_calls));
    vector.set(place::BIG_CONSTANTS, float(walk.big_constants));
    vector.set(place::INVALID_DENSITY, share(walk.invalid, bytes.len()));
}

/// One pass for what the facts do not need.
#[derive(Debug, Default)]
struct Walk {
    /// Selector of every outgoing call, in order; none where it is computed.
    asked: Vec<Option<[u8; 4]>>,
    compares_origin: bool,
    names_implementation: bool,
    logs: usize,
    big_constants: usize,
    invalid: usize,
}

impl Walk {
    fn over(code: &[u8]) -> Self {
        let mut walk = Self::default();
        let mut pending: Option<([u8; 4], usize)> = None;
        let mut since_origin = usize::MAX;
        for (opcode, data) in instructions(code) {
            since_origin = since_origin.saturating_add(1);
            pending = pending.map(|(selector, age)| (selector, age.saturating_add(1)));
            match opcode {
                0x60..=0x7f => {
                    let padded = data.len() == 32 && data[4..].iter().all(|byte| *byte == 0);
                    let start = data.get(..4).filter(|_| data.len() == 4 || padded);
                    let selector = start.and_then(|start| <[u8; 4]>::try_from(start).ok());
                    if let Some(selector) = selector.filter(|found| !NO_SELECTORS.contains(found)) {
                        pending = Some((selector, 0));
                    } else if data.len() > 20 {
                        walk.big_constants = walk.big_constants.saturating_add(1);
                    }
                    walk.names_implementation |=
                        data.len() == 32 && *data == IMPLEMENTATION.to_be_bytes::<32>();
                }
                // LT, GT, EQ, XOR: a dispatcher compares selectors with what it is asked.
                0x10 | 0x11 | 0x14 | 0x18 => {
                    pending = pending.filter(|(_, age)| *age > 2);
                    walk.compares_origin |= since_origin <= super::NEAR;
                }
                0x32 => since_origin = 0,
                0xa0..=0xa4 => walk.logs = walk.logs.saturating_add(1),
                0xf1 | 0xf2 | 0xf4 | 0xfa => {
                    walk.asked.push(pending.take().map(|(selector, _)| selector));
                }
                opcode if !is_instruction(opcode) => walk.invalid = walk.invalid.saturating_add(1),
                _ => {}
            }
        }
        walk
    }
}

/// Whether a byte is an instruction of today's machine; `INVALID` is one.
fn is_instruction(opcode: u8) -> bool {
    matches!(
        opcode,
        0x00..=0x0b | 0x10..=0x1e | 0x20 | 0x30..=0x4a | 0x50..=0xa4 | 0xf0..=0xf5 | 0xfa | 0xfd..=0xff
    )
}

fn flag(value: bool) -> f32 {
    f32::from(u8::from(value))
}

fn log(count: usize) -> f32 {
    float(count).ln_1p()
}

fn share(part: usize, whole: usize) -> f32 {
    if whole == 0 { 0.0 } else { (float(part) / float(whole)).min(1.0) }
}

fn quotient(part: usize, whole: usize) -> f32 {
    float(part) / float(whole)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a feature is a float; counts beyond 2^24 are clipped anyway"
)]
fn float(count: usize) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests {
    use super::super::{Deployment, Targets, contract_vector};
    use super::*;
    use alloy::primitives::{Address, U256, hex};

    fn deployment<'a>(code: &'a [u8], slots: &'a [U256]) -> Deployment<'a> {
        Deployment {
            code: Some(code),
            init_code: code,
            creator: Address::repeat_byte(1),
            sender: Address::repeat_byte(1),
            sender_nonce: 0,
            funder: None,
            is_pending: true,
            touches_protected: false,
            constructor_calls: 2,
            value_wei: U256::from(10_u64.pow(15)),
            first_slots: slots,
        }
    }

    #[test]
    fn a_call_asks_for_the_selector_put_down_last_and_a_dispatcher_for_none() {
        // DUP1 PUSH4 flash callback EQ; PUSH4 transfer … CALL; GAS CALL; PUSH4 skim … STATICCALL.
        let code = hex!("806310d1e85c1461001057 63a9059cbb60e01b52f1 5af1 63bc25cf7760e01b52fa a0");
        let vector = contract_vector(&deployment(&code, &[]), &Targets::default());
        let value = |place| vector.value(place);
        for (place, expected) in [
            (place::PUBLIC_FUNCTIONS, 1.0),
            (place::FLASH_CALLBACKS, 1.0),
            (place::FLASH_CALLBACK_SHARE, 1.0),
            (place::TOKEN_CALLS, 1.0),
            (place::TRANSFER_CALLS, 1.0),
            (place::SKIM_SYNC_CALLS, 1.0),
            (place::EXTERNAL_SELECTORS, 2.0),
            (place::COMPUTED_TARGETS_SHARE, 1.0 / 3.0),
            (place::EVENTS_ANY, 1.0),
            (place::CONSTRUCTOR_CALLS, 2.0),
            (place::DEPLOY_VALUE_LOG, 2_f32.ln()),
        ] {
            assert_eq!(value(place), Some(expected), "{place}");
        }
        assert_eq!(vector.value(place::TOKEN_CALLS_MAX), None);
        assert_eq!(vector.value(place::FUND_SOURCE), None);
    }

    #[test]
    fn a_protected_address_is_found_in_a_first_slot_too_packed_or_not() {
        let vault = Address::repeat_byte(0xaa);
        let targets = Targets::new([(vault, [].as_slice())]);
        let code = hex!("5af100");
        let embeds = |slots: &[U256]| {
            contract_vector(&deployment(&code, slots), &targets).value(place::EMBEDS_PROTECTED)
        };
        let word = U256::from_be_slice(vault.as_slice());
        assert_eq!(embeds(&[]), Some(0.0));
        assert_eq!(embeds(&[U256::from(7), word]), Some(1.0));
        let packed = [vault.as_slice(), &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]].concat();
        assert_eq!(embeds(&[U256::from_be_slice(&packed)]), Some(1.0));
    }

    #[test]
    fn code_that_was_not_written_down_is_unknown_and_its_deployment_is_not() {
        let cut = Deployment { code: None, ..deployment(&[], &[]) };
        let vector = contract_vector(&cut, &Targets::default());
        assert_eq!(vector.value(place::SIZE_LOG), None);
        assert_eq!(vector.value(place::DEPLOYER_NONCE_LOG), Some(0.0));
    }

    #[test]
    fn bytes_of_any_kind_give_a_vector() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        for length in 0..all.len() {
            let code = &all[..length];
            contract_vector(&deployment(code, &[]), &Targets::default());
        }
    }
}
