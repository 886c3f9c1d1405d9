//! The cache itself: what is known of a chain at its head, and how it moves to the next one.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use alloy::primitives::{Address, B256, Bytes, U256, address};
use dashmap::DashMap;
use revm::{
    Context, DatabaseRef, Journal, MainBuilder as _, SystemCallEvm as _,
    context::{BlockEnv, CfgEnv, TxEnv, result::ResultAndState},
    database::{AccountState as LayerState, CacheDB, DbAccount},
    database_interface::DatabaseCommit as _,
    inspector::NoOpInspector,
    primitives::hardfork::SpecId,
    state::{AccountInfo, Bytecode},
};

use super::{
    AccountState, Backend, ChainRules, Head, Item, StateError, evm,
    receipts::Receipts,
    undo::{History, Undo},
};
use crate::source::{BlockRecord, PendingTransaction};

/// Slots kept before the cache is emptied at the next head: about 400 MB.
const SLOT_LIMIT: usize = 4_000_000;
/// Accounts kept before the cache is emptied at the next head.
const ACCOUNT_LIMIT: usize = 1_000_000;

const BEACON_ROOTS: Address = address!("0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02");
const HISTORY: Address = address!("0x0000F90827F1C53a10cb7A02335B175320002935");
const WITHDRAWAL_REQUESTS: Address = address!("0x00000961Ef480Eb55e80D19ad83579A64c007002");
const CONSOLIDATION_REQUESTS: Address = address!("0x0000BBdDc7CE488642fb579F8B00f3a590007251");

/// The state of one chain at its head, shared by every simulation.
///
/// Simulations read through a [`StateView`], which holds the head still; nothing that they write comes here.
pub struct ForkedState {
    rules: ChainRules,
    backend: Arc<dyn Backend>,
    standing: RwLock<Standing>,
    /// Held while the head moves, so that two callers cannot move it at once.
    moving: Mutex<()>,
    accounts: DashMap<Address, CachedAccount>,
    block_hashes: DashMap<u64, B256>,
    slots: AtomicUsize,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Standing {
    head: Option<Head>,
    /// What is not in the cache does not exist; the backend is not asked.
    is_complete: bool,
    /// What the blocks below the head changed.
    history: History,
}

#[derive(Debug, Default)]
struct Counters {
    fetches: AtomicU64,
    rolled_back: AtomicU64,
    emptied_reorg: AtomicU64,
    emptied_mismatch: AtomicU64,
    emptied_not_runnable: AtomicU64,
    emptied_full: AtomicU64,
}

#[derive(Debug, Clone)]
pub(super) struct CachedAccount {
    /// None: there is no such account.
    pub(super) info: Option<AccountInfo>,
    /// Slots that are not in the map are zero.
    pub(super) is_whole: bool,
    pub(super) storage: HashMap<U256, U256>,
}

/// What happened when a block was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdvanceReport {
    /// Every transaction was run here; gas used and receipts equal the header's: the cache is exact.
    Exact {
        /// Transactions run.
        transactions: usize,
    },
    /// The block stands on an earlier head: what was taken over since then was taken back, and the block was run
    /// there, exactly.
    RolledBack {
        /// Blocks taken back.
        blocks: usize,
        /// Transactions run.
        transactions: usize,
    },
    /// The block is the head already.
    Known,
    /// The cache was emptied; it fills again from the backend, exact but slower.
    Emptied(EmptiedBecause),
}

/// Why a cache was emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmptiedBecause {
    /// This is the first head.
    First,
    /// The block does not stand on the head before it, nor on one that could be gone back to.
    Reorg,
    /// Gas used here differs from the header's.
    GasMismatch {
        /// Ours.
        computed: u64,
        /// The header's.
        header: u64,
    },
    /// Gas used is equal, but statuses, single gas figures or logs are not.
    ReceiptsMismatch,
    /// A transaction in the block could not be decoded or run here.
    NotRunnable,
    /// The cache held more than it may.
    Full,
}

/// How often things happened to a [`ForkedState`] since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateCounts {
    /// Fetches from the backend.
    pub fetches: u64,
    /// Reorgs after which the state went back to an earlier head.
    pub rolled_back: u64,
    /// Caches emptied by a block that does not stand on the head.
    pub emptied_reorg: u64,
    /// Caches emptied because gas used or receipts differed from a header.
    pub emptied_mismatch: u64,
    /// Caches emptied because a block could not be run.
    pub emptied_not_runnable: u64,
    /// Caches emptied because they were full.
    pub emptied_full: u64,
    /// Accounts in the cache now.
    pub accounts: usize,
    /// Slots in the cache now.
    pub slots: usize,
}

impl ForkedState {
    /// An empty cache in front of `backend`; the first [`ForkedState::advance`] sets its head.
    pub fn new(rules: ChainRules, backend: Arc<dyn Backend>) -> Arc<Self> {
        Arc::new(Self {
            rules,
            backend,
            standing: RwLock::default(),
            moving: Mutex::default(),
            accounts: DashMap::new(),
            block_hashes: DashMap::new(),
            slots: AtomicUsize::new(0),
            counters: Counters::default(),
        })
    }

    /// A state whose `accounts` are all there is at `head`; `backend` is asked only after the cache was emptied.
    pub fn complete(
        rules: ChainRules,
        head: Head,
        accounts: impl IntoIterator<Item = (Address, AccountState)>,
        backend: Arc<dyn Backend>,
    ) -> Result<Arc<Self>, StateError> {
        let state = Self::new(rules, backend);
        for (address, account) in accounts {
            let info = account_info(&head, address, &account)?;
            let storage: HashMap<_, _> = account.storage.into_iter().collect();
            state.slots.fetch_add(storage.len(), Ordering::Relaxed);
            state
                .accounts
                .insert(address, CachedAccount { info: Some(info), is_whole: true, storage });
        }
        state.block_hashes.insert(head.number, head.hash);
        *state.write() =
            Standing { head: Some(head), is_complete: true, history: History::default() };
        Ok(state)
    }

    /// The chain's rules.
    pub fn rules(&self) -> &ChainRules {
        &self.rules
    }

    /// The head it stands on.
    pub fn head(&self) -> Option<Head> {
        self.read().head.clone()
    }

    /// Holds the head still for as long as the view lives.
    ///
    /// # Errors
    /// [`StateError::NoHead`] before the first head.
    pub fn view(&self) -> Result<StateView<'_>, StateError> {
        let standing = self.read();
        if standing.head.is_none() {
            return Err(StateError::NoHead);
        }
        Ok(StateView { state: self, standing })
    }

    /// What has happened so far.
    pub fn counts(&self) -> StateCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StateCounts {
            fetches: load(&self.counters.fetches),
            rolled_back: load(&self.counters.rolled_back),
            emptied_reorg: load(&self.counters.emptied_reorg),
            emptied_mismatch: load(&self.counters.emptied_mismatch),
            emptied_not_runnable: load(&self.counters.emptied_not_runnable),
            emptied_full: load(&self.counters.emptied_full),
            accounts: self.accounts.len(),
            slots: self.slots.load(Ordering::Relaxed),
        }
    }

    /// Moves to `block` by running it on the head before it.
    ///
    /// Whenever the result would not be exact the cache is emptied instead, and the head moves all the same.
    ///
    /// # Errors
    /// State that running the block needs could not be fetched. The cache is empty then, the head has moved.
    pub fn advance(&self, block: &BlockRecord) -> Result<AdvanceReport, StateError> {
        self.advance_by(block, |run, tx| run.run(tx))
    }

    /// As [`ForkedState::advance`], with every transaction run by `step`, in order.
    ///
    /// # Errors
    /// As [`ForkedState::advance`].
    pub(crate) fn advance_by(
        &self,
        block: &BlockRecord,
        step: impl FnMut(&mut BlockRun<'_>, &PendingTransaction) -> Result<(), evm::RunError>,
    ) -> Result<AdvanceReport, StateError> {
        let _moving = self.hold();
        let back = self.go_below(block);
        let head = self.head();
        let because = match head {
            None => EmptiedBecause::First,
            Some(head) if head.hash == block.hash => return Ok(AdvanceReport::Known),
            Some(head) if head.hash != block.parent_hash => EmptiedBecause::Reorg,
            Some(_) if block.undecoded > 0 => EmptiedBecause::NotRunnable,
            Some(_) if self.is_full() => EmptiedBecause::Full,
            Some(_) => match self.run_block(block, step) {
                Ok(Ran::Exact(changes)) => {
                    self.take_over(Head::from(block), changes);
                    let transactions = block.transactions.len();
                    return Ok(match back {
                        0 => AdvanceReport::Exact { transactions },
                        blocks => AdvanceReport::RolledBack { blocks, transactions },
                    });
                }
                Ok(Ran::Mismatch(because)) => because,
                Ok(Ran::NotRunnable) => EmptiedBecause::NotRunnable,
                Err(error) => {
                    self.empty(Head::from(block), EmptiedBecause::NotRunnable);
                    return Err(error);
                }
            },
        };
        self.empty(Head::from(block), because);
        Ok(AdvanceReport::Emptied(because))
    }

    /// Goes back to the head that `block` stands on, where that is one of the last that were left; says how many blocks
    /// were taken back. What was judged on them stands on a head that is gone.
    pub fn stand_below(&self, block: &BlockRecord) -> usize {
        let _moving = self.hold();
        self.go_below(block)
    }

    fn go_below(&self, block: &BlockRecord) -> usize {
        let is_elsewhere = |head: &Head| head.hash != block.parent_hash && head.hash != block.hash;
        if !self.head().as_ref().is_some_and(is_elsewhere) {
            return 0;
        }
        let mut standing = self.write();
        let Some((head, undone)) = standing.history.back_to(block.parent_hash, &self.accounts)
        else {
            return 0;
        };
        self.block_hashes.retain(|number, _| *number <= head.number);
        let slots = self.accounts.iter().map(|account| account.storage.len()).sum();
        self.slots.store(slots, Ordering::Relaxed);
        self.counters.rolled_back.fetch_add(1, Ordering::Relaxed);
        standing.head = Some(head);
        undone
    }

    fn run_block(
        &self,
        block: &BlockRecord,
        mut step: impl FnMut(&mut BlockRun<'_>, &PendingTransaction) -> Result<(), evm::RunError>,
    ) -> Result<Ran, StateError> {
        let view = self.view()?;
        let mut layer = CacheDB::new(&view);
        let cfg = evm::cfg(&self.rules, block.number);
        let env = evm::mined_block(&self.rules, block);
        let spec = self.rules.spec(block.number);

        if let Some(root) = block.parent_beacon_block_root
            && spec.is_enabled_in(SpecId::CANCUN)
        {
            system_call(&cfg, &env, &mut layer, BEACON_ROOTS, root.to_vec().into())?;
        }
        if spec.is_enabled_in(SpecId::PRAGUE) {
            system_call(&cfg, &env, &mut layer, HISTORY, block.parent_hash.to_vec().into())?;
        }
        let head = view.head().number;
        let mut run = BlockRun { cfg, env, layer, head, receipts: Receipts::default() };
        for tx in &block.transactions {
            match step(&mut run, tx) {
                Ok(()) => {}
                Err(evm::RunError::Database(error)) => return Err(error),
                Err(_) => return Ok(Ran::NotRunnable),
            }
        }
        let BlockRun { cfg, env, mut layer, receipts, .. } = run;
        if receipts.gas_used() != block.gas_used {
            let computed = receipts.gas_used();
            return Ok(Ran::Mismatch(EmptiedBecause::GasMismatch {
                computed,
                header: block.gas_used,
            }));
        }
        if block.receipts_root.is_some_and(|root| root != receipts.root()) {
            return Ok(Ran::Mismatch(EmptiedBecause::ReceiptsMismatch));
        }
        for withdrawal in &block.withdrawals {
            let wei =
                U256::from(withdrawal.amount_gwei).saturating_mul(U256::from(1_000_000_000_u64));
            let account = layer.load_account(withdrawal.address)?;
            account.info.balance = account.info.balance.saturating_add(wei);
            if account.account_state != LayerState::StorageCleared {
                account.account_state = LayerState::Touched;
            }
        }
        if spec.is_enabled_in(SpecId::PRAGUE) {
            system_call(&cfg, &env, &mut layer, WITHDRAWAL_REQUESTS, Bytes::new())?;
            system_call(&cfg, &env, &mut layer, CONSOLIDATION_REQUESTS, Bytes::new())?;
        }
        Ok(Ran::Exact(Changes::of(layer)))
    }

    /// Puts the writes of a layer into the cache and moves the head.
    pub(super) fn take_over(&self, head: Head, changes: Changes) {
        let mut standing = self.write();
        let mut undo = standing.head.clone().map(Undo::new);
        for (address, account) in changes.0 {
            let cleared = match account.account_state {
                LayerState::None => continue,
                LayerState::NotExisting | LayerState::StorageCleared => true,
                LayerState::Touched => false,
            };
            if let Some(undo) = &mut undo {
                let before = self.accounts.get(&address);
                undo.keep(address, before.as_deref(), cleared, account.storage.keys());
            }
            let mut entry =
                self.accounts.entry(address).or_insert_with(CachedAccount::unknown_slots);
            if cleared {
                self.slots.fetch_sub(entry.storage.len(), Ordering::Relaxed);
                entry.storage.clear();
                entry.is_whole = true;
            }
            entry.info = (account.account_state != LayerState::NotExisting).then_some(account.info);
            let before = entry.storage.len();
            entry.storage.extend(account.storage);
            self.slots.fetch_add(entry.storage.len() - before, Ordering::Relaxed);
        }
        self.remember_hash(head.number, head.hash);
        if let Some(undo) = undo {
            standing.history.push(undo);
        }
        standing.head = Some(head);
    }

    fn remember_hash(&self, number: u64, hash: B256) {
        self.block_hashes.insert(number, hash);
        // BLOCKHASH reaches 256 blocks down.
        self.block_hashes.remove(&number.saturating_sub(300));
    }

    fn empty(&self, head: Head, because: EmptiedBecause) {
        let counter = match because {
            EmptiedBecause::First => None,
            EmptiedBecause::Reorg => Some(&self.counters.emptied_reorg),
            EmptiedBecause::GasMismatch { .. } | EmptiedBecause::ReceiptsMismatch => {
                Some(&self.counters.emptied_mismatch)
            }
            EmptiedBecause::NotRunnable => Some(&self.counters.emptied_not_runnable),
            EmptiedBecause::Full => Some(&self.counters.emptied_full),
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let mut standing = self.write();
        self.accounts.clear();
        self.block_hashes.clear();
        self.slots.store(0, Ordering::Relaxed);
        self.remember_hash(head.number, head.hash);
        standing.history.clear();
        standing.is_complete = false;
        standing.head = Some(head);
    }

    fn is_full(&self) -> bool {
        self.slots.load(Ordering::Relaxed) > SLOT_LIMIT || self.accounts.len() > ACCOUNT_LIMIT
    }

    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Standing> {
        self.standing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Standing> {
        self.standing.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ForkedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForkedState")
            .field("rules", &self.rules)
            .field("head", &self.head())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl CachedAccount {
    fn unknown_slots() -> Self {
        Self { info: None, is_whole: false, storage: HashMap::new() }
    }
}

/// A mined block that is being run on the head below it.
pub(crate) struct BlockRun<'v> {
    pub(crate) cfg: CfgEnv,
    pub(crate) env: BlockEnv,
    pub(crate) layer: evm::Layer<'v>,
    /// Height of the head below.
    pub(crate) head: u64,
    receipts: Receipts,
}

impl BlockRun<'_> {
    /// Runs the next transaction; what it wrote is in the layer afterwards.
    pub(crate) fn run(&mut self, tx: &PendingTransaction) -> Result<(), evm::RunError> {
        let done = self.peek(tx)?;
        self.settle(tx, done);
        Ok(())
    }

    /// Runs the next transaction, and leaves the layer as it is.
    pub(crate) fn peek(
        &mut self,
        tx: &PendingTransaction,
    ) -> Result<ResultAndState, evm::RunError> {
        let env = evm::tx_env(tx);
        evm::run(&self.cfg, &self.env, &mut self.layer, env, NoOpInspector)
    }

    /// Takes over what a transaction did that was run last by [`BlockRun::peek`].
    pub(crate) fn settle(&mut self, tx: &PendingTransaction, done: ResultAndState) {
        self.receipts.push(tx, &done.result);
        self.layer.commit(done.state);
    }
}

enum Ran {
    Exact(Changes),
    Mismatch(EmptiedBecause),
    NotRunnable,
}

/// The writes of a layer, free of the view below it.
pub(super) struct Changes(Vec<(Address, DbAccount)>);

impl Changes {
    pub(super) fn of(layer: evm::Layer<'_>) -> Self {
        Self(layer.cache.accounts.into_iter().collect())
    }
}

fn system_call(
    cfg: &CfgEnv,
    block: &BlockEnv,
    layer: &mut evm::Layer<'_>,
    contract: Address,
    data: Bytes,
) -> Result<(), StateError> {
    // A chain without the contract makes no call.
    if layer.load_account(contract)?.info.code.as_ref().is_none_or(Bytecode::is_empty) {
        return Ok(());
    }
    let done = Context::<BlockEnv, TxEnv, CfgEnv, _, Journal<_>, ()>::new(&mut *layer, cfg.spec)
        .with_cfg(cfg.clone())
        .with_block(block.clone())
        .build_mainnet()
        .system_call(contract, data);
    match done {
        Ok(done) => {
            layer.commit(done.state);
            Ok(())
        }
        Err(evm::RunError::Database(error)) => Err(error),
        // A system call that cannot run changes nothing; the gas check does not depend on it.
        Err(_) => Ok(()),
    }
}

fn account_info(
    head: &Head,
    address: Address,
    account: &AccountState,
) -> Result<AccountInfo, StateError> {
    let code =
        Bytecode::new_raw_checked(account.code.clone()).map_err(|error| StateError::Fetch {
            what: Item::Account(address),
            block: head.number,
            reason: format!("its code is malformed: {error}"),
        })?;
    Ok(AccountInfo {
        balance: account.balance,
        nonce: account.nonce,
        code_hash: account.code_hash(),
        code: Some(code),
        ..AccountInfo::default()
    })
}

/// The state at one head, held still.
///
/// Keep it short: the head cannot move while a view lives. One thread holds one view at a time: with a second one it
/// would wait for ever behind a head that waits for the first.
#[derive(Debug)]
pub struct StateView<'a> {
    state: &'a ForkedState,
    standing: RwLockReadGuard<'a, Standing>,
}

impl StateView<'_> {
    /// The head.
    pub fn head(&self) -> &Head {
        self.standing.head.as_ref().expect("a view is made only where there is a head")
    }

    /// Balance of an account, wei; zero where there is none.
    ///
    /// # Errors
    /// The backend could not answer.
    pub fn balance_wei(&self, address: Address) -> Result<U256, StateError> {
        Ok(self.basic_ref(address)?.map(|info| info.balance).unwrap_or_default())
    }

    /// Nonce of an account; zero where there is none.
    ///
    /// # Errors
    /// The backend could not answer.
    pub fn nonce(&self, address: Address) -> Result<u64, StateError> {
        Ok(self.basic_ref(address)?.map(|info| info.nonce).unwrap_or_default())
    }

    /// Code of an account; empty where there is none.
    ///
    /// # Errors
    /// The backend could not answer.
    pub fn code(&self, address: Address) -> Result<Bytes, StateError> {
        let info = self.basic_ref(address)?;
        Ok(info.and_then(|info| info.code).map(|code| code.original_bytes()).unwrap_or_default())
    }

    /// One slot.
    ///
    /// # Errors
    /// The backend could not answer.
    pub fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.storage_ref(address, slot)
    }

    fn missing<T>(
        &self,
        what: Item,
        absent: T,
        fetch: impl FnOnce(&dyn Backend, &Head) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        if self.standing.is_complete && !matches!(what, Item::BlockHash(_)) {
            return Ok(absent);
        }
        self.state.counters.fetches.fetch_add(1, Ordering::Relaxed);
        fetch(&*self.state.backend, self.head())
    }
}

impl DatabaseRef for StateView<'_> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        if let Some(account) = self.state.accounts.get(&address) {
            return Ok(account.info.clone());
        }
        let fetched = self.missing(Item::Account(address), None, |backend, head| {
            backend
                .account(head, address)?
                .map(|account| account_info(head, address, &account))
                .transpose()
        })?;
        // Two simulations may have fetched the same account at the same head: the answers are equal.
        let is_whole = fetched.is_none();
        let entry = self.state.accounts.entry(address).or_insert_with(|| CachedAccount {
            info: fetched,
            is_whole,
            storage: HashMap::new(),
        });
        Ok(entry.info.clone())
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StateError> {
        // Accounts are handed out with their code, so the machine has no need to ask.
        let found = self.state.accounts.iter().find_map(|account| {
            account
                .info
                .as_ref()
                .filter(|info| info.code_hash == code_hash)
                .and_then(|info| info.code.clone())
        });
        Ok(found.unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        if let Some(account) = self.state.accounts.get(&address) {
            if let Some(value) = account.storage.get(&slot) {
                return Ok(*value);
            }
            if account.is_whole {
                return Ok(U256::ZERO);
            }
        }
        let value = self.missing(Item::Slot(address, slot), U256::ZERO, |backend, head| {
            backend.storage(head, address, slot)
        })?;
        // A slot is kept only under an account that is known: the account says whether it is whole.
        if let Some(mut account) = self.state.accounts.get_mut(&address)
            && account.storage.insert(slot, value).is_none()
        {
            self.state.slots.fetch_add(1, Ordering::Relaxed);
        }
        Ok(value)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        if let Some(hash) = self.state.block_hashes.get(&number) {
            return Ok(*hash);
        }
        let hash = self.missing(Item::BlockHash(number), B256::ZERO, |backend, head| {
            backend.block_hash(head, number)
        })?;
        self.state.block_hashes.insert(number, hash);
        Ok(hash)
    }
}
