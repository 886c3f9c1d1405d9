//! The hand that pauses: the real one, and one that only shows what it would do.

use std::{fmt, sync::Arc, time::Duration};

use alloy::primitives::{Address, B256, U256};
use futures_util::future::BoxFuture;
use portcullis_alerting::guardian::{
    AttackFate, FeeBudget, FeeOffer, GuardianError, Inclusion, PauseEngine, PauseRequest, Premises,
    deploy, price,
};
use serde::{Deserialize, Serialize};

use crate::simulate::CallOnly;

/// A pause to fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseOrder {
    /// The protected contract.
    pub target: Address,
    /// Reference to the journalled evidence: the judged transaction's hash.
    pub evidence: B256,
    /// The judged transaction's fee cap, wei per gas.
    pub attack_max_fee_per_gas_wei: u128,
    /// The judged transaction's tip, wei per gas.
    pub attack_max_tip_wei: u128,
    /// Base fee of the next block, wei.
    pub base_fee_wei: u128,
    /// Head on which it was judged.
    pub head: u64,
}

/// What was offered, and under which hash it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PauseFired {
    /// Hash of the pause; none where nothing was sent.
    pub tx_hash: Option<B256>,
    /// The evidence that the guardian's event names.
    pub evidence: B256,
    /// Fee cap offered, wei per gas.
    pub max_fee_per_gas_wei: u128,
    /// Tip offered, wei per gas.
    pub max_tip_wei: u128,
}

/// Pauses through the guardian contract of one chain.
pub trait PauseHand: Send + Sync + fmt::Debug {
    /// The guardian contract.
    fn guardian(&self) -> Address;

    /// The pause of `target` as a call, for simulation.
    fn rehearsal(&self, target: Address, evidence: B256) -> CallOnly;

    /// Has a majority of the configured nodes confirm what the pause is decided on; what was found, for people.
    ///
    /// # Errors
    /// [`GuardianError::NotConfirmed`].
    fn confirm<'a>(
        &'a self,
        premises: &'a Premises,
        within: Duration,
    ) -> BoxFuture<'a, Result<String, GuardianError>>;

    /// Whether a transaction was sent with this hand's key and not by this hand.
    fn is_foreign(&self, _sender: Address, _tx_hash: B256) -> bool {
        false
    }

    /// Prices the pause above the attack and sends it.
    ///
    /// # Errors
    /// [`GuardianError`]: no price within the budget, sent already, accepted by nobody.
    fn fire<'a>(
        &'a self,
        order: &'a PauseOrder,
    ) -> BoxFuture<'a, Result<PauseFired, GuardianError>>;

    /// Waits until the pause is mined, at most until `until_block`.
    ///
    /// # Errors
    /// [`GuardianError::NotMined`], or no node answers.
    fn follow<'a>(
        &'a self,
        pause: B256,
        until_block: u64,
    ) -> BoxFuture<'a, Result<Inclusion, GuardianError>>;

    /// Says what became of the attack.
    ///
    /// # Errors
    /// No node answers.
    fn attack_fate<'a>(
        &'a self,
        pause: &'a Inclusion,
        attack: B256,
    ) -> BoxFuture<'a, Result<AttackFate, GuardianError>>;

    /// Reads ahead what firing needs. For every new head.
    fn refresh(&self) -> BoxFuture<'_, Result<(), GuardianError>>;

    /// Whether a pause of each target would work now; the account that would pause.
    ///
    /// # Errors
    /// What is missing first.
    fn preflight<'a>(
        &'a self,
        targets: &'a [Address],
    ) -> BoxFuture<'a, Result<Address, GuardianError>>;
}

/// Pauses for real.
#[derive(Debug)]
pub struct EngineHand {
    engine: Arc<PauseEngine>,
}

impl EngineHand {
    /// A hand that fires through `engine`.
    pub fn new(engine: Arc<PauseEngine>) -> Self {
        Self { engine }
    }
}

impl PauseHand for EngineHand {
    fn guardian(&self) -> Address {
        self.engine.settings().guardian
    }

    fn rehearsal(&self, target: Address, evidence: B256) -> CallOnly {
        let call = self.engine.pause_call(target, evidence);
        CallOnly {
            from: call.from,
            to: call.to,
            data: call.data,
            value: U256::ZERO,
            gas: self.engine.settings().gas_limit,
        }
    }

    fn confirm<'a>(
        &'a self,
        premises: &'a Premises,
        within: Duration,
    ) -> BoxFuture<'a, Result<String, GuardianError>> {
        Box::pin(async move {
            let confirmed = self.engine.confirm(premises, within).await?;
            Ok(format!(
                "{} of {} nodes: {}",
                confirmed.by.len(),
                confirmed.configured,
                confirmed.by.join(", ")
            ))
        })
    }

    fn is_foreign(&self, sender: Address, tx_hash: B256) -> bool {
        sender == self.engine.address() && !self.engine.has_sent(tx_hash)
    }

    fn fire<'a>(
        &'a self,
        order: &'a PauseOrder,
    ) -> BoxFuture<'a, Result<PauseFired, GuardianError>> {
        let settings = self.engine.settings();
        let request = PauseRequest {
            chain_id: settings.chain_id,
            guardian: settings.guardian,
            target: order.target,
            evidence: order.evidence,
            attack_max_fee_per_gas: order.attack_max_fee_per_gas_wei,
            attack_max_priority_fee_per_gas: order.attack_max_tip_wei,
            base_fee_wei: order.base_fee_wei,
            head: order.head,
            gas_limit: None,
            nonce: None,
        };
        Box::pin(async move {
            let sent = self.engine.fire(&request).await?;
            Ok(PauseFired {
                tx_hash: Some(sent.tx_hash),
                evidence: sent.evidence,
                max_fee_per_gas_wei: sent.max_fee_per_gas_wei,
                max_tip_wei: sent.max_tip_wei,
            })
        })
    }

    fn follow<'a>(
        &'a self,
        pause: B256,
        until_block: u64,
    ) -> BoxFuture<'a, Result<Inclusion, GuardianError>> {
        Box::pin(self.engine.follow(pause, until_block))
    }

    fn attack_fate<'a>(
        &'a self,
        pause: &'a Inclusion,
        attack: B256,
    ) -> BoxFuture<'a, Result<AttackFate, GuardianError>> {
        Box::pin(self.engine.attack_fate(pause, attack))
    }

    fn refresh(&self) -> BoxFuture<'_, Result<(), GuardianError>> {
        Box::pin(async { self.engine.refresh().await.map(|_| ()) })
    }

    fn preflight<'a>(
        &'a self,
        targets: &'a [Address],
    ) -> BoxFuture<'a, Result<Address, GuardianError>> {
        Box::pin(async {
            self.engine.sign_ahead_for(targets);
            Ok(self.engine.preflight(targets).await?.pauser)
        })
    }
}

/// Prices and shows a pause, and sends nothing: for replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryHand {
    /// The guardian contract.
    pub guardian: Address,
    /// Account that would pause.
    pub pauser: Address,
    /// What one pause may cost.
    pub budget: FeeBudget,
    /// Gas limit of a pause.
    pub gas_limit: u64,
}

impl PauseHand for DryHand {
    fn guardian(&self) -> Address {
        self.guardian
    }

    fn rehearsal(&self, target: Address, evidence: B256) -> CallOnly {
        let data = deploy::pause_call(target, evidence);
        CallOnly {
            from: self.pauser,
            to: self.guardian,
            data,
            value: U256::ZERO,
            gas: self.gas_limit,
        }
    }

    fn confirm<'a>(
        &'a self,
        _premises: &'a Premises,
        _within: Duration,
    ) -> BoxFuture<'a, Result<String, GuardianError>> {
        Box::pin(async { Ok("nobody is asked in a replay".to_owned()) })
    }

    fn fire<'a>(
        &'a self,
        order: &'a PauseOrder,
    ) -> BoxFuture<'a, Result<PauseFired, GuardianError>> {
        let attack = FeeOffer {
            max_fee_per_gas_wei: order.attack_max_fee_per_gas_wei,
            max_tip_wei: order.attack_max_tip_wei,
        };
        let offer = price(&attack, order.base_fee_wei, self.gas_limit, &self.budget);
        Box::pin(async move {
            let offer = offer?;
            Ok(PauseFired {
                tx_hash: None,
                evidence: order.evidence,
                max_fee_per_gas_wei: offer.max_fee_per_gas_wei,
                max_tip_wei: offer.max_tip_wei,
            })
        })
    }

    fn follow<'a>(
        &'a self,
        pause: B256,
        _until_block: u64,
    ) -> BoxFuture<'a, Result<Inclusion, GuardianError>> {
        let reason = "a dry hand sends nothing".to_owned();
        Box::pin(async move { Err(GuardianError::NotMined { tx_hash: pause, reason }) })
    }

    fn attack_fate<'a>(
        &'a self,
        _pause: &'a Inclusion,
        _attack: B256,
    ) -> BoxFuture<'a, Result<AttackFate, GuardianError>> {
        Box::pin(async { Ok(AttackFate::NotMined) })
    }

    fn refresh(&self) -> BoxFuture<'_, Result<(), GuardianError>> {
        Box::pin(async { Ok(()) })
    }

    fn preflight<'a>(
        &'a self,
        _targets: &'a [Address],
    ) -> BoxFuture<'a, Result<Address, GuardianError>> {
        Box::pin(async { Ok(self.pauser) })
    }
}
