//! The packs that ship inside the program.

/// Name and text of every shipped pack, one line per file in `rules/packs/`.
pub fn embedded() -> &'static [(&'static str, &'static str)] {
    &[("reentrancy", include_str!("../packs/reentrancy.yaml"))]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::embedded;
    use crate::pack::{Expectation, Pack};
    use crate::sample::all;
    use crate::testing;

    #[test]
    fn every_file_in_the_folder_is_embedded_under_its_name() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/packs")).unwrap();
        let files: BTreeSet<String> = folder
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace(".yaml", ""))
            .collect();
        let embedded: BTreeSet<String> =
            embedded().iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(files, embedded);
    }

    #[test]
    fn shipped_packs_pass_their_own_tests_with_three_of_each_kind() {
        let packs: Vec<Pack> = embedded()
            .iter()
            .map(|(name, text)| {
                Pack::parse(text, &format!("{name}.yaml"), &all())
                    .unwrap_or_else(|error| panic!("{error}"))
            })
            .collect();
        let report =
            testing::run(&packs, &|reference| Err(format!("no recording {reference:?} here")));
        assert_eq!(report.failures, []);
        for rule in packs.iter().flat_map(Pack::rules) {
            for wanted in [Expectation::Fires, Expectation::Silent] {
                let count = rule.tests().iter().filter(|test| test.expect == wanted).count();
                assert!(count >= 3, "{}: {count} tests of {wanted:?}", rule.id());
            }
        }
    }
}
