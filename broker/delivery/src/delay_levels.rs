//! RocketMQ's eighteen delay levels, by number. How long each waits is a setting of the store.

/// The highest level; a higher one asked for counts as this.
pub const HIGHEST: u32 = 18;

/// A level from 1 to 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DelayLevel(u32);

impl DelayLevel {
    /// All levels, shortest first.
    pub fn all() -> impl Iterator<Item = DelayLevel> {
        (1..=HIGHEST).map(DelayLevel)
    }

    /// The level a message asks for; `None` when it asks for no delay.
    pub fn asked(level: i64) -> Option<DelayLevel> {
        (level > 0)
            .then(|| DelayLevel(u32::try_from(level).map_or(HIGHEST, |level| level.min(HIGHEST))))
    }

    /// How long the next attempt of a message waits that failed `failures` times before.
    pub fn of_retry(failures: i32) -> DelayLevel {
        let level = u32::try_from(failures.max(0))
            .unwrap_or(0)
            .saturating_add(3);
        DelayLevel(level.min(HIGHEST))
    }

    pub fn number(self) -> u32 {
        self.0
    }

    /// The queue of `SCHEDULE_TOPIC_XXXX` where messages of this level wait.
    pub fn queue(self) -> u32 {
        self.0 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_rocketmqs() {
        let numbers: Vec<_> = DelayLevel::all().map(DelayLevel::number).collect();
        assert_eq!(numbers, (1..=18).collect::<Vec<_>>());
        assert_eq!(DelayLevel::asked(0), None);
        assert_eq!(DelayLevel::asked(-1), None);
        assert_eq!(
            DelayLevel::asked(i64::MAX).map(DelayLevel::number),
            Some(18)
        );
        assert_eq!(DelayLevel::of_retry(0).number(), 3, "ten seconds");
        assert_eq!(DelayLevel::of_retry(i32::MAX).number(), 18);
    }
}
