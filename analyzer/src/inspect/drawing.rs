//! Boxes and arrows, before anything is said of where they stand.

use std::collections::{BTreeMap, BTreeSet};

use super::InspectError;

/// What something is, told by colour (and by weight or underline, for those who see no colour).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    Plain,
    /// Line numbers and headings.
    Dim,
    /// A call that hands over control.
    Call,
    /// The contract is destroyed.
    Destroy,
    /// A call of this contract's own code, or one that cannot change anything.
    Inner,
    /// State that is written.
    Write,
    Emit,
    /// Undoes everything.
    Revert,
    /// The way where a condition holds.
    Yes,
    No,
}

impl Tone {
    /// The class in a style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Dim => "dim",
            Self::Call => "call",
            Self::Destroy => "destroy",
            Self::Inner => "inner",
            Self::Write => "write",
            Self::Emit => "emit",
            Self::Revert => "revert",
            Self::Yes => "yes",
            Self::No => "no",
        }
    }

    /// Colour on light and on dark ground; each has a contrast of at least 4.5 to 1.
    pub(super) fn colours(self) -> (&'static str, &'static str) {
        match self {
            Self::Plain => ("#24292f", "#d7dce2"),
            Self::Dim => ("#656d76", "#8d96a0"),
            Self::Call => ("#c4291c", "#ff8a80"),
            Self::Destroy => ("#8f1a75", "#ff9de1"),
            Self::Inner => ("#0a58b8", "#79b8ff"),
            Self::Write => ("#955200", "#ffb454"),
            Self::Emit => ("#7a3db8", "#d2a8ff"),
            Self::Revert => ("#a31545", "#ff7b9c"),
            Self::Yes => ("#1a7036", "#5fd07e"),
            Self::No => ("#a8341f", "#ff9580"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Box,
    /// Where a function begins or ends.
    Pill,
    /// Not declared here.
    Dashed,
}

/// One line of text in a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// A line number; empty for none.
    pub(super) gutter: String,
    pub(super) pieces: Vec<(Tone, String)>,
}

impl Row {
    pub(super) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { gutter: String::new(), pieces: vec![(tone, text.into())] }
    }

    pub(super) fn chars(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text.chars().count()).sum()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) shape: Shape,
    /// Of the frame.
    pub(super) tone: Tone,
    pub(super) rows: Vec<Row>,
    /// What is said on pointing at it.
    pub(super) hint: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: String,
    pub(super) tone: Tone,
    pub(super) is_dashed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Down,
    Right,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drawing {
    pub(super) title: String,
    pub(super) direction: Direction,
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
    /// What the colours mean.
    pub(super) legend: Vec<(Tone, &'static str)>,
    /// A way through the picture, where one is told of.
    pub(super) way: Way,
}

/// What is marked of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Way {
    /// Numbers of the steps that happen on a row, by box and row.
    pub(super) rows: BTreeMap<(usize, usize), Vec<usize>>,
    /// The arrows that are taken.
    pub(super) links: BTreeSet<usize>,
}

/// Boxes that are still drawn; the time grows faster than their number, and nobody reads more.
pub(super) const MAX_NODES: usize = 1_500;

impl Drawing {
    pub(super) fn check_size(&self) -> Result<(), InspectError> {
        if self.nodes.len() > MAX_NODES || self.links.len() > 4 * MAX_NODES {
            return Err(InspectError::TooLarge {
                nodes: self.nodes.len(),
                edges: self.links.len(),
                most: MAX_NODES,
            });
        }
        Ok(())
    }

    /// The legend without what is not in the picture.
    pub(super) fn used_legend(&self) -> Vec<(Tone, &'static str)> {
        let is_used = |tone: Tone| {
            self.links.iter().any(|link| link.tone == tone)
                || self.nodes.iter().any(|node| {
                    node.tone == tone
                        || node.rows.iter().flat_map(|row| &row.pieces).any(|(t, _)| *t == tone)
                })
        };
        self.legend.iter().copied().filter(|(tone, _)| is_used(*tone)).collect()
    }
}
