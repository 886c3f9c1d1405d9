//! What a picture promises, on generated graphs: boxes stand apart, and no arrow runs through one.

use proptest::prelude::*;

use super::layout::{Layout, Point, Route, Step, layout};
use super::*;

type Graph = (Vec<(f64, f64)>, Vec<(usize, usize)>, Vec<f64>);

fn graphs() -> impl Strategy<Value = Graph> {
    (1_usize..14).prop_flat_map(|n_nodes| {
        let sizes = prop::collection::vec((20.0..260.0_f64, 20.0..120.0_f64), n_nodes);
        let links = prop::collection::vec((0..n_nodes, 0..n_nodes), 0..(2 * n_nodes));
        (sizes, links).prop_flat_map(|(sizes, links)| {
            let labels = prop::collection::vec(prop_oneof![Just(0.0), 20.0..90.0_f64], links.len());
            (Just(sizes), Just(links), labels)
        })
    })
}

/// Points along a route, close enough together that none can jump over a box.
fn points(route: &Route) -> Vec<Point> {
    let mut at = route.start;
    let mut out = vec![at];
    for step in &route.steps {
        for part in 1..=40 {
            let t = f64::from(part) / 40.0;
            let mix =
                |a: Point, b: Point| Point { x: a.x + (b.x - a.x) * t, y: a.y + (b.y - a.y) * t };
            out.push(match *step {
                Step::Line(to) => mix(at, to),
                Step::Curve(a, b, to) => {
                    let (first, second, third) = (mix(at, a), mix(a, b), mix(b, to));
                    mix(mix(first, second), mix(second, third))
                }
            });
        }
        at = match *step {
            Step::Line(to) | Step::Curve(_, _, to) => to,
        };
    }
    out
}

fn end(route: &Route) -> Point {
    points(route).last().copied().expect("a route has a start")
}

fn check(layout: &Layout, (sizes, links, _): &Graph) {
    let rects: Vec<(f64, f64, f64, f64)> = layout
        .boxes
        .iter()
        .zip(sizes)
        .map(|(corner, (width, height))| (corner.x, corner.y, corner.x + width, corner.y + height))
        .collect();
    for (at, a) in rects.iter().enumerate() {
        assert!(a.0 >= -0.01 && a.1 >= -0.01, "box {at} stands outside");
        assert!(a.2 <= layout.width + 0.01 && a.3 <= layout.height + 0.01, "box {at} is cut off");
        for (other, b) in rects.iter().enumerate().skip(at + 1) {
            let is_apart = a.2 < b.0 || b.2 < a.0 || a.3 < b.1 || b.3 < a.1;
            assert!(is_apart, "boxes {at} and {other} overlap: {a:?} {b:?}");
        }
    }
    for (link, route) in layout.routes.iter().enumerate() {
        let (from, to) = links[link];
        for point in points(route) {
            let inside = rects.iter().position(|rect| {
                let margin = 0.5;
                point.x > rect.0 + margin
                    && point.x < rect.2 - margin
                    && point.y > rect.1 + margin
                    && point.y < rect.3 - margin
            });
            assert_eq!(inside, None, "the arrow {from} -> {to} runs through a box at {point:?}");
            assert!(
                point.x >= -0.5 && point.y >= -0.5 && point.x <= layout.width + 0.5,
                "the arrow {from} -> {to} leaves the picture at {point:?}"
            );
        }
        if from != to {
            assert!((route.start.y - rects[from].3).abs() < 0.01, "{link} starts at the bottom");
            assert!((end(route).y - rects[to].1).abs() < 0.01, "{link} ends at the top");
            for (x, rect) in [(route.start.x, rects[from]), (end(route).x, rects[to])] {
                assert!(x > rect.0 && x < rect.2, "{link} is not at its box");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn boxes_stand_apart_and_arrows_run_between_them(graph in graphs()) {
        let layout = layout(&graph.0, &graph.1, &graph.2);
        check(&layout, &graph);
        prop_assert_eq!(&layout, &super::layout::layout(&graph.0, &graph.1, &graph.2));
    }
}

#[test]
fn a_chain_is_straight() {
    let sizes = [(80.0, 30.0), (140.0, 30.0), (60.0, 30.0)];
    let layout = layout(&sizes, &[(0, 1), (1, 2)], &[0.0, 0.0]);
    for route in &layout.routes {
        assert!(matches!(route.steps.as_slice(), [Step::Line(_), ..]));
        assert!(points(route).iter().all(|point| (point.x - route.start.x).abs() < 0.01));
    }
}

#[test]
fn branches_that_meet_again_do_not_cross() {
    let sizes = [(60.0, 30.0); 6];
    let links = [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5)];
    let layout = layout(&sizes, &links, &[0.0; 6]);
    let is_left = |a: usize, b: usize| layout.boxes[a].x < layout.boxes[b].x;
    assert_eq!(is_left(1, 2), is_left(3, 4));
}

#[test]
fn a_large_graph_is_refused_with_its_size() {
    let node = Node { shape: Shape::Box, tone: Tone::Plain, rows: Vec::new(), hint: String::new() };
    let drawing = Drawing {
        title: String::new(),
        direction: Direction::Down,
        nodes: vec![node; 2_000],
        links: Vec::new(),
        legend: Vec::new(),
        way: Default::default(),
    };
    let refused = draw(&drawing).expect_err("nobody reads so many boxes");
    assert!(refused.to_string().contains("2000 boxes"), "{refused}");
}

#[test]
fn text_cannot_leave_its_element() {
    let node = Node {
        shape: Shape::Box,
        tone: Tone::Plain,
        rows: vec![Row::new(Tone::Plain, "a<b && \"c\"\u{1}]]>")],
        hint: "<script>".to_owned(),
    };
    let drawing = Drawing {
        title: "</title><script>".to_owned(),
        direction: Direction::Right,
        nodes: vec![node],
        links: Vec::new(),
        legend: Vec::new(),
        way: Default::default(),
    };
    let svg = draw(&drawing).expect("one box is drawn");
    assert!(!svg.contains("<script>") && !svg.contains('\u{1}'), "{svg}");
    assert!(svg.contains("a&lt;b &amp;&amp; &quot;c&quot;]]&gt;"), "{svg}");
}
