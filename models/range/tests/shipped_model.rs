//! The model that ships, on transactions that it was not trained on: the story of the demo.

use portcullis_models::train::{FIRST_EPISODES, N_FIRST_EPISODES, first_episodes_sha256};
use portcullis_models::{Engine, Model, schema, shipped};
use portcullis_range::story::{Role, Story, StoryOptions, play};
use portcullis_watcher::facts::{Protected, observe};
use portcullis_watcher::simulate::Simulator;
use portcullis_watcher::source::decode_raw;
use portcullis_watcher::state::ForkedState;

#[test]
fn the_model_was_trained_on_the_features_of_today() {
    let model =
        Model::from_bytes(shipped::TRANSACTION, &schema::TRANSACTION, Engine::Native).unwrap();
    let rows =
        portcullis_range::generate(portcullis_range::Scope::AllProtocols, 1, N_FIRST_EPISODES);
    let today = first_episodes_sha256(&rows.unwrap());
    assert_eq!(
        model.card()[FIRST_EPISODES],
        today,
        "the range or a feature has changed: train the model that ships again, as docs/models.md says"
    );
}

/// Highest benign score, and the score of the attack.
fn scores(options: &StoryOptions) -> (f32, f32) {
    let model = Model::from_bytes(shipped::TRANSACTION, &schema::TRANSACTION, Engine::Native)
        .expect("it ships");
    let story = Story::tell(options);
    let state = ForkedState::in_memory(play::rules(options.chain_id), play::genesis(&story))
        .expect("it has no code");
    let simulator = Simulator::new(state.clone());
    let protected = Protected::new([("vault".to_owned(), vec![story.vault])]);
    let (mut benign, mut attack) = (0.0_f32, None);
    for step in &story.steps {
        let tx = decode_raw(&step.raw).expect("a story is signed");
        if step.role != Role::Setup {
            let execution = simulator.simulate(&tx, &[]).expect("it may run");
            let score = model
                .score(&observe(&execution, &protected).vector)
                .expect("the schema is the same");
            match step.role {
                Role::Attack => attack = Some(score.probability),
                _ => benign = benign.max(score.probability),
            }
        }
        state.apply(&tx).expect("it may run");
    }
    (benign, attack.expect("every story has an attack"))
}

#[test]
fn the_storys_attack_is_over_the_threshold_and_nothing_else_is() {
    let threshold = Model::from_bytes(shipped::TRANSACTION, &schema::TRANSACTION, Engine::Native)
        .unwrap()
        .threshold();
    let (benign, attack) = scores(&StoryOptions::default());
    assert!(benign < threshold, "a benign step scores {benign}, the threshold is {threshold}");
    assert!(attack >= threshold, "the attack scores {attack}, the threshold is {threshold}");
}

#[test]
fn the_same_attack_on_the_repaired_vault_is_under_it() {
    let options = StoryOptions { fixed_vault: true, ..StoryOptions::default() };
    let (benign, attack) = scores(&options);
    assert!(benign.max(attack) < 0.1, "{benign} {attack}");
}
