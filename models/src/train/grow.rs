//! Rows to trees: a small trainer of our own, for linfa's is not the same twice (see the module above).
//!
//! Every feature is cut into at most 256 bins once; a tree then counts classes by bin, in whole numbers, so that no
//! order of addition and no tie is left to chance.

use super::{Grower, TrainError, TrainOptions, linfa};
use crate::data::Row;
use crate::forest::{Node, Split, Tree};
use crate::random::Random;

/// Most bins of one feature.
const MAX_BINS: usize = 256;

/// Grows all trees, each on its own draw, and refits their leaves with the rows that were not drawn.
pub(super) fn trees(
    n_features: usize,
    rows: &[&Row],
    options: &TrainOptions,
) -> Result<Vec<Tree>, TrainError> {
    let (harmful, benign): (Vec<usize>, Vec<usize>) =
        (0..rows.len()).partition(|&row| rows[row].harm);
    let bins = Bins::new(n_features, rows);
    let varying: Vec<usize> =
        (0..n_features).filter(|&feature| !bins.thresholds[feature].is_empty()).collect();
    let n_asked = ((varying.len() as f64 * options.feature_share).ceil() as usize)
        .clamp(1, varying.len().max(1));
    let n_benign = benign.len().min(harmful.len().saturating_mul(options.benign_per_harmful));
    let labels: Vec<bool> = rows.iter().map(|row| row.harm).collect();
    (0..options.n_trees)
        .map(|tree| {
            let mut random = Random::part(options.seed, tree as u64);
            let mut drawn: Vec<usize> = draw(&harmful, harmful.len(), &mut random).collect();
            drawn.extend(draw(&benign, n_benign, &mut random));
            let mut growing = Growing {
                bins: &bins,
                labels: &labels,
                varying: &varying,
                n_asked,
                options,
                random,
                nodes: Vec::new(),
            };
            let mut tree = match options.grower {
                Grower::Own | Grower::OneQuestion => {
                    growing.node(&mut drawn.clone(), 0);
                    Tree { weight: 1.0, nodes: growing.nodes }
                }
                Grower::Linfa => linfa::tree(n_features, rows, &drawn, options)?,
            };
            tree.weight = 1.0 / options.n_trees as f32;
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

/// Every row's bin of every feature.
struct Bins {
    /// Ends of bins by feature, rising: a value below `thresholds[feature][n]` lies in bin `n` or lower.
    thresholds: Vec<Vec<f32>>,
    /// Bins by feature and row.
    codes: Vec<Vec<u8>>,
}

impl Bins {
    fn new(n_features: usize, rows: &[&Row]) -> Self {
        let mut bins = Self { thresholds: Vec::new(), codes: Vec::new() };
        for feature in 0..n_features {
            let mut values: Vec<f32> = rows.iter().map(|row| row.values[feature]).collect();
            values.sort_by(f32::total_cmp);
            let mut distinct = values.clone();
            distinct.dedup();
            // Where there are too many values, ends lie so that bins hold about as many rows each.
            if distinct.len() > MAX_BINS {
                distinct = (0..MAX_BINS).map(|bin| values[bin * values.len() / MAX_BINS]).collect();
                distinct.dedup();
            }
            let thresholds: Vec<f32> = distinct
                .windows(2)
                .map(|pair| {
                    let middle = f32::midpoint(pair[0], pair[1]);
                    if middle > pair[0] { middle } else { pair[1] }
                })
                .collect();
            let code =
                |row: &&Row| thresholds.partition_point(|end| *end <= row.values[feature]) as u8;
            bins.codes.push(rows.iter().map(code).collect());
            bins.thresholds.push(thresholds);
        }
        bins
    }
}

/// A tree that is being grown.
struct Growing<'a> {
    bins: &'a Bins,
    labels: &'a [bool],
    varying: &'a [usize],
    n_asked: usize,
    options: &'a TrainOptions,
    random: Random,
    nodes: Vec<Node>,
}

/// A question and what it gains.
#[derive(Debug, Clone, Copy)]
struct Question {
    feature: usize,
    /// The last bin that goes left.
    bin: usize,
    gain: f64,
}

impl Growing<'_> {
    /// Appends a node and all below it, parents before children and left before right, and gives its place. The
    /// recursion is as deep as the tree, which the options bound.
    fn node(&mut self, rows: &mut [usize], depth: usize) -> u32 {
        let place = self.nodes.len();
        self.nodes.push(Node { split: None, vote: 0.0, cover: 0.0 });
        let harmful = rows.iter().filter(|&&row| self.labels[row]).count();
        let is_pure = harmful == 0 || harmful == rows.len();
        if is_pure || depth == self.options.max_depth || rows.len() < 2 * self.options.min_leaf {
            return place as u32;
        }
        let asked = choose(self.varying, self.n_asked, &mut self.random);
        let Some(best) = self.best(rows, harmful, &asked) else { return place as u32 };
        let codes = &self.bins.codes[best.feature];
        // Stable, so that the order of rows, and with it the file, is the same everywhere.
        rows.sort_by_key(|&row| usize::from(codes[row]) > best.bin);
        let n_left = rows.partition_point(|&row| usize::from(codes[row]) <= best.bin);
        let (left, right) = rows.split_at_mut(n_left);
        let left = self.node(left, depth + 1);
        let right = self.node(right, depth + 1);
        let threshold = self.bins.thresholds[best.feature][best.bin];
        self.nodes[place].split =
            Some(Split { feature: best.feature as u16, threshold, left, right });
        place as u32
    }

    /// The question that leaves the least mixture of classes (Gini's) behind it; of equals the first.
    fn best(&self, rows: &[usize], harmful: usize, asked: &[usize]) -> Option<Question> {
        let total = [rows.len() - harmful, harmful];
        let purity = |[benign, harmful]: [usize; 2]| {
            let (benign, harmful) = (benign as f64, harmful as f64);
            (benign * benign + harmful * harmful) / (benign + harmful)
        };
        let before = purity(total);
        let mut best: Option<Question> = None;
        for &feature in asked {
            let codes = &self.bins.codes[feature];
            let n_bins = self.bins.thresholds[feature].len() + 1;
            let mut counts = [[0_usize; 2]; MAX_BINS];
            for &row in rows {
                counts[usize::from(codes[row])][usize::from(self.labels[row])] += 1;
            }
            let mut left = [0_usize; 2];
            for (bin, count) in counts[..n_bins - 1].iter().enumerate() {
                left = [left[0] + count[0], left[1] + count[1]];
                let right = [total[0] - left[0], total[1] - left[1]];
                let smaller = (left[0] + left[1]).min(right[0] + right[1]);
                if smaller < self.options.min_leaf || count[0] + count[1] == 0 {
                    continue;
                }
                let gain = purity(left) + purity(right) - before;
                if gain > 1e-9 && best.is_none_or(|best| gain > best.gain) {
                    best = Some(Question { feature, bin, gain });
                }
            }
        }
        best
    }
}

/// Chooses without replacement, and gives the choice in order.
fn choose(from: &[usize], n: usize, random: &mut Random) -> Vec<usize> {
    let mut from = from.to_vec();
    let n = n.min(from.len());
    for place in 0..n {
        let other = place + random.below(from.len() - place);
        from.swap(place, other);
    }
    from.truncate(n);
    from.sort_unstable();
    from
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
