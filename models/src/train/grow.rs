//! Rows to trees, by way of linfa.

use linfa::traits::Fit as _;
use linfa_trees::{DecisionTree, TreeNode};
use ndarray::{Array1, Array2};

use super::{TrainError, TrainOptions};
use crate::data::Row;
use crate::forest::{Node, Split, Tree};
use crate::random::Random;

/// What a harmful row weighs against a benign one. With sums of fewer than 4,096 rows of each class the two
/// can never be equal, and every sum is exact in `f32`.
const HARMFUL_WEIGHT: f32 = 1.0 + 1.0 / 4_096.0;

/// Grows all trees, each on its own draw, and refits their leaves with the rows that were not drawn.
pub(super) fn trees(
    n_features: usize,
    rows: &[&Row],
    options: &TrainOptions,
) -> Result<Vec<Tree>, TrainError> {
    let (harmful, benign): (Vec<usize>, Vec<usize>) =
        (0..rows.len()).partition(|&row| rows[row].harm);
    let varying: Vec<usize> = (0..n_features)
        .filter(|&feature| rows.iter().any(|row| row.values[feature] != rows[0].values[feature]))
        .collect();
    // Rows that are all the same leave nothing to ask; one feature keeps the trees well formed.
    let varying = if varying.is_empty() { vec![0] } else { varying };
    let n_asked =
        ((varying.len() as f64 * options.feature_share).ceil() as usize).clamp(1, varying.len());
    let n_benign = benign.len().min(harmful.len().saturating_mul(options.benign_per_harmful));
    (0..options.n_trees)
        .map(|tree| {
            let mut random = Random::part(options.seed, tree as u64);
            let mut drawn: Vec<usize> = draw(&harmful, harmful.len(), &mut random).collect();
            drawn.extend(draw(&benign, n_benign, &mut random));
            let features = choose(varying.clone(), n_asked, &mut random);
            let grown = grow(&features, rows, &drawn, options)
                .map_err(|error| TrainError::Grow { tree, reason: error.to_string() })?;
            let mut nodes = Vec::new();
            flatten(grown.root_node(), &features, &mut nodes);
            let mut tree = Tree { weight: 1.0 / options.n_trees as f32, nodes };
            refit(&mut tree, rows, &drawn, harmful.len() as f64 / rows.len() as f64);
            Ok(tree)
        })
        .collect()
}

/// Draws with replacement.
fn draw<'a>(
    rows: &'a [usize],
    n: usize,
    random: &'a mut Random,
) -> impl Iterator<Item = usize> + use<'a> {
    (0..n).map(|_| rows[random.below(rows.len())])
}

/// Chooses without replacement, and gives the choice in order.
fn choose(mut from: Vec<usize>, n: usize, random: &mut Random) -> Vec<usize> {
    for place in 0..n {
        let other = place + random.below(from.len() - place);
        from.swap(place, other);
    }
    from.truncate(n);
    from.sort_unstable();
    from
}

fn grow(
    features: &[usize],
    rows: &[&Row],
    drawn: &[usize],
    options: &TrainOptions,
) -> Result<DecisionTree<f32, usize>, linfa::Error> {
    let values = drawn
        .iter()
        .flat_map(|&row| features.iter().map(move |&feature| rows[row].values[feature]))
        .collect();
    let records = Array2::from_shape_vec((drawn.len(), features.len()), values)
        .expect("every row has all features");
    let targets = Array1::from_iter(drawn.iter().map(|&row| usize::from(rows[row].harm)));
    let weights = Array1::from_iter(
        drawn.iter().map(|&row| if rows[row].harm { HARMFUL_WEIGHT } else { 1.0 }),
    );
    let data = linfa::Dataset::new(records, targets).with_weights(weights);
    DecisionTree::params()
        .max_depth(Some(options.max_depth))
        .min_weight_split(2.0 * options.min_leaf as f32)
        .min_weight_leaf(options.min_leaf as f32)
        .fit(&data)
}

/// Appends a node and all below it, parents before children and left before right.
///
/// The recursion is as deep as the tree, which the options bound.
fn flatten(node: &TreeNode<f32, usize>, features: &[usize], nodes: &mut Vec<Node>) -> u32 {
    let place = nodes.len();
    nodes.push(Node { split: None, vote: 0.0, cover: 0.0 });
    if !node.is_leaf()
        && let [Some(left), Some(right)] = node.children().as_slice()
    {
        let (column, threshold, _) = node.split();
        let left = flatten(left, features, nodes);
        let right = flatten(right, features, nodes);
        nodes[place].split =
            Some(Split { feature: features[column] as u16, threshold, left, right });
    }
    place as u32
}

/// Gives every leaf a probability, from the rows that the tree did not see: those it grew on decided where its
/// leaves lie, so they say of each leaf what it was made to say.
///
/// The harmful part of all rows counts as one row more, so that a leaf that no unseen row reaches is neutral. Would
/// it lean towards the rows grown on, or towards one half, then a leaf of few rows would score high for being rare
/// alone, and so would every unusual row, whatever the labels say.
fn refit(tree: &mut Tree, rows: &[&Row], drawn: &[usize], harmful_share: f64) {
    let mut is_drawn = vec![false; rows.len()];
    let mut seen = vec![[0_u32; 2]; tree.nodes.len()];
    let mut unseen = vec![[0_u32; 2]; tree.nodes.len()];
    for &row in drawn {
        is_drawn[row] = true;
        seen[tree.leaf(&rows[row].values)][usize::from(rows[row].harm)] += 1;
    }
    for (row, _) in rows.iter().zip(is_drawn).filter(|(_, is_drawn)| !is_drawn) {
        unseen[tree.leaf(&row.values)][usize::from(row.harm)] += 1;
    }
    for (node, (seen, unseen)) in tree.nodes.iter_mut().zip(seen.iter().zip(&unseen)) {
        if node.split.is_some() {
            continue;
        }
        let [benign, harmful] = seen.map(f64::from);
        let [unseen_benign, unseen_harmful] = unseen.map(f64::from);
        let probability = (unseen_harmful + harmful_share) / (unseen_benign + unseen_harmful + 1.0);
        node.vote = (probability * f64::from(tree.weight)) as f32;
        // At least one, so that means over leaves are defined.
        node.cover = (benign + harmful + unseen_benign + unseen_harmful).max(1.0) as f32;
    }
    tree.settle();
}
