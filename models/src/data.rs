//! Labelled rows on disk: a folder with `manifest.json` and `rows.jsonl`, one row a line.
//!
//! The manifest says where the rows came from and holds their SHA-256, so that a model card can name its data
//! exactly and a changed row is noticed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::schema::{Schema, Vector, hex};

/// Version of the format.
pub const FORMAT_VERSION: u32 = 1;

const MANIFEST: &str = "manifest.json";
const ROWS: &str = "rows.jsonl";
const MAX_LINE_BYTES: usize = 64 << 10;
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// Rows of one schema with their origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// What the values mean.
    pub schema: &'static Schema,
    /// Where the rows came from.
    pub origin: Origin,
    /// The rows, in the order of their making.
    pub rows: Vec<Row>,
}

/// Who made a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Name of the program that made the rows.
    pub generator: String,
    /// Its version.
    pub generator_version: String,
    /// Seed it was given.
    pub seed: u64,
}

/// One labelled transaction or contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Whether it did harm: the label that models are trained on.
    pub harm: bool,
    /// Whether harm was meant; an attack on a contract without the flaw means harm and does none.
    pub intent: bool,
    /// What kind of behaviour it is; one kind at a time is left out to see how unknown ones fare.
    pub family: String,
    /// Rows of one episode share a world and are never split between training and test.
    pub episode: u64,
    /// What was protected, as `lending`, one name per implementation; empty where nobody says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// What the rules that ship say of it; they are no part of what a model sees.
    #[serde(default, skip_serializing_if = "Rules::are_silent")]
    pub rules: Rules,
    /// Features in schema order, unknown ones at their number for unknown.
    pub values: Vec<f32>,
}

/// The first key: what the stable rules that ship say of a row.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Rules {
    /// None fired, or nobody asked.
    #[default]
    Silent,
    /// A soft one fired: a pause needs a second key.
    Soft,
    /// A hard invariant is broken, which is worth a pause alone.
    Hard,
}

impl Rules {
    /// Whether none fired.
    pub fn are_silent(&self) -> bool {
        *self == Self::Silent
    }
}

/// The first file to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// Name and version of the schema, as `transaction 1`.
    pub schema: String,
    /// Its hash, lower-case hex.
    pub schema_hash: String,
    /// Who made the rows.
    #[serde(flatten)]
    pub origin: Origin,
    /// Number of rows.
    pub rows: usize,
    /// Of these, the ones that did harm.
    pub harmful: usize,
    /// Rows by family.
    pub families: BTreeMap<String, usize>,
    /// SHA-256 of the rows file, lower-case hex.
    pub rows_sha256: String,
}

/// Why a data set cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The manifest is no manifest.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Field and what was expected.
        reason: String,
    },
    /// A row is no row.
    #[error("{}:{line}: {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Field and what was expected.
        reason: String,
    },
    /// The rows are not those the manifest speaks of.
    #[error("{}: holds {found}, but the manifest says {expected}: make the data set again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What was read.
        found: String,
        /// What the manifest says.
        expected: String,
    },
}

impl Dataset {
    /// The same origin and schema, without rows.
    pub(crate) fn clone_empty(&self) -> Self {
        Self { schema: self.schema, origin: self.origin.clone(), rows: Vec::new() }
    }

    /// What the manifest of these rows says.
    pub fn manifest(&self) -> Manifest {
        let mut hasher = Sha256::new();
        for row in &self.rows {
            hasher.update(line(row));
        }
        let mut families = BTreeMap::new();
        for row in &self.rows {
            *families.entry(row.family.clone()).or_default() += 1;
        }
        Manifest {
            version: FORMAT_VERSION,
            schema: format!("{} {}", self.schema.name, self.schema.version),
            schema_hash: self.schema.hash_hex(),
            origin: self.origin.clone(),
            rows: self.rows.len(),
            harmful: self.rows.iter().filter(|row| row.harm).count(),
            families,
            rows_sha256: hex(&hasher.finalize()),
        }
    }

    /// Writes both files into `folder`, which is made if it is not there. The same rows give the same bytes.
    ///
    /// # Errors
    /// [`DataError::Io`] with the path.
    pub fn write(&self, folder: &Path) -> Result<Manifest, DataError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| DataError::Io { path, source }
        };
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        let path = folder.join(ROWS);
        let mut file = BufWriter::new(File::create(&path).map_err(failed(&path))?);
        for row in &self.rows {
            file.write_all(line(row).as_bytes()).map_err(failed(&path))?;
        }
        file.flush().map_err(failed(&path))?;
        let manifest = self.manifest();
        let path = folder.join(MANIFEST);
        let text =
            serde_json::to_string_pretty(&manifest).expect("a manifest is plain data") + "\n";
        std::fs::write(&path, text).map_err(failed(&path))?;
        Ok(manifest)
    }

    /// Reads a data set back.
    ///
    /// # Errors
    /// [`DataError`] with path, line and field when a file is missing, a row is not of this schema or
    /// out of range, or the rows are not those of the manifest.
    pub fn read(folder: &Path, schema: &'static Schema) -> Result<Self, DataError> {
        let manifest = read_manifest(&folder.join(MANIFEST), schema)?;
        let path = folder.join(ROWS);
        let file =
            File::open(&path).map_err(|source| DataError::Io { path: path.clone(), source })?;
        let mut reader = BufReader::new(file);
        let mut hasher = Sha256::new();
        let mut rows = Vec::new();
        let mut text = Vec::new();
        loop {
            text.clear();
            let number = rows.len() + 1;
            let failed =
                |reason: String| DataError::Row { path: path.clone(), line: number, reason };
            let n_bytes = reader
                .by_ref()
                .take(MAX_LINE_BYTES as u64 + 1)
                .read_until(b'\n', &mut text)
                .map_err(|source| DataError::Io { path: path.clone(), source })?;
            if n_bytes == 0 {
                break;
            }
            if n_bytes > MAX_LINE_BYTES {
                return Err(failed(format!("is longer than {MAX_LINE_BYTES} bytes")));
            }
            // A file that grows beyond its manifest is not read on.
            if rows.len() == manifest.rows {
                return Err(DataError::Changed {
                    path,
                    found: format!("more than {} rows", manifest.rows),
                    expected: format!("{} rows", manifest.rows),
                });
            }
            hasher.update(&text);
            let row: Row =
                serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
            Vector::from_values(schema, &row.values).map_err(|error| failed(error.to_string()))?;
            rows.push(row);
        }
        let found = hex(&hasher.finalize());
        if found != manifest.rows_sha256 {
            let expected = format!("SHA-256 {}", manifest.rows_sha256);
            return Err(DataError::Changed { path, found: format!("SHA-256 {found}"), expected });
        }
        Ok(Self { schema, origin: manifest.origin, rows })
    }
}

fn read_manifest(path: &Path, schema: &'static Schema) -> Result<Manifest, DataError> {
    let io = |source| DataError::Io { path: path.to_owned(), source };
    let wrong = |reason: String| DataError::Manifest { path: path.to_owned(), reason };
    let mut text = String::new();
    File::open(path).map_err(io)?.take(MAX_MANIFEST_BYTES).read_to_string(&mut text).map_err(io)?;

    /// The version is looked at before the rest, which another version may hold in another form.
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if version != FORMAT_VERSION {
        return Err(wrong(format!("`version` is {version}, expected {FORMAT_VERSION}")));
    }
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let expected = schema.hash_hex();
    if manifest.schema_hash != expected {
        return Err(wrong(format!(
            "`schema_hash` is {} of `{}`, expected {expected} of `{} {}`: make the data set again",
            manifest.schema_hash, manifest.schema, schema.name, schema.version
        )));
    }
    Ok(manifest)
}

fn line(row: &Row) -> String {
    serde_json::to_string(row).expect("a row is plain data") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{TRANSACTION, transaction};

    fn dataset() -> Dataset {
        let rows = (0..5_u64)
            .map(|episode| {
                let mut vector = Vector::unknown(&TRANSACTION);
                vector.set(transaction::OUTFLOW_FRAC, 0.1 + episode as f32 / 7.0);
                let values = vector.values().to_vec();
                Row {
                    harm: episode == 3,
                    intent: episode >= 3,
                    family: format!("f{}", episode % 2),
                    episode,
                    protocol: if episode == 2 { "pool".to_owned() } else { String::new() },
                    rules: if episode == 3 { Rules::Soft } else { Rules::Silent },
                    values,
                }
            })
            .collect();
        let origin =
            Origin { generator: "test".to_owned(), generator_version: "1".to_owned(), seed: 9 };
        Dataset { schema: &TRANSACTION, origin, rows }
    }

    #[test]
    fn rows_survive_the_disk_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = dataset().write(folder.path()).unwrap();
        assert_eq!((manifest.rows, manifest.harmful, manifest.families["f0"]), (5, 1, 3));
        assert_eq!(Dataset::read(folder.path(), &TRANSACTION).unwrap(), dataset());
    }

    /// Writes the data set, changes one file by `change`, and gives the error of reading it back.
    fn error_after(file: &str, change: impl FnOnce(String) -> String) -> String {
        let folder = tempfile::tempdir().unwrap();
        dataset().write(folder.path()).unwrap();
        let path = folder.path().join(file);
        std::fs::write(&path, change(std::fs::read_to_string(&path).unwrap())).unwrap();
        Dataset::read(folder.path(), &TRANSACTION).unwrap_err().to_string()
    }

    #[test]
    fn a_changed_file_is_refused_with_the_place() {
        let check = |error: String, expected: &str| assert!(error.contains(expected), "{error}");
        check(
            error_after(ROWS, |text| text.replacen("true", "false", 1)),
            "the manifest says SHA-256",
        );
        check(
            error_after(ROWS, |text| text.replacen("\"f1\"", "7", 1)),
            "rows.jsonl:2: invalid type: integer `7`",
        );
        check(
            error_after(ROWS, |text| text.replacen("0.1,", "2.5,", 1)),
            "rows.jsonl:1: feature `outflow_frac` is 2.5",
        );
        check(
            error_after(ROWS, |text| text.replacen("[", "[0.5,", 1)),
            "rows.jsonl:1: schema `transaction` has 64",
        );
        check(error_after(ROWS, |text| text.clone() + &text), "more than 5 rows");
        check(error_after(ROWS, |_| "x".repeat(MAX_LINE_BYTES + 1)), "longer than");
        check(
            error_after(MANIFEST, |text| text.replace("\"version\": 1", "\"version\": 2")),
            "`version` is 2, expected 1",
        );
        check(error_after(MANIFEST, |text| text.replace("\"seed\"", "\"sead\"")), "seed");
        check(
            error_after(MANIFEST, |text| text.replace(&TRANSACTION.hash_hex(), "00")),
            "`schema_hash` is 00",
        );
    }
}
