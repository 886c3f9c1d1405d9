//! Where boxes stand and how arrows run: a layered layout after Sugiyama, Tagawa and Toda (1981).
//!
//! Boxes are ranked by their longest way from the start; arrows back to an earlier box run beside the
//! layers they pass, so that a loop looks like one. Long arrows hold a place in every layer between
//! ([`Item`] without a box). Layers are ordered by barycentres and swaps of neighbours; then each layer is
//! placed at the least squares distance from what it is joined to, which a pass of pooled averages solves
//! exactly. An arrow is vertical within a layer and curved between two, so it never crosses a box.

use super::order;
use super::place;

/// A point, in pixels from the top left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// One step of an arrow's way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    Line(Point),
    /// Two control points and the end.
    Curve(Point, Point, Point),
}

/// The way of one arrow.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Route {
    pub(super) start: Point,
    pub(super) steps: Vec<Step>,
    /// The arrow leaves left of the middle of several that leave its box.
    pub(super) is_left: bool,
}

/// A finished layout.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// Top left corners, one for each box.
    pub(super) boxes: Vec<Point>,
    /// One for each arrow.
    pub(super) routes: Vec<Route>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Straight parts where an arrow leaves a box and where it arrives, and the curve between them at the least.
const LEAVE: f64 = 20.0;
const ARRIVE: f64 = 12.0;
const CURVE: f64 = 22.0;
/// Room between two boxes of a layer, and beside a passing arrow.
pub(super) const BOX_GAP: f64 = 30.0;
pub(super) const PASS_GAP: f64 = 16.0;
/// Between two arrows that leave or reach the same side of a box.
const PORT_STEP: f64 = 34.0;
/// Between two arrows back that turn in the same gap.
const TURN_STEP: f64 = 8.0;
/// Room between parts that are not joined.
const PART_GAP: f64 = 36.0;

/// What stands in a layer: a box, or the place that an arrow passes through.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) node: Option<usize>,
    pub(super) width: f64,
    pub(super) up: Vec<usize>,
    pub(super) down: Vec<usize>,
    /// The box of the same layer that an arrow back begins or ends at.
    pub(super) partner: Option<usize>,
}

/// Lays out boxes of the given sizes (width, height) joined by arrows (from, to), each with the width of what is
/// written where it begins.
pub(super) fn layout(sizes: &[(f64, f64)], links: &[(usize, usize)], labels: &[f64]) -> Layout {
    let mut parts: Vec<(Vec<usize>, Vec<usize>, Layout)> = components(sizes.len(), links)
        .into_iter()
        .map(|(nodes, edges)| {
            let local = |node: usize| nodes.binary_search(&node).unwrap_or(0);
            let local_sizes: Vec<_> = nodes.iter().map(|node| sizes[*node]).collect();
            let local_links: Vec<_> =
                edges.iter().map(|edge| (local(links[*edge].0), local(links[*edge].1))).collect();
            let local_labels: Vec<_> = edges.iter().map(|edge| labels[*edge]).collect();
            let layout = Part::new(&local_sizes, &local_links, &local_labels).finish();
            (nodes, edges, layout)
        })
        .collect();
    // Large parts first; the sort is stable, so equal ones stay in their order.
    parts.sort_by_key(|part| std::cmp::Reverse(part.0.len()));
    pack(sizes.len(), links.len(), parts)
}

/// Parts that are joined by arrows, each with its boxes and arrows in ascending order.
fn components(n_nodes: usize, links: &[(usize, usize)]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let mut root: Vec<usize> = (0..n_nodes).collect();
    fn find(root: &mut [usize], mut node: usize) -> usize {
        while root[node] != node {
            root[node] = root[root[node]];
            node = root[node];
        }
        node
    }
    for (from, to) in links {
        let (a, b) = (find(&mut root, *from), find(&mut root, *to));
        root[a.max(b)] = a.min(b);
    }
    let mut position = vec![usize::MAX; n_nodes];
    let mut parts: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
    for node in 0..n_nodes {
        let at = find(&mut root, node);
        if position[at] == usize::MAX {
            position[at] = parts.len();
            parts.push((Vec::new(), Vec::new()));
        }
        parts[position[at]].0.push(node);
    }
    for (edge, (from, _)) in links.iter().enumerate() {
        let at = find(&mut root, *from);
        parts[position[at]].1.push(edge);
    }
    parts
}

/// Puts the parts side by side, in rows.
fn pack(n_nodes: usize, n_links: usize, parts: Vec<(Vec<usize>, Vec<usize>, Layout)>) -> Layout {
    let area: f64 = parts.iter().map(|(.., part)| part.width * (part.height + PART_GAP)).sum();
    let widest = parts.iter().map(|(.., part)| part.width).fold(0.0, f64::max);
    let row_width = widest.max((area * 1.6).sqrt());
    let origin = Point { x: 0.0, y: 0.0 };
    let nowhere = Route { start: origin, steps: Vec::new(), is_left: false };
    let mut out = Layout {
        boxes: vec![origin; n_nodes],
        routes: vec![nowhere; n_links],
        width: 0.0,
        height: 0.0,
    };
    let (mut x, mut y, mut row_height) = (0.0, 0.0, 0.0_f64);
    for (nodes, edges, part) in parts {
        if x > 0.0 && x + part.width > row_width {
            x = 0.0;
            y += row_height + PART_GAP;
            row_height = 0.0;
        }
        let shift = |point: Point| Point { x: point.x + x, y: point.y + y };
        for (node, at) in nodes.iter().zip(&part.boxes) {
            out.boxes[*node] = shift(*at);
        }
        for (edge, route) in edges.iter().zip(part.routes) {
            out.routes[*edge] = Route {
                start: shift(route.start),
                steps: route.steps.into_iter().map(|step| map(step, shift)).collect(),
                is_left: route.is_left,
            };
        }
        out.width = out.width.max(x + part.width);
        out.height = out.height.max(y + part.height);
        x += part.width + PART_GAP;
        row_height = row_height.max(part.height);
    }
    out
}

/// The same step elsewhere.
pub(super) fn map(step: Step, shift: impl Fn(Point) -> Point) -> Step {
    match step {
        Step::Line(to) => Step::Line(shift(to)),
        Step::Curve(a, b, to) => Step::Curve(shift(a), shift(b), shift(to)),
    }
}

/// How one arrow runs through the layers.
struct Way {
    /// The items passed, from the arrow's start to its end.
    passed: Vec<usize>,
    is_back: bool,
}

/// One joined part.
struct Part<'a> {
    sizes: &'a [(f64, f64)],
    links: &'a [(usize, usize)],
    ranks: Vec<usize>,
    items: Vec<Item>,
    /// The items of each layer, from left to right.
    layers: Vec<Vec<usize>>,
    /// `None` for an arrow from a box to itself.
    ways: Vec<Option<Way>>,
}

impl<'a> Part<'a> {
    fn new(sizes: &'a [(f64, f64)], links: &'a [(usize, usize)], labels: &[f64]) -> Self {
        let is_back = back_links(sizes.len(), links);
        let ranks = ranks(sizes.len(), links, &is_back);
        let n_layers = ranks.iter().max().map_or(0, |most| most + 1);
        let mut part = Self {
            sizes,
            links,
            ranks,
            items: Vec::new(),
            layers: vec![Vec::new(); n_layers],
            ways: Vec::new(),
        };
        // What is written beside an arrow that leaves takes room on both sides, as it is not known yet on which
        // side it will stand; so does an arrow to the box itself.
        let mut widths: Vec<f64> = sizes.iter().map(|(width, _)| *width).collect();
        for (&(from, to), label) in links.iter().zip(labels) {
            let room = if *label > 0.0 { 2.0 * label + PORT_STEP } else { 0.0 };
            let own = if from == to { sizes[from].0 + 92.0 } else { 0.0 };
            widths[from] = widths[from].max(room).max(own);
        }
        part.items
            .extend(widths.into_iter().enumerate().map(|(node, width)| item(Some(node), width)));
        for (link, &(from, to)) in links.iter().enumerate() {
            let way = if from == to { None } else { Some(part.way(from, to, is_back[link])) };
            part.ways.push(way);
        }
        part
    }

    /// Makes the places that an arrow passes through.
    fn way(&mut self, from: usize, to: usize, is_back: bool) -> Way {
        let (first, last) = if is_back {
            (self.ranks[to], self.ranks[from])
        } else {
            (self.ranks[from] + 1, self.ranks[to] - 1)
        };
        let mut passed = Vec::new();
        let mut above = if is_back { None } else { Some(from) };
        for rank in first..=last {
            let here = self.items.len();
            self.items.push(item(None, 2.0));
            // Where the layers are ordered, an item is found in its layer.
            self.ranks.push(rank);
            if let Some(above) = above {
                self.items[above].down.push(here);
                self.items[here].up.push(above);
            }
            above = Some(here);
            passed.push(here);
        }
        if is_back {
            if let (Some(top), Some(bottom)) = (passed.first(), passed.last()) {
                self.items[*top].partner = Some(to);
                if top == bottom {
                    self.items[*top].partner = Some(from);
                } else {
                    self.items[*bottom].partner = Some(from);
                }
            }
            passed.reverse();
        } else if let Some(above) = above {
            self.items[above].down.push(to);
            self.items[to].up.push(above);
        }
        Way { passed, is_back }
    }

    fn finish(mut self) -> Layout {
        for (item, rank) in self.ranks.iter().enumerate() {
            self.layers[*rank].push(item);
        }
        order::order(&self.items, &mut self.layers, &self.ranks);
        let mut middles = place::place(&self.items, &self.layers);
        let passed: Vec<&[usize]> =
            self.ways.iter().flatten().map(|way| way.passed.as_slice()).collect();
        place::straighten(&self.items, &self.layers, &passed, &mut middles);
        let left = self
            .items
            .iter()
            .zip(&middles)
            .map(|(item, x)| x - item.width / 2.0)
            .fold(f64::INFINITY, f64::min);
        let middles: Vec<f64> = middles.iter().map(|x| x - left).collect();
        let width = self
            .items
            .iter()
            .zip(&middles)
            .map(|(item, x)| x + item.width / 2.0)
            .fold(0.0, f64::max);
        let turns = self.turns(&middles);
        let (tops, bottoms) = self.heights(&turns);
        let boxes: Vec<Point> = self
            .sizes
            .iter()
            .enumerate()
            .map(|(node, (width, _))| Point {
                x: middles[node] - width / 2.0,
                y: tops[self.ranks[node]],
            })
            .collect();
        let routes = self.routes(&middles, &boxes, &tops, &bottoms, &turns);
        let below_last = self
            .ways
            .iter()
            .zip(&turns)
            .filter_map(|(way, turns)| Some((way.as_ref().filter(|way| way.is_back)?, turns.0)))
            .filter(|(way, _)| way.passed.first().is_some_and(|item| self.is_last(*item)))
            .map(|(_, nearer)| {
                LEAVE + CURVE + TURN_STEP * f64::from(u32::try_from(nearer).unwrap_or(0))
            })
            .fold(0.0, f64::max);
        let height = bottoms.last().copied().unwrap_or(0.0) + below_last;
        Layout { boxes, routes, width, height }
    }

    fn is_last(&self, item: usize) -> bool {
        self.ranks[item] + 1 == self.layers.len()
    }

    /// Where each layer begins and ends.
    fn heights(&self, turns: &[(usize, usize)]) -> (Vec<f64>, Vec<f64>) {
        let mut tops = Vec::new();
        let mut bottoms = Vec::new();
        let arrives_above =
            self.ways.iter().flatten().any(|way| {
                way.is_back && way.passed.last().is_some_and(|item| self.ranks[*item] == 0)
            });
        let mut y = if arrives_above { LEAVE + CURVE } else { 0.0 };
        let mut turning = vec![0_usize; self.layers.len() + 1];
        for (way, (below, above)) in self.ways.iter().zip(turns) {
            let Some(way) = way.as_ref().filter(|way| way.is_back) else { continue };
            if let (Some(first), Some(last)) = (way.passed.first(), way.passed.last()) {
                let under = &mut turning[self.ranks[*first] + 1];
                *under = (*under).max(*below);
                let over = &mut turning[self.ranks[*last]];
                *over = (*over).max(*above);
            }
        }
        y += TURN_STEP * f64::from(u32::try_from(turning[0]).unwrap_or(0));
        for (rank, layer) in self.layers.iter().enumerate() {
            let height = layer
                .iter()
                .filter_map(|item| self.items[*item].node)
                .map(|node| self.sizes[node].1)
                .fold(0.0, f64::max);
            tops.push(y);
            bottoms.push(y + height);
            let crossing: usize = layer.iter().map(|item| self.items[*item].down.len()).sum();
            let extra = 3.0 * f64::from(u32::try_from(crossing.min(14)).unwrap_or(0));
            let turns = f64::from(u32::try_from(turning[rank + 1]).unwrap_or(0));
            y += height + LEAVE + CURVE + extra + TURN_STEP * turns + ARRIVE;
        }
        (tops, bottoms)
    }

    /// How many other arrows back turn nearer to the boxes, below the start and above the end of each: where two
    /// would run over each other, the wider one keeps further away.
    fn turns(&self, middles: &[f64]) -> Vec<(usize, usize)> {
        let mut out = vec![(0, 0); self.links.len()];
        for is_start in [true, false] {
            let mut reaches: Vec<(usize, f64, f64, usize)> = Vec::new();
            for (link, &(from, to)) in self.links.iter().enumerate() {
                let Some(way) = self.ways[link].as_ref().filter(|way| way.is_back) else {
                    continue;
                };
                let (node, item) =
                    if is_start { (from, way.passed.first()) } else { (to, way.passed.last()) };
                let Some(item) = item else { continue };
                let (a, b) = (middles[node], middles[*item]);
                reaches.push((self.ranks[node], a.min(b), a.max(b), link));
            }
            reaches.sort_by(|a, b| {
                a.0.cmp(&b.0).then((a.2 - a.1).total_cmp(&(b.2 - b.1))).then(a.3.cmp(&b.3))
            });
            for (at, &(rank, left, right, link)) in reaches.iter().enumerate() {
                let nearer = reaches[..at]
                    .iter()
                    .filter(|other| other.0 == rank && other.1 < right && left < other.2)
                    .map(|other| if is_start { out[other.3].0 } else { out[other.3].1 } + 1)
                    .max()
                    .unwrap_or(0);
                if is_start {
                    out[link].0 = nearer;
                } else {
                    out[link].1 = nearer;
                }
            }
        }
        out
    }

    fn routes(
        &self,
        middles: &[f64],
        boxes: &[Point],
        tops: &[f64],
        bottoms: &[f64],
        turns: &[(usize, usize)],
    ) -> Vec<Route> {
        let (starts, ends) = self.ports(middles);
        self.links
            .iter()
            .enumerate()
            .map(|(link, &(from, to))| {
                let Some(way) = &self.ways[link] else {
                    return own_loop(boxes[from], self.sizes[from]);
                };
                let (start_x, is_left) = starts[link];
                let mut pen = Pen::new(start_x, boxes[from].y + self.sizes[from].1, is_left);
                let mut rank = self.ranks[from];
                let turn = |nearer: usize| {
                    LEAVE + 4.0 + TURN_STEP * f64::from(u32::try_from(nearer).unwrap_or(0))
                };
                if way.is_back {
                    pen.down_to(bottoms[rank]);
                    if let Some(first) = way.passed.first() {
                        pen.turn(middles[*first], turn(turns[link].0));
                    }
                    for item in &way.passed {
                        let here = self.ranks[*item];
                        if here != rank {
                            pen.curve(middles[*item], bottoms[here]);
                            rank = here;
                        }
                        pen.down_to(tops[here]);
                    }
                    pen.turn(ends[link], -turn(turns[link].1));
                    pen.down_to(tops[self.ranks[to]]);
                } else {
                    pen.down_to(bottoms[rank] + LEAVE);
                    for item in &way.passed {
                        rank += 1;
                        pen.curve(middles[*item], tops[rank] - ARRIVE);
                        pen.down_to(bottoms[rank] + LEAVE);
                    }
                    rank += 1;
                    pen.curve(ends[link], tops[rank] - ARRIVE);
                    pen.down_to(tops[rank]);
                }
                pen.route
            })
            .collect()
    }

    /// Where each arrow leaves its box (and whether left of the middle), and where it arrives.
    fn ports(&self, middles: &[f64]) -> (Vec<(f64, bool)>, Vec<f64>) {
        let mut starts = vec![(0.0, false); self.links.len()];
        let mut ends = vec![0.0; self.links.len()];
        for node in 0..self.sizes.len() {
            let mut leaving = Vec::new();
            let mut arriving = Vec::new();
            for (link, &(from, to)) in self.links.iter().enumerate() {
                let Some(way) = &self.ways[link] else { continue };
                if from == node {
                    let next = way.passed.first().copied().unwrap_or(to);
                    leaving.push((middles[next], link));
                }
                if to == node {
                    let last = way.passed.last().copied().unwrap_or(from);
                    arriving.push((middles[last], link));
                }
            }
            let own_width = self.sizes[node].0;
            let middle = middles[node];
            for (ports, is_leaving) in [(&mut leaving, true), (&mut arriving, false)] {
                ports.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let count = f64::from(u32::try_from(ports.len()).unwrap_or(u32::MAX));
                let step = ((own_width - 20.0) / count.max(1.0)).min(PORT_STEP);
                let mut x = middle - step * (count - 1.0) / 2.0;
                for (position, (_, link)) in ports.iter().enumerate() {
                    if is_leaving {
                        starts[*link] = (x, ports.len() > 1 && 2 * (position + 1) <= ports.len());
                    } else {
                        ends[*link] = x;
                    }
                    x += step;
                }
            }
        }
        self.straighten(middles, &mut starts, &mut ends);
        (starts, ends)
    }

    /// An arrow that leaves or reaches a side alone does so where it needs no bend, if the box is wide enough.
    fn straighten(&self, middles: &[f64], starts: &mut [(f64, bool)], ends: &mut [f64]) {
        let mut leaving = vec![0; self.sizes.len()];
        let mut arriving = vec![0; self.sizes.len()];
        for (way, &(from, to)) in self.ways.iter().zip(self.links) {
            if way.is_some() {
                leaving[from] += 1;
                arriving[to] += 1;
            }
        }
        let fits =
            |node: usize, x: f64| (x - middles[node]).abs() <= self.sizes[node].0 / 2.0 - 14.0;
        for (link, &(from, to)) in self.links.iter().enumerate() {
            let Some(way) = &self.ways[link] else { continue };
            if way.is_back {
                continue;
            }
            let before = way.passed.last().map_or(starts[link].0, |item| middles[*item]);
            if arriving[to] == 1 && fits(to, before) {
                ends[link] = before;
            }
            let behind = way.passed.first().map_or(ends[link], |item| middles[*item]);
            if leaving[from] == 1 && fits(from, behind) {
                starts[link].0 = behind;
            }
        }
    }
}

fn item(node: Option<usize>, width: f64) -> Item {
    Item { node, width, up: Vec::new(), down: Vec::new(), partner: None }
}

/// Draws one route.
struct Pen {
    at: Point,
    route: Route,
}

impl Pen {
    fn new(x: f64, y: f64, is_left: bool) -> Self {
        let start = Point { x, y };
        Self { at: start, route: Route { start, steps: Vec::new(), is_left } }
    }

    /// Straight up or down.
    fn down_to(&mut self, y: f64) {
        if y != self.at.y {
            self.at.y = y;
            self.route.steps.push(Step::Line(self.at));
        }
    }

    /// To another column, leaving and arriving vertically.
    fn curve(&mut self, x: f64, y: f64) {
        let to = Point { x, y };
        if x == self.at.x {
            self.down_to(y);
            return;
        }
        let bend = (y - self.at.y) * 0.55;
        let first = Point { x: self.at.x, y: self.at.y + bend };
        let second = Point { x, y: y - bend };
        self.route.steps.push(Step::Curve(first, second, to));
        self.at = to;
    }

    /// To another column at the same height, around a bend that is `depth` deep.
    fn turn(&mut self, x: f64, depth: f64) {
        let (from, y) = (self.at.x, self.at.y + depth);
        let radius = ((x - from).abs() / 2.0).min(depth.abs());
        let way = if x < from { -radius } else { radius };
        let edge = y - radius * depth.signum();
        let corner = |x: f64, to: Point| Step::Curve(Point { x, y }, Point { x, y }, to);
        self.down_to(edge);
        self.route.steps.push(corner(from, Point { x: from + way, y }));
        self.route.steps.push(Step::Line(Point { x: x - way, y }));
        self.route.steps.push(corner(x, Point { x, y: edge }));
        self.at = Point { x, y: edge };
    }
}

fn own_loop(corner: Point, (width, height): (f64, f64)) -> Route {
    let x = corner.x + width;
    let (top, bottom) = (corner.y + height * 0.3, corner.y + height * 0.7);
    let start = Point { x, y: bottom };
    let far = x + 44.0;
    let step = Step::Curve(
        Point { x: far, y: bottom + 12.0 },
        Point { x: far, y: top - 12.0 },
        Point { x, y: top },
    );
    Route { start, steps: vec![step], is_left: false }
}

/// Arrows to a box that is on the way to their own start.
fn back_links(n_nodes: usize, links: &[(usize, usize)]) -> Vec<bool> {
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); n_nodes];
    let mut has_incoming = vec![false; n_nodes];
    for (link, (from, to)) in links.iter().enumerate() {
        if from != to {
            out[*from].push(link);
            has_incoming[*to] = true;
        }
    }
    let mut is_back = vec![false; links.len()];
    let mut is_seen = vec![false; n_nodes];
    let mut is_open = vec![false; n_nodes];
    let starts = (0..n_nodes).filter(|node| !has_incoming[*node]).chain(0..n_nodes);
    for start in starts {
        if is_seen[start] {
            continue;
        }
        let mut stack = vec![(start, 0)];
        is_seen[start] = true;
        is_open[start] = true;
        while let Some((node, next)) = stack.last_mut() {
            let node = *node;
            let Some(link) = out[node].get(*next).copied() else {
                is_open[node] = false;
                stack.pop();
                continue;
            };
            *next += 1;
            let to = links[link].1;
            if is_open[to] {
                is_back[link] = true;
            } else if !is_seen[to] {
                is_seen[to] = true;
                is_open[to] = true;
                stack.push((to, 0));
            }
        }
    }
    is_back
}

/// The longest way to each box over arrows that do not lead back.
fn ranks(n_nodes: usize, links: &[(usize, usize)], is_back: &[bool]) -> Vec<usize> {
    let forward: Vec<(usize, usize)> = links
        .iter()
        .zip(is_back)
        .filter(|((from, to), is_back)| !**is_back && from != to)
        .map(|(link, _)| *link)
        .collect();
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); n_nodes];
    let mut waiting = vec![0_usize; n_nodes];
    for (from, to) in &forward {
        out[*from].push(*to);
        waiting[*to] += 1;
    }
    let mut ranks = vec![0_usize; n_nodes];
    let mut ready: Vec<usize> = (0..n_nodes).filter(|node| waiting[*node] == 0).collect();
    let sources = ready.clone();
    let mut at = 0;
    while let Some(&node) = ready.get(at) {
        at += 1;
        for &to in &out[node] {
            ranks[to] = ranks[to].max(ranks[node] + 1);
            waiting[to] -= 1;
            if waiting[to] == 0 {
                ready.push(to);
            }
        }
    }
    // What only leads on stands right before what it leads to.
    for node in sources.into_iter().skip(1) {
        if let Some(nearest) = out[node].iter().map(|to| ranks[*to]).min() {
            ranks[node] = nearest.saturating_sub(1);
        }
    }
    ranks
}
