//! The limit of a figure, by the formulas of `performance.md` §4, and what it comes from.

use crate::limits::Limits;

/// What was measured beside a rate.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// CPU µs of broker and generator for one message.
    pub broker: f64,
    pub generator: f64,
    /// Bytes of one message, on the wire and on the disk.
    pub bytes: f64,
    /// Messages under way at once.
    pub outstanding: f64,
    pub sync: bool,
    /// Cores that both sides share; with a core for each side the dearer side binds.
    pub shared_cores: Option<f64>,
}

/// Most messages a second, and which limit that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    pub messages_a_second: f64,
    pub binds: &'static str,
}

/// The least of all limits that apply.
pub fn bound(limits: &Limits, costs: &Costs) -> Bound {
    let cpu = match costs.shared_cores {
        Some(cores) => (
            cores * 1e6 / (costs.broker + costs.generator),
            "CPU of both",
        ),
        None if costs.broker >= costs.generator => (1e6 / costs.broker, "the broker's core"),
        None => (1e6 / costs.generator, "the generator's core"),
    };
    let mut all = vec![
        cpu,
        (limits.stream * 1e6 / costs.bytes, "loopback"),
        (limits.durable * 1e6 / costs.bytes, "the disk's bandwidth"),
    ];
    // A wake-up is half of a ping-pong; a round trip holds one already.
    let wake_up = limits.eventfd / 2.0;
    if costs.sync {
        let group = costs.bytes * costs.outstanding;
        let trip = limits.round_trip + flush_micros(limits, group) + 2.0 * wake_up;
        all.push((costs.outstanding * 1e6 / trip, "fdatasync"));
        if costs.outstanding <= 1.0 {
            all.push((limits.bare_server, "a bare server that flushes"));
        }
    } else {
        let trip = limits.round_trip + wake_up;
        all.push((costs.outstanding * 1e6 / trip, "the round trip"));
    }
    let (messages_a_second, binds) = all
        .into_iter()
        .filter(|(limit, _)| limit.is_finite() && *limit > 0.0)
        .min_by(|(one, _), (two, _)| one.total_cmp(two))
        .unwrap_or((f64::INFINITY, "nothing"));
    Bound {
        messages_a_second,
        binds,
    }
}

/// Time of one flush of so many bytes: between the probed sizes in proportion.
fn flush_micros(limits: &Limits, bytes: f64) -> f64 {
    let points = [
        (4_096.0, limits.flush_4k),
        (65_536.0, limits.flush_64k),
        (1_048_576.0, limits.flush_1m),
    ];
    if bytes <= points[0].0 {
        return points[0].1;
    }
    for pair in points.windows(2) {
        let [(from, low), (to, high)] = [pair[0], pair[1]];
        if bytes <= to {
            return low + (high - low) * (bytes - from) / (to - from);
        }
    }
    points[2].1 * bytes / points[2].0
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        flush_4k: 100.0,
        flush_4k_p99: 200.0,
        flush_64k: 160.0,
        flush_1m: 1_000.0,
        durable: 1_000.0,
        pwrite_1k: 1_000.0,
        pwrite_64k: 200.0,
        memcpy: 6_000.0,
        round_trip: 20.0,
        stream: 2_000.0,
        eventfd: 10.0,
        pipe: 10.0,
        bare_server: 0.0,
    };

    fn costs() -> Costs {
        Costs {
            broker: 2.0,
            generator: 1.0,
            bytes: 1_000.0,
            outstanding: 1_024.0,
            sync: false,
            shared_cores: None,
        }
    }

    #[track_caller]
    fn check(costs: Costs, expected: f64, binds: &str) {
        let found = bound(&LIMITS, &costs);
        let close = (found.messages_a_second - expected).abs() < expected / 1e6;
        assert!(close && found.binds == binds, "{found:?}");
    }

    #[test]
    fn the_dearer_side_binds_when_each_has_a_core() {
        check(costs(), 500_000.0, "the broker's core");
        let shared = Costs {
            shared_cores: Some(2.0),
            ..costs()
        };
        check(shared, 2e6 / 3.0, "CPU of both");
    }

    #[test]
    fn one_synchronous_producer_waits_for_round_trip_flush_and_wake_ups() {
        let one = Costs {
            outstanding: 1.0,
            sync: true,
            ..costs()
        };
        check(one, 1e6 / 130.0, "fdatasync");
        let one = Costs { sync: false, ..one };
        check(one, 40_000.0, "the round trip");
    }

    #[test]
    fn what_a_bare_server_reaches_is_a_limit_for_one_synchronous_producer_alone() {
        let limits = Limits {
            bare_server: 5_000.0,
            ..LIMITS
        };
        let sync = |outstanding| Costs {
            outstanding,
            sync: true,
            ..costs()
        };
        let of_one = bound(&limits, &sync(1.0));
        assert_eq!(of_one.messages_a_second, 5_000.0);
        assert_eq!(of_one.binds, "a bare server that flushes");
        assert_eq!(bound(&limits, &sync(2.0)), bound(&LIMITS, &sync(2.0)));
    }

    #[test]
    fn large_messages_meet_the_disk() {
        let large = Costs {
            bytes: 65_536.0,
            ..costs()
        };
        check(large, 1e9 / 65_536.0, "the disk's bandwidth");
    }
}
