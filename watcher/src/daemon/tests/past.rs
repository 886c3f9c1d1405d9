//! Rules that look back over blocks, read views, or judge fresh contracts, through the whole guard.

use alloy::sol_types::SolValue as _;
use portcullis_alerting::record::{ActionRow, Decision};
use portcullis_models::schema::{CONTRACT, contract};
use portcullis_rules::Pack;

use super::{world::*, *};
use crate::facts::contract_dictionary;
use crate::verdict::{Beside, tests::flags_where};

/// A rule set of one pack with these rules.
pub(super) fn rules(rules: &str) -> RuleSet {
    let text = format!("pack: asking\nversion: 1.0.0\nengine: 1\nauthor: tests\nrules:\n{rules}");
    let dictionaries = [dictionary(), contract_dictionary()];
    let pack =
        Pack::parse(&text, "asking", &dictionaries).unwrap_or_else(|error| panic!("{error}"));
    RuleSet::new(vec![pack]).unwrap()
}

pub(super) fn rule(id: &str, rest: &str) -> String {
    format!(
        "  - id: {id}\n    subject: transaction\n    severity: high\n    maturity: stable\n    class: drain\n    \
         why: A test.\n    {}\n",
        rest.replace('\n', "\n    ")
    )
}

fn reasons<'e>(events: &'e [GuardEvent], tx: &PendingTransaction) -> Vec<&'e str> {
    judged(events, tx.hash)
        .reasons
        .iter()
        .map(String::as_str)
        .filter(|reason| reason.starts_with("asking/"))
        .collect()
}

#[tokio::test]
async fn a_window_sums_what_was_mined_and_what_is_judged() {
    let mut world = World::new(true);
    let window = |id: &str, over: u64, per: &str| {
        let text = format!(
            "with: {{ taken: {{ sum: outflow_wei, per: {per}, over: blocks({over}) }} }}\n\
             when: touches_protected && taken > 0\nmessage: \"{{taken}}\""
        );
        rule(id, &text)
    };
    let set = || {
        rules(
            &[
                window("two", 2, "sender"),
                window("three", 3, "sender"),
                window("all", 50, "sender"),
                window("everybody", 50, "protocol"),
                window("together", 50, "actor"),
            ]
            .concat(),
        )
    };
    for ether in [10, 7] {
        let withdrawal = world.withdrawal(ether);
        world.mine(&[withdrawal]);
    }
    // The second can only be mined after the first, so what the first takes counts for it.
    let pending = [world.withdrawal(5), world.withdrawal(1), world.attack()];
    let events = world.replay(&world.settings(Mode::Observe), set(), &pending).await;
    assert_eq!(
        reasons(&events, &pending[0]),
        [
            "asking/two: 12 ether",
            "asking/three: 22 ether",
            "asking/all: 22 ether",
            "asking/everybody: 22 ether",
            "asking/together: 22 ether"
        ]
    );
    assert_eq!(
        reasons(&events, &pending[1])[..2],
        ["asking/two: 13 ether", "asking/three: 23 ether"]
    );
    // Another sender: its own, and the protocol's.
    let attack = reasons(&events, &pending[2]);
    assert_eq!((attack[0], attack[3]), ("asking/two: 30 ether", "asking/everybody: 47 ether"));

    let again = world.replay(&world.settings(Mode::Observe), set(), &pending).await;
    assert_eq!(serde_json::to_string(&events).unwrap(), serde_json::to_string(&again).unwrap());
}

#[tokio::test]
async fn views_are_read_before_and_after() {
    let mut world = World::new(true);
    let user = world.user.address();
    let set = rules(
        &[
            rule(
                "owed-falls",
                &format!(
                    "with: {{ owed: {{ read: \"balances(address {user})\", unit: wei }} }}\n\
                     when: touches_protected && owed_after < owed_before\n\
                     message: \"{{owed_before}} to {{owed_after}}\""
                ),
            ),
            rule(
                "at-least-fifty",
                &format!(
                    "with: {{ owed: {{ read: \"balances(address {user})\" }} }}\nholds: owed >= eth(50)\n\
                     message: \"{{owed_after}}\""
                ),
            ),
            rule(
                "no-such-view",
                "with: { shares: { read: totalSupply() } }\nwhen: touches_protected && shares_after > 5\n\
                 message: \"never\"",
            ),
            rule(
                "elsewhere",
                "at: [\"0x0000000000000000000000000000000000000001\"]\n\
                 with: { stop: { read: paused() -> bool } }\nwhen: touches_protected && !stop_after\n\
                 message: \"never\"",
            ),
            rule(
                "runs",
                "with: { stop: { read: paused() -> bool } }\nwhen: touches_protected && !stop_after\n\
                 message: \"{stop_before} {stop_after}\"",
            ),
        ]
        .concat(),
    );
    let pending = [world.withdrawal(5), world.withdrawal(20), world.attack()];
    let events = world.replay(&world.settings(Mode::Observe), set, &pending).await;
    assert_eq!(
        reasons(&events, &pending[0]),
        ["asking/owed-falls: 60 ether to 55 ether", "asking/runs: false false"]
    );
    assert_eq!(
        reasons(&events, &pending[1]),
        [
            "asking/owed-falls: 55 ether to 35 ether",
            "asking/at-least-fifty: 35000000000000000000",
            "asking/runs: false false"
        ]
    );
    // The attack takes from everybody, and nobody's entry but its own changes.
    assert_eq!(reasons(&events, &pending[2]), ["asking/runs: false false"]);
}

#[tokio::test]
async fn functions_slots_and_exits_are_named_by_rules() {
    let mut world = World::new(true);
    let set = rules(
        &[
            rule(
                "nested",
                "with: { nested: { entered: [withdrawAll()], inside: [withdrawAll()] } }\n\
                 when: touches_protected && nested > 0\nmessage: \"{nested}\"",
            ),
            rule(
                "other-function",
                "with: { nested: { entered: [deposit()], inside: [withdrawAll()] } }\n\
                 when: touches_protected && nested > 0\nmessage: \"never\"",
            ),
            rule(
                "odd-exit",
                "with: { odd: { paid_outside_of: [withdraw(uint256)] } }\n\
                 when: touches_protected && odd > 0\nmessage: \"{odd}\"",
            ),
            rule(
                "entries-changed",
                "with: { by: { changed: mapping(2) } }\nwhen: touches_protected && by > 0\nmessage: \"{by}\"",
            ),
            rule(
                "by-others",
                &format!(
                    "with: {{ by: {{ changed: mapping(2), not_by: [\"{}\"] }} }}\n\
                     when: touches_protected && by > 0\nmessage: \"{{by}}\"",
                    world.user.address()
                ),
            ),
        ]
        .concat(),
    );
    let pending = [world.withdrawal(5), world.attack()];
    let events = world.replay(&world.settings(Mode::Observe), set, &pending).await;
    assert_eq!(reasons(&events, &pending[0]), ["asking/entries-changed: 1"]);
    let attack = reasons(&events, &pending[1]);
    assert_eq!(attack.len(), 4, "{attack:?}");
    assert_eq!((attack[0], attack[1]), ("asking/nested: 3", "asking/odd-exit: 4"));
    assert_eq!((attack[2], attack[3]), ("asking/entries-changed: 1", "asking/by-others: 1"));
}

const CONTRACT_RULE: &str = r#"
  - id: made-for-us
    subject: contract
    severity: high
    maturity: stable
    class: preparation
    evidence: hard
    why: A test.
    when: embedded_protected > 0 && protected_selectors >= 2
    message: "{protected_selectors} of our functions, by {deployer}"
"#;

fn actions(events: &[GuardEvent]) -> Vec<&ActionRow> {
    let mut rows = Vec::new();
    for event in events {
        if let GuardEvent::Action(row) = event {
            rows.push(row);
        }
    }
    rows
}

#[tokio::test]
async fn a_contract_that_is_made_for_the_vault_is_told_about_once_and_never_paused() {
    let mut world = World::new(true);
    // One is only mined, one is pending and mined later, one names nobody.
    let code = || artifact("Attacker", &world.vault.abi_encode());
    let (mined, tx_mined) = world.attacker.create(code());
    let harmless = world.attacker.create(artifact("Attacker", &[])).1;
    let tx_mined = [tx_mined, harmless];
    world.mine(&tx_mined);
    let code = artifact("Attacker", &world.vault.abi_encode());
    let (pending, tx_pending) = world.attacker.create(code);
    let settings = world.settings(Mode::Armed);
    let events =
        world.replay(&settings, rules(CONTRACT_RULE), std::slice::from_ref(&tx_pending)).await;
    let told = actions(&events);
    assert_eq!(told.len(), 2, "{told:#?}");
    for (row, contract, tx) in [(told[0], mined, &tx_mined[0]), (told[1], pending, &tx_pending)] {
        assert_eq!((row.kind.as_str(), row.tx_hash), ("contract_suspected", tx.hash));
        assert!(
            row.detail.starts_with(&format!("{contract}: asking/made-for-us: ")),
            "{}",
            row.detail
        );
        assert!(row.detail.contains("of our functions, by 0x"), "{}", row.detail);
    }
    assert!(pauses(&events).is_empty());
    assert_eq!(judged(&events, tx_pending.hash).row.decision, Decision::None);
}

#[tokio::test]
async fn without_any_rule_the_contract_model_warns_of_what_holds_a_protected_address() {
    let mut world = World::new(true);
    let code = artifact("Attacker", &world.vault.abi_encode());
    let (aimed, tx_aimed) = world.attacker.create(code);
    let elsewhere = world.attacker.create(artifact("Attacker", &[])).1;
    let model = flags_where(&CONTRACT, contract::EMBEDS_PROTECTED);
    let beside = Beside { contract: Some(model), ..Beside::default() };
    let settings = world.settings(Mode::Armed);
    let parts = Parts { beside, ..parts(RuleSet::default()) };
    let recording = world.record(&[tx_aimed.clone(), elsewhere]);
    let replay = Replay { recording, pace: Pace::Unpaced, hand: world.hand() };
    let events = super::replay(&settings, parts, replay, |_| {}).await.unwrap();
    let told = actions(&events);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((told[0].kind.as_str(), told[0].tx_hash), ("contract_suspected", tx_aimed.hash));
    let expected = format!("{aimed}: contract model: probability ");
    assert!(told[0].detail.starts_with(&expected), "{}", told[0].detail);
    assert!(pauses(&events).is_empty());
}
