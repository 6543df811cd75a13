//! One file of the commit log.

use std::path::PathBuf;
use std::sync::Arc;

use runtime::File;

/// Follows what was written last, and is overwritten by what comes next. RocketMQ's scan stops
/// here, and would go on through the old records of a recycled file: it does not compare places.
pub(crate) const END: [u8; 8] = [0; 8];
/// What the kernel keeps of a file at a time.
const PAGE: u64 = 4_096;
static BLANK: [u8; PAGE as usize] = [0; PAGE as usize];

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

    /// The zeros that are written behind what ends at `at` bytes of the file.
    ///
    /// In a recycled file they fill the page: of a page that is not wholly overwritten the kernel
    /// reads the rest first, which nobody wants and every writer would wait for.
    pub(crate) fn blank_behind(&self, at: u64) -> &'static [u8] {
        let page = match self.recycled {
            true => at.next_multiple_of(PAGE) - at,
            false => 0,
        };
        let bytes = page.max(END.len() as u64).min(self.len - at);
        &BLANK[..bytes as usize]
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
    use runtime::{Open, Rng, SimDisk};

    use super::*;

    #[test]
    fn what_ends_the_log_fills_the_page_of_a_recycled_file() {
        let disk = SimDisk::new(Rng::seeded(1)).mount();
        let mut segment = Segment {
            start: 0,
            len: 10_000,
            file: disk.open("/s".as_ref(), Open::Create).expect("it opens"),
            path: "/s".into(),
            recycled: true,
        };
        let ends = [0, 1, 4_090, 4_096, 8_200, 9_999, 10_000];
        let blank = |segment: &Segment| ends.map(|at| segment.blank_behind(at).len());
        assert_eq!(blank(&segment), [8, 4_095, 8, 8, 1_800, 1, 0]);
        segment.recycled = false;
        assert_eq!(blank(&segment), [8, 8, 8, 8, 8, 1, 0]);
    }

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
