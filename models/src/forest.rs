//! Trees as flat arrays: what is exported, what the native engine walks, and what explanations read.

use crate::error::ModelError;

/// Most trees a model may have.
pub(crate) const MAX_TREES: usize = 4_096;
/// Most nodes all trees of a model may have together.
pub(crate) const MAX_NODES: usize = 1 << 18;
/// Most steps from a root to a leaf.
pub(crate) const MAX_DEPTH: usize = 64;

/// A weighted vote of trees over rows of one length.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Forest {
    pub(crate) n_features: usize,
    pub(crate) trees: Vec<Tree>,
}

/// One tree. The root is node 0, and a child always stands after its parent, so no walk can circle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    /// What this tree's votes for harm and for benign add up to; over all trees that is 1.
    pub(crate) weight: f32,
    pub(crate) nodes: Vec<Node>,
}

/// One node of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Node {
    /// None for a leaf.
    pub(crate) split: Option<Split>,
    /// A leaf's vote for harm, of [`Tree::weight`]; for an inner node the mean vote of the leaves below it,
    /// weighted by their cover.
    pub(crate) vote: f32,
    /// Training rows that reached this node; 1 each where a foreign file does not say.
    pub(crate) cover: f32,
}

/// Where a row goes: left if its feature is below the threshold, else right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Split {
    pub(crate) feature: u16,
    pub(crate) threshold: f32,
    pub(crate) left: u32,
    pub(crate) right: u32,
}

impl Forest {
    /// Probability of harm: the sum of the reached leaves' votes, added in `f32` and in tree order as ONNX
    /// Runtime does it.
    pub(crate) fn probability(&self, values: &[f32]) -> f32 {
        self.trees.iter().map(|tree| tree.nodes[tree.leaf(values)].vote).sum()
    }

    /// The mean vote of all roots, and how far each feature moved the row away from it.
    ///
    /// Path contributions after Saabas: each step from a node to its child moves the mean vote, and the move
    /// is booked on the feature that was asked. Bias and contributions add up to the probability exactly, up
    /// to rounding.
    pub(crate) fn contributions(&self, values: &[f32]) -> (f64, Vec<f64>) {
        let mut bias = 0.0;
        let mut moved = vec![0.0; self.n_features];
        for tree in &self.trees {
            let mut node = &tree.nodes[0];
            bias += f64::from(node.vote);
            while let Some(split) = node.split {
                let child = &tree.nodes[split.next(values)];
                moved[usize::from(split.feature)] += f64::from(child.vote) - f64::from(node.vote);
                node = child;
            }
        }
        (bias, moved)
    }

    pub(crate) fn n_nodes(&self) -> usize {
        self.trees.iter().map(|tree| tree.nodes.len()).sum()
    }
}

impl Tree {
    /// The leaf that a row reaches.
    pub(crate) fn leaf(&self, values: &[f32]) -> usize {
        let mut place = 0;
        while let Some(split) = self.nodes[place].split {
            place = split.next(values);
        }
        place
    }

    /// Recomputes the inner nodes' votes and covers from the leaves.
    pub(crate) fn settle(&mut self) {
        for place in (0..self.nodes.len()).rev() {
            if let Some(split) = self.nodes[place].split {
                let (left, right) =
                    (self.nodes[split.left as usize], self.nodes[split.right as usize]);
                let cover = f64::from(left.cover) + f64::from(right.cover);
                let sum = f64::from(left.vote) * f64::from(left.cover)
                    + f64::from(right.vote) * f64::from(right.cover);
                self.nodes[place].cover = cover as f32;
                self.nodes[place].vote = (sum / cover) as f32;
            }
        }
    }

    /// Puts nodes that may stand in any order, and may be hostile, into the order this type promises.
    ///
    /// `nodes[i]` holds a node whose children are given as places in `nodes`; the root is `nodes[0]`.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] when a node is reached twice or never, or lies too deep.
    pub(crate) fn ordered(tree: i64, weight: f32, nodes: &[Node]) -> Result<Self, ModelError> {
        let malformed = |reason: String| ModelError::malformed(format!("tree {tree}"), reason);
        let mut new_place = vec![None; nodes.len()];
        let mut ordered: Vec<Node> = Vec::with_capacity(nodes.len());
        let mut open = vec![(0_usize, 0_usize)];
        // Depth first, left before right: the order in which training writes its nodes, so that reading what
        // was written changes nothing.
        while let Some((place, depth)) = open.pop() {
            if depth > MAX_DEPTH {
                return Err(malformed(format!("is deeper than {MAX_DEPTH} steps")));
            }
            if new_place[place].replace(ordered.len()).is_some() {
                return Err(malformed(
                    "reaches one node on two ways: a cycle or a shared child".to_owned(),
                ));
            }
            ordered.push(nodes[place]);
            if let Some(split) = nodes[place].split {
                open.push((split.right as usize, depth + 1));
                open.push((split.left as usize, depth + 1));
            }
        }
        if ordered.len() != nodes.len() {
            return Err(malformed(format!(
                "has {} nodes that its root does not reach",
                nodes.len() - ordered.len()
            )));
        }
        for node in &mut ordered {
            if let Some(split) = &mut node.split {
                let moved =
                    |place: u32| new_place[place as usize].expect("every node was reached") as u32;
                (split.left, split.right) = (moved(split.left), moved(split.right));
            }
        }
        let mut tree = Self { weight, nodes: ordered };
        tree.settle();
        Ok(tree)
    }
}

impl Split {
    fn next(&self, values: &[f32]) -> usize {
        if values[usize::from(self.feature)] < self.threshold {
            self.left as usize
        } else {
            self.right as usize
        }
    }
}
