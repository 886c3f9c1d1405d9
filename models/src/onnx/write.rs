//! A forest and its card to ONNX bytes; the same input gives the same bytes.

use prost::Message as _;

use super::proto::{
    self, Attribute, Dimension, Entry, Graph, Model, OperatorSet, Shape, TensorType, Type,
    ValueInfo,
};
use super::{
    CARD_PREFIX, DOMAIN, DOMAIN_VERSION, INPUT, IR_VERSION, KEY_REFERENCE, KEY_SCHEMA_HASH,
    KEY_SCHEMA_NAME, KEY_SCHEMA_VERSION, KEY_THRESHOLD, LABEL, OPERATOR, PROBABILITIES, Stored,
};
use crate::forest::Forest;

/// Writes a model file.
pub(crate) fn write(stored: &Stored) -> Vec<u8> {
    let entry = |key: &str, value: String| Entry { key: key.to_owned(), value };
    let mut metadata_props = vec![
        entry(KEY_SCHEMA_NAME, stored.schema.name.clone()),
        entry(KEY_SCHEMA_VERSION, stored.schema.version.to_string()),
        entry(KEY_SCHEMA_HASH, stored.schema.hash.clone()),
        entry(KEY_THRESHOLD, stored.threshold.to_string()),
    ];
    metadata_props.extend(
        stored
            .card
            .iter()
            .map(|(heading, text)| entry(&format!("{CARD_PREFIX}{heading}"), text.clone())),
    );
    if let Some(reference) = &stored.reference {
        let text = serde_json::to_string(reference).expect("numbers in lists are JSON");
        metadata_props.push(entry(KEY_REFERENCE, text));
    }
    let n_features = stored.forest.n_features as i64;
    Model {
        ir_version: IR_VERSION,
        producer_name: "portcullis".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(Graph {
            node: vec![proto::Node {
                input: vec![INPUT.to_owned()],
                output: vec![LABEL.to_owned(), PROBABILITIES.to_owned()],
                name: "forest".to_owned(),
                op_type: OPERATOR.to_owned(),
                attribute: attributes(&stored.forest),
                domain: DOMAIN.to_owned(),
            }],
            name: stored.schema.name.clone(),
            input: vec![tensor(INPUT, proto::ELEMENT_F32, &[None, Some(n_features)])],
            output: vec![
                tensor(LABEL, proto::ELEMENT_I64, &[None]),
                tensor(PROBABILITIES, proto::ELEMENT_F32, &[None, Some(2)]),
            ],
        }),
        opset_import: vec![
            OperatorSet { domain: String::new(), version: 15 },
            OperatorSet { domain: DOMAIN.to_owned(), version: DOMAIN_VERSION },
        ],
        metadata_props,
    }
    .encode_to_vec()
}

fn tensor(name: &str, element: i32, dimensions: &[Option<i64>]) -> ValueInfo {
    let dim = dimensions
        .iter()
        .map(|&value| Dimension { value, name: value.is_none().then(|| "rows".to_owned()) })
        .collect();
    let shape = Some(Shape { dim });
    ValueInfo {
        name: name.to_owned(),
        ty: Some(Type { tensor: Some(TensorType { element, shape }) }),
    }
}

fn attributes(forest: &Forest) -> Vec<Attribute> {
    let mut nodes = Columns::default();
    for (tree_id, tree) in forest.trees.iter().enumerate() {
        for (node_id, node) in tree.nodes.iter().enumerate() {
            nodes.tree_ids.push(tree_id as i64);
            nodes.node_ids.push(node_id as i64);
            nodes.covers.push(node.cover);
            if let Some(split) = node.split {
                nodes.modes.push(b"BRANCH_LT".to_vec());
                nodes.features.push(i64::from(split.feature));
                nodes.thresholds.push(split.threshold);
                nodes.lefts.push(i64::from(split.left));
                nodes.rights.push(i64::from(split.right));
            } else {
                nodes.modes.push(b"LEAF".to_vec());
                nodes.features.push(0);
                nodes.thresholds.push(0.0);
                nodes.lefts.push(0);
                nodes.rights.push(0);
                for (class, weight) in [(0, tree.weight - node.vote), (1, node.vote)] {
                    nodes.class_tree_ids.push(tree_id as i64);
                    nodes.class_node_ids.push(node_id as i64);
                    nodes.class_ids.push(class);
                    nodes.class_weights.push(weight);
                }
            }
        }
    }
    let ints = |name: &str, ints| Attribute {
        name: name.to_owned(),
        ints,
        kind: proto::KIND_INTS,
        ..Default::default()
    };
    let floats = |name: &str, floats| Attribute {
        name: name.to_owned(),
        floats,
        kind: proto::KIND_FLOATS,
        ..Default::default()
    };
    vec![
        ints("class_ids", nodes.class_ids),
        ints("class_nodeids", nodes.class_node_ids),
        ints("class_treeids", nodes.class_tree_ids),
        floats("class_weights", nodes.class_weights),
        ints("classlabels_int64s", vec![0, 1]),
        ints("nodes_falsenodeids", nodes.rights),
        ints("nodes_featureids", nodes.features),
        floats("nodes_hitrates", nodes.covers),
        Attribute {
            name: "nodes_modes".to_owned(),
            strings: nodes.modes,
            kind: proto::KIND_STRINGS,
            ..Default::default()
        },
        ints("nodes_nodeids", nodes.node_ids),
        ints("nodes_treeids", nodes.tree_ids),
        ints("nodes_truenodeids", nodes.lefts),
        floats("nodes_values", nodes.thresholds),
        Attribute {
            name: "post_transform".to_owned(),
            s: b"NONE".to_vec(),
            kind: proto::KIND_STRING,
            ..Default::default()
        },
    ]
}

/// The operator's parallel lists.
#[derive(Default)]
struct Columns {
    tree_ids: Vec<i64>,
    node_ids: Vec<i64>,
    modes: Vec<Vec<u8>>,
    features: Vec<i64>,
    thresholds: Vec<f32>,
    lefts: Vec<i64>,
    rights: Vec<i64>,
    covers: Vec<f32>,
    class_tree_ids: Vec<i64>,
    class_node_ids: Vec<i64>,
    class_ids: Vec<i64>,
    class_weights: Vec<f32>,
}
