use std::collections::{BTreeMap, BTreeSet};

use portcullis_models::schema::{contract, transaction};

use super::*;

/// Enough episodes for every kind of behaviour to turn up.
fn rows() -> &'static [Row] {
    static ROWS: std::sync::LazyLock<Vec<Row>> =
        std::sync::LazyLock::new(|| generate(Scope::EtherVault, 5, 30).unwrap().rows);
    &ROWS
}

#[test]
fn the_same_seed_plays_the_same_rows_and_another_one_others() {
    let rows = |seed| generate(Scope::EtherVault, seed, 2).unwrap();
    assert_eq!(rows(1), rows(1));
    assert_ne!(rows(1).rows, rows(2).rows);
    // An episode does not depend on those before it.
    let third: Vec<Row> = generate(Scope::EtherVault, 1, 3)
        .unwrap()
        .rows
        .into_iter()
        .filter(|row| row.episode == 2)
        .collect();
    assert_eq!(play(Scope::EtherVault, 1, 2, true).unwrap().rows, third);
}

#[test]
fn the_books_hold_what_was_deposited() {
    let world = World::new(0, true, Random::new(3)).unwrap();
    let books = world.books().unwrap();
    assert_eq!(books.held_wei, books.owed_wei);
    assert!(books.held_wei > world::wei(world.tvl_ether * 0.999));
}

#[test]
fn only_attacks_on_the_flawed_vault_do_harm() {
    let (mut harmful, mut failed) = (BTreeSet::new(), 0);
    for row in rows() {
        let is_attack = row.family.starts_with("reentrancy/");
        assert_eq!(row.intent, is_attack, "{}", row.family);
        assert!(is_attack || !row.harm, "`{}` did harm", row.family);
        if row.harm {
            harmful.insert(row.family.as_str());
        }
        failed += usize::from(is_attack && !row.harm);
    }
    assert_eq!(harmful.len(), 3, "a way of delivery never succeeds: {harmful:?}");
    assert!(failed > 0, "every attack succeeds: the repaired vault is never attacked");
}

#[test]
fn look_alikes_look_alike() {
    let mut most: BTreeMap<&str, [f32; 3]> = BTreeMap::new();
    for row in rows().iter().filter(|row| !row.harm) {
        let highest = most.entry(row.family.as_str()).or_default();
        let features =
            [transaction::REENTRY_DEPTH, transaction::OUTFLOW_FRAC, transaction::REPEAT_RATIO];
        for (highest, feature) in highest.iter_mut().zip(features) {
            *highest = highest.max(row.values[feature]);
        }
    }
    assert!(most["split-withdrawal"][0] >= 4.0, "{most:?}");
    assert!(most["harmless-reentry"][0] >= 1.0, "{most:?}");
    assert!(most["leave"][1] > 0.3, "{most:?}");
    assert!(most["batch"][2] > 0.3, "{most:?}");
    let read_then_written = |family: &str| {
        let mut rows = rows().iter().filter(|row| row.family == family);
        rows.any(|row| row.values[transaction::REENTRY_WRITE] >= 1.0)
    };
    assert!(read_then_written("receipt/look-up") && read_then_written("receipt/redeposit"));
    let in_constructor = |row: &&Row| row.values[transaction::IN_CREATION] == 1.0 && !row.harm;
    assert!(rows().iter().filter(in_constructor).count() > 5);
}

#[test]
fn every_flaw_is_found_by_its_attack_and_by_nothing_else() {
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::EtherVault) {
        for is_flawed in [true, false] {
            let mut n_harmful = 0;
            for episode in 0..3 {
                let mut world = World::empty(episode, Random::part(9, episode)).unwrap();
                protocols::set_up(kind, is_flawed, &mut world).unwrap();
                let protocol = world.protocol().unwrap();
                for _ in 0..8 {
                    protocol.use_it(&mut world).unwrap();
                }
                protocol.attack(&mut world).unwrap();
                for row in &world.rows {
                    assert!(!row.harm || row.intent, "{kind:?}: `{}` did harm", row.family);
                    assert!(
                        !row.harm || is_flawed,
                        "{kind:?}: `{}` harmed the sound one",
                        row.family
                    );
                    n_harmful += usize::from(row.harm);
                }
            }
            assert!(n_harmful > 0 || !is_flawed, "{kind:?}: no attack ever succeeds");
        }
    }
}

#[test]
fn honest_transactions_show_no_sign_of_harm_and_a_pause_meets_every_family() {
    let (mut met, mut families) = (BTreeSet::new(), BTreeSet::new());
    for row in generate(Scope::AllProtocols, 21, 24).unwrap().rows {
        let signs = row.values[transaction::HARM_SIGNS];
        let family = row.family.split('/').next().unwrap_or_default().to_owned();
        if !row.intent {
            assert_eq!(signs, 0.0, "`{}` shows a sign of harm", row.family);
            assert!(row.rules.are_silent(), "a stable rule fires on `{}`", row.family);
        } else if row.harm {
            families.insert(family.clone());
            if signs > 0.0 && !row.rules.are_silent() {
                met.insert(family);
            }
        }
    }
    assert_eq!(met, families, "a family never shows a sign, or no stable rule fires on it");
    assert!(families.len() >= 5, "too few families turned up: {families:?}");
}

#[test]
fn contracts_made_for_attacks_and_for_honest_use_become_rows_of_the_other_schema() {
    let data = generate_contracts(4, 10).unwrap();
    assert_eq!(data.schema, &CONTRACT);
    let embeds = |row: &&Row| row.values[contract::EMBEDS_PROTECTED] == 1.0;
    let count = |is_attack: bool| data.rows.iter().filter(|row| row.intent == is_attack).count();
    assert!(count(true) > 3 && count(false) > 12, "{} and {}", count(true), count(false));
    assert!(data.rows.iter().filter(|row| row.harm).any(|row| embeds(&row)));
    assert!(data.rows.iter().filter(|row| !row.harm).any(|row| embeds(&row)));
    assert_eq!(data.rows[..4], generate_contracts(4, 1).unwrap().rows[..4]);
}
