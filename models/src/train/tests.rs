use super::*;
use crate::data::Origin;
use crate::schema::{TRANSACTION, Vector, transaction};

/// Rows in which harm is an outflow of some size together with a re-entered write; made for tests only.
pub(crate) fn dataset(seed: u64, n_episodes: u64) -> Dataset {
    let rows = (0..n_episodes)
        .flat_map(|episode| {
            let mut random = Random::part(seed, episode);
            (0..5).map(move |_| {
                let mut vector = Vector::unknown(&TRANSACTION);
                let (outflow, reentry) = (random.unit() as f32, random.below(3) as f32);
                vector.set(transaction::OUTFLOW_FRAC, outflow);
                vector.set(transaction::REENTRY_WRITE, reentry);
                vector.set(transaction::FRAMES_LOG, random.unit() as f32 * 5.0);
                vector.set(transaction::GAS_LOG, 10.0 + random.unit() as f32 * 4.0);
                let harm = outflow > 0.4 && reentry > 0.0;
                let family = if harm { "attack" } else { "ordinary" }.to_owned();
                Row {
                    harm,
                    intent: harm,
                    family,
                    episode,
                    protocol: format!("p{}", episode % 3),
                    rules: Rules::Silent,
                    values: vector.values().to_vec(),
                }
            })
        })
        .collect();
    let origin = Origin { generator: "test".to_owned(), generator_version: "1".to_owned(), seed };
    Dataset { schema: &TRANSACTION, origin, rows }
}

pub(crate) fn options() -> TrainOptions {
    TrainOptions { n_trees: 7, max_depth: 4, false_alarm_budget: 0.0, ..TrainOptions::default() }
}

#[test]
fn one_seed_gives_one_file_and_another_seed_another() {
    let data = dataset(1, 60);
    let bytes = fit(&data, &options()).unwrap().to_onnx();
    for _ in 0..3 {
        assert!(
            fit(&data, &options()).unwrap().to_onnx() == bytes,
            "training is not deterministic"
        );
    }
    assert!(fit(&data, &TrainOptions { seed: 2, ..options() }).unwrap().to_onnx() != bytes);
}

#[test]
fn a_tie_in_every_leaf_still_gives_one_file() {
    let mut data = dataset(1, 60);
    for (place, row) in data.rows.iter_mut().enumerate() {
        row.harm = place % 2 == 0;
    }
    let options = TrainOptions { benign_per_harmful: 1, ..options() };
    let bytes = fit(&data, &options).unwrap().to_onnx();
    for _ in 0..5 {
        assert!(fit(&data, &options).unwrap().to_onnx() == bytes, "a tie went another way");
    }
}

#[test]
fn what_is_learned_holds_on_episodes_not_seen() {
    let model =
        fit(&dataset(1, 120), &TrainOptions { n_trees: 15, ..options() }).unwrap().to_onnx();
    let model = crate::Model::from_bytes(&model, &TRANSACTION, crate::Engine::Native).unwrap();
    let evaluation = evaluate(&model, &dataset(2, 60)).unwrap();
    assert!(evaluation.auc.unwrap() > 0.98, "{evaluation:?}");
    assert_eq!(evaluation.families["attack"].harmful, evaluation.harmful);
    assert_eq!(evaluation.families["attack"].caught, evaluation.caught);
    assert_eq!(evaluation.families["ordinary"].false_alarms, evaluation.false_alarms);
}

#[test]
fn trees_of_few_features_ask_more_features_together() {
    let asked = |feature_share| {
        let fitted =
            fit(&dataset(1, 80), &TrainOptions { n_trees: 9, feature_share, ..options() }).unwrap();
        let splits = fitted
            .stored
            .forest
            .trees
            .iter()
            .flat_map(|tree| &tree.nodes)
            .filter_map(|node| node.split);
        let features: std::collections::BTreeSet<usize> =
            splits.map(|split| usize::from(split.feature)).collect();
        features
    };
    let all = asked(1.0);
    assert!(all.contains(&transaction::OUTFLOW_FRAC) && all.contains(&transaction::REENTRY_WRITE));
    let few = asked(0.25);
    assert!(
        few.contains(&transaction::FRAMES_LOG) || few.contains(&transaction::GAS_LOG),
        "{few:?}"
    );
    let of_rows = [
        transaction::FRAMES_LOG,
        transaction::OUTFLOW_FRAC,
        transaction::REENTRY_WRITE,
        transaction::GAS_LOG,
    ];
    assert!(
        few.iter().all(|feature| of_rows.contains(feature)),
        "a feature that never varies is asked: {few:?}"
    );
}

#[test]
fn shuffled_labels_teach_nothing() {
    let mut data = dataset(1, 120);
    let mut random = Random::new(5);
    for row in &mut data.rows {
        row.harm = random.chance(0.4);
    }
    let model = fit(&data, &options()).unwrap().to_onnx();
    let model = crate::Model::from_bytes(&model, &TRANSACTION, crate::Engine::Native).unwrap();
    let auc = evaluate(&model, &dataset(2, 60)).unwrap().auc.unwrap();
    assert!((0.25..0.75).contains(&auc), "{auc}");
}

#[test]
fn an_examination_handicaps_the_model_and_shows_it() {
    let (mut training, mut test) = (dataset(1, 80), dataset(2, 40));
    for row in training.rows.iter_mut().chain(&mut test.rows).filter(|row| row.harm) {
        let kind = if row.values[transaction::OUTFLOW_FRAC] > 0.7 { "large" } else { "small" };
        row.family = format!("{kind}-attack/direct");
    }
    let options = ExamineOptions { train: options(), shares: Vec::new() };
    let found = examine(&training, &test, &options).unwrap();
    assert_eq!(found.left_out.keys().collect::<Vec<_>>(), ["large-attack", "small-attack"]);
    let rows_of = |family: &str| test.rows.iter().filter(|row| row.family == family).count();
    assert_eq!(found.left_out["small-attack"].harmful, rows_of("small-attack/direct"));
    assert!(found.figures.lofo_worst_recall <= found.figures.lofo_macro_recall, "{found:?}");
    assert!(found.figures.frames_only_recall < found.figures.lofo_macro_recall, "{found:?}");
    let auc = |summary: &Summary| summary.auc.unwrap();
    assert!(found.model.auc.unwrap() > auc(&found.single_feature), "{found:?}");
    assert!(
        (0.3..0.7).contains(&auc(&found.shape_only)),
        "harm has nothing to do with the shape: {found:?}"
    );
    let mean = found.shuffled.iter().map(auc).sum::<f64>() / found.shuffled.len() as f64;
    assert!((0.35..0.65).contains(&mean), "{found:?}");
    let card = found.card(&test);
    assert!(card["evaluation"].contains("(test 1, seed 2)"), "{card:?}");
    assert!(
        card["evaluation, a family left out of training"].contains("small-attack: "),
        "{card:?}"
    );
}

#[test]
fn no_benign_row_of_the_validation_episodes_is_flagged() {
    let mut data = dataset(3, 60);
    // A benign row that looks like an attack pushes the threshold above itself.
    for row in data.rows.iter_mut().filter(|row| row.harm).step_by(4) {
        (row.harm, row.intent) = (false, false);
    }
    let fitted = fit(&data, &options()).unwrap();
    let validation = data.rows.iter().filter(|row| {
        Random::part(options().seed ^ VALIDATION_STREAM, row.episode).unit()
            < options().validation_share
    });
    let mut n_benign = 0;
    for row in validation.filter(|row| !row.harm) {
        n_benign += 1;
        assert!(fitted.stored.forest.probability(&row.values) < fitted.threshold());
    }
    assert!(n_benign > 20, "{n_benign}");
}

#[test]
fn the_budget_lets_as_many_benign_rows_be_flagged_and_no_more() {
    let mut data = dataset(3, 200);
    for row in data.rows.iter_mut().filter(|row| row.harm).step_by(4) {
        (row.harm, row.intent) = (false, false);
    }
    // A failed attack is no false alarm: it has no say in the threshold.
    for row in data.rows.iter_mut().filter(|row| row.harm).step_by(5) {
        row.harm = false;
    }
    let flagged = |budget: f64| {
        let options = TrainOptions { false_alarm_budget: budget, ..options() };
        let fitted = fit(&data, &options).unwrap();
        let validation = data.rows.iter().filter(|row| {
            Random::part(options.seed ^ VALIDATION_STREAM, row.episode).unit()
                < options.validation_share
        });
        let benign: Vec<&Row> = validation.filter(|row| !row.harm && !row.intent).collect();
        let flagged = benign.iter().filter(|row| fitted.flags(&row.values)).count();
        (flagged, (budget * benign.len() as f64) as usize)
    };
    let (strict, wide) = (flagged(0.0), flagged(0.05));
    assert_eq!(strict.0, 0);
    assert!(wide.0 > 0 && wide.0 <= wide.1, "{wide:?}");
}

#[test]
fn the_best_single_question_is_the_best_one() {
    let mut data = dataset(1, 60);
    // Harm is above a limit of one feature, and a look-alike stands in its way.
    for row in &mut data.rows {
        row.harm = row.values[transaction::OUTFLOW_FRAC] > 0.6;
        row.intent = row.harm;
    }
    let options = TrainOptions { grower: Grower::OneQuestion, ..options() };
    let fitted = fit(&data, &options).unwrap();
    assert!(data.rows.iter().all(|row| fitted.flags(&row.values) == row.harm));
    let below = |row: &Row| row.values[transaction::FRAMES_LOG] < 1.0;
    for row in &mut data.rows {
        row.harm = below(row);
        row.intent = row.harm;
    }
    let fitted = fit(&data, &options).unwrap();
    assert!(data.rows.iter().all(|row| fitted.flags(&row.values) == below(row)));
}

#[test]
fn what_cannot_be_trained_says_why() {
    let error =
        |data: &Dataset, options: TrainOptions| fit(data, &options).unwrap_err().to_string();
    let data = dataset(1, 60);
    assert!(
        error(&data, TrainOptions { n_trees: 8, ..options() })
            .contains("`n_trees` is 8, expected an odd number")
    );
    assert!(
        error(&data, TrainOptions { max_depth: 40, ..options() }).contains("`max_depth` is 40")
    );
    assert!(
        error(&data, TrainOptions { validation_share: f64::NAN, ..options() })
            .contains("`validation_share`")
    );
    let mut peaceful = data.clone();
    peaceful.rows.iter_mut().for_each(|row| row.harm = false);
    assert!(error(&peaceful, options()).contains("0 harmful"));
    let mut short = data;
    short.rows[3].values.pop();
    assert!(error(&short, options()).starts_with("row 3: schema `transaction` has 64 features"));
}
