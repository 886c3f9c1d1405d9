//! Comments by which Slither, Aderyn, forge-lint and solhint are told to be silent.
//!
//! They count for our detectors of the same weakness. They bring no reason, and whether they are stale only
//! their own tool can tell. A comment that names no rule silences everything that an auditor (Slither, Aderyn)
//! would have said; of a linter (forge-lint, solhint) it is a matter of style and silences nothing here.

use super::comments::Comment;
use super::counterparts::Tool;
use super::{Lines, Reach, Suppression, next_code_line};

/// What the comments of other tools allow.
pub(super) fn read(lines: &Lines<'_>, comments: &[Comment<'_>]) -> Vec<Suppression> {
    let end_of_file = u32::try_from(lines.count()).unwrap_or(u32::MAX).saturating_add(1);
    let mut suppressions = Vec::new();
    // Ranges that are still open: tool, id, line of the comment.
    let mut open: Vec<(Tool, String, u32)> = Vec::new();
    for comment in comments {
        let line = lines.position(comment.start).line;
        let last_line = lines.position(comment.text_start + comment.text.len()).line;
        for directive in directives(comment.text) {
            let ids = directive.ids();
            match directive.scope {
                Scope::ThisLine | Scope::PreviousLine | Scope::NextLine => {
                    let target = match directive.scope {
                        Scope::ThisLine => line,
                        Scope::PreviousLine => line.saturating_sub(1),
                        _ => next_code_line(lines, last_line),
                    };
                    let reach = Reach::AnyPart(target);
                    suppressions.extend(ids.map(|id| directive.tool.allows(id, reach)));
                }
                Scope::Start => open.extend(ids.map(|id| (directive.tool, id, line))),
                Scope::End => {
                    let ended: Vec<String> = ids.collect();
                    open.retain(|(tool, id, start)| {
                        let is_ended = *tool == directive.tool && ended.contains(id);
                        if is_ended {
                            let reach = Reach::Between(*start, line);
                            suppressions.push(tool.allows(id.clone(), reach));
                        }
                        !is_ended
                    });
                }
            }
        }
    }
    let to_the_end = open
        .into_iter()
        .map(|(tool, id, start)| tool.allows(id, Reach::Between(start, end_of_file)));
    suppressions.extend(to_the_end);
    suppressions
}

impl Tool {
    fn allows(self, id: String, reach: Reach) -> Suppression {
        Suppression { id, reach, reason: None, tool: self.name(), said_at: None, is_used: false }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    ThisLine,
    NextLine,
    PreviousLine,
    Start,
    End,
}

/// Every spelling; one that is the beginning of another stands behind it.
const SPELLINGS: &[(&str, Tool, Scope)] = &[
    ("slither-disable-next-line", Tool::Slither, Scope::NextLine),
    ("slither-disable-start", Tool::Slither, Scope::Start),
    ("slither-disable-end", Tool::Slither, Scope::End),
    ("slither-disable-line", Tool::Slither, Scope::ThisLine),
    ("aderyn-ignore-next-line", Tool::Aderyn, Scope::NextLine),
    ("aderyn-ignore", Tool::Aderyn, Scope::ThisLine),
    ("aderyn-fp-next-line", Tool::Aderyn, Scope::NextLine),
    ("aderyn-fp", Tool::Aderyn, Scope::ThisLine),
    ("forge-lint: disable-next-line", Tool::ForgeLint, Scope::NextLine),
    ("forge-lint: disable-next-item", Tool::ForgeLint, Scope::NextLine),
    ("forge-lint: disable-line", Tool::ForgeLint, Scope::ThisLine),
    ("forge-lint: disable-start", Tool::ForgeLint, Scope::Start),
    ("forge-lint: disable-end", Tool::ForgeLint, Scope::End),
    ("solhint-disable-next-line", Tool::Solhint, Scope::NextLine),
    ("solhint-disable-previous-line", Tool::Solhint, Scope::PreviousLine),
    ("solhint-disable-line", Tool::Solhint, Scope::ThisLine),
    ("solhint-disable", Tool::Solhint, Scope::Start),
    ("solhint-enable", Tool::Solhint, Scope::End),
];

/// One order in one comment.
struct Directive<'t> {
    tool: Tool,
    scope: Scope,
    /// What follows the order.
    rest: &'t str,
}

impl Directive<'_> {
    /// Ids of our detectors that it speaks of.
    fn ids(&self) -> impl Iterator<Item = String> + use<> {
        let is_of_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let rest = self.rest.trim_start();
        let list = match rest.strip_prefix('(') {
            Some(inside) => inside.split(')').next().unwrap_or_default(),
            // Aderyn and forge-lint name rules in parentheses only; what else follows is prose.
            None if matches!(self.tool, Tool::Aderyn | Tool::ForgeLint) => "",
            None => rest.lines().next().unwrap_or_default(),
        };
        let named: Vec<&str> = list
            .split(',')
            .map(|part| part.trim())
            .map(|part| part.split(|c| !is_of_id(c)).next().unwrap_or_default())
            .filter(|id| !id.is_empty())
            .collect();
        let ids = if named.is_empty() || named.contains(&"all") {
            self.tool.everything()
        } else {
            named.into_iter().flat_map(|id| self.tool.ours(id)).collect()
        };
        ids.into_iter().map(str::to_owned)
    }
}

/// The orders in a comment's text, in their order.
fn directives(text: &str) -> Vec<Directive<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let next = SPELLINGS
            .iter()
            .filter_map(|spelling| rest.find(spelling.0).map(|at| (at, spelling)))
            // Of two that begin at one place the longer is meant.
            .min_by_key(|(at, spelling)| (*at, std::cmp::Reverse(spelling.0.len())));
        let Some((at, (word, tool, scope))) = next else { return found };
        rest = &rest[at + word.len()..];
        found.push(Directive { tool: *tool, scope: *scope, rest });
    }
}
