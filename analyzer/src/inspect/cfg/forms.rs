//! The pictures as text and as drawings.

use super::super::InspectError;
use super::super::drawing::{Direction, Drawing, Link, Node, Row, Shape, Tone, Way};
use super::{Functions, Kind, LEGEND, Line, Part, Picture};

impl Functions {
    pub(in crate::inspect) fn to_text(&self) -> String {
        let mut out = String::new();
        for picture in &self.functions {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&format!("{}  {}\n", picture.function, picture.place));
            if picture.is_partial {
                out.push_str("  (some of it could not be read or resolved)\n");
            }
            if picture.is_truncated {
                out.push_str("  (some calls were left as calls)\n");
            }
            for part in &picture.blocks {
                part.write(&mut out);
            }
        }
        if out.is_empty() {
            out.push_str("no function with a body\n");
        }
        out
    }

    pub(in crate::inspect) fn drawing(&self) -> Result<Drawing, InspectError> {
        let [picture] = self.functions.as_slice() else {
            return Err(one_function(self.functions.iter().map(|picture| &picture.function)));
        };
        Ok(picture.drawing())
    }
}

/// A picture was asked of several functions, or of none.
pub(in crate::inspect) fn one_function<'a>(
    functions: impl Iterator<Item = &'a String>,
) -> InspectError {
    InspectError::OneFunction { choices: functions.take(5).cloned().collect() }
}

impl Part {
    fn write(&self, out: &mut String) {
        let mut id = format!("{:>3}  ", self.id);
        for line in &self.lines {
            let number = line.line.map(|line| format!("{line:>4}  ")).unwrap_or_default();
            let mut marks: Vec<&str> = Vec::new();
            for mark in &line.marks {
                if !marks.contains(&mark.what) {
                    marks.push(mark.what);
                }
            }
            let marks = match marks.join(", ").replace('_', " ") {
                marks if marks.is_empty() => marks,
                marks => format!("  <- {marks}"),
            };
            let shown = match (self.kind, line.tone) {
                (Kind::Code, Tone::Dim) => format!("[{}]", line.text),
                _ => line.text.clone(),
            };
            out.push_str(&format!("{id}{number}{shown}{marks}\n"));
            id = " ".repeat(5);
        }
        if self.lines.is_empty() {
            out.push_str(&format!("{id}(nothing)\n"));
        }
        for next in &self.next {
            let when =
                if next.when.is_empty() { String::new() } else { format!("{}: ", next.when) };
            out.push_str(&format!("     -> {when}{}\n", next.to));
        }
    }
}

impl Picture {
    fn drawing(&self) -> Drawing {
        let mut links = Vec::new();
        for part in &self.blocks {
            for next in &part.next {
                links.push(Link {
                    from: part.id,
                    to: next.to,
                    label: next.when.clone(),
                    tone: next.tone,
                    is_dashed: false,
                });
            }
        }
        Drawing {
            title: format!(
                "{}  {}{}",
                self.function,
                self.place,
                if self.is_partial { "  (not all of it could be read)" } else { "" }
            ),
            direction: Direction::Down,
            nodes: self.blocks.iter().map(Part::node).collect(),
            links,
            legend: LEGEND.to_vec(),
            way: Way::default(),
        }
    }
}

impl Part {
    fn node(&self) -> Node {
        let is_bare = self.lines.iter().all(|line| line.line.is_none()) && self.lines.len() == 1;
        let (shape, tone) = match self.kind {
            Kind::Entry | Kind::Exit => (Shape::Pill, Tone::Plain),
            Kind::Revert if is_bare => (Shape::Pill, Tone::Revert),
            Kind::Revert => (Shape::Box, Tone::Revert),
            Kind::Code | Kind::Stop => (Shape::Box, Tone::Plain),
        };
        Node { shape, tone, rows: self.lines.iter().map(Line::row).collect(), hint: String::new() }
    }
}

impl Line {
    fn row(&self) -> Row {
        let mut pieces = Vec::new();
        let chars: Vec<char> = self.text.chars().collect();
        let mut at = 0;
        for mark in &self.marks {
            if mark.from > at {
                pieces.push((self.tone, chars[at..mark.from].iter().collect()));
            }
            pieces.push((mark.tone, chars[mark.from..mark.to].iter().collect()));
            at = mark.to;
        }
        if at < chars.len() || pieces.is_empty() {
            pieces.push((self.tone, chars[at..].iter().collect()));
        }
        let gutter = self.line.map(|line| line.to_string()).unwrap_or_default();
        Row { gutter, pieces }
    }
}
