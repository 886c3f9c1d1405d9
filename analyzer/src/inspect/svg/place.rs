//! The columns of items whose order in their layers is known.

use super::layout::{BOX_GAP, Item, PASS_GAP};

/// Passes over all layers; more change nothing that can be seen.
const ROUNDS: usize = 40;

/// The middle of each item.
pub(super) fn place(items: &[Item], layers: &[Vec<usize>]) -> Vec<f64> {
    let mut middle = vec![0.0; items.len()];
    for layer in layers {
        let mut x = 0.0;
        for (at, item) in layer.iter().enumerate() {
            if at > 0 {
                x += distance(&items[layer[at - 1]], &items[*item]);
            }
            middle[*item] = x;
        }
    }
    for round in 0..ROUNDS {
        // The last rounds look both ways, so that neither end of an arrow has the last word.
        let ways = match (round + 6 > ROUNDS, round % 2) {
            (true, _) => (true, true),
            (false, 0) => (true, false),
            (false, _) => (false, true),
        };
        let count = layers.len();
        for step in 0..count {
            let at = if ways.0 { step } else { count - 1 - step };
            settle(items, &layers[at], &mut middle, ways);
        }
    }
    middle
}

/// How far apart the middles of two neighbours have to be.
fn distance(left: &Item, right: &Item) -> f64 {
    let gap = if left.node.is_some() && right.node.is_some() { BOX_GAP } else { PASS_GAP };
    (left.width + right.width) / 2.0 + gap
}

/// How strongly two joined items want to stand above each other: a long arrow shall be straight, and what only
/// leads on shall stand right above what it leads to.
fn pull(upper: &Item, lower: &Item) -> f64 {
    match (upper.node, lower.node) {
        (None, None) => 8.0,
        (Some(_), Some(_)) if upper.down.len() == 1 => 3.0,
        (Some(_), Some(_)) => 1.0,
        _ => 2.0,
    }
}

/// Places one layer as near as it can be to what it is joined to: least squares under the order, which is
/// a monotone regression once the distances are taken away, and solved by pooling neighbours that collide.
fn settle(items: &[Item], layer: &[usize], middle: &mut [f64], (up, down): (bool, bool)) {
    struct Pool {
        sum: f64,
        weight: f64,
        count: usize,
    }
    let mut pools: Vec<Pool> = Vec::new();
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(layer.len());
    for (at, &own) in layer.iter().enumerate() {
        let item = &items[own];
        if at > 0 {
            offset += distance(&items[layer[at - 1]], item);
        }
        offsets.push(offset);
        let (mut sum, mut weight) = (middle[own] * 0.05, 0.05);
        let above = item.up.iter().filter(|_| up).map(|other| (*other, pull(&items[*other], item)));
        let below =
            item.down.iter().filter(|_| down).map(|other| (*other, pull(item, &items[*other])));
        for (other, pull) in above.chain(below) {
            sum += middle[other] * pull;
            weight += pull;
        }
        if let Some(partner) = item.partner {
            let side = items[partner].width / 2.0 + BOX_GAP;
            let side = if middle[own] < middle[partner] { -side } else { side };
            sum += (middle[partner] + side) * 0.5;
            weight += 0.5;
        }
        pools.push(Pool { sum: sum - offset * weight, weight, count: 1 });
        while let [.., left, right] = pools.as_slice()
            && left.sum / left.weight > right.sum / right.weight
        {
            let (sum, weight, count) =
                (left.sum + right.sum, left.weight + right.weight, left.count + right.count);
            pools.pop();
            pools.pop();
            pools.push(Pool { sum, weight, count });
        }
    }
    let mut at = 0;
    for pool in pools {
        let x = pool.sum / pool.weight;
        for _ in 0..pool.count {
            middle[layer[at]] = x + offsets[at];
            at += 1;
        }
    }
}

/// Makes the places that one arrow passes stand in one column, as far as their neighbours let them.
pub(super) fn straighten(
    items: &[Item],
    layers: &[Vec<usize>],
    ways: &[&[usize]],
    middle: &mut [f64],
) {
    let mut beside: Vec<(Option<usize>, Option<usize>)> = vec![(None, None); items.len()];
    for layer in layers {
        for pair in layer.windows(2) {
            beside[pair[0]].1 = Some(pair[1]);
            beside[pair[1]].0 = Some(pair[0]);
        }
    }
    for way in ways {
        let mut rest = *way;
        while !rest.is_empty() {
            // The longest run with a column that is free in all of its layers.
            let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
            let (mut sum, mut count, mut length) = (0.0, 0.0, 0);
            for &item in rest {
                let (left, right) = beside[item];
                let from =
                    left.map_or(low, |left| middle[left] + distance(&items[left], &items[item]));
                let to = right
                    .map_or(high, |right| middle[right] - distance(&items[item], &items[right]));
                let (next_low, next_high) = (low.max(from), high.min(to));
                if next_low > next_high {
                    break;
                }
                (low, high) = (next_low, next_high);
                sum += middle[item];
                count += 1.0;
                length += 1;
            }
            if length == 0 {
                // Rounding alone can leave an item without room; it stays where it is.
                rest = &rest[1..];
                continue;
            }
            let column = (sum / count).clamp(low, high);
            for &item in &rest[..length] {
                middle[item] = column;
            }
            rest = &rest[length..];
        }
    }
}
