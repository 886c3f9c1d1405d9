//! What a transaction leaves on a contract, in the words in which questions ask: most of them are settled by its absence.

use super::{Place, Question};

/// Something that happened on one contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Trace {
    /// The slot, or an entry of the mapping, has another value than before one of its writes, and the write stayed.
    Changed(Place),
    /// It was called from another account by this selector.
    Entered([u8; 4]),
    /// It was called from another account while another such call of it was running.
    Nested,
    /// Ether or tokens left it, and stayed away.
    Paid,
    /// It asked `ecrecover`, in a call that stayed.
    Recovered,
}

/// Everything of that kind that happened on one contract in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail {
    /// Sorted, each once.
    traces: Vec<Trace>,
}

impl Trail {
    /// A trail of these traces. One that is missing here makes rules silent that ask about it.
    pub fn new(traces: impl IntoIterator<Item = Trace>) -> Self {
        let mut traces: Vec<Trace> = traces.into_iter().collect();
        traces.sort_unstable();
        traces.dedup();
        Self { traces }
    }

    /// Its traces, sorted.
    pub fn traces(&self) -> &[Trace] {
        &self.traces
    }

    /// Whether the answer to `question` is zero for want of a trace.
    pub fn settles(&self, question: &Question) -> bool {
        match question {
            Question::Changed { place, .. } => !self.holds(&Trace::Changed(*place)),
            Question::Called(functions) => {
                !functions.iter().any(|function| self.holds(&Trace::Entered(*function)))
            }
            Question::Entered { .. } | Question::Stale(_) => !self.holds(&Trace::Nested),
            Question::PaidOutside(_) => !self.holds(&Trace::Paid),
            Question::Signatures(_) => !self.holds(&Trace::Recovered),
            Question::Window(_) | Question::Reading(..) => false,
        }
    }

    fn holds(&self, trace: &Trace) -> bool {
        self.traces.binary_search(trace).is_ok()
    }
}

impl Question {
    /// The traces without any of which [`Trail::settles`] the question; none where no trail does.
    pub(crate) fn traces(&self) -> Vec<Trace> {
        match self {
            Self::Changed { place, .. } => vec![Trace::Changed(*place)],
            Self::Called(functions) => functions.iter().copied().map(Trace::Entered).collect(),
            Self::Entered { .. } | Self::Stale(_) => vec![Trace::Nested],
            Self::PaidOutside(_) => vec![Trace::Paid],
            Self::Signatures(_) => vec![Trace::Recovered],
            Self::Window(_) | Self::Reading(..) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ruint::aliases::U256;

    use super::{Trace, Trail};
    use crate::question::{Place, Question, SignatureFault};

    #[test]
    fn a_trail_settles_exactly_what_it_lacks_every_trace_of() {
        let slot = |slot: u64| Place::Slot(U256::from(slot));
        let changed = |place| Question::Changed { place, holders: Vec::new() };
        let questions = [
            changed(slot(1)),
            changed(Place::Mapping(U256::from(1))),
            Question::Called(vec![[1; 4], [2; 4]]),
            Question::Entered { functions: vec![[1; 4]], inside: Vec::new() },
            Question::Stale(Vec::new()),
            Question::PaidOutside(Vec::new()),
            Question::Signatures(SignatureFault::Nobody),
        ];
        let nothing = Trail::default();
        assert!(questions.iter().all(|question| nothing.settles(question)));
        for question in &questions {
            for trace in question.traces() {
                let trail = Trail::new([trace, Trace::Changed(slot(7))]);
                let open: Vec<&Question> =
                    questions.iter().filter(|one| !trail.settles(one)).collect();
                assert!(open.contains(&question), "{trace:?}");
                assert!(open.iter().all(|one| one.traces().contains(&trace)), "{trace:?}");
            }
        }
    }
}
