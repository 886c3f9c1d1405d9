//! Facts of what a protocol's configuration lists around it: price sources, and contracts that hold no value.
//!
//! All are unknown where nothing of the kind is listed: without a list there is nothing to say, and not "nothing
//! happened". They need no protected account in the transaction: what prepares an attack may not touch one yet.

use alloy::primitives::Address;
use portcullis_rules::{
    FactType::{Bool, Uint},
    Value,
};

use super::{Fact, View, bool, count};

/// Facts of this pass.
pub(super) const FACTS: &[Fact<Surroundings>] = &[
    Fact::partial(
        "oracle_writes",
        Uint,
        "count",
        "Writes, kept, that change storage of a price source listed in the configuration; unknown where none is listed.",
        |found: &Surroundings| found.oracle_writes.map_or(Value::Unknown, count),
    ),
    Fact::partial(
        "oracle_moved_before_entry",
        Bool,
        "",
        "Storage of a listed price source was changed, kept, and a protected contract was entered after that in the same \
         transaction; unknown where no price source is listed.",
        |found| found.oracle_moved_before_entry.map_or(Value::Unknown, bool),
    ),
    Fact::partial(
        "related_writes",
        Uint,
        "count",
        "Writes, kept, that change storage of a related contract listed in the configuration; unknown where none is \
         listed.",
        |found| found.related_writes.map_or(Value::Unknown, count),
    ),
];

/// What this pass finds.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    oracle_writes: Option<usize>,
    oracle_moved_before_entry: Option<bool>,
    related_writes: Option<usize>,
}

impl Surroundings {
    /// Runs the pass.
    pub(super) fn of(view: &View<'_>) -> Self {
        let protected = view.protected;
        let (has_oracles, has_related) = (protected.lists_oracles(), protected.lists_related());
        if !has_oracles && !has_related {
            return Self::default();
        }
        let oracle = changes(view, |address| protected.is_oracle(address));
        let related = changes(view, |address| protected.is_related(address));
        let last_entry = view
            .frames()
            .filter(|(index, frame, place)| {
                place.group.is_some() && place.entry == *index && frame.kept
            })
            .map(|(_, frame, _)| frame.entered)
            .max();
        let moved_before =
            last_entry.is_some_and(|entered| oracle.first.is_some_and(|first| first < entered));
        Self {
            oracle_writes: has_oracles.then_some(oracle.count),
            oracle_moved_before_entry: has_oracles.then_some(moved_before),
            related_writes: has_related.then_some(related.count),
        }
    }
}

/// Writes that changed something, and where the first of them stands in the common order of events.
#[derive(Debug, Default)]
struct Changes {
    count: usize,
    first: Option<u32>,
}

fn changes(view: &View<'_>, of: impl Fn(&Address) -> bool) -> Changes {
    let mut changes = Changes::default();
    for access in &view.execution.accesses {
        let is_change = access.after.is_some_and(|after| after != access.before);
        if is_change && access.kept && !access.transient && of(&access.address) {
            changes.count = changes.count.saturating_add(1);
            changes.first = changes.first.or(Some(access.order));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;
    use portcullis_rules::Value;

    use crate::{
        facts::{
            Protected, dictionary, observe,
            staging::{Stage, account},
        },
        settings::Listed,
        simulate::execution::Execution,
    };

    const VAULT: u8 = 3;
    const ORACLE: u8 = 7;
    const TIMELOCK: u8 = 8;
    const TOKEN: u8 = 5;
    const WORTHLESS: u8 = 6;

    fn listed() -> Listed {
        Listed {
            tokens: vec![account(TOKEN)],
            oracles: vec![account(ORACLE)],
            related: vec![account(TIMELOCK)],
        }
    }

    fn seen(execution: &Execution, listed: &Listed, name: &str) -> Value {
        let protected =
            Protected::new([("vault".to_owned(), vec![account(VAULT)])]).listing([listed]);
        let position = dictionary().position(name).expect("a fact of this name");
        observe(execution, &protected).facts.value(position).clone()
    }

    /// The price source is written, and the vault entered, in the order asked for.
    fn priced(oracle_first: bool) -> Execution {
        let mut stage = Stage::new(account(1), account(2), 0);
        let price = |stage: &mut Stage| {
            stage.call(account(ORACLE), 0).write(U256::ZERO, 100, 900).leave(true);
        };
        if oracle_first {
            price(&mut stage);
        }
        stage.call(account(VAULT), 0).read(U256::ZERO, 1).leave(true);
        if !oracle_first {
            price(&mut stage);
        }
        stage.finish(&[])
    }

    #[test]
    fn a_price_moved_before_the_vault_is_entered_is_told_from_one_moved_after() {
        let moved = |first| seen(&priced(first), &listed(), "oracle_moved_before_entry");
        assert_eq!([true, false].map(moved), [true, false].map(Value::Bool));
        assert_eq!(seen(&priced(false), &listed(), "oracle_writes"), Value::Uint(U256::ONE));
    }

    #[test]
    fn a_price_that_is_put_back_by_a_revert_did_not_move() {
        let mut stage = Stage::new(account(1), account(2), 0);
        stage.call(account(ORACLE), 0).write(U256::ZERO, 100, 900).leave(false);
        stage.call(account(VAULT), 0).leave(true);
        let execution = stage.finish(&[]);
        let moved = seen(&execution, &listed(), "oracle_moved_before_entry");
        assert_eq!(moved, Value::Bool(false));
    }

    #[test]
    fn a_related_contract_counts_without_anything_protected() {
        let mut stage = Stage::new(account(1), account(2), 0);
        stage.call(account(TIMELOCK), 0).write(U256::ZERO, 0, 1).leave(true);
        let execution = stage.finish(&[]);
        assert_eq!(seen(&execution, &listed(), "related_writes"), Value::Uint(U256::ONE));
        assert_eq!(seen(&execution, &listed(), "oracle_writes"), Value::Uint(U256::ZERO));
    }

    #[test]
    fn without_a_list_nothing_is_known() {
        let names = [
            "oracle_writes",
            "oracle_moved_before_entry",
            "related_writes",
            "listed_token_outflow_max_bps",
        ];
        for name in names {
            assert_eq!(seen(&priced(true), &Listed::default(), name), Value::Unknown, "{name}");
        }
    }

    #[test]
    fn a_worthless_token_says_nothing_of_the_listed_ones() {
        let mut stage = Stage::new(account(1), account(2), 0);
        stage.call(account(VAULT), 0);
        // Nobody can read the balances of the second: the share of any token is unknown because of it.
        for (token, is_readable) in [(TOKEN, true), (WORTHLESS, false)] {
            stage.call(account(token), 0);
            if is_readable {
                let slot = stage.derive(account(VAULT), 0);
                stage.write(slot, 1_000, 900);
            }
            stage.transfer(account(VAULT), account(2), 100).leave(true);
        }
        stage.leave(true);
        let execution = stage.finish(&[]);
        let share = |listed: &Listed| seen(&execution, listed, "listed_token_outflow_max_bps");
        assert_eq!(share(&listed()), Value::Uint(U256::from(1_000)));
        let other = Listed { tokens: vec![account(WORTHLESS)], ..listed() };
        assert_eq!(share(&other), Value::Unknown);
        let third = Listed { tokens: vec![account(9)], ..listed() };
        assert_eq!(share(&third), Value::Uint(U256::ZERO));
        let untouched = Stage::new(account(1), account(2), 0).finish(&[]);
        let share = seen(&untouched, &listed(), "listed_token_outflow_max_bps");
        assert_eq!(share, Value::Uint(U256::ZERO));
    }
}
