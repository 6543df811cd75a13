//! What of a load's report counts as a figure, and what the figures are called.

use crate::load::{Consumed, Latency, LoadReport};
use crate::results::Measurement;

pub const RATE: &str = "messages/s";
pub const BROKER: &str = "broker CPU, µs a message";
pub const GENERATOR: &str = "generator CPU, µs a message";
pub const P50: &str = "p50, µs";
pub const P99: &str = "p99, µs";
pub const P999: &str = "p99.9, µs";
pub const P9999: &str = "p99.99, µs";
pub const PULL_RATE: &str = "pull: messages/s";
pub const PULL_BROKER: &str = "pull: broker CPU, µs a message";
/// Beyond a certain share a client of its own core is what is measured.
pub const SHARE: &str = "generator's share of its core, %";
pub const REFUSED: &str = "refused, %";
pub const RESIDENT: &str = "resident, MB";

/// Of sends: rate, costs and latency; of the pull after them rate and cost.
pub fn produce(report: &LoadReport) -> Measurement {
    let mut measurement = Measurement::default();
    let produced = &report.produced;
    measurement.set(RATE, produced.messages_a_second);
    costs(&mut measurement, report);
    latency(&mut measurement, "", &produced.latency);
    refused(&mut measurement, report);
    for drained in &report.drained {
        pulled(&mut measurement, drained);
    }
    measurement
}

/// Of a rate that was kept: how long messages took from end to end, and to be acknowledged.
pub fn end_to_end(report: &LoadReport) -> Measurement {
    let mut measurement = Measurement::default();
    measurement.set(RATE, report.produced.messages_a_second);
    costs(&mut measurement, report);
    refused(&mut measurement, report);
    latency(&mut measurement, "acknowledged: ", &report.produced.latency);
    // Of several groups the one that waited longest.
    let slowest = report
        .live
        .iter()
        .max_by(|one, two| one.latency.p99.total_cmp(&two.latency.p99));
    if let Some(slowest) = slowest {
        latency(&mut measurement, "", &slowest.latency);
    }
    measurement.set("generator late, p99, µs", report.produced.lateness.p99);
    measurement
}

/// Of filters: messages looked at for each second of the broker's CPU, and bytes it sent.
pub fn filters(report: &LoadReport) -> Measurement {
    let mut measurement = Measurement::default();
    refused(&mut measurement, report);
    for drained in &report.drained {
        let filter = &drained.filter;
        let Some(cost) = &drained.cost else { continue };
        let scanned = drained.scanned as f64;
        let seconds = cost.seconds.max(f64::MIN_POSITIVE);
        measurement.set(&format!("{filter}: scanned/s"), scanned / seconds);
        if let Some(broker) = cost.broker.filter(|broker| broker.cpu_seconds > 0.0) {
            let name = format!("{filter}: scanned/s and broker core");
            measurement.set(&name, scanned / broker.cpu_seconds);
        }
        let name = format!("{filter}: bytes sent for each scanned");
        measurement.set(&name, drained.received_bytes as f64 / scanned.max(1.0));
    }
    measurement
}

fn refused(measurement: &mut Measurement, report: &LoadReport) {
    let share = report.produced.refused as f64 / report.produced.sent.max(1) as f64;
    measurement.set(REFUSED, share * 100.0);
}

fn costs(measurement: &mut Measurement, report: &LoadReport) {
    let produced = &report.produced;
    let messages = produced.measured.max(1) as f64;
    let own = produced.cost.own_cpu_seconds * 1e6 / messages;
    if own > 0.0 {
        measurement.set(GENERATOR, own);
        measurement.set(SHARE, produced.cost.own_share() * 100.0);
    }
    if let Some(micros) = produced.broker_micros {
        measurement.set(BROKER, micros);
    }
    let Some(broker) = &produced.cost.broker else {
        return;
    };
    measurement.set(RESIDENT, broker.resident_bytes as f64 / 1e6);
    let switches = broker.voluntary_switches + broker.involuntary_switches;
    measurement.set("context switches a message", switches as f64 / messages);
    let dirty = broker.written_bytes as f64 / messages;
    measurement.set("bytes made dirty a message, by folios", dirty);
    let written = broker.device_bytes as f64 / messages;
    measurement.set("bytes to disk a message, meanwhile", written);
}

fn latency(measurement: &mut Measurement, before: &str, latency: &Latency) {
    for (name, value) in [
        (P50, latency.p50),
        (P99, latency.p99),
        (P999, latency.p999),
        (P9999, latency.p9999),
    ] {
        // Some clients do not tell all of them.
        if value > 0.0 {
            measurement.set(&format!("{before}{name}"), value);
        }
    }
    let name = match before {
        "" => "latency",
        _ => before.trim_end_matches([':', ' ']),
    };
    // The buckets stay in the raw report.
    let summary = Latency {
        buckets: Vec::new(),
        ..latency.clone()
    };
    measurement.latencies.insert(name.to_owned(), summary);
}

fn pulled(measurement: &mut Measurement, drained: &Consumed) {
    let Some(cost) = &drained.cost else { return };
    let rate = drained.measured as f64 / cost.seconds.max(f64::MIN_POSITIVE);
    measurement.set(PULL_RATE, rate);
    if let Some(micros) = cost.broker_micros(drained.measured) {
        measurement.set(PULL_BROKER, micros);
    }
}
