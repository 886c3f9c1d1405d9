//! A vault, its attacker and an honest user on a chain in memory, through the whole guard.

mod answered;
mod arming;
mod live;
mod past;
mod replayed;
mod world;

use std::sync::atomic::Ordering;

use alloy::primitives::{Address, B256, U256};
use portcullis_alerting::{guardian::GuardianError, record::Mode};

use super::{build::limits, *};
use crate::{
    act::PauseHand,
    facts::dictionary,
    settings::{ChainSettings, ProtectedSettings},
    source::{
        PendingTransaction, Source, SourceError,
        recording::{Pace, RecordedChain, Recording},
    },
    state::ChainRules,
};
