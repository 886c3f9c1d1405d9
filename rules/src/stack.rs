//! A thread with a stated stack for the parsers of foreign text, so that the caller's stack does not matter.

use std::thread;

/// The CEL grammar takes up to 150 kB of stack per bracket in an unoptimised build; conditions are bounded to two
/// dozen brackets and choices, which leaves a factor of four.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Runs `work` to its end on a thread of its own; a panic inside comes back as a reason.
pub(crate) fn on_own_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("rules-load".to_owned()).stack_size(STACK_BYTES);
        let running = thread
            .spawn_scoped(scope, work)
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        running.join().map_err(|_| "the reader crashed on this text; please report it".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::on_own_stack;

    #[test]
    fn a_panic_inside_is_a_reason_and_not_a_crash() {
        assert_eq!(on_own_stack(|| 7), Ok(7));
        let crashed = on_own_stack(|| panic!("on purpose"));
        assert!(crashed.unwrap_err().contains("crashed"));
    }
}
