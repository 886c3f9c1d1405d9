//! Source lines with marks below them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::paint::{Paint, Style, clean, clean_char, push};
use super::{Lines, Location};

/// Wider lines are cut around their first mark.
const MAX_COLUMNS: usize = 140;
/// Columns kept before the first mark of a line that is cut.
const LEAD_COLUMNS: usize = 30;
const TAB_COLUMNS: usize = 4;

/// A marked place with what is said about it.
#[derive(Debug)]
pub(crate) struct Label<'a> {
    pub(crate) location: &'a Location,
    /// Empty where the mark alone says enough.
    pub(crate) text: String,
    /// The place of the flaw itself.
    pub(crate) is_primary: bool,
}

/// Writes the place, then the marked lines of each file, the primary one first; returns the width of
/// the line numbers, by which further lines are indented.
pub(crate) fn excerpt(
    out: &mut String,
    primary: &Location,
    labels: &[Label<'_>],
    place: &str,
    style: Style,
    sources: &BTreeMap<String, Arc<str>>,
    paint: Paint,
) -> usize {
    let last_line = labels.iter().map(|label| label.location.start.line).max().unwrap_or(1);
    let width = last_line.to_string().len();
    let mut paths: Vec<&str> = labels.iter().map(|label| label.location.path.as_str()).collect();
    paths.sort_unstable();
    paths.dedup();
    // False sorts first, so the file of the flaw comes first.
    paths.sort_by_key(|path| *path != primary.path);
    for (idx, path) in paths.into_iter().enumerate() {
        let mut of_file: Vec<_> =
            labels.iter().filter(|label| label.location.path == path).collect();
        let head = if idx == 0 { primary } else { of_file[0].location };
        let arrow = paint.text(Style::Frame, if idx == 0 { "-->" } else { ":::" });
        let place = if idx == 0 && !place.is_empty() {
            format!(" in `{}`", clean(place))
        } else {
            String::new()
        };
        let at = format!("{}:{}:{}", clean(path), head.start.line, head.start.column);
        push(out, format_args!("{:width$}{arrow} {at}{place}\n", ""));
        if let Some(text) = sources.get(path) {
            of_file.sort_by_key(|label| {
                (label.location.start.line, label.location.start.column, label.location.end.offset)
            });
            write_lines(out, &Lines::new(text), &of_file, width, style, paint);
        }
    }
    width
}

fn write_lines(
    out: &mut String,
    lines: &Lines<'_>,
    labels: &[&Label<'_>],
    width: usize,
    style: Style,
    paint: Paint,
) {
    let bar = paint.text(Style::Frame, "|");
    push(out, format_args!("{:width$} {bar}\n", ""));
    let mut previous: Option<u32> = None;
    let mut rest = labels;
    while let Some(first) = rest.first() {
        let number = first.location.start.line;
        let n_here = rest.iter().take_while(|label| label.location.start.line == number).count();
        let (here, after) = rest.split_at(n_here);
        rest = after;
        match previous {
            Some(before) if number > before + 2 => {
                push(out, format_args!("{}\n", paint.text(Style::Frame, "...")))
            }
            // A single line between two marked ones is shown rather than left out.
            Some(before) if number == before + 2 => {
                write_line(out, &Cells::new(lines.line(before + 1), None), before + 1, width, paint)
            }
            _ => {}
        }
        let line = lines.line(number);
        let line_start = first.location.start.offset - byte_column(line, first.location);
        let ranges: Vec<_> =
            here.iter().map(|label| byte_range(label.location, line_start, line.len())).collect();
        let cells = Cells::new(line, ranges.first().map(|range| range.0));
        write_line(out, &cells, number, width, paint);
        for (label, (start, end)) in here.iter().zip(ranges) {
            let (start, end) = (cells.column(start), cells.column(end));
            let mark =
                if label.is_primary { "^" } else { "-" }.repeat(end.saturating_sub(start).max(1));
            let text =
                if label.text.is_empty() { mark } else { format!("{mark} {}", clean(&label.text)) };
            let style = if label.is_primary { style } else { Style::Frame };
            push(
                out,
                format_args!("{:width$} {bar} {:start$}{}\n", "", "", paint.text(style, &text)),
            );
        }
        previous = Some(number);
    }
    push(out, format_args!("{:width$} {bar}\n", ""));
}

fn write_line(out: &mut String, cells: &Cells, number: u32, width: usize, paint: Paint) {
    let number = paint.text(Style::Frame, &format!("{number:>width$} |"));
    let text: String = cells.shown.iter().collect();
    push(out, format_args!("{number} {}\n", text.trim_end()));
}

/// Bytes between the line's start and the location's start.
fn byte_column(line: &str, location: &Location) -> u32 {
    let mut units = location.start.column as usize - 1;
    let mut bytes = 0;
    for c in line.chars() {
        if units == 0 {
            break;
        }
        units = units.saturating_sub(c.len_utf16());
        bytes += c.len_utf8();
    }
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The part of a location that lies on its first line, as byte offsets in that line.
fn byte_range(location: &Location, line_start: u32, length: usize) -> (usize, usize) {
    let start = (location.start.offset.saturating_sub(line_start) as usize).min(length);
    let end = (location.end.offset.saturating_sub(line_start) as usize).clamp(start, length);
    (start, end)
}

/// One line as it is shown: tabs widened, control characters replaced, cut if it is too long.
struct Cells {
    shown: Vec<char>,
    /// Shown column of each byte of the line, and of its end.
    columns: Vec<usize>,
}

impl Cells {
    fn new(line: &str, first_mark: Option<usize>) -> Self {
        let mut all = Vec::with_capacity(line.len());
        let mut columns = Vec::with_capacity(line.len() + 1);
        for c in line.chars() {
            columns.extend(std::iter::repeat_n(all.len(), c.len_utf8()));
            if c == '\t' {
                all.extend([' '; TAB_COLUMNS]);
            } else {
                all.push(clean_char(c));
            }
        }
        columns.push(all.len());
        if all.len() <= MAX_COLUMNS {
            return Self { shown: all, columns };
        }
        let mark = first_mark.map_or(0, |byte| columns[byte.min(line.len())]);
        let from = mark.saturating_sub(LEAD_COLUMNS);
        let to = (from + MAX_COLUMNS).min(all.len());
        let mut shown: Vec<char> = all[from..to].to_vec();
        if let (true, Some(first)) = (from > 0, shown.first_mut()) {
            *first = '…';
        }
        if to < all.len() {
            shown.push('…');
        }
        for column in &mut columns {
            *column = (*column).clamp(from, to) - from;
        }
        Self { shown, columns }
    }

    fn column(&self, byte: usize) -> usize {
        self.columns.get(byte).or(self.columns.last()).copied().unwrap_or(0)
    }
}
