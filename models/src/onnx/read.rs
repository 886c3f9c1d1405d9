//! Foreign bytes to a forest, every claim checked.
//!
//! What is returned can be walked without a bound being checked again, and written out anew for a runtime:
//! the foreign bytes themselves never reach one.

use std::collections::BTreeMap;

use prost::Message as _;

use super::proto::{Attribute, Graph, Model};
use super::{
    CARD_PREFIX, DOMAIN, DOMAIN_VERSION, KEY_REFERENCE, KEY_SCHEMA_HASH, KEY_SCHEMA_NAME,
    KEY_SCHEMA_VERSION, KEY_THRESHOLD, OPERATOR, Stored, StoredSchema, wire,
};
use crate::drift::{MAX_REFERENCE_BYTES, Reference};
use crate::error::ModelError;
use crate::forest::{Forest, MAX_NODES, MAX_TREES, Node, Split, Tree};

/// How far the votes of all trees together may be from 1: foreign exporters round.
const TOTAL_TOLERANCE: f32 = 1e-3;
/// The same for the votes of one leaf.
const LEAF_TOLERANCE: f32 = 1e-6;
/// Largest cover that is believed, far above any data set: sums of covers must stay finite.
const MAX_COVER: f32 = 1e12;

/// Reads a model file.
///
/// # Errors
/// [`ModelError`] naming the field when the bytes are not one sound `TreeEnsembleClassifier` over two classes
/// with the metadata of a schema.
pub(crate) fn read(bytes: &[u8]) -> Result<Stored, ModelError> {
    wire::check(bytes)?;
    let model =
        Model::decode(bytes).map_err(|error| ModelError::malformed("model", error.to_string()))?;
    let opset = model
        .opset_import
        .iter()
        .find(|opset| opset.domain == DOMAIN)
        .map_or(0, |opset| opset.version);
    if !(1..=DOMAIN_VERSION).contains(&opset) {
        return Err(ModelError::unsupported(
            "opset `ai.onnx.ml`",
            format!("version {opset}"),
            "version 1 to 3",
        ));
    }
    let (schema, threshold, card) = metadata(&model)?;
    let reference = reference(&model)?;
    let graph = model.graph.ok_or_else(|| ModelError::malformed("model", "has no graph"))?;
    let forest = forest(graph)?;
    if reference.as_ref().is_some_and(|reference| !reference.is_of(forest.n_features)) {
        return Err(unsound_reference("does not fit the model's features"));
    }
    Ok(Stored { schema, threshold, card, forest, reference })
}

fn reference(model: &Model) -> Result<Option<Reference>, ModelError> {
    let Some(entry) = model.metadata_props.iter().find(|entry| entry.key == KEY_REFERENCE) else {
        return Ok(None);
    };
    if entry.value.len() > MAX_REFERENCE_BYTES {
        return Err(unsound_reference("is longer than the 262144 bytes that are read"));
    }
    serde_json::from_str(&entry.value)
        .map(Some)
        .map_err(|error| unsound_reference(&error.to_string()))
}

fn unsound_reference(reason: &str) -> ModelError {
    ModelError::malformed(format!("metadata `{KEY_REFERENCE}`"), reason)
}

type Metadata = (StoredSchema, f32, BTreeMap<String, String>);

fn metadata(model: &Model) -> Result<Metadata, ModelError> {
    let text = |key: &str| {
        let entry = model.metadata_props.iter().find(|entry| entry.key == key);
        entry.map(|entry| entry.value.clone()).ok_or_else(|| {
            ModelError::malformed(
                "metadata",
                format!("lacks `{key}`, which every served model needs"),
            )
        })
    };
    let version = text(KEY_SCHEMA_VERSION)?;
    let version = version.parse().map_err(|_| {
        ModelError::malformed(
            format!("metadata `{KEY_SCHEMA_VERSION}`"),
            format!("is `{version}`, expected a number"),
        )
    })?;
    let threshold = text(KEY_THRESHOLD)?;
    let threshold =
        threshold.parse().ok().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(|| {
            ModelError::malformed(
                format!("metadata `{KEY_THRESHOLD}`"),
                format!("is `{threshold}`, expected a probability from 0 to 1"),
            )
        })?;
    let card = model
        .metadata_props
        .iter()
        .filter_map(|entry| {
            Some((entry.key.strip_prefix(CARD_PREFIX)?.to_owned(), entry.value.clone()))
        })
        .collect();
    Ok((
        StoredSchema { name: text(KEY_SCHEMA_NAME)?, version, hash: text(KEY_SCHEMA_HASH)? },
        threshold,
        card,
    ))
}

fn forest(graph: Graph) -> Result<Forest, ModelError> {
    let [node] = graph.node.as_slice() else {
        return Err(ModelError::unsupported(
            "graph",
            format!("{} operators", graph.node.len()),
            "exactly one",
        ));
    };
    if node.op_type != OPERATOR || node.domain != DOMAIN {
        return Err(ModelError::unsupported(
            "operator",
            format!("`{}` of `{}`", node.op_type, node.domain),
            "`TreeEnsembleClassifier` of `ai.onnx.ml`",
        ));
    }
    let n_features = width(&graph)?;
    let attributes = Attributes::new(&node.attribute)?;
    match attributes.s("post_transform") {
        b"" | b"NONE" => {}
        other => {
            return Err(ModelError::unsupported(
                "post_transform",
                String::from_utf8_lossy(other),
                "NONE",
            ));
        }
    }
    let n_classes = attributes.ints("classlabels_int64s").len()
        + attributes.strings("classlabels_strings").len();
    if n_classes != 2 {
        return Err(ModelError::unsupported(
            "class labels",
            format!("{n_classes}"),
            "two: benign, harm",
        ));
    }
    Ok(Forest { n_features, trees: trees(&attributes, n_features)? })
}

/// Features of the one input.
fn width(graph: &Graph) -> Result<usize, ModelError> {
    let [input] = graph.input.as_slice() else {
        return Err(ModelError::unsupported(
            "graph",
            format!("{} inputs", graph.input.len()),
            "exactly one",
        ));
    };
    let shape = input
        .ty
        .as_ref()
        .and_then(|ty| ty.tensor.as_ref())
        .and_then(|tensor| tensor.shape.as_ref());
    let width = shape.and_then(|shape| shape.dim.get(1)).and_then(|dimension| dimension.value);
    width
        .and_then(|width| usize::try_from(width).ok())
        .filter(|width| (1..=64).contains(width))
        .ok_or_else(|| {
            ModelError::malformed(
                "graph input",
                "must have the shape [rows, features], 1 to 64 features",
            )
        })
}

fn trees(attributes: &Attributes<'_>, n_features: usize) -> Result<Vec<Tree>, ModelError> {
    let node_ids = attributes.ints("nodes_nodeids");
    let n_nodes = node_ids.len();
    if n_nodes == 0 || n_nodes > MAX_NODES {
        return Err(ModelError::malformed(
            "nodes_nodeids",
            format!("has {n_nodes} entries, expected 1 to {MAX_NODES}"),
        ));
    }
    let tree_ids = of_length(attributes.ints("nodes_treeids"), "nodes_treeids", n_nodes)?;
    let modes = of_length(attributes.strings("nodes_modes"), "nodes_modes", n_nodes)?;
    let features = of_length(attributes.ints("nodes_featureids"), "nodes_featureids", n_nodes)?;
    let thresholds = of_length(attributes.floats("nodes_values"), "nodes_values", n_nodes)?;
    let lefts = of_length(attributes.ints("nodes_truenodeids"), "nodes_truenodeids", n_nodes)?;
    let rights = of_length(attributes.ints("nodes_falsenodeids"), "nodes_falsenodeids", n_nodes)?;
    let covers = attributes.floats("nodes_hitrates");
    let covers =
        if covers.is_empty() { None } else { Some(of_length(covers, "nodes_hitrates", n_nodes)?) };

    // (tree, node) to the node's place in its tree's list.
    let mut places = BTreeMap::new();
    let mut rows_of_tree: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for row in 0..n_nodes {
        let rows = rows_of_tree.entry(tree_ids[row]).or_default();
        if places.insert((tree_ids[row], node_ids[row]), rows.len()).is_some() {
            return Err(ModelError::malformed(
                format!("tree {}", tree_ids[row]),
                format!("holds node {} twice", node_ids[row]),
            ));
        }
        rows.push(row);
    }
    if rows_of_tree.len() > MAX_TREES {
        return Err(ModelError::malformed(
            "nodes_treeids",
            format!("names more than {MAX_TREES} trees"),
        ));
    }

    let mut votes = votes(attributes, n_nodes)?;
    let mut trees = Vec::with_capacity(rows_of_tree.len());
    let even_weight = 1.0 / rows_of_tree.len() as f32;
    let mut total_weight = 0.0;
    for (&tree_id, rows) in &rows_of_tree {
        let mut weight = None;
        let mut nodes = Vec::with_capacity(rows.len());
        for &row in rows {
            let at = |what: &str| format!("tree {tree_id}, node {}: {what}", node_ids[row]);
            let cover = covers.map_or(1.0, |covers| covers[row]);
            if !(0.0..=MAX_COVER).contains(&cover) {
                return Err(ModelError::malformed(at("nodes_hitrates"), format!("is {cover}")));
            }
            // A leaf nothing reached in training still counts a little, or means above it would divide by zero.
            let cover = cover.max(1e-6);
            let threshold = thresholds[row];
            let threshold = match modes[row].as_slice() {
                b"LEAF" => {
                    let [benign, harm] = votes
                        .remove(&(tree_id, node_ids[row]))
                        .and_then(|votes| Some([votes[0]?, votes[1]?]))
                        .ok_or_else(|| {
                            ModelError::malformed(
                                at("class_ids"),
                                "lacks a vote for each of both classes",
                            )
                        })?;
                    let sum = benign + harm;
                    // Bagged trees weigh the same; taking that number, and not one a rounding away from it, makes
                    // a file that was read and written again the same file.
                    let nominal =
                        if (sum - even_weight).abs() <= LEAF_TOLERANCE { even_weight } else { sum };
                    let weight = *weight.get_or_insert(nominal);
                    if (sum - weight).abs() > LEAF_TOLERANCE {
                        return Err(ModelError::malformed(
                            at("class_weights"),
                            "adds up to another sum than other leaves",
                        ));
                    }
                    nodes.push(Node { split: None, vote: harm.clamp(0.0, weight), cover });
                    continue;
                }
                b"BRANCH_LT" => threshold,
                // `x <= t` is `x < the next number after t`.
                b"BRANCH_LEQ" => threshold.next_up(),
                other => {
                    return Err(ModelError::unsupported(
                        at("nodes_modes"),
                        String::from_utf8_lossy(other),
                        "LEAF, BRANCH_LT or BRANCH_LEQ",
                    ));
                }
            };
            if !threshold.is_finite() {
                return Err(ModelError::malformed(at("nodes_values"), format!("is {threshold}")));
            }
            let feature = u16::try_from(features[row])
                .ok()
                .filter(|&feature| usize::from(feature) < n_features);
            let feature = feature.ok_or_else(|| {
                ModelError::malformed(
                    at("nodes_featureids"),
                    format!("is {}, expected less than {n_features}", features[row]),
                )
            })?;
            let child = |id: i64, list: &str| {
                places.get(&(tree_id, id)).map(|&place| place as u32).ok_or_else(|| {
                    ModelError::malformed(at(list), format!("names node {id}, which is not there"))
                })
            };
            let (left, right) = (
                child(lefts[row], "nodes_truenodeids")?,
                child(rights[row], "nodes_falsenodeids")?,
            );
            nodes.push(Node {
                split: Some(Split { feature, threshold, left, right }),
                vote: 0.0,
                cover,
            });
        }
        let weight = weight
            .ok_or_else(|| ModelError::malformed(format!("tree {tree_id}"), "has no leaf"))?;
        total_weight += weight;
        trees.push(Tree::ordered(tree_id, weight, &nodes)?);
    }
    if !votes.is_empty() {
        return Err(ModelError::malformed("class_nodeids", "names nodes that are no leaves"));
    }
    if (total_weight - 1.0).abs() > TOTAL_TOLERANCE {
        return Err(ModelError::malformed(
            "class_weights",
            format!("adds up to {total_weight} over all trees, expected 1"),
        ));
    }
    Ok(trees)
}

/// Votes for benign and harm of each (tree, node).
type Votes = BTreeMap<(i64, i64), [Option<f32>; 2]>;

fn votes(attributes: &Attributes<'_>, n_nodes: usize) -> Result<Votes, ModelError> {
    let class_ids = attributes.ints("class_ids");
    let n_votes = class_ids.len();
    if n_votes > 2 * n_nodes {
        return Err(ModelError::malformed(
            "class_ids",
            format!("has {n_votes} entries for {n_nodes} nodes"),
        ));
    }
    let tree_ids = of_length(attributes.ints("class_treeids"), "class_treeids", n_votes)?;
    let node_ids = of_length(attributes.ints("class_nodeids"), "class_nodeids", n_votes)?;
    let weights = of_length(attributes.floats("class_weights"), "class_weights", n_votes)?;
    let mut votes = Votes::new();
    for row in 0..n_votes {
        let weight = weights[row];
        if !(-LEAF_TOLERANCE..=1.0 + LEAF_TOLERANCE).contains(&weight) {
            return Err(ModelError::malformed(
                "class_weights",
                format!("holds {weight} in row {row}, expected 0 to 1"),
            ));
        }
        let class =
            usize::try_from(class_ids[row]).ok().filter(|&class| class < 2).ok_or_else(|| {
                ModelError::malformed(
                    "class_ids",
                    format!("holds {} in row {row}, expected 0 or 1", class_ids[row]),
                )
            })?;
        let cell = &mut votes.entry((tree_ids[row], node_ids[row])).or_default()[class];
        if cell.replace(weight).is_some() {
            return Err(ModelError::malformed(
                format!("tree {}, node {}", tree_ids[row], node_ids[row]),
                format!("votes twice for class {class}"),
            ));
        }
    }
    Ok(votes)
}

fn of_length<'a, T>(
    list: &'a [T],
    name: &'static str,
    length: usize,
) -> Result<&'a [T], ModelError> {
    if list.len() == length {
        Ok(list)
    } else {
        Err(ModelError::malformed(name, format!("has {} entries, expected {length}", list.len())))
    }
}

/// The operator's attributes by name; absent ones are empty.
struct Attributes<'a>(BTreeMap<&'a str, &'a Attribute>);

impl<'a> Attributes<'a> {
    fn new(attributes: &'a [Attribute]) -> Result<Self, ModelError> {
        const KNOWN: [&str; 16] = [
            "class_ids",
            "class_nodeids",
            "class_treeids",
            "class_weights",
            "classlabels_int64s",
            "classlabels_strings",
            "nodes_falsenodeids",
            "nodes_featureids",
            "nodes_hitrates",
            // Vectors hold no NaN, so where a missing value would go is never asked.
            "nodes_missing_value_tracks_true",
            "nodes_modes",
            "nodes_nodeids",
            "nodes_treeids",
            "nodes_truenodeids",
            "nodes_values",
            "post_transform",
        ];
        let mut by_name = BTreeMap::new();
        for attribute in attributes {
            if !KNOWN.contains(&attribute.name.as_str()) {
                let found = format!("`{}`", attribute.name.chars().take(64).collect::<String>());
                return Err(ModelError::unsupported(
                    "an attribute",
                    found,
                    "one of a plain classifier without base values",
                ));
            }
            if by_name.insert(attribute.name.as_str(), attribute).is_some() {
                return Err(ModelError::malformed(
                    format!("attribute `{}`", attribute.name),
                    "stands twice",
                ));
            }
        }
        Ok(Self(by_name))
    }

    fn ints(&self, name: &str) -> &'a [i64] {
        self.0.get(name).map_or(&[], |attribute| &attribute.ints)
    }

    fn floats(&self, name: &str) -> &'a [f32] {
        self.0.get(name).map_or(&[], |attribute| &attribute.floats)
    }

    fn strings(&self, name: &str) -> &'a [Vec<u8>] {
        self.0.get(name).map_or(&[], |attribute| &attribute.strings)
    }

    fn s(&self, name: &str) -> &'a [u8] {
        self.0.get(name).map_or(b"", |attribute| &attribute.s)
    }
}
