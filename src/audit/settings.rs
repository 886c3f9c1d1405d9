//! The `[audit]` section of `portcullis.toml`, and what of Slither's and Aderyn's configuration means the same.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use portcullis_analyzer::detectors::{self, Severity};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;
use toml::de::DeTable;

use super::foreign;

/// The file that is looked for.
const FILE_NAME: &str = "portcullis.toml";

/// What an audit reads, asks and reports. The command line goes before it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuditSection {
    /// Files and folders to audit where the command line names none, relative to this file.
    pub paths: Vec<PathBuf>,
    /// Report only on files that match one of these globs, which are relative to this file; a pattern without a
    /// slash matches a name in any folder.
    pub include: Vec<String>,
    /// Do not report on files that match one of these globs.
    pub exclude: Vec<String>,
    /// Lightest severity that makes the exit code 1; default: medium.
    pub fail_on: Option<Severity>,
    /// Exit with 2 if anything could not be read, found or parsed.
    pub strict: bool,
    /// Ask only these detectors; default: all.
    #[schemars(with = "Vec<String>")]
    pub detectors: Vec<DetectorId>,
    /// Do not ask these detectors.
    #[schemars(with = "Vec<String>")]
    pub exclude_detectors: Vec<DetectorId>,
    /// Rule packs whose function rules are asked too: files relative to this one, or names of packs that ship.
    pub rules: Vec<PathBuf>,
    /// A findings document; what it holds is known and left out. Relative to this file.
    pub baseline: Option<PathBuf>,
}

/// An id of a detector that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetectorId(pub(crate) String);

impl<'de> Deserialize<'de> for DetectorId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        match detectors::by_id(&id) {
            Some(_) => Ok(Self(id)),
            None => Err(serde::de::Error::custom(format_args!(
                "no detector is called `{id}`; `portcullis audit --list-detectors` lists all"
            ))),
        }
    }
}

/// Settings with the place that their paths and globs start from.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) section: AuditSection,
    /// Folder of the file, or the current folder where there is none.
    pub(super) base: PathBuf,
    /// Parts of another tool's configuration that could not be taken over.
    pub(super) not_taken: Vec<String>,
}

/// A place in a file where something is wrong. The line itself is not repeated: it may hold a secret of the guard.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}:{column}: {problem}", path.display())]
pub(super) struct Misplaced {
    path: PathBuf,
    line: usize,
    column: usize,
    problem: String,
}

impl Settings {
    /// No settings: everything starts from `folder`.
    pub(super) fn none(folder: &Path) -> Self {
        Self { section: AuditSection::default(), base: folder.to_owned(), not_taken: Vec::new() }
    }

    /// The settings in `named`, or those of the nearest `portcullis.toml` at or above `folder` and inside of its
    /// repository, where it has a section `[audit]`.
    ///
    /// # Errors
    /// A file that cannot be read, with the line of what is wrong.
    pub(super) fn load(named: Option<&Path>, folder: &Path) -> anyhow::Result<Self> {
        let Some(path) = named.map(Path::to_owned).or_else(|| nearest(folder)) else {
            return Ok(Self::none(folder));
        };
        let path = folder.join(path);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read the settings `{}`", path.display()))?;
        let base = path.parent().unwrap_or(folder).to_owned();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let taken = match name.as_deref() {
            Some("slither.config.json") => Some(foreign::slither(&text, &path)?),
            Some("aderyn.toml") => Some(foreign::aderyn(&text, &path)?),
            _ => None,
        };
        if let Some(taken) = taken {
            return Ok(Self { section: taken.section, base, not_taken: taken.not_taken });
        }
        match section(&text, &path)? {
            Some(section) => Ok(Self { section, base, not_taken: Vec::new() }),
            None if named.is_some() => bail!("{}: it has no section `[audit]`", path.display()),
            None => Ok(Self::none(folder)),
        }
    }
}

/// The nearest file, up to the folder in which the repository begins.
fn nearest(folder: &Path) -> Option<PathBuf> {
    for above in folder.ancestors() {
        let path = above.join(FILE_NAME);
        if path.is_file() {
            return Some(path);
        }
        if above.join(".git").exists() {
            break;
        }
    }
    None
}

/// The section, if there is one. The rest of the file belongs to the guard.
fn section(text: &str, path: &Path) -> anyhow::Result<Option<AuditSection>> {
    let at = |offset: usize, problem: &dyn fmt::Display| misplaced(text, path, offset, problem);
    let wrong = |error: toml::de::Error| {
        at(error.span().map_or(0, |span| span.start), &error.message().trim_end())
    };
    let table = DeTable::parse(text).map_err(wrong)?;
    let known = top_level_keys();
    for key in table.get_ref().keys() {
        let name = key.get_ref().as_ref();
        if known.as_ref().is_some_and(|known| !known.iter().any(|known| known == name)) {
            let known = known.as_ref().map(|known| known.join(", ")).unwrap_or_default();
            let problem = format!("unknown key `{name}`, expected one of: {known}");
            return Err(at(key.span().start, &problem).into());
        }
    }
    let Probe { version, audit } = toml::from_str(text).map_err(wrong)?;
    if audit.is_none() {
        return Ok(None);
    }
    match version {
        Some(version) if *version.get_ref() == 1 => {}
        Some(version) => {
            let found = version.get_ref();
            let problem = format!("version {found}; this program reads version 1");
            return Err(at(version.span().start, &problem).into());
        }
        None => return Err(at(0, &"`version = 1` is missing at the head of the file").into()),
    }
    let whole: Whole = toml::from_str(text).map_err(wrong)?;
    Ok(Some(whole.audit))
}

#[derive(Deserialize)]
struct Probe {
    version: Option<Spanned<i64>>,
    audit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Whole {
    audit: AuditSection,
}

/// The keys that the whole file may have, where this build knows both halves.
#[cfg(feature = "guard")]
fn top_level_keys() -> Option<Vec<String>> {
    let schema = crate::config::schema().to_value();
    let properties = schema.get("properties")?.as_object()?;
    Some(properties.keys().cloned().collect())
}

#[cfg(not(feature = "guard"))]
fn top_level_keys() -> Option<Vec<String>> {
    None
}

/// An error at a byte offset of a file.
pub(super) fn misplaced(
    text: &str,
    path: &Path,
    offset: usize,
    problem: &dyn fmt::Display,
) -> Misplaced {
    let before = text.get(..offset).unwrap_or_default();
    Misplaced {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<AuditSection>, String> {
        section(text, Path::new("p.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_section_is_read() {
        let text = "version = 1\n[audit]\npaths = [\"src\"]\nexclude = [\"mocks/\"]\nfail_on = \"high\"\n\
                    strict = true\ndetectors = [\"suicidal\"]\nrules = [\"own.yaml\"]\nbaseline = \"known.json\"\n";
        let section = read(text).unwrap().unwrap();
        assert_eq!(
            (section.paths, section.exclude),
            (vec!["src".into()], vec!["mocks/".to_owned()])
        );
        assert_eq!((section.fail_on, section.strict), (Some(Severity::High), true));
        assert_eq!(section.detectors, [DetectorId("suicidal".to_owned())]);
        assert!(read("version = 1\nmode = \"observe\"\n").unwrap().is_none());
        assert!(read("").unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, said) in [
            ("version = 1\n[audit]\nexlude = []\n", "p.toml:3:1: unknown field `exlude`"),
            ("version = 1\n[audit]\nfail_on = \"bad\"\n", "p.toml:3:11: unknown variant `bad`"),
            (
                "version = 1\n[audit]\ndetectors = [\"sucidal\"]\n",
                "p.toml:3:13: no detector is called `sucidal`",
            ),
            ("version = 2\n[audit]\n", "p.toml:1:11: version 2; this program reads version 1"),
            ("[audit]\n", "p.toml:1:1: `version = 1` is missing"),
            ("version = 1\n[audit\n", "p.toml:2:"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn a_line_that_is_wrong_is_not_repeated() {
        let error = read("version = 1\npassword = \"hunter2\n").unwrap_err();
        assert!(error.starts_with("p.toml:2:") && !error.contains("hunter2"), "{error}");
    }

    #[cfg(feature = "guard")]
    #[test]
    fn a_section_by_another_name_is_an_error() {
        let error = read("version = 1\n[adit]\nstrict = true\n").unwrap_err();
        assert!(error.starts_with("p.toml:2:2: unknown key `adit`, expected one of: "), "{error}");
    }
}
