use proptest::prelude::*;
use prost::Message as _;

use super::proto::Model;
use super::*;
use crate::error::ModelError;
use crate::forest::{Node, Split, Tree};
use crate::schema::{TRANSACTION, Vector};
use crate::train::{self, TrainOptions};

fn fitted() -> Vec<u8> {
    let options = TrainOptions { n_trees: 3, max_depth: 3, ..TrainOptions::default() };
    train::fit(&train::tests::dataset(4, 40), &options)
        .unwrap()
        .with_card("licence", "MIT")
        .to_onnx()
}

/// Two stumps over four features: small enough to break one field at a time.
fn small() -> Stored {
    let leaf = |vote, cover| Node { split: None, vote, cover };
    let stump = |feature, threshold| {
        let mut tree = Tree {
            weight: 0.5,
            nodes: vec![
                Node {
                    split: Some(Split { feature, threshold, left: 1, right: 2 }),
                    vote: 0.0,
                    cover: 0.0,
                },
                leaf(0.125, 30.0),
                leaf(0.375, 10.0),
            ],
        };
        tree.settle();
        tree
    };
    Stored {
        schema: StoredSchema { name: "test".to_owned(), version: 1, hash: "00".to_owned() },
        threshold: 0.5,
        card: BTreeMap::from([("limits".to_owned(), "many".to_owned())]),
        forest: Forest { n_features: 4, trees: vec![stump(1, 2.0), stump(3, -1.0)] },
        reference: None,
    }
}

#[test]
fn reading_what_was_written_changes_nothing() {
    for bytes in [write(&small()), fitted()] {
        let stored = read(&bytes).unwrap();
        assert_eq!(write(&stored), bytes);
    }
    assert_eq!(read(&write(&small())).unwrap(), small());
}

#[test]
fn a_reference_that_is_not_of_the_model_is_refused() {
    let with = |text: &str| {
        let entry =
            super::proto::Entry { key: super::KEY_REFERENCE.to_owned(), value: text.to_owned() };
        error_after(|model| model.metadata_props.push(entry))
    };
    for (text, expected) in [
        ("{", "metadata `portcullis.reference`"),
        (r#"{"bins": []}"#, "does not fit the model's features"),
        (r#"{"bins": [], "more": 1}"#, "unknown field"),
        (&" ".repeat(300_000), "longer than the 262144 bytes"),
    ] {
        let error = with(text);
        assert!(error.contains(expected), "{error}");
    }
}

/// Breaks one thing in a sound file and gives the error of reading it.
fn error_after(change: impl FnOnce(&mut Model)) -> String {
    let mut model = Model::decode(write(&small()).as_slice()).unwrap();
    change(&mut model);
    read(&model.encode_to_vec()).unwrap_err().to_string()
}

fn ints<'a>(model: &'a mut Model, name: &str) -> &'a mut Vec<i64> {
    &mut attribute(model, name).ints
}

fn attribute<'a>(model: &'a mut Model, name: &str) -> &'a mut proto::Attribute {
    let attributes = &mut model.graph.as_mut().unwrap().node[0].attribute;
    attributes.iter_mut().find(|attribute| attribute.name == name).unwrap()
}

#[test]
fn each_broken_field_is_named() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut Model), expected: &str) {
        let error = error_after(change);
        assert!(error.contains(expected), "`{error}` does not say `{expected}`");
    }
    check(|m| ints(m, "nodes_truenodeids")[0] = 0, "reaches one node on two ways");
    check(|m| ints(m, "nodes_truenodeids")[0] = 2, "reaches one node on two ways");
    check(|m| ints(m, "nodes_falsenodeids")[3] = -7, "nodes_falsenodeids names node -7");
    check(|m| ints(m, "nodes_featureids")[0] = 4, "is 4, expected less than 4");
    check(|m| ints(m, "nodes_featureids")[0] = -1, "is -1, expected less than 4");
    check(|m| ints(m, "nodes_nodeids")[1] = 2, "holds node 2 twice");
    check(|m| ints(m, "nodes_treeids").truncate(1), "nodes_treeids has 1 entries, expected 6");
    check(|m| ints(m, "class_ids")[0] = 5, "holds 5 in row 0");
    check(|m| ints(m, "class_ids")[0] = 1, "votes twice for class 1");
    check(|m| ints(m, "class_nodeids")[0] = 0, "lacks a vote for each of both classes");
    check(|m| attribute(m, "class_weights").floats[1] = f32::NAN, "holds NaN");
    check(|m| attribute(m, "class_weights").floats[1] = 0.3, "another sum");
    check(|m| attribute(m, "nodes_values").floats[0] = f32::INFINITY, "nodes_values is inf");
    check(|m| attribute(m, "nodes_hitrates").floats[0] = -1.0, "nodes_hitrates is -1");
    check(|m| attribute(m, "nodes_hitrates").floats[0] = f32::MAX, "nodes_hitrates is 34028");
    check(|m| attribute(m, "class_weights").floats.fill(0.1), "adds up to 0.4 over all trees");
    check(
        |m| attribute(m, "nodes_modes").strings[0] = b"BRANCH_EQ".to_vec(),
        "is BRANCH_EQ, expected LEAF",
    );
    check(
        |m| attribute(m, "post_transform").s = b"LOGISTIC".to_vec(),
        "post_transform is LOGISTIC",
    );
    check(|m| attribute(m, "post_transform").name = "base_values".to_owned(), "`base_values`");
    check(|m| ints(m, "classlabels_int64s").push(2), "class labels is 3");
    check(|m| m.graph.as_mut().unwrap().node[0].op_type = "Loop".to_owned(), "operator is `Loop`");
    check(|m| m.graph.as_mut().unwrap().node.clear(), "graph is 0 operators");
    check(|m| m.graph.as_mut().unwrap().input[0].ty = None, "1 to 64 features");
    check(|m| m.graph = None, "model has no graph");
    check(|m| m.opset_import.clear(), "opset `ai.onnx.ml`");
    check(
        |m| m.metadata_props.retain(|entry| entry.key != KEY_SCHEMA_HASH),
        "lacks `portcullis.schema.hash`",
    );
    check(|m| m.metadata_props[3].value = "2".to_owned(), "is `2`, expected a probability");
}

#[test]
fn at_most_means_below_the_next_number() {
    let mut model = Model::decode(write(&small()).as_slice()).unwrap();
    attribute(&mut model, "nodes_modes").strings[0] = b"BRANCH_LEQ".to_vec();
    let forest = read(&model.encode_to_vec()).unwrap().forest;
    assert_eq!(forest.probability(&[0.0, 2.0, 0.0, 0.0]), 0.125 + 0.375);
    assert_eq!(small().forest.probability(&[0.0, 2.0, 0.0, 0.0]), 0.375 + 0.375);
}

#[test]
fn costly_bytes_are_refused_before_they_are_decoded() {
    assert!(matches!(read(&vec![0; MAX_FILE_BYTES + 1]), Err(ModelError::TooLarge { .. })));
    // A thousand empty graphs' nodes: two bytes each on disk, a hundred in memory.
    let nodes = [0x0a, 0x00].repeat(1_000);
    let mut bytes = vec![0x3a];
    prost::encoding::encode_varint(nodes.len() as u64, &mut bytes);
    bytes.extend(nodes);
    assert!(read(&bytes).unwrap_err().to_string().contains("graph holds more than 256 fields"));
    // Fields that mean something to other readers: functions of a model, initialisers of a graph.
    assert!(read(&[0xca, 0x01, 0x00]).unwrap_err().to_string().contains("model holds field 25"));
    assert!(
        read(&[0x3a, 0x02, 0x2a, 0x00]).unwrap_err().to_string().contains("graph holds field 5")
    );
    assert!(read(b"no model").is_err());
    assert!(read(b"").is_err());
}

#[test]
fn a_chain_that_is_too_deep_is_refused() {
    let n_splits = 100;
    let mut nodes = Vec::new();
    for step in 0..n_splits {
        let (left, right) = (2 * step + 1, 2 * step + 2);
        nodes.push(Node {
            split: Some(Split { feature: 0, threshold: 0.0, left, right }),
            vote: 0.0,
            cover: 1.0,
        });
        nodes.push(Node { split: None, vote: 0.5, cover: 1.0 });
    }
    nodes.push(Node { split: None, vote: 0.5, cover: 1.0 });
    assert!(Tree::ordered(0, 1.0, &nodes).unwrap_err().to_string().contains("deeper than 64"));
}

proptest! {
    /// Bytes broken anywhere give an error or a model that can be walked, never a panic.
    #[test]
    fn broken_files_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
        big in any::<bool>(),
    ) {
        let mut bytes = if big { BIG.clone() } else { write(&small()) };
        for (place, value) in edits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(stored) = read(&bytes) {
            let values = vec![0.25; stored.forest.n_features];
            let probability = stored.forest.probability(&values);
            let (bias, moved) = stored.forest.contributions(&values);
            prop_assert!(probability.is_finite());
            prop_assert!((bias + moved.iter().sum::<f64>() - f64::from(probability)).abs() < 1e-4);
            prop_assert!(read(&write(&stored)).is_ok());
        }
    }

    /// Bias and contributions add up to the probability, whatever the row.
    #[test]
    fn contributions_add_up(values in prop::collection::vec(-2.0_f32..12.0, 64)) {
        let forest = &read(&BIG).unwrap().forest;
        let mut vector = Vector::unknown(&TRANSACTION);
        values.iter().enumerate().for_each(|(index, &value)| vector.set(index, value));
        let (bias, moved) = forest.contributions(vector.values());
        let sum = bias + moved.iter().sum::<f64>();
        prop_assert!((sum - f64::from(forest.probability(vector.values()))).abs() < 1e-5);
    }
}

static BIG: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(fitted);
