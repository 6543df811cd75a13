//! What a run has found, as data that outlives the process.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::schedule::Pace;
use crate::usage::Usage;

/// Longest time that is told apart, in ns.
const LONGEST: u64 = 600_000_000_000;
/// Most of its core that a generator may use when a rate is kept, else it measures itself.
pub const OWN_SHARE: f64 = 0.6;

/// Times gathered during a run.
#[derive(Debug)]
pub struct Timed(Histogram<u64>);

impl Default for Timed {
    fn default() -> Self {
        let times = Histogram::new_with_bounds(1, LONGEST, 3);
        Timed(times.expect("the bounds are sound"))
    }
}

impl Timed {
    /// `nanoseconds` between two moments.
    pub fn record(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds.max(1));
    }

    pub fn reset(&mut self) {
        self.0.reset();
    }

    pub fn summary(&self) -> Latency {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        Latency {
            count: self.0.len(),
            mean: self.0.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: self.0.max() as f64 / 1e3,
            buckets: self
                .0
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
        }
    }
}

/// Times in µs. `buckets` is the whole histogram: nanoseconds and how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub count: u64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub max: f64,
    pub buckets: Vec<(u64, u64)>,
}

/// What both sides of a phase have used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub seconds: f64,
    /// The generator's own CPU.
    pub own_cpu_seconds: f64,
    /// The broker's, if its process was given.
    pub broker: Option<Usage>,
}

impl Cost {
    /// µs of the broker's CPU for each of `messages`.
    pub fn broker_micros(&self, messages: u64) -> Option<f64> {
        let seconds = self.broker.as_ref()?.cpu_seconds;
        (messages > 0).then(|| seconds * 1e6 / messages as f64)
    }

    /// Of both sides together.
    pub fn cpu_seconds(&self) -> f64 {
        let broker = self.broker.as_ref().map_or(0.0, |usage| usage.cpu_seconds);
        self.own_cpu_seconds + broker
    }

    /// Share of one core the generator used.
    pub fn own_share(&self) -> f64 {
        self.own_cpu_seconds / self.seconds.max(f64::MIN_POSITIVE)
    }
}

/// Why a result may not be used: a pinned generator that was itself near its limit.
pub fn refusal(pace: Pace, pinned: bool, share: f64) -> Option<String> {
    let Pace::Rate(rate) = pace else { return None };
    (pinned && share > OWN_SHARE).then(|| {
        format!(
            "at {rate:.0} messages/s the generator used {:.0} % of its core, more than {:.0} %: \
             it would measure itself",
            share * 100.0,
            OWN_SHARE * 100.0
        )
    })
}

/// Messages sent, and what else happened meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Produced {
    pub sent: u64,
    pub acknowledged: u64,
    /// Messages the broker did not take, and its last code for that.
    pub refused: u64,
    pub refusal: Option<i32>,
    /// Of the measured part alone, without its warm-up.
    pub measured: u64,
    pub messages_a_second: f64,
    pub cost: Cost,
    pub broker_micros: Option<f64>,
    /// From the intended time of a request to its answer.
    pub latency: Latency,
    /// From the intended time to the write.
    pub lateness: Latency,
}

/// What one group received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Consumed {
    pub group: String,
    pub filter: String,
    pub delivered: u64,
    /// Of the measured part alone, where the cost is told.
    #[serde(default)]
    pub measured: u64,
    /// Offsets walked through: the messages that were there.
    pub scanned: u64,
    pub pulls: u64,
    pub received_bytes: u64,
    /// From the intended time of the send to the arrival here; of live groups only.
    pub latency: Latency,
    /// Of a group that read alone.
    pub cost: Option<Cost>,
}

/// A backlog that was read while messages were sent and read at a fixed rate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CaughtUp {
    pub backlog: Consumed,
    /// From the first pull of the backlog to its last message.
    pub seconds: f64,
    /// From the intended time of a request to its answer, before and meanwhile.
    pub produced_before: Latency,
    pub produced_during: Latency,
    /// From there to the first group, before and meanwhile.
    pub received_before: Latency,
    pub received_during: Latency,
}

/// Everything one run found. It is complete and verified, or there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    pub produced: Produced,
    pub live: Vec<Consumed>,
    pub drained: Vec<Consumed>,
    pub caught_up: Option<CaughtUp>,
    /// Why it must not be used as a figure.
    pub refused: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_near_its_limit_is_refused_at_a_fixed_rate_only() {
        let rate = Pace::Rate(10_000.0);
        assert!(refusal(rate, true, 0.61).is_some());
        assert_eq!(refusal(rate, true, 0.59), None);
        assert_eq!(refusal(rate, false, 0.9), None);
        assert_eq!(refusal(Pace::Maximum, true, 1.0), None);
    }

    #[test]
    fn a_histogram_is_told_in_microseconds() {
        let mut times = Timed::default();
        for micros in 1..=1_000 {
            times.record(micros * 1_000);
        }
        let summary = times.summary();
        assert_eq!(summary.count, 1_000);
        assert!((summary.p50 - 500.0).abs() < 1.0, "{}", summary.p50);
        assert!((summary.p99 - 990.0).abs() < 1.0, "{}", summary.p99);
        let all: u64 = summary.buckets.iter().map(|(_, count)| count).sum();
        assert_eq!(all, 1_000);
    }
}
