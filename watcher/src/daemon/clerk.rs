//! Who writes down what was decided, on a thread of its own: a verdict does not wait for its evidence.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

/// How long the clerk dozes when the tray is empty before it has to be called. While work keeps coming nobody calls: on
/// busy cores whoever wakes another thread up often has to make room for it.
const DOZE: Duration = Duration::from_millis(2);

/// Takes work off the hands of those who judge. Bounded: with a full tray nothing is lost and nobody waits, for
/// whoever hands over gets the work back and does it.
#[derive(Debug)]
pub(super) struct Clerk<T> {
    desk: Arc<Tray<T>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Tray<T> {
    papers: Mutex<Papers<T>>,
    has_work: Condvar,
    is_settled: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct Papers<T> {
    waiting: VecDeque<T>,
    /// One was taken and is not done.
    is_writing: bool,
    /// Nothing but a call wakes the clerk.
    is_asleep: bool,
    is_closed: bool,
}

impl<T: Send + 'static> Clerk<T> {
    /// Begins to work: `write` is called with each thing handed over, in order.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(limit: usize, write: impl Fn(T) + Send + 'static) -> std::io::Result<Self> {
        let papers = Papers {
            waiting: VecDeque::new(),
            is_writing: false,
            is_asleep: false,
            is_closed: false,
        };
        let desk = Arc::new(Tray {
            papers: Mutex::new(papers),
            has_work: Condvar::new(),
            is_settled: Condvar::new(),
            limit: limit.max(1),
        });
        let taken = Arc::clone(&desk);
        let thread = std::thread::Builder::new().name("clerk".to_owned()).spawn(move || {
            while let Some(work) = taken.take() {
                write(work);
            }
        })?;
        Ok(Self { desk, thread: Some(thread) })
    }
}

impl<T> Clerk<T> {
    /// Hands work over.
    ///
    /// # Errors
    /// There is no room for it, or the clerk has gone; the work is given back.
    pub(super) fn hand(&self, work: T) -> Result<(), Box<T>> {
        let mut papers = self.desk.lock();
        if papers.is_closed || papers.waiting.len() >= self.desk.limit {
            return Err(Box::new(work));
        }
        papers.waiting.push_back(work);
        let is_called = std::mem::take(&mut papers.is_asleep);
        drop(papers);
        if is_called {
            self.desk.has_work.notify_one();
        }
        Ok(())
    }

    /// Waits until all that was handed over is written. Blocks.
    pub(super) fn settle(&self) {
        let papers = self.desk.lock();
        let is_open = |papers: &mut Papers<T>| {
            !papers.is_closed && (papers.is_writing || !papers.waiting.is_empty())
        };
        drop(
            self.desk
                .is_settled
                .wait_while(papers, is_open)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

impl<T> Tray<T> {
    /// What was done before is done; the next, as soon as there is any, none when all is done and nothing more comes.
    fn take(&self) -> Option<T> {
        let mut papers = self.lock();
        papers.is_writing = false;
        loop {
            if let Some(work) = papers.waiting.pop_front() {
                papers.is_writing = true;
                return Some(work);
            }
            self.is_settled.notify_all();
            if papers.is_closed {
                return None;
            }
            let (dozed, ended) =
                self.has_work.wait_timeout(papers, DOZE).unwrap_or_else(PoisonError::into_inner);
            papers = dozed;
            if ended.timed_out() && papers.waiting.is_empty() && !papers.is_closed {
                papers.is_asleep = true;
                let is_needed = |papers: &mut Papers<T>| papers.is_asleep && !papers.is_closed;
                papers = self
                    .has_work
                    .wait_while(papers, is_needed)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// A thread that panicked while it held the lock left the papers whole.
    fn lock(&self) -> MutexGuard<'_, Papers<T>> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Clerk<T> {
    /// Waits for what was handed over.
    fn drop(&mut self) {
        self.desk.lock().is_closed = true;
        self.desk.has_work.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(target: "watcher::daemon", "the clerk crashed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn work_is_done_in_order_and_given_back_where_there_is_no_room() {
        let (done, written) = mpsc::sync_channel(16);
        let (go, gate) = mpsc::sync_channel::<()>(0);
        let gate = Mutex::new(gate);
        let clerk = Clerk::start(2, move |number: u32| {
            gate.lock().unwrap().recv().ok();
            done.send(number).unwrap();
        })
        .unwrap();
        clerk.hand(1).unwrap();
        // The first is taken at once, whenever that is; two more find room.
        while clerk.desk.lock().waiting.len() == 1 {
            std::thread::yield_now();
        }
        clerk.hand(2).unwrap();
        clerk.hand(3).unwrap();
        assert_eq!(*clerk.hand(4).unwrap_err(), 4);
        for _ in 0..3 {
            go.send(()).unwrap();
        }
        clerk.settle();
        assert_eq!(written.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
        // With the gate gone the clerk works freely; dropping it loses nothing.
        drop(go);
        clerk.hand(5).unwrap();
        // Asleep, it is woken by the next thing, and by its end.
        clerk.settle();
        while !clerk.desk.lock().is_asleep {
            std::thread::yield_now();
        }
        clerk.hand(6).unwrap();
        clerk.settle();
        assert_eq!(written.try_iter().collect::<Vec<_>>(), [5, 6]);
        clerk.hand(7).unwrap();
        drop(clerk);
        assert_eq!(written.try_iter().collect::<Vec<_>>(), [7]);
    }
}
