//! Which messages were acknowledged and which arrived: one bit each.

use anyhow::{Result, ensure};

/// A set of message numbers that grows with them.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    words: Vec<u64>,
    count: u64,
}

impl Marks {
    /// Adds a number; false if it was there.
    pub fn add(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.words.len() {
            self.words.resize((word + 1).next_power_of_two(), 0);
        }
        let fresh = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(fresh);
        fresh
    }

    pub fn has(&self, number: u64) -> bool {
        let word = self.words.get((number / 64) as usize);
        word.is_some_and(|word| word & 1 << (number % 64) != 0)
    }

    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Numbers below `sent` that `wanted` keeps were delivered once if they were acknowledged, at
/// most once if not, and nothing else was; fails with the counts otherwise.
pub fn check(
    sent: u64,
    acknowledged: &Marks,
    delivered: &Marks,
    wanted: impl Fn(u64) -> bool,
) -> Result<()> {
    let (mut lost, mut unwanted) = (Vec::new(), Vec::new());
    for number in 0..sent {
        let due = acknowledged.has(number) && wanted(number);
        if due && !delivered.has(number) {
            lost.push(number);
        } else if delivered.has(number) && !wanted(number) {
            unwanted.push(number);
        }
    }
    let known = (0..sent).filter(|number| delivered.has(*number)).count() as u64;
    ensure!(
        known == delivered.count(),
        "{} messages were delivered that nobody sent",
        delivered.count() - known
    );
    let first = |numbers: &[u64]| numbers.iter().take(5).copied().collect::<Vec<_>>();
    ensure!(
        lost.is_empty(),
        "{} acknowledged messages were not delivered, first {:?}",
        lost.len(),
        first(&lost)
    );
    ensure!(
        unwanted.is_empty(),
        "{} messages were delivered past the filter, first {:?}",
        unwanted.len(),
        first(&unwanted)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(numbers: &[u64]) -> Marks {
        let mut marks = Marks::default();
        for number in numbers {
            assert!(marks.add(*number), "{number} is new");
        }
        marks
    }

    #[test]
    fn a_number_is_added_once() {
        let mut marks = marks(&[0, 63, 64, 1_000_000]);
        assert!(!marks.add(64));
        assert_eq!(marks.count(), 4);
        assert!(marks.has(1_000_000) && !marks.has(65) && !marks.has(u64::MAX));
    }

    #[test]
    fn a_lost_message_is_named_and_an_unacknowledged_one_may_be_lost() {
        let delivered = marks(&[0, 2]);
        check(4, &marks(&[0, 2]), &delivered, |_| true).expect("1 and 3 were not acknowledged");
        let why = check(4, &marks(&[0, 1, 2]), &delivered, |_| true);
        let why = why.expect_err("1 is lost").to_string();
        assert!(
            why.contains("1 acknowledged") && why.contains("[1]"),
            "{why}"
        );
    }

    #[test]
    fn a_message_that_nobody_sent_is_told() {
        let why = check(2, &marks(&[0, 1]), &marks(&[0, 1, 7]), |_| true);
        let why = why.expect_err("7 was not sent").to_string();
        assert!(why.contains("1 messages"), "{why}");
    }

    #[test]
    fn a_filter_decides_what_is_due() {
        let even = |number: u64| number.is_multiple_of(2);
        check(4, &marks(&[0, 1, 2, 3]), &marks(&[0, 2]), even).expect("odd ones are not due");
        assert!(check(4, &marks(&[0]), &marks(&[0, 1]), even).is_err());
    }
}
