//! Pools of two tokens, found by behaviour, and how far their price went while the transaction ran.
//!
//! Whoever takes one token and gives another in one visit is a pool. Its price is the quotient of what it holds, taken
//! between visits: inside of one, half of a trade is done.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};

use super::{
    View,
    ledger::{Ledger, Move},
};

/// Pools looked at.
const POOLS_LIMIT: usize = 16;

/// One pool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool {
    pub(super) at: Address,
    pub(super) tokens: [Address; 2],
    /// What it held of them before; none where its tokens do not tell.
    pub(super) held: Option<[f64; 2]>,
    /// Protected code asked it, or it is protected.
    pub(super) is_read: bool,
    is_protected: bool,
    /// Largest and last quotient of its price and the first one, the larger over the smaller: 1 is no move.
    pub(super) excursion: f64,
    pub(super) residual: f64,
    /// Largest such quotient at a moment when protected code asked it.
    pub(super) excursion_read: f64,
}

/// All pools of a transaction.
#[derive(Debug, Default)]
pub(super) struct Pools {
    pub(super) pools: Vec<Pool>,
}

impl Pools {
    /// Runs the pass.
    pub(super) fn of(view: &View<'_>, ledger: &Ledger) -> Self {
        if ledger.moves.is_empty() {
            return Self::default();
        }
        let below_protected = below_protected(view);
        let mut by_account: BTreeMap<Address, Vec<Move>> = BTreeMap::new();
        for moved in ledger.moves.iter().filter(|moved| moved.from != moved.to) {
            for account in [moved.from, moved.to] {
                if !view.is_actor(&account) {
                    by_account.entry(account).or_default().push(*moved);
                }
            }
        }
        by_account.retain(|_, moves| {
            moves.iter().any(|moved| moves.first().is_some_and(|first| first.token != moved.token))
        });
        let visits = visits(view, by_account.keys().copied().collect(), &below_protected);
        let pools = by_account
            .into_iter()
            .filter_map(|(at, moves)| {
                let visits = visits.get(&at)?;
                let tokens = traded(at, &moves, visits)?;
                Some(follow(view, ledger, at, tokens, &moves, visits))
            })
            .take(POOLS_LIMIT)
            .collect();
        Self { pools }
    }

    /// The largest quotient by which a pool was off when protected code asked it; 1 is no move.
    pub(super) fn worst_reading(&self) -> f64 {
        let read = self.pools.iter().filter(|pool| pool.is_read && pool.held.is_some());
        read.map(|pool| pool.excursion_read).fold(1.0, f64::max)
    }

    /// Units of `of` for one unit of `against` before the transaction, where a pool tells it; a protected one is asked
    /// last, for it is what is judged.
    pub(super) fn price(&self, of: Address, against: Address) -> Option<f64> {
        let (own, others): (Vec<&Pool>, Vec<&Pool>) =
            self.pools.iter().partition(|pool| pool.is_protected);
        others.into_iter().chain(own).find_map(|pool| {
            let [one, other] = pool.held.filter(|held| held.iter().all(|held| *held > 0.0))?;
            match pool.tokens {
                [a, b] if a == of && b == against => Some(one / other),
                [a, b] if a == against && b == of => Some(other / one),
                _ => None,
            }
        })
    }
}

/// For every frame, whether a protected account's code runs further up.
pub(super) fn below_protected(view: &View<'_>) -> Vec<bool> {
    let mut below: Vec<bool> = Vec::with_capacity(view.places.len());
    for (_, frame, _) in view.frames() {
        let is_below = frame.parent.is_some_and(|parent| {
            below.get(parent).copied().unwrap_or(false)
                || view.places.get(parent).is_some_and(|place| place.group.is_some())
        });
        below.push(is_below);
    }
    below
}

/// One visit of an account: a frame on it with none on it further up.
#[derive(Debug, Clone, Copy)]
struct Visit {
    left: u32,
    is_below_protected: bool,
}

fn visits(
    view: &View<'_>,
    accounts: BTreeSet<Address>,
    below_protected: &[bool],
) -> BTreeMap<Address, Vec<Visit>> {
    let mut visits: BTreeMap<Address, Vec<Visit>> = BTreeMap::new();
    for ((_, frame, _), is_below) in view.frames().zip(below_protected) {
        if accounts.contains(&frame.acts_on) && frame.success {
            let of_account = visits.entry(frame.acts_on).or_default();
            if of_account.last().is_none_or(|last| last.left <= frame.entered) {
                of_account.push(Visit { left: frame.left, is_below_protected: *is_below });
            }
        }
    }
    visits
}

/// The two tokens that changed places, if any did, between the end of one visit and the end of the next: what is paid
/// in mostly arrives before the visit.
fn traded(at: Address, moves: &[Move], visits: &[Visit]) -> Option<[Address; 2]> {
    let mut moves = moves.iter().peekable();
    for visit in visits {
        let (mut came, mut went) = (None, None);
        while let Some(moved) = moves.next_if(|moved| moved.order < visit.left) {
            if moved.to == at {
                came = Some(moved.token);
            } else {
                went = Some(moved.token);
            }
            if let (Some(came), Some(went)) = (came, went)
                && came != went
            {
                return Some([came.min(went), came.max(went)]);
            }
        }
    }
    None
}

fn follow(
    view: &View<'_>,
    ledger: &Ledger,
    at: Address,
    tokens: [Address; 2],
    moves: &[Move],
    visits: &[Visit],
) -> Pool {
    let is_protected = view.protected.group(&at).is_some();
    let mut pool = Pool {
        at,
        tokens,
        held: None,
        is_protected,
        is_read: is_protected || visits.iter().any(|visit| visit.is_below_protected),
        excursion: 1.0,
        residual: 1.0,
        excursion_read: 1.0,
    };
    let [Some(one), Some(other)] = tokens.map(|token| ledger.held(token, at)) else { return pool };
    pool.held = Some([f64::from(one), f64::from(other)]);
    let mut now = [one, other];
    let mut moves = moves.iter().peekable();
    let mut apply = |until: u32, now: &mut [U256; 2]| {
        while let Some(moved) = moves.next_if(|moved| moved.order < until) {
            for (side, token) in now.iter_mut().zip(tokens) {
                if moved.token == token {
                    *side = if moved.to == at {
                        side.saturating_add(moved.amount)
                    } else {
                        side.saturating_sub(moved.amount)
                    };
                }
            }
        }
    };
    let displaced = |now: [U256; 2]| {
        let [first, second] = [(now[0], one), (now[1], other)]
            .map(|(now, before)| f64::from(now) / f64::from(before));
        let quotient = first / second;
        if quotient.is_finite() && quotient > 0.0 { quotient.max(quotient.recip()) } else { 1.0 }
    };
    for visit in visits {
        // What a view sees is what there was before: a transfer without a visit moves no stored reserve.
        if visit.is_below_protected && !is_protected {
            pool.excursion_read = pool.excursion_read.max(displaced(now));
        }
        apply(visit.left, &mut now);
        pool.excursion = pool.excursion.max(displaced(now));
    }
    apply(u32::MAX, &mut now);
    pool.residual = displaced(now);
    pool.excursion = pool.excursion.max(pool.residual);
    pool
}
