//! The packs that ship inside the program.

use crate::error::PackError;
use crate::facts::{Dictionary, Subject};
use crate::pack::Pack;

/// The shipped packs, as far as a build has the facts that they read.
#[derive(Debug, Clone, Default)]
pub struct Shipped {
    /// Checked packs.
    pub packs: Vec<Pack>,
    /// Packs that this build has no facts for.
    pub skipped: Vec<Skipped>,
}

/// A pack that a build cannot ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// Name of the pack.
    pub pack: &'static str,
    /// The subject that no dictionary of the build describes.
    pub subject: Subject,
}

/// Checks every shipped pack whose subjects all stand in `dictionaries`; the others are named, not refused: a build
/// with one half of the program has the facts of that half only.
///
/// # Errors
/// As [`Pack::parse`].
pub fn shipped(dictionaries: &[Dictionary]) -> Result<Shipped, PackError> {
    let mut shipped = Shipped::default();
    for (name, text) in embedded() {
        let origin = format!("rules/packs/{name}.yaml");
        let known =
            |subject: &Subject| dictionaries.iter().any(|facts| facts.subject() == *subject);
        match Pack::subjects(text, &origin)?.into_iter().find(|subject| !known(subject)) {
            Some(subject) => shipped.skipped.push(Skipped { pack: name, subject }),
            None => shipped.packs.push(Pack::parse(text, &origin, dictionaries)?),
        }
    }
    Ok(shipped)
}

/// The kind of protocol that a shipped pack is a kit for; none for a pack that holds for every protocol. A kit is
/// asked only where somebody says that the protected contracts are of its kind.
pub fn kit(pack: &str) -> Option<&str> {
    pack.strip_prefix("kit-")
}

/// The names by which a configuration asks for kits.
pub fn kits() -> impl Iterator<Item = &'static str> {
    embedded().iter().filter_map(|(name, _)| kit(name))
}

/// Name and text of every shipped pack, one line per file in `rules/packs/`.
pub fn embedded() -> &'static [(&'static str, &'static str)] {
    &[
        ("accounting", include_str!("../packs/accounting.yaml")),
        ("approvals", include_str!("../packs/approvals.yaml")),
        ("authority", include_str!("../packs/authority.yaml")),
        ("drain", include_str!("../packs/drain.yaml")),
        ("foreign-code", include_str!("../packs/foreign-code.yaml")),
        ("kit-amm", include_str!("../packs/kit-amm.yaml")),
        ("kit-bridge-escrow", include_str!("../packs/kit-bridge-escrow.yaml")),
        ("kit-erc4626", include_str!("../packs/kit-erc4626.yaml")),
        ("kit-governor", include_str!("../packs/kit-governor.yaml")),
        ("kit-lending", include_str!("../packs/kit-lending.yaml")),
        ("kit-staking", include_str!("../packs/kit-staking.yaml")),
        ("ownership", include_str!("../packs/ownership.yaml")),
        ("preparation", include_str!("../packs/preparation.yaml")),
        ("price-manipulation", include_str!("../packs/price-manipulation.yaml")),
        ("reentrancy", include_str!("../packs/reentrancy.yaml")),
        ("signatures", include_str!("../packs/signatures.yaml")),
        ("slow-drain", include_str!("../packs/slow-drain.yaml")),
        ("takeover", include_str!("../packs/takeover.yaml")),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{embedded, shipped};
    use crate::facts::Subject;
    use crate::pack::{Expectation, Pack};
    use crate::rule_set::RuleSet;
    use crate::sample::{all, transaction};
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
    fn a_build_without_the_facts_of_a_subject_skips_its_packs_and_says_so() {
        let names = |dictionaries: &[_]| {
            let shipped = shipped(dictionaries).unwrap();
            let packs: BTreeSet<String> =
                shipped.packs.iter().map(|pack| pack.name().to_owned()).collect();
            let skipped: BTreeSet<String> =
                shipped.skipped.iter().map(|skipped| skipped.pack.to_owned()).collect();
            (packs, skipped)
        };
        let every: BTreeSet<String> =
            embedded().iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names(&all()), (every.clone(), BTreeSet::new()));
        assert_eq!(names(&[]), (BTreeSet::new(), every));
        let (packs, _) = names(&[transaction()]);
        assert!(packs.contains("reentrancy"), "{packs:?}");
        let skipped = shipped(&[all().remove(1)]).unwrap().skipped;
        let reentrancy = skipped.iter().find(|skipped| skipped.pack == "reentrancy").unwrap();
        assert_eq!(reentrancy.subject, Subject::Transaction);
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
        // What is executed is executed by the program that has a simulator; its own tests run these packs whole.
        let elsewhere = "this is executed elsewhere";
        let set = RuleSet::new(packs.clone()).unwrap();
        let mut report = testing::run(&packs, &set, &|_, _, _, _| Err(elsewhere.to_owned()));
        report.failures.retain(|failure| !failure.detail.ends_with(elsewhere));
        assert_eq!(report.failures, []);
        for rule in packs.iter().flat_map(Pack::rules) {
            for wanted in [Expectation::Fires, Expectation::Silent] {
                let count = rule.tests().iter().filter(|test| test.expect == wanted).count();
                assert!(count >= 3, "{}: {count} tests of {wanted:?}", rule.id());
            }
        }
    }
}
