//! How far a long piece of work is, for a person who waits.
//!
//! Drawn on standard error where that is a terminal, and nowhere else: what a command prints
//! stays data, and a log file gets no half lines.

use indicatif::{ProgressBar, ProgressStyle};

/// A line that is drawn over and over until this is dropped.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Work of `total` rows; `None` if nobody knows how many there will be.
    pub fn of(what: &'static str, total: Option<u64>) -> Progress {
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{msg:17} {bar:30} {human_pos} of {human_len} rows, {per_sec}",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{msg:17} {spinner} {human_pos} rows, {per_sec}",
            ),
        };
        Progress::drawn(bar, template, what)
    }

    /// Work of `total` bytes.
    pub fn of_bytes(what: &'static str, total: u64) -> Progress {
        let template = "{msg:17} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}";
        Progress::drawn(ProgressBar::new(total), template, what)
    }

    fn drawn(bar: ProgressBar, template: &str, what: &'static str) -> Progress {
        let style = ProgressStyle::with_template(template).expect("our own template is valid");
        Progress {
            bar: bar.with_style(style).with_message(what),
        }
    }

    /// So many rows are done.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
