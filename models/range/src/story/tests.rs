//! A story says what it promises: who succeeds, who fails, and what the attack takes.

use alloy::primitives::U256;

use super::play::{Played, play};
use super::{Role, Story, StoryOptions, ether};

fn told(options: &StoryOptions) -> (Story, Played) {
    let story = Story::tell(options);
    let played = play(&story, options.chain_id).unwrap();
    (story, played)
}

fn vault_balance(story: &Story, played: &Played) -> U256 {
    played.state.view().unwrap().balance_wei(story.vault).unwrap()
}

#[test]
fn every_step_before_the_attack_ends_as_its_label_says() {
    let (story, played) = told(&StoryOptions::default());
    for step in story.steps.iter().take_while(|step| step.role != Role::Attack) {
        let outcome = played.outcome(step.hash).unwrap();
        assert_eq!(outcome.is_success(), !step.label.ends_with("and fails"), "{}", step.label);
    }
}

#[test]
fn the_attack_takes_its_stake_with_every_loop() {
    for (stake, loops) in [("10", 9), ("3", 4)] {
        let options =
            StoryOptions { attack_stake: ether(stake), attack_loops: loops, ..Default::default() };
        let (story, played) = told(&options);
        assert!(played.outcome(story.attack()).unwrap().is_success());
        let quiet = StoryOptions { fixed_vault: true, ..options.clone() };
        let (safe_story, safe) = told(&quiet);
        assert!(!safe.outcome(safe_story.attack()).unwrap().is_success());
        let taken = ether(stake) * U256::from(loops);
        assert!(vault_balance(&safe_story, &safe) >= vault_balance(&story, &played) + taken);
    }
}

#[test]
fn a_story_has_fifty_benign_transactions_and_one_attack() {
    let story = Story::tell(&StoryOptions::default());
    let count = |role| story.steps.iter().filter(|step| step.role == role).count();
    assert_eq!((count(Role::Benign), count(Role::Attack)), (50, 1));
}

#[test]
fn the_same_options_tell_the_same_bytes() {
    let raw = |story: Story| story.steps.into_iter().map(|step| step.raw).collect::<Vec<_>>();
    assert_eq!(
        raw(Story::tell(&StoryOptions::default())),
        raw(Story::tell(&StoryOptions::default()))
    );
}
