//! Which pauses were decided and when: what the budgets and cool-downs are counted from.
//!
//! It holds no clock; whoever asks says what time and which block it is.

use std::collections::{BTreeMap, VecDeque};

use portcullis_alerting::record::Mode;

use super::Standing;

/// Blocks after which a pause that nobody settled is under way no longer.
const OPEN_BLOCKS: u64 = 10;

/// One day, milliseconds; the budget looks back this far.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Limits that do not change while the guard runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Probability from which the model alone is worth an alert.
    pub alert_score: f32,
    /// Probability from which the model is a second key.
    pub pause_score: f32,
    /// Most pauses in any 24 hours, over all protocols.
    pub max_pauses_per_day: u32,
    /// Blocks after a pause in which the same protocol is not paused again.
    pub cooldown_blocks: u64,
}

/// Pauses decided so far. Those that mode or counterfactual kept from being fired can be taken back.
#[derive(Debug)]
pub struct Ledger {
    limits: Limits,
    /// Of the last day, oldest first: when, and the ticket's number.
    today: VecDeque<(u64, u64)>,
    /// Last pause by protocol: block and the ticket's number.
    last: BTreeMap<String, (u64, u64)>,
    /// Pauses under way, by protocol: the ticket's number, and the block after which nobody follows them any more.
    open: BTreeMap<String, (u64, u64)>,
    tickets: u64,
}

/// A pause that was entered and may be taken back.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an entered pause counts until it is taken back"]
pub struct Ticket {
    number: u64,
    protocol: String,
    before: Option<(u64, u64)>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            today: VecDeque::new(),
            last: BTreeMap::new(),
            open: BTreeMap::new(),
            tickets: 0,
        }
    }

    /// Whether a pause of the protocol is under way: sent or being sent, and not in a block yet. Another one is the
    /// same pause with a higher offer, which costs no more than one.
    pub fn is_open(&self, protocol: &str, block: u64) -> bool {
        self.open.get(protocol).is_some_and(|(_, until_block)| block <= *until_block)
    }

    /// Other limits from now on; what was decided still counts.
    pub fn adopt(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The orders in force for a protocol, at a time and on a head. While a pause is under way neither cool-down nor
    /// budget keeps it from being offered more for.
    pub fn standing(&mut self, protocol: &str, mode: Mode, now_ms: u64, block: u64) -> Standing {
        while self.today.front().is_some_and(|(at_ms, _)| now_ms.saturating_sub(*at_ms) >= DAY_MS) {
            self.today.pop_front();
        }
        let used = u32::try_from(self.today.len()).unwrap_or(u32::MAX);
        let is_open = self.is_open(protocol, block);
        let cooling_until_block = self
            .last
            .get(protocol)
            .map(|(paused_at, _)| paused_at.saturating_add(self.limits.cooldown_blocks))
            .filter(|until| !is_open && self.limits.cooldown_blocks > 0 && block <= *until);
        Standing {
            mode,
            alert_score: self.limits.alert_score,
            pause_score: self.limits.pause_score,
            pauses_left: self
                .limits
                .max_pauses_per_day
                .saturating_sub(used)
                .max(u32::from(is_open)),
            cooling_until_block,
            eased: None,
            asks_people: false,
        }
    }

    /// Enters a pause.
    pub fn enter(&mut self, protocol: &str, now_ms: u64, block: u64) -> Ticket {
        self.tickets = self.tickets.saturating_add(1);
        let number = self.tickets;
        self.today.push_back((now_ms, number));
        self.open.insert(protocol.to_owned(), (number, block.saturating_add(OPEN_BLOCKS)));
        let before = self.last.insert(protocol.to_owned(), (block, number));
        Ticket { number, protocol: protocol.to_owned(), before }
    }

    /// Enters a pause from before this start, so that a restart gives no budget back and ends no cool-down. From the
    /// oldest to the newest.
    pub fn restore(&mut self, protocol: &str, at_ms: u64, block: u64) {
        self.tickets = self.tickets.saturating_add(1);
        self.today.push_back((at_ms, self.tickets));
        self.last.insert(protocol.to_owned(), (block, self.tickets));
    }

    /// A pause that counts is under way no longer.
    pub fn settle(&mut self, ticket: Ticket) {
        self.close(&ticket);
    }

    fn close(&mut self, ticket: &Ticket) {
        if self.open.get(&ticket.protocol).is_some_and(|(number, _)| *number == ticket.number) {
            self.open.remove(&ticket.protocol);
        }
    }

    /// Takes a pause back that will not be fired after all.
    pub fn take_back(&mut self, ticket: Ticket) {
        self.close(&ticket);
        self.today.retain(|(_, number)| *number != ticket.number);
        if self.last.get(&ticket.protocol).is_some_and(|(_, number)| *number == ticket.number) {
            match ticket.before {
                Some(before) => self.last.insert(ticket.protocol, before),
                None => self.last.remove(&ticket.protocol),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { alert_score: 0.5, pause_score: 0.9, max_pauses_per_day: 2, cooldown_blocks: 10 };

    #[test]
    fn the_budget_is_one_for_all_protocols_and_comes_back_after_a_day() {
        let mut ledger = Ledger::new(LIMITS);
        let left =
            |ledger: &mut Ledger, now_ms| ledger.standing("c", Mode::Armed, now_ms, 1).pauses_left;
        let _kept = (ledger.enter("a", 0, 1), ledger.enter("b", 1_000, 1));
        assert_eq!(left(&mut ledger, 2_000), 0);
        assert_eq!(left(&mut ledger, DAY_MS), 1);
        assert_eq!(left(&mut ledger, DAY_MS + 1_000), 2);
    }

    #[test]
    fn a_protocol_cools_down_by_itself() {
        let mut ledger = Ledger::new(LIMITS);
        let ticket = ledger.enter("a", 0, 100);
        ledger.settle(ticket);
        let mut cooling =
            |protocol, block| ledger.standing(protocol, Mode::Armed, 0, block).cooling_until_block;
        assert_eq!(cooling("a", 110), Some(110));
        assert_eq!(cooling("a", 111), None);
        assert_eq!(cooling("b", 100), None);
    }

    #[test]
    fn what_is_taken_back_does_not_count() {
        let mut ledger = Ledger::new(LIMITS);
        let kept = ledger.enter("a", 0, 100);
        ledger.settle(kept);
        let ticket = ledger.enter("a", 0, 105);
        ledger.take_back(ticket);
        let standing = ledger.standing("a", Mode::Armed, 0, 105);
        assert_eq!((standing.pauses_left, standing.cooling_until_block), (1, Some(110)));
    }

    #[test]
    fn a_pause_under_way_may_be_offered_more_for_until_it_is_settled_or_forgotten() {
        let mut ledger = Ledger::new(Limits { max_pauses_per_day: 1, ..LIMITS });
        let ticket = ledger.enter("a", 0, 100);
        let standing = ledger.standing("a", Mode::Armed, 0, 101);
        assert_eq!((standing.pauses_left, standing.cooling_until_block), (1, None));
        assert_eq!(ledger.standing("b", Mode::Armed, 0, 101).pauses_left, 0);
        let late = ledger.standing("a", Mode::Armed, 0, 100 + OPEN_BLOCKS + 1);
        assert_eq!(late.pauses_left, 0);
        ledger.settle(ticket);
        let standing = ledger.standing("a", Mode::Armed, 0, 101);
        assert_eq!((standing.pauses_left, standing.cooling_until_block), (0, Some(110)));
    }

    #[test]
    fn what_was_paused_before_a_restart_still_counts() {
        let mut ledger = Ledger::new(LIMITS);
        ledger.restore("a", 1_000, 100);
        ledger.restore("b", 2_000, 101);
        let standing = ledger.standing("a", Mode::Armed, 3_000, 105);
        assert_eq!((standing.pauses_left, standing.cooling_until_block), (0, Some(110)));
        assert_eq!(ledger.standing("c", Mode::Armed, DAY_MS + 1_500, 500).pauses_left, 1);
    }

    #[test]
    fn a_clock_that_jumps_back_frees_no_budget() {
        let mut ledger = Ledger::new(LIMITS);
        let _kept = (ledger.enter("a", DAY_MS, 1), ledger.enter("b", DAY_MS, 1));
        assert_eq!(ledger.standing("c", Mode::Armed, 0, 1).pauses_left, 0);
    }
}
