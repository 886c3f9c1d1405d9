//! Columns of text.

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
