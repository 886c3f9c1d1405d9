//! Sets of small numbers, and many short lists in one piece: what every view is indexed with, and therefore made
//! to cost few allocations.

/// A set of small numbers. The first 64 need no memory of their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bits {
    first: u64,
    /// The words after the first.
    rest: Vec<u64>,
}

impl Bits {
    /// Whether the number was new.
    pub(crate) fn insert(&mut self, at: usize) -> bool {
        let (word, bit) = (at / 64, 1 << (at % 64));
        if word > self.rest.len() {
            self.rest.resize(word, 0);
        }
        let place = match word {
            0 => &mut self.first,
            _ => &mut self.rest[word - 1],
        };
        let is_new = *place & bit == 0;
        *place |= bit;
        is_new
    }

    pub(crate) fn contains(&self, at: usize) -> bool {
        let bit = 1 << (at % 64);
        match at / 64 {
            0 => self.first & bit != 0,
            word => self.rest.get(word - 1).is_some_and(|word| word & bit != 0),
        }
    }

    /// Adds all of `other`; whether anything was new.
    pub(crate) fn union(&mut self, other: &Bits) -> bool {
        let mut changed = other.first & !self.first != 0;
        self.first |= other.first;
        if self.rest.len() < other.rest.len() {
            self.rest.resize(other.rest.len(), 0);
        }
        for (mine, theirs) in self.rest.iter_mut().zip(&other.rest) {
            changed |= theirs & !*mine != 0;
            *mine |= theirs;
        }
        changed
    }

    /// Takes everything out and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.first = 0;
        self.rest.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::once(&self.first).chain(&self.rest).enumerate().flat_map(|(word, &bits)| {
            let mut left = bits;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(word * 64 + bit)
            })
        })
    }
}

/// Lists by number, one behind the other.
#[derive(Debug)]
pub(crate) struct Lists<T> {
    /// Where each list ends.
    ends: Vec<usize>,
    items: Vec<T>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { ends: Vec::new(), items: Vec::new() }
    }
}

impl<T> Lists<T> {
    /// Adds an item to the list that was begun last.
    pub(crate) fn push(&mut self, item: T) {
        self.items.push(item);
        if let Some(end) = self.ends.last_mut() {
            *end = self.items.len();
        }
    }

    /// Begins the next list, empty so far.
    pub(crate) fn begin(&mut self) {
        self.ends.push(self.items.len());
    }
}

impl<T: Copy> Lists<T> {
    /// `count` lists of items that come with the number of their list, in the order they come in.
    pub(crate) fn of(count: usize, pairs: &[(usize, T)]) -> Self {
        let mut ends = vec![0; count];
        for (list, _) in pairs {
            ends[*list] += 1;
        }
        let mut total = 0;
        for end in &mut ends {
            // Where the list begins; each item that is put in moves it towards its end.
            (total, *end) = (total + *end, total);
        }
        let Some((_, any)) = pairs.first() else { return Self { ends, items: Vec::new() } };
        let mut items = vec![*any; pairs.len()];
        for (list, item) in pairs {
            items[ends[*list]] = *item;
            ends[*list] += 1;
        }
        Self { ends, items }
    }
}

impl<T> std::ops::Index<usize> for Lists<T> {
    type Output = [T];

    fn index(&self, list: usize) -> &[T] {
        let start = if list == 0 { 0 } else { self.ends[list - 1] };
        &self.items[start..self.ends[list]]
    }
}
