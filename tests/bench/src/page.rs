//! `docs/benchmarks.md`, and the table of one comparison on the terminal: from results alone.

use std::fmt::Write;

use crate::goals::{GOALS, rate_bound, short};
use crate::limits::PROBES;
use crate::load::{Latency, OWN_SHARE};
use crate::pairs::median;
use crate::results::{Comparison, Machine, WorkloadResult};
use crate::workloads;
use crate::workloads::figures::{BROKER, GENERATOR, SHARE};

const HEAD: &str = "\
# Benchmarks

Written by `cargo xtask bench --workload … --record docs/benchmarks.md`, or anew from what that measured
by `mill-bench page docs/benchmarks.md`, and by nothing else. Every figure is the median of paired rounds: ours, then the peer, the same client on the same cores, probes
before and after. A ratio is ours by theirs, in brackets the bootstrap's 95 % interval. The limits are
those probed in the same run; what binds is the least of them. A disk takes longer for a flush after a
pause than for one of many in a row, so what one synchronous producer can have is probed with a server
that does nothing but receive, write, flush and answer. Latency counts from the time a request was meant
to be sent. A run in which one message was lost, came twice or out of order has no figures.

Profiles, and what was tried where a goal is missed: [performance.md](performance.md).
";

/// The whole page.
pub fn text(results: &[WorkloadResult]) -> String {
    let mut page = HEAD.to_owned();
    page += "\n## Goals\n\n";
    page += &goals(results);
    for result in results {
        page += &workload(result);
    }
    page
}

fn goals(results: &[WorkloadResult]) -> String {
    let mut table =
        "| goal | of what | asks | measured | met | what binds |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for goal in GOALS {
        let standing = goal.standing(results);
        let cores = match goal.placement {
            "all" => ", both on all cores",
            _ => "",
        };
        let (measured, met, binds) = match &standing {
            None => ("not run".to_owned(), "–", "–".to_owned()),
            Some(standing) => {
                let noisy = if standing.noisy { " (noisy)" } else { "" };
                let binds = match (standing.bound, goal.profile) {
                    (Some(bound), _) => {
                        format!("{}: {}/s", bound.binds, short(bound.messages_a_second))
                    }
                    (None, profile) if !standing.met && !profile.is_empty() => profile.to_owned(),
                    (None, _) => "–".to_owned(),
                };
                let met = if standing.met { "yes" } else { "no" };
                (short(standing.measured) + noisy, met, binds)
            }
        };
        line(
            &mut table,
            &[
                goal.id,
                &format!("{} {}{}: {}", goal.workload, goal.cell, cores, goal.figure),
                &goal.asks(),
                &measured,
                met,
                &binds,
            ],
        );
    }
    table
}

fn workload(result: &WorkloadResult) -> String {
    let about = workloads::ALL
        .iter()
        .find(|known| known.name == result.workload)
        .map_or("", |known| known.about);
    let cores_of = match result.placement.as_str() {
        "all" => ", both sides on all cores",
        _ => "",
    };
    let Machine {
        cpu,
        cores,
        memory_bytes,
        kernel,
        filesystem,
        commit,
    } = &result.machine;
    let mut text = format!(
        "\n## {}: {about}{cores_of}\n\n{} UTC, commit {commit}. {cpu}, {cores} cores, {:.0} GB, Linux {kernel}, \
         {filesystem}.\n`cargo xtask bench {}`\n",
        result.workload,
        result.when,
        *memory_bytes as f64 / 1e9,
        result.arguments
    );
    for compared in &result.comparisons {
        let _ = write!(text, "\n### {}\n\n{}", compared.cell, comparison(compared));
        if let Some(bound) = rate_bound(compared, *cores) {
            let rate = compared.median(0, workloads::figures::RATE).unwrap_or(0.0);
            let _ = writeln!(
                text,
                "\nLimit: {} messages/s by {}; ours reaches {:.0} % of it{}",
                short(bound.messages_a_second),
                bound.binds,
                rate * 100.0 / bound.messages_a_second,
                match rate > bound.messages_a_second {
                    true => ": more than all, so a probe is wrong.",
                    false => ".",
                }
            );
        }
        text += &probes(compared);
    }
    text
}

/// Everything measured of one pair of servers: figures, ratios, latencies, what was dropped.
pub fn comparison(compared: &Comparison) -> String {
    let mut text = String::new();
    for side in &compared.sides {
        let _ = writeln!(
            text,
            "- {} {}: {}",
            side.name, side.version, side.configuration
        );
    }
    let where_ = match compared.placement.as_str() {
        "all" => "both on all cores",
        _ => "broker and generator on a core each",
    };
    let _ = writeln!(text, "- {where_}; {}\n", dropped(compared));
    for (index, side) in compared.sides.iter().enumerate() {
        let measured = compared
            .rounds
            .iter()
            .filter_map(|round| round.measured.get(index));
        if let Some(why) = measured.filter_map(|one| one.failed.as_ref()).next() {
            let why = why.lines().next().unwrap_or_default();
            let _ = writeln!(text, "{} has no figures of some rounds: {why}\n", side.name);
        }
        if let Some(share) = client_at_its_limit(compared, index) {
            let _ = writeln!(
                text,
                "Beside {} the client used {share:.0} % of its core: the client is the limit.\n",
                side.name
            );
        }
    }
    let mut names = vec!["figure"];
    names.extend(compared.sides.iter().map(|side| side.name.as_str()));
    names.push("ratio");
    line(&mut text, &names);
    line(&mut text, &vec!["---"; names.len()]);
    for figure in compared.figures() {
        let mut cells = vec![figure.clone()];
        for side in 0..compared.sides.len() {
            let value = compared.median(side, &figure);
            cells.push(value.map_or_else(|| "–".to_owned(), short));
        }
        cells.push(compared.ratio(&figure).map_or_else(
            || "–".to_owned(),
            |ratio| format!("{:.3} [{:.3}, {:.3}]", ratio.median, ratio.low, ratio.high),
        ));
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        line(&mut text, &cells);
    }
    text + &latencies(compared)
}

/// The client's share of its own core, where it needs more of that than the server of its.
fn client_at_its_limit(compared: &Comparison, side: usize) -> Option<f64> {
    let median = |figure| compared.median(side, figure);
    let share = median(SHARE)?;
    let dearer = median(GENERATOR)? > median(BROKER)?;
    let split = compared.placement == "split";
    (split && dearer && share > OWN_SHARE * 100.0).then_some(share)
}

fn dropped(compared: &Comparison) -> String {
    let (dropped, all) = (compared.dropped(), compared.rounds.len());
    let why = compared
        .rounds
        .iter()
        .find_map(|round| round.dropped.clone());
    match (dropped, why) {
        (0, _) | (_, None) => format!("{all} pairs, none dropped"),
        (_, Some(why)) if dropped == all => {
            format!("**all {all} pairs are noisy, so all are shown** ({why})")
        }
        (_, Some(why)) => format!("{all} pairs, {dropped} dropped ({why})"),
    }
}

/// The median of every quantile over the rounds that count.
fn latencies(compared: &Comparison) -> String {
    let rounds = compared.kept();
    let mut names: Vec<&String> = rounds
        .iter()
        .flat_map(|round| &round.measured)
        .flat_map(|one| one.latencies.keys())
        .collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return String::new();
    }
    let mut table = "\n| µs | of | p50 | p90 | p99 | p99.9 | p99.99 | most | times |\n\
                     |---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for name in names {
        for (index, side) in compared.sides.iter().enumerate() {
            let all: Vec<&Latency> = rounds
                .iter()
                .filter_map(|round| round.measured.get(index)?.latencies.get(name))
                .collect();
            let middle = |of: fn(&Latency) -> f64| {
                let values: Vec<f64> = all.iter().map(|latency| of(latency)).collect();
                match median(&values) {
                    Some(value) if value > 0.0 => short(value),
                    _ => "–".to_owned(),
                }
            };
            line(
                &mut table,
                &[
                    name,
                    &side.name,
                    &middle(|latency| latency.p50),
                    &middle(|latency| latency.p90),
                    &middle(|latency| latency.p99),
                    &middle(|latency| latency.p999),
                    &middle(|latency| latency.p9999),
                    &middle(|latency| latency.max),
                    &middle(|latency| latency.count as f64),
                ],
            );
        }
    }
    table
}

fn probes(compared: &Comparison) -> String {
    let limits = compared.limits();
    let all: Vec<String> = PROBES
        .iter()
        .map(|probe| {
            let value = short((probe.of)(&limits));
            format!("{} {value} {}", probe.name, probe.unit)
        })
        .collect();
    format!("\nProbes, the best of all rounds: {}.\n", all.join("; "))
}

fn line(out: &mut String, cells: &[&str]) {
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Flush;
    use crate::limits::Limits;
    use crate::results::{Measurement, Round, Side};

    fn result() -> WorkloadResult {
        let side = |name: &str| Side {
            name: name.into(),
            version: "1".into(),
            configuration: "as it comes".into(),
        };
        let measurement = |rate: f64| {
            let mut measurement = Measurement::default();
            measurement.set("messages/s", rate);
            measurement.set("broker CPU, µs a message", 1.5);
            measurement.set("generator CPU, µs a message", 1.0);
            measurement
        };
        let round = Round {
            before: Limits::default(),
            after: Limits::default(),
            measured: vec![measurement(400_000.0), measurement(50_000.0)],
            dropped: None,
        };
        WorkloadResult {
            workload: "W1".into(),
            when: "2026-11-30 02:00".into(),
            machine: Machine::default(),
            placement: "all".into(),
            arguments: "--workload W1".into(),
            comparisons: vec![Comparison {
                cell: "1 KiB, 16 × pipelined, async".into(),
                flush: Flush::Async,
                placement: "all".into(),
                sides: vec![side("Millstream"), side("RocketMQ")],
                rounds: vec![round],
                message_bytes: 1_200,
                outstanding: 1_024,
            }],
        }
    }

    #[test]
    fn a_client_that_is_the_limit_is_told() {
        let told = |placement: &str, share: f64, generator: f64| {
            let mut compared = result().comparisons.remove(0);
            compared.placement = placement.into();
            for measured in &mut compared.rounds[0].measured {
                measured.set(SHARE, share);
                measured.set(GENERATOR, generator);
            }
            comparison(&compared).contains("the client is the limit")
        };
        assert!(told("split", 97.0, 20.0));
        assert!(!told("all", 97.0, 20.0));
        assert!(!told("split", 50.0, 20.0));
        assert!(!told("split", 97.0, 1.0));
    }

    #[test]
    fn the_page_holds_goals_to_what_was_measured() {
        let page = text(&[result()]);
        for part in [
            "| P2 | W1 1 KiB, 16 × pipelined, async, both on all cores: messages/s | ≥ 300.0 k | 400.0 k | yes |",
            "| messages/s | 400.0 k | 50.0 k | 8.000 [8.000, 8.000] |",
            "1 pairs, none dropped",
            "| P10 | W10 a full log: after kill -9: first accepted send, s | ≤ 1 | not run | – | – |",
        ] {
            assert!(page.contains(part), "{part} is missing in\n{page}");
        }
    }
}
