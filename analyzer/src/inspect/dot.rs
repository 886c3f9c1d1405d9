//! A drawing in the language of Graphviz.

use super::drawing::{Direction, Drawing, Node, Shape, Tone};

/// Prints a drawing as one directed graph.
pub(super) fn print(drawing: &Drawing) -> String {
    let direction = if drawing.direction == Direction::Down { "TB" } else { "LR" };
    let mut out = format!(
        "digraph {} {{\n  rankdir={direction};\n  label={};\n  labelloc=t;\n  fontname=monospace;\n  \
         node [fontname=monospace, fontsize=11, shape=box];\n  edge [fontname=monospace, fontsize=10];\n",
        quoted(&drawing.title),
        quoted(&drawing.title)
    );
    for (number, node) in drawing.nodes.iter().enumerate() {
        let style = match node.shape {
            Shape::Box => "solid",
            Shape::Pill => "rounded",
            Shape::Dashed => "dashed",
        };
        out.push_str(&format!(
            "  n{number} [style={style}, color={}, label=<{}>];\n",
            quoted(colour(node.tone)),
            label(node)
        ));
    }
    for link in &drawing.links {
        let style = if link.is_dashed { ", style=dashed" } else { "" };
        let label = if link.label.is_empty() {
            String::new()
        } else {
            format!(", label={}, fontcolor={}", quoted(&link.label), quoted(colour(link.tone)))
        };
        out.push_str(&format!(
            "  n{} -> n{} [color={}{label}{style}];\n",
            link.from,
            link.to,
            quoted(colour(link.tone))
        ));
    }
    out.push_str("}\n");
    out
}

fn colour(tone: Tone) -> &'static str {
    tone.colours().0
}

/// The rows of a box in Graphviz's kind of HTML.
fn label(node: &Node) -> String {
    let is_pill = node.shape == Shape::Pill;
    let mut out = String::new();
    for row in &node.rows {
        if !row.gutter.is_empty() {
            out.push_str(&piece(Tone::Dim, &format!("{:>4}  ", row.gutter)));
        }
        for (tone, text) in &row.pieces {
            out.push_str(&piece(*tone, text));
        }
        if !is_pill {
            out.push_str("<BR ALIGN=\"LEFT\"/>");
        }
    }
    if out.is_empty() { " ".to_owned() } else { out }
}

fn piece(tone: Tone, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // Graphviz joins blanks that follow each other.
            ' ' => escaped.push_str("&#160;"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    format!("<FONT COLOR=\"{}\">{escaped}</FONT>", colour(tone))
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
