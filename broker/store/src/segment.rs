//! One file of the commit log.

use std::path::PathBuf;
use std::sync::Arc;

use runtime::File;

/// Follows what was written last, and is overwritten by what comes next. RocketMQ's scan stops
/// here, and would go on through the old records of a recycled file: it does not compare places.
pub(crate) const END: [u8; 8] = [0; 8];
/// What the kernel keeps of a file at a time.
const PAGE: u64 = 4_096;
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

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

    /// The zeros that are written behind what ends at `at` bytes of the file, `wanted` if there
    /// is room for them.
    ///
    /// In a recycled file they fill the page: of a page that is not wholly overwritten the kernel
    /// reads the rest first, which nobody wants and every writer would wait for.
    pub(crate) fn blank_behind(
        &self,
        at: u64,
        wanted: u64,
    ) -> impl Iterator<Item = &'static [u8]> + use<> {
        let page = match self.recycled {
            true => at.next_multiple_of(PAGE) - at,
            false => 0,
        };
        let least = page.max(END.len() as u64);
        let mut left = least.max(wanted).min(self.len - at) as usize;
        std::iter::from_fn(move || {
            let zeros = &ZEROS[..left.min(ZEROS.len())];
            left -= zeros.len();
            (!zeros.is_empty()).then_some(zeros)
        })
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
        let blank = |segment: &Segment| ends.map(|at| length(segment.blank_behind(at, 0)));
        assert_eq!(blank(&segment), [8, 4_095, 8, 8, 1_800, 1, 0]);
        segment.recycled = false;
        assert_eq!(blank(&segment), [8, 8, 8, 8, 8, 1, 0]);
    }

    #[test]
    fn as_many_zeros_as_are_wanted_end_the_log_where_there_is_room() {
        let disk = SimDisk::new(Rng::seeded(1)).mount();
        let segment = Segment {
            start: 0,
            len: 1 << 20,
            file: disk.open("/s".as_ref(), Open::Create).expect("it opens"),
            path: "/s".into(),
            recycled: false,
        };
        let blank = |at, wanted| length(segment.blank_behind(at, wanted));
        assert_eq!(blank(1_000, 3), 8);
        assert_eq!(blank(1_000, 200_000), 200_000);
        assert_eq!(blank((1 << 20) - 10, 200_000), 10);
    }

    fn length(zeros: impl Iterator<Item = &'static [u8]>) -> usize {
        zeros.map(<[u8]>::len).sum()
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
