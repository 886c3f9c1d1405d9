//! What all passes share: who is protected and touched, who the actor is, and who entered whom.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, b256};

use crate::simulate::execution::{Execution, Frame, FrameKind, LogRecord};

use super::Protected;

/// `Transfer(address,address,uint256)`, of ERC-20 and ERC-721 alike.
const TRANSFER_TOPIC: B256 =
    b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// An execution, and where the protected accounts stand in it.
#[derive(Debug)]
pub(in crate::facts) struct View<'a> {
    /// The execution.
    pub(in crate::facts) execution: &'a Execution,
    /// The protected set.
    pub(in crate::facts) protected: &'a Protected,
    /// One per frame; empty where nothing protected is touched.
    pub(in crate::facts) places: Vec<Place>,
    /// Protected accounts that occur anywhere, sorted.
    pub(in crate::facts) touched: Vec<Address>,
    /// Sender, what it created here, and the root target unless that is protected; sorted.
    pub(in crate::facts) cluster: Vec<Address>,
}

/// Where a frame stands.
#[derive(Debug, Clone, Copy)]
pub(in crate::facts) struct Place {
    /// Protocol of the account that it acts on.
    pub(in crate::facts) group: Option<usize>,
    /// Frame through which that account was entered from another account: delegate frames and calls to itself
    /// belong to the entry around them, for they run inside of one and the same visit.
    pub(in crate::facts) entry: usize,
    /// For an entry of a protected account: the entry of the same account that is still open around it.
    pub(in crate::facts) outer: Option<usize>,
    /// For an entry of a protected account: how many of its entries are open, this one included.
    pub(in crate::facts) level: usize,
    /// Entered while another protected account was open, from an account that is not protected.
    pub(in crate::facts) is_cross: bool,
    /// It, or a frame around it, is a static call.
    pub(in crate::facts) is_static: bool,
    /// It, or a frame around it, is a creation.
    pub(in crate::facts) is_in_creation: bool,
}

impl<'a> View<'a> {
    /// Looks once through everything the execution names; goes on only where something protected occurs.
    pub(in crate::facts) fn new(execution: &'a Execution, protected: &'a Protected) -> Self {
        let touched = touched(execution, protected);
        let (places, cluster) = if touched.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            (places(execution, protected), cluster(execution, protected))
        };
        Self { execution, protected, places, touched, cluster }
    }

    /// Whether anything protected occurs.
    pub(in crate::facts) fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Whether `address` belongs to the actor.
    pub(in crate::facts) fn is_actor(&self, address: &Address) -> bool {
        self.cluster.binary_search(address).is_ok()
    }

    /// Frames with their places.
    pub(in crate::facts) fn frames(&self) -> impl Iterator<Item = (usize, &'a Frame, &Place)> {
        self.execution
            .frames
            .iter()
            .zip(&self.places)
            .enumerate()
            .map(|(index, (frame, place))| (index, frame, place))
    }

    /// The entry that the frame at `index` belongs to.
    pub(in crate::facts) fn entry(&self, index: usize) -> Option<usize> {
        self.places.get(index).map(|place| place.entry)
    }
}

/// A token transfer as its log tells it: payer, receiver, and the amount of a fungible token.
pub(in crate::facts) fn transfer(
    log: &LogRecord,
) -> Option<(Address, Address, Option<alloy::primitives::U256>)> {
    let [topic, from, to, rest @ ..] = log.topics.as_slice() else { return None };
    if *topic != TRANSFER_TOPIC {
        return None;
    }
    let amount = (rest.is_empty() && log.data.len() == 32)
        .then(|| alloy::primitives::U256::from_be_slice(&log.data));
    Some((Address::from_word(*from), Address::from_word(*to), amount))
}

fn touched(execution: &Execution, protected: &Protected) -> Vec<Address> {
    let mut found = Vec::new();
    // Neighbours mostly name the same account, so one remembered address spares most look-ups.
    let mut last = Address::ZERO;
    let mut look = |address: &Address| {
        if *address != last {
            last = *address;
            if protected.group(address).is_some() {
                found.push(*address);
            }
        }
    };
    for frame in &execution.frames {
        look(&frame.acts_on);
        look(&frame.code_at);
    }
    for access in &execution.accesses {
        look(&access.address);
    }
    for moved in &execution.ether {
        look(&moved.from);
        look(&moved.to);
    }
    for log in &execution.logs {
        look(&log.address);
        if let Some((from, to, _)) = transfer(log) {
            look(&from);
            look(&to);
        }
    }
    for address in &execution.destroyed {
        look(address);
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn cluster(execution: &Execution, protected: &Protected) -> Vec<Address> {
    let mut cluster = vec![execution.envelope.sender];
    cluster.extend(execution.envelope.to.filter(|target| protected.group(target).is_none()));
    // What a protected factory creates is the protocol's, not the actor's.
    let created = execution
        .frames
        .iter()
        .filter(|frame| matches!(frame.kind, FrameKind::Create | FrameKind::Create2))
        .filter(|frame| {
            protected.group(&frame.caller).is_none() && protected.group(&frame.acts_on).is_none()
        })
        .map(|frame| frame.acts_on);
    cluster.extend(created);
    cluster.sort_unstable();
    cluster.dedup();
    cluster
}

fn places(execution: &Execution, protected: &Protected) -> Vec<Place> {
    let frames = &execution.frames;
    let mut places: Vec<Place> = Vec::with_capacity(frames.len());
    let mut stack: Vec<usize> = Vec::new();
    let mut open: BTreeMap<Address, Vec<usize>> = BTreeMap::new();
    let mut n_open = 0_usize;
    for (index, frame) in frames.iter().enumerate() {
        while let Some(&top) = stack.last().filter(|top| Some(**top) != frame.parent) {
            stack.pop();
            if places[top].group.is_some() && places[top].entry == top {
                open.entry(frames[top].acts_on).or_default().pop();
                n_open = n_open.saturating_sub(1);
            }
        }
        let parent = stack.last().map(|&parent| (places[parent], frames[parent].acts_on));
        let group = protected.group(&frame.acts_on);
        let entry = match parent {
            Some((place, acts_on)) if acts_on == frame.acts_on => place.entry,
            _ => index,
        };
        let mut place = Place {
            group,
            entry,
            outer: None,
            level: 0,
            is_cross: false,
            is_static: frame.kind == FrameKind::StaticCall
                || parent.is_some_and(|(place, _)| place.is_static),
            is_in_creation: matches!(frame.kind, FrameKind::Create | FrameKind::Create2)
                || parent.is_some_and(|(place, _)| place.is_in_creation),
        };
        if group.is_some() && entry == index {
            let same = open.entry(frame.acts_on).or_default();
            place.outer = same.last().copied();
            place.is_cross = place.outer.is_none()
                && n_open > 0
                && parent.is_some_and(|(place, _)| place.group.is_none());
            same.push(index);
            place.level = same.len();
            n_open = n_open.saturating_add(1);
        }
        places.push(place);
        stack.push(index);
    }
    places
}
