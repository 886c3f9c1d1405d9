//! The best single rule that could be written: one feature, one limit. What a model must beat.

use crate::data::Row;
use crate::forest::{Forest, Node, Split, Tree};

/// The question that finds the most harmful rows while it flags no more benign ones than the budget allows; failed
/// attacks have no say. It says 1 or 0.
pub(super) fn best(n_features: usize, rows: &[Row], budget: f64) -> Forest {
    let n_benign = rows.iter().filter(|row| !row.harm && !row.intent).count();
    let allowed = (budget * n_benign as f64) as usize;
    let mut best = (0, 0, f32::MAX, true);
    for feature in 0..n_features {
        let mut values: Vec<(f32, &Row)> =
            rows.iter().map(|row| (row.values[feature], row)).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        for is_above in [true, false] {
            if is_above {
                values.reverse();
            }
            let (mut caught, mut flagged) = (0, 0);
            for equal in values.chunk_by(|a, b| a.0 == b.0) {
                caught += equal.iter().filter(|(_, row)| row.harm).count();
                flagged += equal.iter().filter(|(_, row)| !row.harm && !row.intent).count();
                if flagged > allowed {
                    break;
                }
                if caught > best.0 {
                    // Below the next value up, at or above this one: branches ask for what is below.
                    let value = equal[0].0;
                    let limit = if is_above { value } else { value.next_up() };
                    best = (caught, feature, limit, is_above);
                }
            }
            if is_above {
                values.reverse();
            }
        }
    }
    let (_, feature, threshold, is_above) = best;
    let leaf = |is_harm: bool| Node { split: None, vote: f32::from(u8::from(is_harm)), cover: 1.0 };
    let split = Some(Split { feature: feature as u16, threshold, left: 1, right: 2 });
    let root = Node { split, vote: 0.5, cover: 2.0 };
    let nodes = vec![root, leaf(!is_above), leaf(is_above)];
    Forest { n_features, trees: vec![Tree { weight: 1.0, nodes }] }
}
