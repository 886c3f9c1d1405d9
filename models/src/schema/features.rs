//! The two schemas, and a constant per feature so that a misspelt name does not compile.

use super::{FeatureSpec, Group, Schema};

macro_rules! schema {
    (
        $(#[doc = $schema_doc:literal])*
        $schema:ident in $module:ident, version $version:literal;
        $($group:ident { $($constant:ident = $name:ident, $min:literal to $max:literal, $doc:literal;)* })*
    ) => {
        $(#[doc = $schema_doc])*
        pub static $schema: Schema = Schema {
            name: stringify!($module),
            version: $version,
            features: &[$($(FeatureSpec {
                name: stringify!($name),
                group: Group::$group,
                min: $min,
                max: $max,
                doc: $doc,
            },)*)*],
        };

        #[doc = concat!("Places of the features of the `", stringify!($module), "` schema.")]
        pub mod $module {
            #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "named as the constants they number")]
            enum Place { $($($constant),*),* }

            $($(
                #[doc = $doc]
                pub const $constant: usize = Place::$constant as usize;
            )*)*
        }
    };
}

schema! {
    /// A pending transaction after its simulation: 64 features.
    ///
    /// "Protected" is the set of contracts the user configured. The "cluster" is the sender, what it creates
    /// in this transaction, the root target if that is not protected, and the contracts it has created.
    /// Amounts are relative to the protected contract's own balance or to a pool's reserve.
    TRANSACTION in transaction, version 3;
    Shape {
        FRAMES_LOG = frames_log, 0.0 to 10.0, "Call frames, ln(1 + n).";
        DEPTH = depth, 1.0 to 64.0, "Deepest nesting of frames; a lone root frame is 1.";
        CALLEES_LOG = callees_log, 0.0 to 8.0, "Distinct accounts whose code ran, ln(1 + n).";
        SELECTORS_LOG = selectors_log, 0.0 to 6.0, "Distinct four-byte selectors called, ln(1 + n).";
        FANOUT_LOG = fanout_log, 0.0 to 8.0, "Most direct calls made by one frame, ln(1 + n).";
        REPEAT_RATIO = repeat_ratio, 0.0 to 1.0, "Frames of the most repeated pair of callee and selector, as a part of all frames.";
        STATIC_SHARE = static_share, 0.0 to 1.0, "Frames entered by STATICCALL, as a part of all frames.";
        DELEGATE_SHARE = delegate_share, 0.0 to 1.0, "Frames entered by DELEGATECALL, as a part of all frames.";
        CREATES = creates, 0.0 to 16.0, "Frames entered by CREATE or CREATE2.";
        IN_CREATION = in_creation, 0.0 to 1.0, "1 if protected code ran below a creation frame: the attack sits in a constructor.";
        CAUGHT_REVERTS = caught_reverts, 0.0 to 1.0, "Reverted frames under a root that succeeded, as a part of all frames.";
        PROTECTED_SHARE = protected_share, 0.0 to 1.0, "Frames that ran protected code, as a part of all frames.";
    }
    Capital {
        FLASH_SOURCES = flash_sources, 0.0 to 8.0, "Accounts that pay an asset to the cluster, while it is called back, and have it all again before the call that they were asked by ends.";
        FLASH_OVER_TVL = flash_over_tvl, 0.0 to 10.0, "Largest flash-borrowed amount over the protected balance of that token, ln(1 + x).";
        FLASH_NEST = flash_nest, 0.0 to 8.0, "Most flash loans open at one time.";
        FLASH_FEE_BPS = flash_fee_bps, 0.0 to 500.0, "What was repaid beyond the borrowed amount, in ten-thousandths of it.";
        OWN_CAPITAL = own_capital, 0.0 to 1.0, "Of what is paid into protected contracts, the part that the cluster had before (ether) or that was not flash-borrowed (tokens); the asset with the smallest one.";
        ROUND_TRIP = round_trip, 0.0 to 1.0, "Smaller over larger of what came to and went from one contract in one asset, the largest of any that is no lender.";
        LOAN_SPAN = loan_span, 0.0 to 1.0, "Frames between borrowing and repaying, as a part of all frames.";
    }
    Flow {
        TRANSFERS_LOG = transfers_log, 0.0 to 8.0, "Token transfer logs that stayed, ln(1 + n).";
        TOKENS = tokens, 0.0 to 32.0, "Distinct tokens that moved.";
        CLUSTER_GAIN_TOKENS = cluster_gain_tokens, 0.0 to 16.0, "Assets, ether among them, of which the cluster ends with more.";
        OUTFLOW_FRAC = outflow_frac, 0.0 to 1.0, "Largest net outflow of one asset from protected contracts over their balance before.";
        OUTFLOW_TOKENS = outflow_tokens, 0.0 to 16.0, "Assets of which more than one percent left protected contracts.";
        OUTFLOW_OVER_CLAIM = outflow_over_claim, 0.0 to 100.0, "Net outflow over what the protocol's books, entries keyed by accounts that move with the asset, were changed for; unknown where they are kept in another unit.";
        GAIN_OVER_GAS = gain_over_gas, -3.0 to 8.0, "Cluster's net gain at prices before the transaction over its gas cost, log10.";
        SHARE_ASSET_GAP_BPS = share_asset_gap_bps, -10000.0 to 10000.0, "Relative change of shares less relative change of assets: minted or burnt without backing.";
        DUST_RATIO = dust_ratio, -12.0 to 0.0, "Smallest amount moved to or from a protected contract over what it held of the asset, log10.";
        NEW_ALLOWANCE = new_allowance, 0.0 to 2.0, "1 if a third party, 2 if a protected contract, allowed an unknown spender more.";
        THIRD_PARTY_DEBITS = third_party_debits, 0.0 to 16.0, "Accounts outside of the transaction and the protected set whose tokens were moved.";
        LOG_BALANCE_MISMATCH = log_balance_mismatch, 0.0 to 8.0, "Tokens whose transfer logs do not add up to the change of balances.";
    }
    Price {
        SPOT_EXCURSION_BPS = spot_excursion_bps, 0.0 to 100000.0, "Largest move of the price of a pool that protected code asks, or that is protected, while the transaction ran.";
        SPOT_RESIDUAL_BPS = spot_residual_bps, 0.0 to 100000.0, "What is left of that move when the transaction ends.";
        READ_WHEN_DISPLACED = read_when_displaced, 0.0 to 1.0, "1 if protected code read a price while it was more than one percent off.";
        RATE_JUMP_BPS = rate_jump_bps, 0.0 to 100000.0, "Largest change of assets per share while the transaction ran.";
        RATE_RESIDUAL_BPS = rate_residual_bps, -100000.0 to 100000.0, "Change of assets per share from before to after.";
        K_DROP_BPS = k_drop_bps, 0.0 to 10000.0, "Loss of a pool's invariant.";
        SOLVENCY_DELTA_BPS = solvency_delta_bps, -10000.0 to 10000.0, "Change of assets less what the books owe, over assets, the lowest of any asset; unknown where the books are kept in another unit.";
        HARM_SIGNS = harm_signs, 0.0 to 16.0, "Signs of harm in the outcome, each of which honest transactions have no reason to show: unbacked outflow in a re-entry, shares sold back for more than they were bought, falling rate of a pool, more value out than in at a price that was off when it was read, and, where value leaves, a right seized, a failed signature check or a decision paid at once; third parties that only pay, newcomers paid.";
        COLLATERAL_GAIN = collateral_gain, 0.0 to 100.0, "Value that left a protected contract over value that came, at the prices of pools before the transaction.";
        SOFT_INVARIANTS = soft_invariants, 0.0 to 16.0, "Soft rules that the outcome breaks: unbacked outflow, lost update, stale view, falling rate or solvency, more value out than in, displaced price read before an outflow, right seized, failed signature check, third party that only pays, decided and paid at once, newcomers paid, stranger allowed to spend, blown-up slot, logs that do not add up.";
    }
    Reentry {
        REENTRY_DEPTH = reentry_depth, 0.0 to 8.0, "Most times one protected contract stood on the call stack at once, less one.";
        REENTRY_WRITE = reentry_write, 0.0 to 8.0, "Protected slots read by an inner entry and written afterwards by the entry around it.";
        READONLY_REENTRY = readonly_reentry, 0.0 to 8.0, "Static calls into a protected contract that was still running further up.";
        UNTRUSTED_FROM_PROTECTED = untrusted_from_protected, 0.0 to 64.0, "Frames in which protected code called code that is neither protected nor known.";
        HOOKS = hooks, 0.0 to 32.0, "Calls that hand the cluster control as a receiver: bare ether, token and NFT hooks.";
        CROSS_REENTRY = cross_reentry, 0.0 to 8.0, "Protected contracts entered by the cluster while another one stood on the stack.";
    }
    Privilege {
        PRIV_WRITES = priv_writes, 0.0 to 8.0, "Changes of proxy slots and of slots that name who may act: compared with the caller, or filled with an account of the cluster.";
        IMPL_CHANGE = impl_change, 0.0 to 1.0, "1 if code, implementation or owner of a protected contract changed.";
        SLOTS_LOG = slots_log, 0.0 to 8.0, "Protected slots written, ln(1 + n).";
        SLOT_BLOWUP = slot_blowup, 0.0 to 8.0, "Protected slots that reached 2^128 or grew a thousandfold.";
        CRYPTO_IN_PROTECTED = crypto_in_protected, 0.0 to 8.0, "Signature and pairing precompiles called by protected code.";
        FAST_GOVERNANCE = fast_governance, 0.0 to 1.0, "1 if an amount that one visit wrote down was paid out by a later visit of the same transaction.";
    }
    Novelty {
        ROOT_AGE_LOG = root_age_log, 0.0 to 16.0, "Blocks since the root target was created, ln(1 + n).";
        CALLER_MIN_AGE_LOG = caller_min_age_log, 0.0 to 16.0, "Blocks since the youngest direct caller of protected code was created, ln(1 + n).";
        NONCE_LOG = nonce_log, 0.0 to 12.0, "Sender's nonce, ln(1 + n).";
        SENDER_AGE_LOG = sender_age_log, 0.0 to 16.0, "Blocks since the sender was first funded, ln(1 + n).";
        CODE_NOVELTY = code_novelty, 0.0 to 1.0, "1 / (1 + earlier uses of the calling code).";
        EDGE_NOVELTY = edge_novelty, 0.0 to 1.0, "Part of the calls into protected code whose kind of caller and selector was not seen in 30 days.";
        CONTRACT_SCORE = contract_score, 0.0 to 1.0, "Score of the contract model for the root target or code created here.";
    }
    Envelope {
        GAS_LOG = gas_log, 0.0 to 18.0, "Gas used, ln(1 + n).";
        CALLDATA_LOG = calldata_log, 0.0 to 12.0, "Bytes of calldata or init code, ln(1 + n).";
        TIP_RATIO_LOG = tip_ratio_log, -5.0 to 10.0, "Tip over the block's median tip, ln.";
        VALUE_FRAC = value_frac, 0.0 to 1.0, "Ether sent over the sender's balance before.";
    }
}

schema! {
    /// A freshly deployed contract, from its code and its deployment: 36 features.
    ///
    /// Nothing here depends on compiler idioms, on opcode n-grams or on who an address belongs to.
    CONTRACT in contract, version 1;
    Surface {
        SIZE_LOG = size_log, 0.0 to 12.0, "Bytes of runtime code, ln(1 + n).";
        INIT_OVER_RUNTIME = init_over_runtime, 0.0 to 8.0, "Bytes of init code over bytes of runtime code, ln(1 + x): high where the constructor does the work.";
        PUBLIC_FUNCTIONS = public_functions, 0.0 to 256.0, "Selectors the dispatcher compares with.";
        EXTERNAL_SELECTORS = external_selectors, 0.0 to 256.0, "Distinct selectors written into outgoing calls.";
    }
    Flash {
        FLASH_CALLBACKS = flash_callbacks, 0.0 to 16.0, "Public functions that are flash-loan or flash-swap callbacks.";
        FLASH_CALLBACK_SHARE = flash_callback_share, 0.0 to 1.0, "Those callbacks as a part of all public functions.";
        FLASH_REQUESTS = flash_requests, 0.0 to 32.0, "Outgoing calls that ask for a flash loan or flash swap.";
    }
    Market {
        TOKEN_CALLS = token_calls, 0.0 to 256.0, "Outgoing calls with a token's selector.";
        TOKEN_CALL_SHARE = token_call_share, 0.0 to 1.0, "Those calls as a part of all outgoing calls.";
        TOKEN_CALLS_PER_FUNCTION = token_calls_per_function, 0.0 to 64.0, "Those calls over public functions.";
        TOKEN_CALLS_MAX = token_calls_max, 0.0 to 128.0, "Most token calls reached from one public function.";
        AMM_CALLS = amm_calls, 0.0 to 128.0, "Outgoing calls with the selector of a pool or router.";
        APPROVE_CALLS = approve_calls, 0.0 to 64.0, "Outgoing approvals.";
        BALANCE_OF_CALLS = balance_of_calls, 0.0 to 128.0, "Outgoing balance queries.";
        TRANSFER_CALLS = transfer_calls, 0.0 to 128.0, "Outgoing transfers, own and on behalf.";
        SKIM_SYNC_CALLS = skim_sync_calls, 0.0 to 32.0, "Outgoing calls that skim or sync a pair.";
        MINT_BURN_CALLS = mint_burn_calls, 0.0 to 64.0, "Outgoing mints, burns, deposits and withdrawals.";
    }
    Address {
        EMBEDDED_ADDRESSES = embedded_addresses, 0.0 to 128.0, "Distinct constants in the code that look like addresses.";
        ADDRESSES_PER_KB = addresses_per_kb, 0.0 to 64.0, "Those constants per 1,024 bytes of code.";
        EMBEDS_PROTECTED = embeds_protected, 0.0 to 1.0, "1 if a protected address stands in the code, the constructor's arguments or a first storage slot.";
        ORIGIN_GATE = origin_gate, 0.0 to 1.0, "1 if the code holds the deployer's address or compares with ORIGIN.";
        CALLER_GATE = caller_gate, 0.0 to 1.0, "1 if CALLER is compared near the entry.";
    }
    Effect {
        IS_TOKEN = is_token, 0.0 to 1.0, "1 if the public functions are those of a token standard.";
        IS_PROXY = is_proxy, 0.0 to 1.0, "1 if the code is a minimal proxy or reads the proxy slots.";
        EVENTS_ANY = events_any, 0.0 to 1.0, "1 if the code can log at all; attackers' code rarely does.";
        CALLS_PER_SSTORE = calls_per_sstore, 0.0 to 64.0, "Outgoing calls over (1 + storage writes).";
        SELFDESTRUCTS = selfdestructs, 0.0 to 8.0, "Reachable SELFDESTRUCT instructions.";
        CREATES = creates, 0.0 to 16.0, "CREATE and CREATE2 instructions.";
        DELEGATECALLS = delegatecalls, 0.0 to 32.0, "DELEGATECALL instructions.";
    }
    Obfuscation {
        COMPUTED_TARGETS_SHARE = computed_targets_share, 0.0 to 1.0, "Outgoing calls whose target or selector is computed, as a part of all.";
        BIG_CONSTANTS = big_constants, 0.0 to 128.0, "Constants of more than 20 bytes.";
        INVALID_DENSITY = invalid_density, 0.0 to 1.0, "Bytes that decode to no instruction, as a part of the code: packed data.";
    }
    Deployment {
        CONSTRUCTOR_CALLS = constructor_calls, 0.0 to 64.0, "Calls made by the constructor when simulated.";
        DEPLOY_VALUE_LOG = deploy_value_log, 0.0 to 16.0, "Ether sent at deployment in thousandths, ln(1 + n).";
        DEPLOYER_NONCE_LOG = deployer_nonce_log, 0.0 to 12.0, "Deployer's nonce, ln(1 + n).";
        FUND_SOURCE = fund_source, 0.0 to 4.0, "Where the deployer's ether came from, by the user's own label file: 0 known exchange, 1 bridge, 2 unlabelled, 3 instant exchange, 4 mixer.";
    }
}
