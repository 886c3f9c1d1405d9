//! Files of a pack: the pack itself, and the lists beside it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path};

use super::MAX_PACK_BYTES;

/// Bytes of one list.
const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;

/// The text of a pack file.
pub(super) fn read(path: &Path) -> Result<String, String> {
    read_bounded(path, MAX_PACK_BYTES, "a pack")
}

/// The text of a file that a pack names, which must lie in the pack's folder or below.
pub(super) fn beside(folder: &Path, name: &str) -> Result<String, String> {
    let is_inside = !name.is_empty()
        && Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !is_inside {
        return Err(format!("`{name}` does not lie in the folder of the pack"));
    }
    read_bounded(&folder.join(name), MAX_LIST_BYTES, "a list")
        .map_err(|reason| format!("`{name}`: {reason}"))
}

fn read_bounded(path: &Path, limit: usize, what: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut opened = File::open(path).map_err(|error| error.to_string())?.take(limit as u64 + 1);
    opened.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > limit {
        return Err(format!("{what} has at most {limit} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| format!("{what} is UTF-8 text"))
}
