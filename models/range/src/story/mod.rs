//! The story that the demo tells and the live test plays: a vault between ordinary transactions and one attack.
//!
//! A story is nothing but signed transactions in order. It can be sent to a node, or played in process to
//! give a recording; the addresses in it follow from keys and nonces, so both give the same contracts.

mod account;
mod market;
pub mod play;
mod record;
mod stream;

#[cfg(test)]
mod tests;

use alloy::primitives::{Address, B256, Bytes, U256, utils::parse_ether};
use alloy::sol_types::{SolCall, SolValue};

pub use account::Account;
pub use market::market;
pub use record::{RecordError, record};

use crate::artifacts::{self, Artifact};

/// Gas limit of a deployment.
const DEPLOY_GAS: u64 = 4_000_000;
/// Gas limit of a call that sets something up or that benign accounts make.
const CALL_GAS: u64 = 400_000;
/// Gas limit of the attack: forty withdrawals fit in it.
const ATTACK_GAS: u64 = 3_000_000;

alloy::sol! {
    interface Vault {
        function deposit() external payable;
        function withdraw(uint256 amount) external;
        function withdrawAll() external;
        function grantRole(bytes32 role, address account) external;
        function pause() external;
        function paused() external view returns (bool);
        function balances(address account) external view returns (uint256);
    }
    interface Guardian {
        struct Call { address to; bytes data; }
        function register(address target, Call[] calldata calls) external;
        function setPauser(address pauser, uint64 expiresAt) external;
    }
    interface Token {
        function transfer(address to, uint256 amount) external returns (bool);
        function approve(address spender, uint256 amount) external returns (bool);
    }
    interface Attacker { function attack(address vault, uint256 loops) external payable; }
    interface HarmlessReenter { function roundTrip(address vault, uint256 amount) external payable; }
    interface Payout { function share(address[] calldata recipients) external; }
}

/// What a story is told with.
#[derive(Debug, Clone)]
pub struct StoryOptions {
    /// EIP-155 chain id that the transactions are signed for.
    pub chain_id: u64,
    /// Stands before the accounts' names: stories of different casts can be played on one chain.
    pub cast: String,
    /// Protect the repaired vault instead of the vulnerable one.
    pub fixed_vault: bool,
    /// Ether that the attacker stakes, wei; it takes this much again with every loop.
    pub attack_stake: U256,
    /// How often the attacker withdraws more than it deposited.
    pub attack_loops: u64,
    /// Priority fee of the attack, wei.
    pub attack_tip: u128,
    /// Max fee of the attack, wei.
    pub attack_max_fee: u128,
    /// Let the pauser's key have its role on the guardian.
    pub pauser_has_role: bool,
    /// Benign transactions in the stream; at least 12.
    pub benign: usize,
}

impl Default for StoryOptions {
    fn default() -> Self {
        let gwei = 1_000_000_000;
        Self {
            chain_id: 31_337,
            cast: String::new(),
            fixed_vault: false,
            attack_stake: ether("10"),
            attack_loops: 9,
            attack_tip: 5 * gwei,
            attack_max_fee: 60 * gwei,
            pauser_has_role: true,
            benign: 50,
        }
    }
}

/// What a step is to the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Deploys and funds what the story needs; mined before the stream starts.
    Setup,
    /// An ordinary transaction.
    Benign,
    /// The attack.
    Attack,
}

/// One signed transaction.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it is to the story.
    pub role: Role,
    /// One line for people.
    pub label: String,
    /// Signed EIP-2718 bytes.
    pub raw: Bytes,
    /// Its hash.
    pub hash: B256,
    /// Blocks that should be mined before it is sent, counted from the step before; 0 or 1.
    pub wait_blocks: u64,
}

/// A whole story.
#[derive(Debug)]
pub struct Story {
    /// Ether that each account needs at the start.
    pub funds: Vec<(Address, U256)>,
    /// The protected vault.
    pub vault: Address,
    /// The guardian that may pause it.
    pub guardian: Address,
    /// The attacker's account.
    pub attacker: Address,
    /// The attacker's contract.
    pub attack_contract: Address,
    /// The account whose key the guard holds.
    pub pauser: Account,
    /// A transaction of the pauser's key that pauses nothing and offers little, for its first place: what a key that is
    /// used elsewhere leaves in the pool.
    pub stray: Bytes,
    /// All transactions, setup first.
    pub steps: Vec<Step>,
}

impl Story {
    /// Tells the story with `options`.
    ///
    /// # Panics
    /// When `options.benign` is below 12: the stream would miss kinds that the story promises.
    pub fn tell(options: &StoryOptions) -> Self {
        assert!(
            options.benign >= 12,
            "a story needs at least 12 benign transactions, not {}",
            options.benign
        );
        let mut teller = Teller::new(options);
        teller.set_up();
        stream::tell(&mut teller);
        teller.finish()
    }

    /// The attack's hash.
    pub fn attack(&self) -> B256 {
        self.steps
            .iter()
            .find(|step| step.role == Role::Attack)
            .expect("every story has an attack")
            .hash
    }
}

/// `text` ether in wei.
fn ether(text: &str) -> U256 {
    parse_ether(text).expect("a literal amount of ether")
}

/// Builds the steps in order and keeps nonces and addresses.
struct Teller<'a> {
    options: &'a StoryOptions,
    deployer: Account,
    pauser: Account,
    attacker: Account,
    users: Vec<Account>,
    vault: Address,
    guardian: Address,
    token: Address,
    attack_contract: Address,
    steps: Vec<Step>,
    role: Role,
}

/// Accounts that use the vault in the ordinary way.
const USERS: usize = 6;

impl<'a> Teller<'a> {
    fn new(options: &'a StoryOptions) -> Self {
        let account =
            |name: &str| Account::named(&format!("{}{name}", options.cast), options.chain_id);
        let deployer = account("deployer");
        Self {
            options,
            vault: deployer.creates_at(0),
            guardian: deployer.creates_at(1),
            token: deployer.creates_at(2),
            pauser: account("pauser"),
            attack_contract: account("attacker").creates_at(0),
            attacker: account("attacker"),
            users: (0..USERS).map(|i| account(&format!("user {i}"))).collect(),
            deployer,
            steps: Vec::new(),
            role: Role::Setup,
        }
    }

    fn set_up(&mut self) {
        let admin = self.deployer.address();
        let artifact =
            if self.options.fixed_vault { artifacts::VAULT_FIXED } else { artifacts::VAULT };
        self.deploy_as_deployer("deploy the vault", artifact, &admin.abi_encode());
        self.deploy_as_deployer("deploy the guardian", artifacts::GUARDIAN, &admin.abi_encode());
        self.deploy_as_deployer("deploy a token", artifacts::TOKEN, &ether("1000000").abi_encode());

        let role = alloy::primitives::keccak256("PAUSER_ROLE");
        let grant = Vault::grantRoleCall { role, account: self.guardian }.abi_encode();
        let pause =
            Guardian::Call { to: self.vault, data: Vault::pauseCall {}.abi_encode().into() };
        let register =
            Guardian::registerCall { target: self.vault, calls: vec![pause] }.abi_encode();
        let (vault, guardian, token) = (self.vault, self.guardian, self.token);
        self.call_as_deployer("let the guardian pause the vault", vault, grant);
        self.call_as_deployer("register the vault's pause", guardian, register);
        if self.options.pauser_has_role {
            let pauser = self.pauser.address();
            let name = Guardian::setPauserCall { pauser, expiresAt: u64::MAX }.abi_encode();
            self.call_as_deployer("name the pauser", guardian, name);
        }
        for i in 0..USERS {
            let to = self.users[i].address();
            let give = Token::transferCall { to, amount: ether("1000") }.abi_encode();
            self.call_as_deployer(&format!("give tokens to user {i}"), token, give);
            let deposit = Vault::depositCall {}.abi_encode();
            let raw = self.users[i].call(vault, ether("40"), deposit, CALL_GAS);
            self.push(&format!("user {i} deposits 40 ether"), raw, 0);
        }
        let raw = self.attacker.create(artifacts::ATTACKER.creation(&[]), U256::ZERO, DEPLOY_GAS);
        self.push("the attacker deploys a contract", raw, 0);
    }

    fn deploy_as_deployer(&mut self, label: &str, artifact: Artifact, arguments: &[u8]) {
        let raw = self.deployer.create(artifact.creation(arguments), U256::ZERO, DEPLOY_GAS);
        self.push(label, raw, 0);
    }

    fn call_as_deployer(&mut self, label: &str, to: Address, data: Vec<u8>) {
        let raw = self.deployer.call(to, U256::ZERO, data, CALL_GAS);
        self.push(label, raw, 0);
    }

    fn attack(&mut self) {
        self.role = Role::Attack;
        let data = Attacker::attackCall {
            vault: self.vault,
            loops: U256::from(self.options.attack_loops),
        }
        .abi_encode();
        self.attacker.fees(self.options.attack_max_fee, self.options.attack_tip);
        let raw =
            self.attacker.call(self.attack_contract, self.options.attack_stake, data, ATTACK_GAS);
        self.push("the attack", raw, 0);
        self.role = Role::Benign;
    }

    fn push(&mut self, label: &str, (raw, hash): (Bytes, B256), wait_blocks: u64) {
        self.steps.push(Step { role: self.role, label: label.to_owned(), raw, hash, wait_blocks });
    }

    fn finish(mut self) -> Story {
        let itself = self.pauser.address();
        let (stray, _) = self.pauser.call(itself, U256::ZERO, Vec::new(), 21_000);
        let mut funds: Vec<(Address, U256)> = [&self.deployer, &self.pauser, &self.attacker]
            .into_iter()
            .chain(&self.users)
            .map(|account| (account.address(), ether("100")))
            .collect();
        funds.push((Account::named("newcomer", self.options.chain_id).address(), ether("20")));
        Story {
            funds,
            vault: self.vault,
            guardian: self.guardian,
            attacker: self.attacker.address(),
            attack_contract: self.attack_contract,
            pauser: self.pauser,
            stray,
            steps: self.steps,
        }
    }
}
