//! Columns of text, and text in columns as boxes.

use super::drawing::{Direction, Drawing, Node, Row, Shape, Tone, Way};

/// Lines up `rows` under `head`; the last column is not padded.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("  {}", padded.join("  ")).trim_end().to_owned() + "\n"
    };
    let mut out = line(head);
    for row in rows {
        out.push_str(&line(std::array::from_fn(|column| row[column].as_str())));
    }
    out
}

/// What a printer says in columns as a drawing: a line that stands at the margin begins a box, and the lines below it
/// are its rows.
pub(super) fn drawing(title: &str, text: &str) -> Drawing {
    let mut nodes: Vec<Node> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match nodes.last_mut() {
            Some(node) if line.starts_with(' ') => node.rows.push(Row::new(Tone::Dim, line)),
            _ => {
                let (name, place) = line.split_once("  ").unwrap_or((line, ""));
                let mut row = Row::new(Tone::Plain, name);
                if !place.is_empty() {
                    row.pieces.push((Tone::Dim, format!("  {place}")));
                }
                let hint = place.to_owned();
                nodes.push(Node { shape: Shape::Box, tone: Tone::Plain, rows: vec![row], hint });
            }
        }
    }
    Drawing {
        title: title.to_owned(),
        direction: Direction::Down,
        nodes,
        links: Vec::new(),
        legend: Vec::new(),
        way: Way::default(),
    }
}
