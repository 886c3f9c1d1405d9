//! `slither.config.json` and `aderyn.toml`: what of them means the same here.

use std::path::{Path, PathBuf};

use anyhow::Context;
use portcullis_analyzer::detectors::{self, Severity};
use portcullis_analyzer::report::counterparts;
use serde::Deserialize;
use serde_json::Value;

use super::settings::{AuditSection, DetectorId, misplaced};

/// Settings of another tool in our words.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) section: AuditSection,
    /// Keys, or parts of them, that mean nothing here.
    pub(super) not_taken: Vec<String>,
}

/// Slither's file: its keys are its options with underscores.
///
/// # Errors
/// Text that is not a JSON object, with the line.
pub(super) fn slither(text: &str, path: &Path) -> anyhow::Result<Taken> {
    let keys: serde_json::Map<String, Value> = serde_json::from_str(text)
        .with_context(|| format!("{}: not Slither's configuration", path.display()))?;
    let mut taken = Taken::default();
    for (key, value) in &keys {
        let text = value.as_str().unwrap_or_default();
        let is_set = value.as_bool().unwrap_or(false);
        let without = |severity: Severity| {
            let of_weight = detectors::all().map(|detector| detector.metadata());
            of_weight
                .filter(move |metadata| metadata.severity == severity)
                .map(|metadata| metadata.id)
        };
        match key.as_str() {
            "detectors_to_exclude" => taken.exclude(split(text).flat_map(ours)),
            // Ours that Slither does not have were never meant to be left out by such a list.
            "detectors_to_run" if text != "all" => {
                let listed: Vec<&str> = split(text).collect();
                taken.exclude(detectors::all().filter_map(|detector| {
                    let slither = detector.metadata().slither;
                    let is_meant =
                        slither.is_empty() || slither.iter().any(|id| listed.contains(id));
                    (!is_meant).then_some(detector.metadata().id)
                }));
            }
            "exclude_high" if is_set => {
                taken.exclude(without(Severity::Critical).chain(without(Severity::High)))
            }
            "exclude_medium" if is_set => taken.exclude(without(Severity::Medium)),
            "exclude_low" if is_set => taken.exclude(without(Severity::Low)),
            "exclude_informational" if is_set => taken.exclude(without(Severity::Info)),
            "exclude_optimization" if is_set => taken.exclude(without(Severity::Gas)),
            "filter_paths" | "include_paths" => {
                let is_filter = key == "filter_paths";
                for part in text.split([',', '|']).map(str::trim).filter(|part| !part.is_empty()) {
                    match globs_of_part(part) {
                        Some(globs) if is_filter => taken.section.exclude.extend(globs),
                        Some(globs) => taken.section.include.extend(globs),
                        None => {
                            taken.not_taken.push(format!("{key} `{part}` (a regular expression)"))
                        }
                    }
                }
            }
            "fail_on" => match text {
                "pedantic" => taken.section.fail_on = Some(Severity::Gas),
                "low" => taken.section.fail_on = Some(Severity::Low),
                "medium" => taken.section.fail_on = Some(Severity::Medium),
                "high" => taken.section.fail_on = Some(Severity::High),
                other => taken.not_taken.push(format!("fail_on `{other}`")),
            },
            // Dependencies are never reported on here.
            "exclude_dependencies" => {}
            "detectors_to_run"
            | "exclude_high"
            | "exclude_medium"
            | "exclude_low"
            | "exclude_informational"
            | "exclude_optimization" => {}
            other => taken.not_taken.push(other.to_owned()),
        }
    }
    Ok(taken)
}

/// Aderyn's file.
///
/// # Errors
/// Text that is not such a file, with the line.
pub(super) fn aderyn(text: &str, path: &Path) -> anyhow::Result<Taken> {
    #[derive(Deserialize)]
    #[serde(default)]
    struct File {
        root: PathBuf,
        src: Option<PathBuf>,
        include: Vec<String>,
        exclude: Vec<String>,
        #[serde(flatten)]
        rest: toml::Table,
    }
    impl Default for File {
        fn default() -> Self {
            Self {
                root: PathBuf::from("."),
                src: None,
                include: Vec::new(),
                exclude: Vec::new(),
                rest: toml::Table::new(),
            }
        }
    }
    let file: File = toml::from_str(text).map_err(|error| {
        misplaced(text, path, error.span().map_or(0, |span| span.start), &error.message())
    })?;
    let mut taken = Taken::default();
    taken.section.paths.push(file.src.map_or(file.root.clone(), |src| file.root.join(src)));
    for (parts, globs) in
        [(file.include, &mut taken.section.include), (file.exclude, &mut taken.section.exclude)]
    {
        globs.extend(parts.iter().filter_map(|part| globs_of_part(part)).flatten());
    }
    taken.not_taken.extend(file.rest.keys().filter(|key| *key != "version").cloned());
    Ok(taken)
}

impl Taken {
    fn exclude(&mut self, ids: impl Iterator<Item = &'static str>) {
        for id in ids.map(|id| DetectorId(id.to_owned())) {
            if !self.section.exclude_detectors.contains(&id) {
                self.section.exclude_detectors.push(id);
            }
        }
    }
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|id| !id.is_empty())
}

/// Our detectors of what Slither calls `id`.
fn ours(id: &str) -> Vec<&'static str> {
    detectors::all()
        .filter(|detector| counterparts(*detector).slither.contains(&id))
        .map(|detector| detector.metadata().id)
        .collect()
}

/// Globs for every path that holds `part` somewhere; `None` where it is more than plain text.
fn globs_of_part(part: &str) -> Option<Vec<String>> {
    let plain = part.replace("\\.", ".");
    let plain = plain.trim_start_matches("./").trim_end_matches('/');
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@' | ' ');
    if plain.is_empty() || !plain.chars().all(is_plain) {
        return None;
    }
    Some(vec![format!("**/*{plain}*"), format!("**/*{plain}*/**")])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(taken: &Taken) -> Vec<&str> {
        taken.section.exclude_detectors.iter().map(|id| id.0.as_str()).collect()
    }

    #[test]
    fn what_slither_says_is_taken_as_far_as_it_means_something() {
        let text = r#"{"detectors_to_exclude": "tx-origin, naming-convention", "filter_paths": "mocks|lib/,(a|b)+",
                       "fail_on": "high", "exclude_low": true, "solc_remaps": "x=y"}"#;
        let taken = slither(text, Path::new("slither.config.json")).unwrap();
        assert!(ids(&taken).contains(&"tx-origin"));
        assert!(!ids(&taken).contains(&"reentrancy-eth"));
        assert_eq!(taken.section.exclude[..3], ["**/*mocks*", "**/*mocks*/**", "**/*lib*"]);
        assert_eq!(taken.section.fail_on, Some(Severity::High));
        assert!(taken.not_taken.iter().any(|key| key == "solc_remaps"), "{:?}", taken.not_taken);
        assert!(taken.not_taken.iter().any(|key| key.contains("b)+")), "{:?}", taken.not_taken);
    }

    #[test]
    fn a_list_of_slithers_detectors_leaves_out_its_others_only() {
        let taken = slither(r#"{"detectors_to_run": "reentrancy-eth"}"#, Path::new("s")).unwrap();
        assert!(ids(&taken).contains(&"suicidal") && !ids(&taken).contains(&"reentrancy-eth"));
        for id in ids(&taken) {
            assert!(!detectors::by_id(id).unwrap().metadata().slither.is_empty(), "{id}");
        }
        let all = slither(r#"{"detectors_to_run": "all"}"#, Path::new("s")).unwrap();
        assert_eq!(ids(&all), Vec::<&str>::new());
    }

    #[test]
    fn what_aderyn_says_is_taken() {
        let text = "version = 1\nroot = \"app\"\nsrc = \"src\"\nexclude = [\"mocks/\"]\n[env]\nA = \"b\"\n";
        let taken = aderyn(text, Path::new("aderyn.toml")).unwrap();
        assert_eq!(taken.section.paths, [PathBuf::from("app/src")]);
        assert_eq!(taken.section.exclude, ["**/*mocks*", "**/*mocks*/**"]);
        assert_eq!(taken.not_taken, ["env"]);
    }

    #[test]
    fn broken_files_are_errors_with_a_line() {
        let said = |error: anyhow::Error| format!("{error:#}");
        let error = said(slither("{\n\"a\": }", Path::new("slither.config.json")).unwrap_err());
        assert!(error.contains("slither.config.json") && error.contains("line 2"), "{error}");
        let error = said(aderyn("root = 1\n", Path::new("aderyn.toml")).unwrap_err());
        assert!(error.starts_with("aderyn.toml:1:"), "{error}");
    }
}
