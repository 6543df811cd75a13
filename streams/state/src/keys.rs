//! Byte keys: how a table's rows lie in the store, and ranges over them.

use dataflow::OperatorId;

/// Half-open range of keys. Without an `until` it reaches to the last key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    pub from: Vec<u8>,
    pub until: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self {
            from: Vec::new(),
            until: None,
        }
    }

    /// Every key that starts with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self {
            from: prefix.to_vec(),
            until: successor(prefix),
        }
    }

    /// The same range of a table, as it lies in the store.
    pub(crate) fn under(&self, table_prefix: &[u8]) -> Self {
        let until = match &self.until {
            Some(until) => Some([table_prefix, until].concat()),
            None => successor(table_prefix),
        };
        Self {
            from: [table_prefix, &self.from].concat(),
            until,
        }
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        key >= self.from.as_slice() && self.until.as_deref().is_none_or(|until| key < until)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.until
            .as_deref()
            .is_some_and(|until| until <= self.from.as_slice())
    }
}

/// The smallest key greater than every key with this prefix; none if the prefix is all `0xff`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

/// Where one table of an operator begins in the store: `length ▸ operator ▸ part`.
///
/// The length in front keeps one operator's id from being the prefix of another's.
pub(crate) fn table_prefix(operator: &OperatorId, part: u8) -> Vec<u8> {
    let id = operator.as_str().as_bytes();
    let length = u8::try_from(id.len()).expect("operator ids are short hashes");
    let mut prefix = Vec::with_capacity(id.len() + 2);
    prefix.push(length);
    prefix.extend_from_slice(id);
    prefix.push(part);
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_range_ends_before_the_next_sibling() {
        let range = KeyRange::prefix(&[1, 0xff]);
        assert!(range.contains(&[1, 0xff]) && range.contains(&[1, 0xff, 0xff, 7]));
        assert!(!range.contains(&[2]) && !range.contains(&[1, 0xfe, 9]));
    }

    #[test]
    fn a_prefix_of_the_greatest_bytes_reaches_to_the_end() {
        let range = KeyRange::prefix(&[0xff, 0xff]);
        assert_eq!(range.until, None);
        assert!(range.contains(&[0xff, 0xff, 0xff]) && !range.contains(&[0xff, 0xfe]));
    }

    #[test]
    fn a_tables_whole_range_stays_inside_the_table() {
        let range = KeyRange::all().under(&[3, 4]);
        assert!(range.contains(&[3, 4]) && range.contains(&[3, 4, 0xff, 0xff]));
        assert!(!range.contains(&[3, 5]) && !range.contains(&[3, 3, 0xff]));
    }
}
