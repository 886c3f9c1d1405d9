//! Threads whose stack fits every syntax tree.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The stack of a thread that handles syntax trees. A level of nesting costs up to 16 KiB in a debug
/// build, and the pre-lexer admits 4,096 levels; the rest is room for what calls it. The system hands out
/// only what is touched.
pub const STACK_BYTES: usize = 256 << 20;

thread_local! {
    static IS_DEEP: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a thread whose stack fits every tree that the pre-lexer admits; on this one, if it is such
/// a thread.
///
/// # Panics
/// When the system cannot start a thread, or when `work` panics.
pub fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if IS_DEEP.get() {
        return work();
    }
    std::thread::scope(|scope| join(spawn(scope, work)))
}

/// `work` for each of `0..count`, in that order, on as many threads as this thread's pool has.
///
/// # Panics
/// When the system cannot start a thread, or when `work` panics.
pub(crate) fn deep_map<T: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    /// Whoever is free takes this many more; starting a thread costs as much as a few items.
    const BATCH: usize = 4;
    let threads = threads.min(count.div_ceil(2 * BATCH));
    if threads < 2 {
        return on_deep_stack(|| (0..count).map(&work).collect());
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let start = next.fetch_add(BATCH, Ordering::Relaxed);
            if start >= count {
                return done;
            }
            done.extend((start..count.min(start + BATCH)).map(|index| (index, work(index))));
        }
    };
    let mut slots: Vec<Option<T>> = (0..count).map(|_| None).collect();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| spawn(scope, take)).collect();
        for worker in workers {
            for (index, value) in join(worker) {
                slots[index] = Some(value);
            }
        }
    });
    slots.into_iter().map(|slot| slot.expect("every item was taken once")).collect()
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> std::thread::ScopedJoinHandle<'scope, T> {
    std::thread::Builder::new()
        .name("syntax".to_owned())
        .stack_size(STACK_BYTES)
        .spawn_scoped(scope, || {
            IS_DEEP.set(true);
            work()
        })
        .expect("the system can start a thread")
}

fn join<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    match handle.join() {
        Ok(value) => value,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}
