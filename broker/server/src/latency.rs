//! How long something took, in the thirteen classes RocketMQ tells.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the classes in milliseconds; the last class has none.
const ENDS: [u64; 12] = [
    0, 10, 50, 100, 200, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 10_000,
];
const NAMES: [&str; 13] = [
    "<=0ms",
    "0~10ms",
    "10~50ms",
    "50~100ms",
    "100~200ms",
    "200~500ms",
    "500ms~1s",
    "1~2s",
    "2~3s",
    "3~4s",
    "4~5s",
    "5~10s",
    "10s~",
];

/// Counts durations by class, and keeps the longest.
#[derive(Debug, Default)]
pub struct Latency {
    classes: [AtomicU64; 13],
    longest_ms: AtomicU64,
}

impl Latency {
    /// Counts `times` things that took so long each.
    pub fn record(&self, took: Duration, times: u64) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let class = ENDS.partition_point(|end| *end < ms);
        self.classes[class].fetch_add(times, Ordering::Relaxed);
        self.longest_ms.fetch_max(ms, Ordering::Relaxed);
    }

    pub fn longest_ms(&self) -> u64 {
        self.longest_ms.load(Ordering::Relaxed)
    }

    /// `[<=0ms]:7 [0~10ms]:1 … `
    pub fn distribution(&self) -> String {
        let class = |(name, count): (&&str, &AtomicU64)| {
            format!("[{name}]:{} ", count.load(Ordering::Relaxed))
        };
        NAMES.iter().zip(&self.classes).map(class).collect()
    }

    /// Milliseconds within which this share of all fell: the upper end of their class.
    pub fn percentile(&self, share: f64) -> u64 {
        let counts = || {
            self.classes
                .iter()
                .map(|class| class.load(Ordering::Relaxed))
        };
        let wanted = (counts().sum::<u64>() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (class, count) in counts().enumerate() {
            seen += count;
            if seen >= wanted {
                let end = ENDS.get(class).copied().unwrap_or(u64::MAX);
                return end.min(self.longest_ms());
            }
        }
        self.longest_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_rocketmqs_classes() {
        let latency = Latency::default();
        for ms in [0, 0, 1, 10, 11, 9_999, 60_000] {
            latency.record(Duration::from_millis(ms), 1);
        }
        assert_eq!(
            latency.distribution(),
            "[<=0ms]:2 [0~10ms]:2 [10~50ms]:1 [50~100ms]:0 [100~200ms]:0 [200~500ms]:0 [500ms~1s]:0 \
             [1~2s]:0 [2~3s]:0 [3~4s]:0 [4~5s]:0 [5~10s]:1 [10s~]:1 "
        );
        assert_eq!(latency.longest_ms(), 60_000);
        assert_eq!(latency.percentile(0.5), 10);
        assert_eq!(latency.percentile(0.999), 60_000);
        assert_eq!(Latency::default().percentile(0.99), 0);
    }
}
