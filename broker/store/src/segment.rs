//! One file of the commit log.

use std::path::PathBuf;
use std::sync::Arc;

use runtime::File;

/// Follows what was written last, and is overwritten by what comes next. RocketMQ's scan stops
/// here, and would go on through the old records of a recycled file: it does not compare places.
pub(crate) const END: [u8; 8] = [0; 8];

/// A file named by the log offset it begins at, with space for `len` bytes.
pub(crate) struct Segment {
    pub start: u64,
    pub len: u64,
    pub file: Arc<dyn File>,
    pub path: PathBuf,
    /// It may hold records of an earlier use behind those of this one.
    pub recycled: bool,
}

impl Segment {
    /// Log offset after the last byte there is space for.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.len
    }
}

/// RocketMQ's name of a file that begins at `start`: 20 digits.
pub(crate) fn file_name(start: u64) -> String {
    format!("{start:020}")
}

/// Where the file of this name begins, if it is a name of that form.
pub(crate) fn file_start(name: &str) -> Option<u64> {
    let digits = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| name.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_twenty_digits_and_read_back() {
        assert_eq!(file_name(262_144), "00000000000000262144");
        assert_eq!(file_start("00000000000000262144"), Some(262_144));
        assert_eq!(file_start(&file_name(u64::MAX)), Some(u64::MAX));
    }

    #[test]
    fn other_names_are_not_taken_for_segments() {
        for name in [
            "",
            "1",
            "0000000000000026214x",
            "99999999999999999999",
            "+0000000000000262144",
        ] {
            assert_eq!(file_start(name), None, "{name}");
        }
    }
}
