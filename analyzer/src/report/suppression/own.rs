//! `// portcullis-allow ID[, ID] [until DATE]: REASON`.

use super::comments::Comment;
use super::{
    Asked, Date, Diagnostic, Lines, Location, Reach, Suppression, next_code_line, problem,
};
use crate::detectors;

const MARKER: &str = "portcullis-allow";
const FORM: &str =
    "write `// portcullis-allow ID: why this is safe`, or with `ID until 2027-06-30:`";

/// What our own comments allow; those that allow nothing by their form are said at once.
pub(super) fn read(
    path: &str,
    lines: &Lines<'_>,
    comments: &[Comment<'_>],
    asked: &Asked<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Suppression> {
    let mut suppressions = Vec::new();
    for comment in comments {
        // Elsewhere than at the head of a comment the word is prose.
        let Some(body) = comment.text.trim_start().strip_prefix(MARKER) else { continue };
        let body = body.lines().next().unwrap_or_default();
        let marker = comment.text_start + (comment.text.len() - comment.text.trim_start().len());
        let location = Location {
            path: path.to_owned(),
            start: lines.position(marker),
            end: lines.position(marker + MARKER.len() + body.trim_end().len()),
        };
        let (head, reason) = body.split_once(':').unwrap_or((body, ""));
        let reason = reason.trim();
        if reason.is_empty() {
            diagnostics.push(problem(location, "a suppression without a reason".to_owned(), FORM));
            continue;
        }
        let (ids, until) = match head.split_once(" until ") {
            Some((ids, day)) => (ids, Some(day.trim())),
            None => (head, None),
        };
        if let Some(day) = until {
            let Some(day) = Date::parse(day) else {
                let message =
                    format!("`{day}` is not a day: a suppression lasts until `YYYY-MM-DD`");
                diagnostics.push(problem(location, message, FORM));
                continue;
            };
            if asked.today.is_some_and(|today| today > day) {
                let message =
                    format!("this suppression has expired: it was meant to last until {day}");
                let note = format!("its reason was: {reason}");
                diagnostics.push(problem(location, message, &note));
                continue;
            }
        }
        let line = lines.position(comment.start).line;
        let target = if comment.is_alone { next_code_line(lines, line) } else { line };
        for id in ids.split(',').map(str::trim) {
            let is_known = is_known(id, asked);
            if let Err(message) = is_known {
                let note = "`portcullis audit --list-detectors` lists all";
                diagnostics.push(problem(location.clone(), message, note));
                continue;
            }
            let is_asked = asked.detectors.contains(id) || asked.rules.contains(id);
            suppressions.push(Suppression {
                id: id.to_owned(),
                reach: Reach::Line(target),
                reason: Some(reason.to_owned()),
                tool: "portcullis",
                // What was not asked this time says nothing about whether there is something to allow.
                said_at: is_asked.then(|| location.clone()),
                is_used: false,
            });
        }
    }
    suppressions
}

/// Whether the id may name something; the rules of a pack are known only while the pack is asked.
fn is_known(id: &str, asked: &Asked<'_>) -> Result<(), String> {
    let Some((pack, rule)) = id.split_once('/') else {
        return match detectors::by_id(id) {
            Some(_) => Ok(()),
            None => Err(format!("no detector is called `{id}`")),
        };
    };
    let of_pack = format!("{pack}/");
    let is_pack_asked = asked.rules.iter().any(|known| known.starts_with(&of_pack));
    if is_pack_asked && !asked.rules.contains(id) {
        return Err(format!("the pack `{pack}` has no function rule `{rule}`"));
    }
    Ok(())
}
