//! The order within layers: few crossings.

use super::layout::Item;

/// Sweeps down and up.
const ROUNDS: usize = 12;
/// Layers up to this many items have their neighbours swapped one by one as well.
const MAX_SWAPPED: usize = 120;

/// Orders every layer; `ranks` says in which layer an item stands.
pub(super) fn order(items: &[Item], layers: &mut [Vec<usize>], ranks: &[usize]) {
    start(items, layers, ranks);
    let mut position = positions(items.len(), layers);
    let mut best = layers.to_vec();
    let mut fewest = crossings(items, layers, &position);
    for round in 0..ROUNDS {
        if fewest == 0 && round > 1 {
            break;
        }
        let is_down = round % 2 == 0;
        let count = layers.len();
        for step in 0..count {
            let at = if is_down { step } else { count - 1 - step };
            sweep(items, &mut layers[at], &mut position, is_down);
        }
        for layer in layers.iter_mut() {
            swap_neighbours(items, layer, &mut position);
        }
        let now = crossings(items, layers, &position);
        if now < fewest {
            fewest = now;
            best = layers.to_vec();
        }
    }
    layers.clone_from_slice(&best);
}

/// The order in which a walk along the arrows comes to the items.
fn start(items: &[Item], layers: &mut [Vec<usize>], ranks: &[usize]) {
    let mut seen = vec![false; items.len()];
    let mut found: Vec<Vec<usize>> = vec![Vec::new(); layers.len()];
    let mut ways_back: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    for (at, item) in items.iter().enumerate() {
        if let (Some(partner), None) = (item.partner, item.up.first()) {
            ways_back[partner].push(at);
        }
    }
    let has_no_up = |at: &usize| items[*at].up.is_empty() && items[*at].node.is_some();
    let starts: Vec<usize> = (0..items.len()).filter(has_no_up).chain(0..items.len()).collect();
    for begin in starts {
        let mut stack = vec![begin];
        while let Some(at) = stack.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            found[ranks[at]].push(at);
            stack.extend(ways_back[at].iter().rev());
            stack.extend(items[at].down.iter().rev());
        }
    }
    layers.clone_from_slice(&found);
}

fn positions(n_items: usize, layers: &[Vec<usize>]) -> Vec<f64> {
    let mut position = vec![0.0; n_items];
    for layer in layers {
        number(layer, &mut position);
    }
    position
}

fn number(layer: &[usize], position: &mut [f64]) {
    let mut next = 0.0;
    for item in layer {
        position[*item] = next;
        next += 1.0;
    }
}

/// Sorts one layer by the middle of what each item is joined to in the layer before.
fn sweep(items: &[Item], layer: &mut [usize], position: &mut [f64], is_down: bool) {
    let mut wanted: Vec<(f64, usize)> = layer
        .iter()
        .map(|&at| {
            let item = &items[at];
            let joined = if is_down { &item.up } else { &item.down };
            let mut sum: f64 = joined.iter().map(|other| position[*other]).sum();
            let mut count = joined.len();
            if let Some(partner) = item.partner {
                sum += position[partner] + 0.6;
                count += 1;
            }
            let middle = match u32::try_from(count) {
                Ok(0) | Err(_) => position[at],
                Ok(count) => sum / f64::from(count),
            };
            (middle, at)
        })
        .collect();
    // Stable: what is drawn to the same place stays in its order.
    wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (slot, (_, at)) in layer.iter_mut().zip(wanted) {
        *slot = at;
    }
    number(layer, position);
}

fn swap_neighbours(items: &[Item], layer: &mut [usize], position: &mut [f64]) {
    if layer.len() > MAX_SWAPPED {
        return;
    }
    for _ in 0..4 {
        let mut is_changed = false;
        for at in 1..layer.len() {
            let (left, right) = (layer[at - 1], layer[at]);
            if between(items, right, left, position) < between(items, left, right, position) {
                layer.swap(at - 1, at);
                is_changed = true;
            }
        }
        if !is_changed {
            break;
        }
    }
    number(layer, position);
}

/// How many arrows of `left` cross arrows of `right`, which stands beside it.
fn between(items: &[Item], left: usize, right: usize, position: &[f64]) -> usize {
    let count = |of_left: &[usize], of_right: &[usize]| {
        of_left
            .iter()
            .flat_map(|a| of_right.iter().map(move |b| (a, b)))
            .filter(|(a, b)| position[**a] > position[**b])
            .count()
    };
    count(&items[left].up, &items[right].up) + count(&items[left].down, &items[right].down)
}

/// All crossings between neighbouring layers.
fn crossings(items: &[Item], layers: &[Vec<usize>], position: &[f64]) -> usize {
    let mut total = 0;
    for layer in layers {
        let mut ends: Vec<f64> = Vec::new();
        for item in layer {
            let mut own: Vec<f64> =
                items[*item].down.iter().map(|other| position[*other]).collect();
            own.sort_by(f64::total_cmp);
            for end in &own {
                // Arrows that began further left and end further right.
                total += ends.len() - ends.partition_point(|other| other <= end);
            }
            for end in own {
                let at = ends.partition_point(|other| *other <= end);
                ends.insert(at, end);
            }
        }
    }
    total
}
