//! The name that was probably meant.

/// The candidate closest to `name`, if it is close enough to be a slip of the hand.
pub(crate) fn closest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Candidates come from the dictionary, but `name` is foreign: distance costs the product of the lengths.
    let name: Vec<char> = name.chars().take(80).collect();
    let allowed = (name.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements between two words.
fn distance(left: &[char], right: &str) -> usize {
    let mut row: Vec<usize> = (0..=left.len()).collect();
    for (line, there) in right.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, here) in left.iter().enumerate() {
            let replaced = diagonal + usize::from(*here != there);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[left.len()]
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let names = ["outflow_wei", "outflow_bps", "depth"];
        assert_eq!(closest("outflow_we", names), Some("outflow_wei"));
        assert_eq!(closest("outfow_bps", names), Some("outflow_bps"));
        assert_eq!(closest("dept", names), Some("depth"));
        assert_eq!(closest("gas", names), None);
        assert_eq!(closest("", names), None);
    }
}
