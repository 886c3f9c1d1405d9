//! `cargo xtask detectors`: our detectors beside those of the field, written to `docs/detectors.md`.
//!
//! Ours and what others call them come from the program; what the field has, and why some of it has no counterpart,
//! stands in `field.tsv`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, ensure};

const HEAD: &str = "# Detectors

`portcullis audit --list-detectors` prints ours, `portcullis explain ID` the page of one. This page is written by
`cargo xtask detectors`.

";

const FIELD: &str = "
## What the field reports

All detectors of Slither 0.11.5 of high and medium impact, and all of Aderyn 0.6.8 that it calls high. Beside each
stands ours with the file in `fixtures/detectors` on which it fires, or the reason why there is none.

| tool | impact | id | ours | fires on, or the reason |
| --- | --- | --- | --- | --- |
";

/// One of ours, as `--list-detectors` prints it.
struct Ours {
    id: String,
    severity: String,
    confidence: String,
    headline: String,
    /// What other tools call it, by tool.
    others: BTreeMap<String, Vec<String>>,
}

/// The page, from the list that the program prints and the table of the field.
pub(crate) fn page(list: &str, field: &str, fixtures: &Path) -> anyhow::Result<String> {
    let ours = read_list(list);
    ensure!(!ours.is_empty(), "the program lists no detector");
    let mut page = format!(
        "{HEAD}## Ours\n\n| id | severity | confidence | what is wrong | called elsewhere |\n| --- | --- | --- | --- | --- |\n"
    );
    for one in &ours {
        let elsewhere: Vec<String> =
            one.others.iter().map(|(tool, ids)| format!("{tool}: {}", ids.join(", "))).collect();
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            one.id,
            one.severity,
            one.confidence,
            one.headline,
            elsewhere.join("; ")
        )?;
    }
    page.push_str(FIELD);
    for (line, number) in field.lines().zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let cells: Vec<&str> = line.split('\t').collect();
        let place = || format!("field.tsv:{number}");
        ensure!(cells.len() == 5, "{}: expected five cells, found {}", place(), cells.len());
        let [tool, impact, id, mine, reason] = [cells[0], cells[1], cells[2], cells[3], cells[4]];
        let counterpart = ours.iter().find(|one| {
            one.others.get(tool).is_some_and(|ids| ids.iter().any(|other| other == id))
        });
        let mine = match (mine, counterpart) {
            ("", Some(one)) => Some(one.id.as_str()),
            ("", None) => None,
            (mine, _) => {
                ensure!(ours.iter().any(|one| one.id == mine), "{}: `{mine}` is not ours", place());
                Some(mine)
            }
        };
        let (shown, why) = match mine {
            Some(mine) => {
                let fires = firing_fixture(&fixtures.join(mine)).with_context(place)?;
                let note = if reason.is_empty() { String::new() } else { format!("; {reason}") };
                (format!("`{mine}`"), format!("`{mine}/{fires}`{note}"))
            }
            None => {
                ensure!(!reason.is_empty(), "{}: neither ours nor a reason", place());
                ("none".to_owned(), reason.to_owned())
            }
        };
        writeln!(page, "| {tool} | {impact} | `{id}` | {shown} | {why} |")?;
    }
    Ok(page)
}

/// The first fixture of a folder that marks a finding.
fn firing_fixture(folder: &Path) -> anyhow::Result<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if std::fs::read_to_string(&path)?.contains("//~") {
            names.extend(path.file_name().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    names.into_iter().min().with_context(|| format!("{}: nothing fires", folder.display()))
}

fn read_list(list: &str) -> Vec<Ours> {
    let mut out: Vec<Ours> = Vec::new();
    for line in list.lines().skip(1) {
        let Some(more) = line.strip_prefix("    ") else {
            let mut words = line.split_whitespace().map(str::to_owned);
            if let (Some(id), Some(severity), Some(confidence)) =
                (words.next(), words.next(), words.next())
            {
                out.push(Ours {
                    id,
                    severity,
                    confidence,
                    headline: String::new(),
                    others: BTreeMap::new(),
                });
            }
            continue;
        };
        let Some(one) = out.last_mut() else { continue };
        if one.headline.is_empty() {
            more.clone_into(&mut one.headline);
            continue;
        }
        for part in more.split("; ") {
            if let Some((tool, ids)) = part.split_once(": ") {
                one.others.insert(tool.to_owned(), ids.split(", ").map(str::to_owned).collect());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "ID SEVERITY CONFIDENCE
suicidal  critical  high
    Anyone can destroy the contract.
    slither: suicidal; swc: SWC-106
";

    fn fixtures() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/detectors")
    }

    #[test]
    fn what_is_ours_is_told_with_the_file_that_fires() {
        let page = page(LIST, "slither\thigh\tsuicidal\t\t", &fixtures());
        let page = page.unwrap_or_else(|error| panic!("{error:#}"));
        assert!(
            page.contains(
                "| slither | high | `suicidal` | `suicidal` | `suicidal/destroys_itself.sol` |"
            ),
            "{page}"
        );
    }

    #[test]
    fn what_is_not_ours_needs_a_reason() {
        let error = page(LIST, "slither\thigh\tother\t\t", &fixtures()).map(|_| ());
        assert!(error.is_err_and(|error| error.to_string().contains("neither ours nor a reason")));
        assert!(page(LIST, "slither\thigh\tother\t\tit cannot happen", &fixtures()).is_ok());
    }
}
