//! A bounded memory of values.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
};

/// The last so many values of a kind.
#[derive(Debug, Default)]
pub(crate) struct Recent<T> {
    set: HashSet<T>,
    order: VecDeque<T>,
}

impl<T: Eq + Hash + Copy> Recent<T> {
    /// False if it was there already.
    pub(crate) fn insert(&mut self, value: T, limit: usize) -> bool {
        if !self.set.insert(value) {
            return false;
        }
        self.order.push_back(value);
        if self.order.len() > limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }

    pub(crate) fn contains(&self, value: &T) -> bool {
        self.set.contains(value)
    }

    pub(crate) fn remove(&mut self, value: &T) {
        // Its place in the order stays; leaving it there only forgets another value a little earlier.
        self.set.remove(value);
    }
}
