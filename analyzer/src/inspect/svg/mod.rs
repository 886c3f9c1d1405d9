//! A drawing as SVG, with no program but this one.

mod layout;
mod order;
mod place;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use super::InspectError;
use super::drawing::{Direction, Drawing, Link, Node, Row, Shape, Tone};
use layout::{Layout, Point, Route, Step, map};

const FONT_SIZE: f64 = 12.0;
const TITLE_SIZE: f64 = 14.0;
/// Wider than the characters of common monospaced fonts are (0.55 to 0.61 of the size), so that no text is cut.
const CHAR_WIDTH: f64 = 7.4;
const ROW_HEIGHT: f64 = 17.0;
const PADDING_X: f64 = 11.0;
const PADDING_Y: f64 = 7.0;
const MARGIN: f64 = 20.0;
const TITLE_HEIGHT: f64 = 34.0;
const LEGEND_HEIGHT: f64 = 34.0;

/// How a marked way looks, on light and on dark ground.
const MARKS: (&str, &str) = (
    ".step{fill:#ffe9a8}.stop{fill:#b3261e}.number{fill:#ffffff;font-size:11px;font-weight:bold}\n\
     .way.taken{stroke:#b3261e;stroke-width:3}\n",
    ".step{fill:#4a3a00}.stop{fill:#ff8a80}.number{fill:#1b1f24}.way.taken{stroke:#ff8a80}\n",
);

/// Lays a drawing out and draws it.
pub(super) fn draw(drawing: &Drawing) -> Result<String, InspectError> {
    drawing.check_size()?;
    let gutters: Vec<usize> = drawing.nodes.iter().map(gutter).collect();
    let sizes: Vec<(f64, f64)> =
        drawing.nodes.iter().zip(&gutters).map(|(node, gutter)| size(node, *gutter)).collect();
    let links: Vec<(usize, usize)> =
        drawing.links.iter().map(|link| (link.from, link.to)).collect();
    let label = |link: &Link| match link.label.chars().count() {
        0 => 0.0,
        count => width_of(count) * 0.93 + 8.0,
    };
    let labels: Vec<f64> = drawing.links.iter().map(label).collect();
    let layout = directed(drawing.direction, &sizes, &links, &labels);
    let mut page = Page { out: String::new() };
    let legend = drawing.used_legend();
    let width = layout.width.max(width_of(drawing.title.chars().count()) * TITLE_SIZE / FONT_SIZE);
    let width = width.max(legend_width(&legend)) + 2.0 * MARGIN;
    let has_legend = !legend.is_empty();
    let height =
        layout.height + TITLE_HEIGHT + 2.0 * MARGIN + if has_legend { LEGEND_HEIGHT } else { 0.0 };
    page.open(width, height, drawing);
    let indent = (width - layout.width) / 2.0;
    page.push(format_args!(
        "<g transform=\"translate({:.1} {:.1})\">\n",
        indent,
        MARGIN + TITLE_HEIGHT
    ));
    for ((number, link), route) in drawing.links.iter().enumerate().zip(&layout.routes) {
        page.arrow(link, route, drawing.way.links.contains(&number));
    }
    for (((number, node), corner), (size, gutter)) in
        drawing.nodes.iter().enumerate().zip(&layout.boxes).zip(sizes.iter().zip(&gutters))
    {
        page.node(node, *corner, *size, *gutter, |row| drawing.way.rows.get(&(number, row)));
    }
    // Above everything, so that no arrow runs through a word.
    for (link, route) in drawing.links.iter().zip(&layout.routes) {
        page.label(link, route);
    }
    page.push(format_args!("</g>\n"));
    if has_legend {
        page.legend(&legend, height - MARGIN);
    }
    page.push(format_args!("</svg>\n"));
    Ok(page.out)
}

/// The layout engine draws downwards; to the right is the same with the axes exchanged.
fn directed(
    direction: Direction,
    sizes: &[(f64, f64)],
    links: &[(usize, usize)],
    labels: &[f64],
) -> Layout {
    if direction == Direction::Down {
        return layout::layout(sizes, links, labels);
    }
    let turned: Vec<(f64, f64)> = sizes.iter().map(|(width, height)| (*height, *width)).collect();
    let layout = layout::layout(&turned, links, labels);
    let turn = |point: Point| Point { x: point.y, y: point.x };
    Layout {
        boxes: layout.boxes.into_iter().map(turn).collect(),
        routes: layout
            .routes
            .into_iter()
            .map(|route| Route {
                start: turn(route.start),
                steps: route.steps.into_iter().map(|step| map(step, turn)).collect(),
                is_left: route.is_left,
            })
            .collect(),
        width: layout.height,
        height: layout.width,
    }
}

fn width_of(n_chars: usize) -> f64 {
    f64::from(u32::try_from(n_chars).unwrap_or(u32::MAX)) * CHAR_WIDTH
}

/// The characters of the widest line number.
fn gutter(node: &Node) -> usize {
    node.rows.iter().map(|row| row.gutter.chars().count()).max().unwrap_or(0)
}

fn gutter_width(gutter: usize) -> f64 {
    if gutter == 0 { 0.0 } else { width_of(gutter) + 10.0 }
}

fn size(node: &Node, gutter: usize) -> (f64, f64) {
    let longest = node.rows.iter().map(Row::chars).max().unwrap_or(0).max(1);
    let rows = f64::from(u32::try_from(node.rows.len().max(1)).unwrap_or(u32::MAX));
    let width = width_of(longest) + gutter_width(gutter) + 2.0 * PADDING_X;
    let extra = if node.shape == Shape::Pill { 8.0 } else { 0.0 };
    (width + extra, rows * ROW_HEIGHT + 2.0 * PADDING_Y - 3.0)
}

fn legend_width(legend: &[(Tone, &str)]) -> f64 {
    legend.iter().map(|(_, text)| width_of(text.chars().count()) + 34.0).sum()
}

struct Page {
    out: String,
}

impl Page {
    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _infallible = self.out.write_fmt(text);
    }

    fn open(&mut self, width: f64, height: f64, drawing: &Drawing) {
        let title = escape(&drawing.title);
        let is_marked = !drawing.way.rows.is_empty();
        self.push(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width:.0}\" \
             height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\n<title>{title}</title>\n"
        ));
        self.style(is_marked);
        let mut tones: Vec<Tone> = drawing.links.iter().map(|link| link.tone).collect();
        tones.sort();
        tones.dedup();
        self.push(format_args!("<defs>\n"));
        for tone in tones {
            let class = tone.class();
            self.push(format_args!(
                "<marker id=\"to-{class}\" viewBox=\"0 0 8 8\" refX=\"7.4\" refY=\"4\" markerWidth=\"8\" \
                 markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
                 <path class=\"t-{class}\" d=\"M0 0.6L8 4L0 7.4z\"/></marker>\n"
            ));
        }
        self.push(format_args!(
            "</defs>\n<rect class=\"ground\" width=\"{width:.0}\" height=\"{height:.0}\"/>\n\
             <text class=\"t-plain title\" xml:space=\"preserve\" x=\"{MARGIN:.0}\" y=\"{:.0}\">{title}</text>\n",
            MARGIN + 12.0
        ));
    }

    fn style(&mut self, is_marked: bool) {
        let (marks, dark_marks) = if is_marked { MARKS } else { ("", "") };
        let tones = [
            Tone::Plain,
            Tone::Dim,
            Tone::Call,
            Tone::Destroy,
            Tone::Inner,
            Tone::Write,
            Tone::Emit,
            Tone::Revert,
            Tone::Yes,
            Tone::No,
        ];
        let mut light = String::new();
        let mut dark = String::new();
        for tone in tones {
            let class = tone.class();
            let (on_light, on_dark) = tone.colours();
            for (sheet, colour) in [(&mut light, on_light), (&mut dark, on_dark)] {
                sheet.push_str(&format!(
                    ".t-{class}{{fill:{colour}}}.s-{class}{{stroke:{colour}}}\n"
                ));
            }
        }
        self.push(format_args!(
            "<style>\n\
             text{{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;\
             font-size:{FONT_SIZE}px;white-space:pre}}\n\
             .title{{font-weight:bold;font-size:{TITLE_SIZE}px}}\n\
             .t-call,.t-destroy{{font-weight:bold}}.t-write{{text-decoration:underline}}.t-emit{{font-style:italic}}\n\
             .label{{font-size:11px;paint-order:stroke;stroke-width:4px;stroke-linejoin:round}}\n\
             .ground{{fill:#ffffff}}.box{{fill:#f6f8fa}}.label{{stroke:#ffffff}}\n\
             .s-plain{{stroke-width:1}}.frame{{stroke-width:1.2}}.way{{fill:none;stroke-width:1.4}}\n\
             {light}\
             .frame.s-plain{{stroke:#afb8c1}}\n{marks}\
             @media (prefers-color-scheme: dark){{\n\
             .ground{{fill:#0d1117}}.box{{fill:#161b22}}.label{{stroke:#0d1117}}\n\
             {dark}\
             .frame.s-plain{{stroke:#4a535e}}\n{dark_marks}\
             }}\n</style>\n"
        ));
    }

    fn arrow(&mut self, link: &Link, route: &Route, is_on_way: bool) {
        let mut way = format!("M{:.1} {:.1}", route.start.x, route.start.y);
        for step in &route.steps {
            way.push_str(&match step {
                Step::Line(to) => format!("L{:.1} {:.1}", to.x, to.y),
                Step::Curve(a, b, to) => {
                    format!("C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}", a.x, a.y, b.x, b.y, to.x, to.y)
                }
            });
        }
        let class = link.tone.class();
        let dash = if link.is_dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let taken = if is_on_way { " taken" } else { "" };
        self.push(format_args!(
            "<path class=\"way s-{class}{taken}\" marker-end=\"url(#to-{class})\"{dash} d=\"{way}\"/>\n"
        ));
    }

    fn label(&mut self, link: &Link, route: &Route) {
        if link.label.is_empty() {
            return;
        }
        let (anchor, shift) = if route.is_left { ("end", -6.0) } else { ("start", 6.0) };
        self.push(format_args!(
            "<text class=\"label t-{}\" text-anchor=\"{anchor}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
            link.tone.class(),
            route.start.x + shift,
            route.start.y + 14.0,
            escape(&link.label)
        ));
    }

    /// `steps` tells of a row the steps of the marked way that happen there.
    fn node<'a>(
        &mut self,
        node: &Node,
        corner: Point,
        (width, height): (f64, f64),
        gutter: usize,
        steps: impl Fn(usize) -> Option<&'a Vec<usize>>,
    ) {
        let radius = if node.shape == Shape::Pill { height.min(26.0) / 2.0 } else { 4.0 };
        let dash = if node.shape == Shape::Dashed { " stroke-dasharray=\"4 3\"" } else { "" };
        self.push(format_args!("<g>"));
        if !node.hint.is_empty() {
            self.push(format_args!("<title>{}</title>", escape(&node.hint)));
        }
        self.push(format_args!(
            "<rect class=\"box frame s-{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\" rx=\"{radius:.1}\"{dash}/>\n",
            node.tone.class(),
            corner.x,
            corner.y
        ));
        let mut y = corner.y + PADDING_Y + FONT_SIZE - 1.0;
        for (number, row) in node.rows.iter().enumerate() {
            if let Some(steps) = steps(number) {
                self.step(steps, corner.x, y, width);
            }
            let left = corner.x + PADDING_X;
            if !row.gutter.is_empty() {
                self.push(format_args!(
                    "<text class=\"t-dim\" text-anchor=\"end\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                    left + width_of(gutter),
                    escape(&row.gutter)
                ));
            }
            let (x, anchor) = if node.shape == Shape::Pill {
                (corner.x + width / 2.0, " text-anchor=\"middle\"")
            } else {
                (left + gutter_width(gutter), "")
            };
            self.push(format_args!(
                "<text{anchor} x=\"{x:.1}\" y=\"{y:.1}\" xml:space=\"preserve\">"
            ));
            for (tone, text) in &row.pieces {
                self.push(format_args!(
                    "<tspan class=\"t-{}\">{}</tspan>",
                    tone.class(),
                    escape(text)
                ));
            }
            self.push(format_args!("</text>\n"));
            y += ROW_HEIGHT;
        }
        self.push(format_args!("</g>\n"));
    }

    /// A row of the marked way, with the number of its first step before the box.
    fn step(&mut self, steps: &[usize], left: f64, baseline: f64, width: f64) {
        let numbers: Vec<String> = steps.iter().map(usize::to_string).collect();
        let middle = baseline - 4.0;
        self.push(format_args!(
            "<rect class=\"step\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{ROW_HEIGHT:.1}\"/>",
            left + 1.0,
            middle - ROW_HEIGHT / 2.0,
            width - 2.0
        ));
        let label = numbers.join(",");
        let half = (width_of(label.chars().count()) / 2.0 + 3.0).max(8.0);
        self.push(format_args!(
            "<rect class=\"stop\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"16\" rx=\"8\"/>\
             <text class=\"number\" text-anchor=\"middle\" x=\"{left:.1}\" y=\"{:.1}\">{label}</text>\n",
            left - half,
            middle - 8.0,
            2.0 * half,
            middle + 4.0
        ));
    }

    fn legend(&mut self, legend: &[(Tone, &str)], y: f64) {
        let mut x = MARGIN;
        for (tone, text) in legend {
            let class = tone.class();
            self.push(format_args!(
                "<rect class=\"t-{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"10\" height=\"10\" rx=\"2\"/>\
                 <text class=\"t-dim\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>\n",
                y - 9.0,
                x + 15.0,
                escape(text)
            ));
            x += width_of(text.chars().count()) + 34.0;
        }
    }
}

/// Text between tags. Characters that XML does not know are left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}
