//! Trees that linfa grows: a baseline beside our own, with its spread over several draws, and never a model that ships.

use linfa::traits::Fit as _;
use linfa_trees::{DecisionTree, TreeNode};
use ndarray::{Array1, Array2};

use super::{TrainError, TrainOptions};
use crate::data::Row;
use crate::forest::{Node, Split, Tree};

/// What a harmful row weighs against a benign one. linfa decides a tie between classes by the order of a hash map;
/// with sums of fewer than 4,096 rows of each class the two can so never be equal, and every sum is exact in `f32`.
const HARMFUL_WEIGHT: f32 = 1.0 + 1.0 / 4_096.0;

/// One tree on the rows that were drawn; its leaves hold no votes yet.
pub(super) fn tree(
    n_features: usize,
    rows: &[&Row],
    drawn: &[usize],
    options: &TrainOptions,
) -> Result<Tree, TrainError> {
    let values = drawn.iter().flat_map(|&row| rows[row].values.iter().copied()).collect();
    let records = Array2::from_shape_vec((drawn.len(), n_features), values)
        .expect("every row has all features");
    let targets = Array1::from_iter(drawn.iter().map(|&row| usize::from(rows[row].harm)));
    let weights = Array1::from_iter(
        drawn.iter().map(|&row| if rows[row].harm { HARMFUL_WEIGHT } else { 1.0 }),
    );
    let data = linfa::Dataset::new(records, targets).with_weights(weights);
    let grown = DecisionTree::params()
        .max_depth(Some(options.max_depth))
        .min_weight_split(2.0 * options.min_leaf as f32)
        .min_weight_leaf(options.min_leaf as f32)
        .fit(&data)
        .map_err(|error: linfa::Error| TrainError::Grow { reason: error.to_string() })?;
    let mut nodes = Vec::new();
    flatten(grown.root_node(), &mut nodes);
    Ok(Tree { weight: 1.0, nodes })
}

/// Appends a node and all below it, parents before children and left before right. The recursion is as deep as the
/// tree, which the options bound.
fn flatten(node: &TreeNode<f32, usize>, nodes: &mut Vec<Node>) -> u32 {
    let place = nodes.len();
    nodes.push(Node { split: None, vote: 0.0, cover: 0.0 });
    if !node.is_leaf()
        && let [Some(left), Some(right)] = node.children().as_slice()
    {
        let (feature, threshold, _) = node.split();
        let left = flatten(left, nodes);
        let right = flatten(right, nodes);
        nodes[place].split = Some(Split { feature: feature as u16, threshold, left, right });
    }
    place as u32
}
