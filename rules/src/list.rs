//! Named lists of a pack: addresses, amounts, selectors or texts, written in the pack or in a file beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use ruint::aliases::U256;

use crate::condition::{read_address, read_digits};
use crate::question::function_selector;

/// Entries of all lists of one pack.
pub(crate) const MAX_ENTRIES: usize = 100_000;
/// Bytes of one entry.
const MAX_ENTRY_BYTES: usize = 512;

/// The lists of a pack by name.
pub(crate) type Lists = BTreeMap<String, List>;

/// One list, whose entries become values when a condition compares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct List {
    entries: Vec<String>,
    addresses: OnceLock<Result<Arc<[[u8; 20]]>, String>>,
    amounts: OnceLock<Result<Arc<[U256]>, String>>,
    texts: OnceLock<Arc<[String]>>,
}

impl List {
    /// A list of these entries, white space around them removed.
    pub(crate) fn new(entries: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut list = Self::default();
        for entry in entries {
            let entry = entry.trim();
            if entry.len() > MAX_ENTRY_BYTES {
                return Err(format!("an entry has at most {MAX_ENTRY_BYTES} bytes"));
            }
            if list.entries.len() == MAX_ENTRIES {
                return Err(format!("a list has at most {MAX_ENTRIES} entries"));
            }
            list.entries.push(entry.to_owned());
        }
        if list.entries.is_empty() {
            return Err("the list is empty: nothing is in it".to_owned());
        }
        Ok(list)
    }

    /// A list from the text of a file: one entry a line; `#` and what follows it is a comment.
    pub(crate) fn from_lines(text: &str) -> Result<Self, String> {
        let entry = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
        Self::new(text.lines().map(entry).filter(|entry| !entry.is_empty()))
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// As addresses, sorted.
    pub(crate) fn addresses(&self) -> Result<Arc<[[u8; 20]]>, String> {
        self.addresses.get_or_init(|| self.sorted(read_address)).clone()
    }

    /// As amounts, sorted: decimal digits, `0x` and up to 64 hexadecimal digits, or a function's signature.
    pub(crate) fn amounts(&self) -> Result<Arc<[U256]>, String> {
        self.amounts.get_or_init(|| self.sorted(amount)).clone()
    }

    /// As texts, sorted.
    pub(crate) fn texts(&self) -> Arc<[String]> {
        let sorted = || {
            let mut texts = self.entries.clone();
            texts.sort_unstable();
            texts.into()
        };
        Arc::clone(self.texts.get_or_init(sorted))
    }

    fn sorted<T: Ord>(&self, read: impl Fn(&str) -> Result<T, String>) -> Result<Arc<[T]>, String> {
        let mut values =
            self.entries.iter().map(|entry| read(entry)).collect::<Result<Vec<T>, _>>()?;
        values.sort_unstable();
        Ok(values.into())
    }
}

fn amount(text: &str) -> Result<U256, String> {
    if let Some(digits) = text.strip_prefix("0x") {
        let is_number = !digits.is_empty() && digits.len() <= 64;
        return is_number
            .then(|| U256::from_str_radix(digits, 16).ok())
            .flatten()
            .ok_or_else(|| format!("`{text}` is not a number of 256 bits"));
    }
    if text.ends_with(')') {
        return function_selector(text).map(|selector| U256::from(u32::from_be_bytes(selector)));
    }
    read_digits(text)
}

#[cfg(test)]
mod tests {
    use super::List;
    use ruint::aliases::U256;

    #[test]
    fn a_file_has_one_entry_a_line_and_comments() {
        let list = List::from_lines("# mixers\n0x00000000000000000000000000000000000000bb # b\n\n0x00000000000000000000000000000000000000AA\n").unwrap();
        assert_eq!(list.len(), 2);
        let addresses = list.addresses().unwrap();
        assert_eq!((addresses[0][19], addresses[1][19]), (0xaa, 0xbb), "sorted");
        assert!(List::from_lines("# nothing\n").unwrap_err().contains("empty"));
        assert!(List::from_lines("word").unwrap().addresses().unwrap_err().contains("word"));
    }

    #[test]
    fn amounts_are_digits_hexadecimal_or_signatures() {
        let list =
            List::new(["transfer(address,uint256)", "0x10", "7"].map(str::to_owned)).unwrap();
        let amounts = list.amounts().unwrap();
        assert_eq!(amounts.to_vec(), [7, 16, 0xa905_9cbb_u64].map(U256::from));
    }
}
