//! The work that waits for a simulation: bounded, the most urgent first, the least urgent left out first.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::priority::Priority;

/// Work of four priorities; within one, first come first served.
#[derive(Debug)]
pub(super) struct WorkQueue<T> {
    lanes: Mutex<Lanes<T>>,
    has_work: Condvar,
    limit: usize,
}

/// The end of a queue at which work goes in; the queue is closed when this is dropped, whatever else ends.
#[derive(Debug)]
pub(super) struct Intake<T>(Arc<WorkQueue<T>>);

#[derive(Debug)]
struct Lanes<T> {
    waiting: [VecDeque<T>; Priority::ALL.len()],
    is_closed: bool,
}

impl<T> WorkQueue<T> {
    /// A queue of at most `limit`.
    pub(super) fn new(limit: usize) -> Self {
        let waiting = Priority::ALL.map(|_| VecDeque::new());
        Self {
            lanes: Mutex::new(Lanes { waiting, is_closed: false }),
            has_work: Condvar::new(),
            limit: limit.max(1),
        }
    }

    /// Takes work in; where there is no room, gives back what is left out instead, with its priority: the newest of
    /// the least urgent.
    fn push(&self, priority: Priority, work: T) -> Option<(Priority, T)> {
        let mut lanes = self.lock();
        let n_waiting: usize = lanes.waiting.iter().map(VecDeque::len).sum();
        let mut left_out = None;
        if lanes.is_closed {
            return Some((priority, work));
        }
        if n_waiting >= self.limit {
            let less_urgent = Priority::ALL.into_iter().rev().take_while(|other| *other > priority);
            left_out = less_urgent
                .filter_map(|other| Some((other, lanes.waiting[other.place()].pop_back()?)))
                .next();
            if left_out.is_none() {
                return Some((priority, work));
            }
        }
        lanes.waiting[priority.place()].push_back(work);
        drop(lanes);
        self.has_work.notify_one();
        left_out
    }

    /// The most urgent work, as soon as there is any; none when the queue is closed and empty. Blocks.
    pub(super) fn pop(&self) -> Option<T> {
        let mut lanes = self.lock();
        loop {
            if let Some(work) = lanes.waiting.iter_mut().find_map(VecDeque::pop_front) {
                return Some(work);
            }
            if lanes.is_closed {
                return None;
            }
            lanes = self.has_work.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How much waits.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.iter().map(VecDeque::len).sum()
    }

    /// Nothing more comes.
    fn close(&self) {
        self.lock().is_closed = true;
        self.has_work.notify_all();
    }

    /// A thread that panicked while it held the lock left the lanes whole.
    fn lock(&self) -> MutexGuard<'_, Lanes<T>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Intake<T> {
    /// Of a queue that others take from.
    pub(super) fn new(queue: Arc<WorkQueue<T>>) -> Self {
        Self(queue)
    }

    /// As [`WorkQueue::push`].
    pub(super) fn push(&self, priority: Priority, work: T) -> Option<(Priority, T)> {
        self.0.push(priority, work)
    }

    /// How much waits.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Nothing more goes in.
    pub(super) fn close(&self) {
        self.0.close();
    }
}

impl<T> Drop for Intake<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_comes_first_and_the_least_urgent_is_left_out() {
        let queue = WorkQueue::new(3);
        for (priority, work) in [(Priority::Other, 1), (Priority::Fresh, 2), (Priority::Other, 3)] {
            assert_eq!(queue.push(priority, work), None);
        }
        assert_eq!(queue.push(Priority::Other, 4), Some((Priority::Other, 4)));
        assert_eq!(queue.push(Priority::Named, 5), Some((Priority::Other, 3)));
        assert_eq!(queue.push(Priority::Acquainted, 6), Some((Priority::Other, 1)));
        assert_eq!(queue.push(Priority::Acquainted, 7), Some((Priority::Fresh, 2)));
        assert_eq!(queue.push(Priority::Named, 8), Some((Priority::Acquainted, 7)));
        assert_eq!(queue.push(Priority::Fresh, 9), Some((Priority::Fresh, 9)));
        queue.close();
        assert_eq!(queue.push(Priority::Named, 10), Some((Priority::Named, 10)));
        assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some(5), Some(8), Some(6)]);
        assert_eq!(queue.pop(), None);
    }
}
