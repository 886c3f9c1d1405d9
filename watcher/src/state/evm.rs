//! revm's environments from our own values.

use alloy::{
    consensus::{Transaction as _, TxEnvelope},
    eips::{
        eip1559::{BaseFeeParams, calc_next_block_base_fee},
        eip7840::BlobParams,
    },
    primitives::{Address, U256, address, keccak256},
};
use revm::{
    Context, InspectEvm as _, Inspector, Journal, MainBuilder as _,
    context::{
        BlockEnv, CfgEnv, TxEnv,
        either::Either,
        result::{EVMError, InvalidTransaction, ResultAndState},
    },
    context_interface::block::BlobExcessGasAndPrice,
    database::CacheDB,
    handler::MainnetContext,
    primitives::{TxKind, hardfork::SpecId},
};

use super::{ChainRules, Head, StateError, StateView};
use crate::source::{BlockRecord, PendingTransaction};

/// Takes the fees of a block that is not mined yet where the head names nobody: attackers look for a
/// simulation's empty coinbase, so this is the address of a well-known builder.
const PLAUSIBLE_COINBASE: Address = address!("0x95222290DD7278Aa3Ddd389Cc1E1d165CC4BAfe5");

/// Blob fees are computed up to this excess, where blob gas costs ten thousand gwei; a node could name one at which
/// the arithmetic overflows.
const EXCESS_BLOB_GAS_LIMIT: u64 = 150_000_000;

/// Writes of one or more transactions over a view that stays as it is.
pub(crate) type Layer<'a> = CacheDB<&'a StateView<'a>>;

/// The machine's failure to run a transaction at all.
pub(crate) type RunError = EVMError<StateError, InvalidTransaction>;

/// The context that inspectors see.
pub(crate) type Machine<'l, 'a> = MainnetContext<&'l mut Layer<'a>>;

/// Runs one transaction on `layer`, without committing it.
pub(crate) fn run<'l, 'a, I>(
    cfg: &CfgEnv,
    block: &BlockEnv,
    layer: &'l mut Layer<'a>,
    tx: TxEnv,
    inspector: I,
) -> Result<ResultAndState, RunError>
where
    I: Inspector<Machine<'l, 'a>>,
{
    Context::<BlockEnv, TxEnv, CfgEnv, _, Journal<_>, ()>::new(layer, cfg.spec)
        .with_cfg(cfg.clone())
        .with_block(block.clone())
        .build_mainnet_with_inspector(inspector)
        .inspect_tx(tx)
}

/// The chain's configuration for signed transactions of the block of this number.
pub(crate) fn cfg(rules: &ChainRules, block: u64) -> CfgEnv {
    let spec = rules.spec(block);
    let mut cfg = CfgEnv::new_with_spec(spec);
    cfg.set_spec_and_mainnet_gas_params(spec);
    cfg.chain_id = rules.chain_id;
    cfg
}

/// The chain's configuration for calls that nobody signed: no nonce, balance or fee is checked.
pub(crate) fn unsigned_cfg(rules: &ChainRules, block: u64) -> CfgEnv {
    let mut cfg = cfg(rules, block);
    cfg.disable_nonce_check = true;
    cfg.disable_balance_check = true;
    cfg.disable_base_fee = true;
    cfg.disable_eip3607 = true;
    cfg
}

/// A header that the next block could have.
pub(crate) fn next_block(rules: &ChainRules, head: &Head) -> BlockEnv {
    let base_fee_wei = if head.gas_limit == 0 {
        head.base_fee_wei
    } else {
        calc_next_block_base_fee(
            head.gas_used,
            head.gas_limit,
            head.base_fee_wei,
            BaseFeeParams::ethereum(),
        )
    };
    let number = head.number.saturating_add(1);
    let blob_params = match rules.spec(number) {
        spec if spec.is_enabled_in(SpecId::OSAKA) => BlobParams::osaka(),
        spec if spec.is_enabled_in(SpecId::PRAGUE) => BlobParams::prague(),
        _ => BlobParams::cancun(),
    };
    let excess_blob_gas = blob_params.next_block_excess_blob_gas_osaka(
        head.excess_blob_gas.min(EXCESS_BLOB_GAS_LIMIT),
        head.blob_gas_used.min(EXCESS_BLOB_GAS_LIMIT),
        head.base_fee_wei,
    );
    BlockEnv {
        number: U256::from(number),
        beneficiary: if head.coinbase.is_zero() { PLAUSIBLE_COINBASE } else { head.coinbase },
        timestamp: U256::from(head.timestamp_s.saturating_add(rules.block_time_s.max(1))),
        gas_limit: head.gas_limit,
        basefee: base_fee_wei,
        prevrandao: Some(keccak256(head.prev_randao)),
        blob_excess_gas_and_price: Some(blob_gas_price(rules, number, excess_blob_gas)),
        ..BlockEnv::default()
    }
}

/// The header of a block that was mined.
pub(crate) fn mined_block(rules: &ChainRules, block: &BlockRecord) -> BlockEnv {
    BlockEnv {
        number: U256::from(block.number),
        beneficiary: block.coinbase,
        timestamp: U256::from(block.timestamp_s),
        gas_limit: block.gas_limit,
        basefee: block.base_fee_wei,
        prevrandao: Some(block.prev_randao),
        blob_excess_gas_and_price: Some(blob_gas_price(
            rules,
            block.number,
            block.excess_blob_gas.unwrap_or_default(),
        )),
        ..BlockEnv::default()
    }
}

fn blob_gas_price(rules: &ChainRules, block: u64, excess_blob_gas: u64) -> BlobExcessGasAndPrice {
    let excess_blob_gas = excess_blob_gas.min(EXCESS_BLOB_GAS_LIMIT);
    BlobExcessGasAndPrice::new_with_spec(excess_blob_gas, rules.spec(block))
}

/// The transaction with its real envelope.
pub(crate) fn tx_env(tx: &PendingTransaction) -> TxEnv {
    let envelope: &TxEnvelope = &tx.envelope;
    TxEnv {
        tx_type: envelope.tx_type() as u8,
        caller: tx.sender,
        gas_limit: envelope.gas_limit(),
        gas_price: envelope.max_fee_per_gas(),
        kind: envelope.kind(),
        value: envelope.value(),
        data: envelope.input().clone(),
        nonce: envelope.nonce(),
        chain_id: envelope.chain_id(),
        access_list: envelope.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: envelope.max_priority_fee_per_gas(),
        blob_hashes: envelope.blob_versioned_hashes().map(<[_]>::to_vec).unwrap_or_default(),
        max_fee_per_blob_gas: envelope.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: envelope
            .authorization_list()
            .map(|list| list.iter().cloned().map(Either::Left).collect())
            .unwrap_or_default(),
    }
}

/// A call that nobody signed.
pub(crate) fn call_env(
    rules: &ChainRules,
    from: Address,
    to: Address,
    data: alloy::primitives::Bytes,
    value: U256,
    gas_limit: u64,
) -> TxEnv {
    TxEnv {
        tx_type: 0,
        caller: from,
        gas_limit,
        gas_price: 0,
        kind: TxKind::Call(to),
        value,
        data,
        nonce: 0,
        chain_id: Some(rules.chain_id),
        access_list: Default::default(),
        gas_priority_fee: None,
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: Vec::new(),
    }
}
