//! Paired runs of a workload: ours beside a peer, round after round, probes around each pair.

mod options;
mod stand;

pub use options::Options;
pub use stand::{Cell, Running, Stand, Work};

use std::fs::File;
use std::path::{Path, PathBuf};

use ::peers::cache;
use anyhow::{Context, Result, bail, ensure};

use crate::contender::Kind;
use crate::cores::Placement;
use crate::goals::about;
use crate::limits::Limits;
use crate::machine::{Watch, crowded, today};
use crate::page;
use crate::results::{Comparison, Machine, Measurement, Round, Side, WorkloadResult};
use crate::workloads::figures::REFUSED;
use crate::workloads::{self, Workload};

/// Most that a probe may move between before and after a pair.
const MOVED: f64 = 0.15;
/// Percent of its messages that a side may refuse.
const REFUSALS: f64 = 1.0;
/// What binds a run that waits for the kernel only, and what else one that waits for the disk.
const WATCHED: &[&str] = &[
    "memcpy",
    "pwrite 64 KiB, CPU per KiB",
    "loopback round trip, p50",
];
const WATCHED_SYNC: &[&str] = &[
    "memcpy",
    "loopback round trip, p50",
    "fdatasync 4 KiB, p50",
    "fdatasync 64 KiB, p50",
];

/// Runs every chosen workload; keeps what is recorded, and writes page and raw file where asked to.
pub fn run(options: &Options) -> Result<()> {
    // Two runs would meet at the same addresses, and measure each other.
    let lock = File::create(cache("bench")?.join("suite.lock"))?;
    if lock.try_lock().is_err() {
        bail!("another suite is running: wait for it");
    }
    let peers = options.kinds()?;
    for peer in &peers {
        peer.bring()?;
    }
    let chosen: Vec<_> = options
        .workloads()?
        .into_iter()
        .map(|workload| (workload, cells(options, workload)))
        .filter(|(_, cells)| !cells.is_empty())
        .collect();
    ensure!(!chosen.is_empty(), "no cell is chosen");
    let mut results = Vec::new();
    for (workload, cells) in chosen {
        let result = run_workload(options, workload, &cells, &peers)?;
        if options.record.is_some() {
            result.keep(&results_folder()?)?;
        }
        results.push(result);
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string(&results)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &options.record {
        page(path)?;
    }
    Ok(())
}

/// Where the newest result of each workload is kept.
fn results_folder() -> Result<PathBuf> {
    cache("bench/results")
}

/// Writes the page from the newest result of every workload.
pub fn page(path: &Path) -> Result<()> {
    let results = results_folder()?;
    let mut all = Vec::new();
    for workload in workloads::ALL {
        for placement in Placement::NAMES {
            all.extend(WorkloadResult::read(&results, workload.name, placement)?);
        }
    }
    std::fs::write(path, page::text(&all))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The chosen cells of a workload.
fn cells(options: &Options, workload: &Workload) -> Vec<Cell> {
    let every = Options {
        all: options.all || options.goals,
        ..options.clone()
    };
    let of_goal = |name: &str| !about(workload.name, name, &options.placement).is_empty();
    let named = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only));
    (workload.cells)(&every)
        .into_iter()
        .filter(|cell| named(&cell.name) && (!options.goals || of_goal(&cell.name)))
        .collect()
}

fn run_workload(
    options: &Options,
    workload: &Workload,
    cells: &[Cell],
    peers: &[Kind],
) -> Result<WorkloadResult> {
    let stand = Stand::new(options)?;
    let when = today();
    let machine = Machine::here(&stand.folder)?;
    let mut comparisons = Vec::new();
    for cell in cells {
        let alone = [None];
        let beside: Vec<Option<&Kind>> = peers.iter().map(Some).collect();
        let goals = about(workload.name, &cell.name, &options.placement);
        let compared = !options.goals || goals.iter().any(|goal| goal.compares());
        let pairs = match compared && !beside.is_empty() {
            true => &beside[..],
            false => &alone,
        };
        for peer in pairs {
            println!("{} {}: {}", workload.name, cell.name, peer_name(*peer));
            let compared = compare(options, &stand, cell, *peer);
            let compared = compared.with_context(|| format!("{} {}", workload.name, cell.name))?;
            println!("{}", page::comparison(&compared));
            comparisons.push(compared);
        }
    }
    Ok(WorkloadResult {
        workload: workload.name.into(),
        when,
        machine,
        placement: options.placement.clone(),
        arguments: options.text(),
        comparisons,
    })
}

/// A server that refuses what it is sent does less than was asked, and its costs mean nothing.
fn refusing(sides: &[Running], measured: &[Measurement]) -> Option<String> {
    sides.iter().zip(measured).find_map(|(side, measured)| {
        let refused = *measured.figures.get(REFUSED)?;
        let name = side.describe().name;
        (refused > REFUSALS).then(|| format!("{name} refused {refused:.0} % of the messages"))
    })
}

fn peer_name(peer: Option<&Kind>) -> String {
    peer.map_or_else(
        || "alone".to_owned(),
        |kind| format!("beside {}", kind.name()),
    )
}

fn probe(stand: &Stand, when: &str) -> Result<Limits> {
    let limits = Limits::probe(&stand.folder, stand.placement)?;
    println!("{when}:\n{}", limits.text());
    Ok(limits)
}

/// All rounds of one cell beside one peer.
fn compare(
    options: &Options,
    stand: &Stand,
    cell: &Cell,
    peer: Option<&Kind>,
) -> Result<Comparison> {
    let ours = options.millstream();
    let kinds: Vec<&Kind> = std::iter::once(&ours).chain(peer).collect();
    let mut running = stand.prepare(cell, &kinds)?;
    let watched = match cell.flush {
        crate::contender::Flush::Async => WATCHED,
        crate::contender::Flush::Sync => WATCHED_SYNC,
    };
    let mut rounds: Vec<Round> = Vec::new();
    for number in 1..=options.rounds {
        let crowd = crowded()?;
        // Nothing has run since the last round was probed.
        let before = match rounds.last() {
            Some(last) => last.after,
            None => probe(stand, "before the first round")?,
        };
        let watch = Watch::start()?;
        let measured = running
            .iter_mut()
            .map(|side| side.measure(stand, cell, number))
            .collect::<Result<Vec<Measurement>>>()?;
        let spoiled = watch.spoiled()?;
        let after = probe(stand, &format!("after round {number}"))?;
        let dropped = crowd
            .or(spoiled)
            .or_else(|| refusing(&running, &measured))
            .or_else(|| before.moved(&after, watched, MOVED));
        if let Some(why) = &dropped {
            println!("round {number} is dropped: {why}");
        }
        rounds.push(Round {
            before,
            after,
            measured,
            dropped,
        });
    }
    let sides: Vec<Side> = running.iter().map(|side| side.describe()).collect();
    Ok(Comparison {
        cell: cell.name.clone(),
        flush: cell.flush,
        placement: options.placement.clone(),
        sides,
        rounds,
        message_bytes: cell.message_bytes(),
        outstanding: cell.outstanding(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::goals::GOALS;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn every_goal_is_about_a_cell_that_is_there() {
        for placement in Placement::NAMES {
            let arguments = ["", "--workload=all", "--goals", "--binary=broker"];
            let placed = format!("--placement={placement}");
            let arguments = Arguments::parse_from(arguments.into_iter().chain([placed.as_str()]));
            let chosen: Vec<(&str, String)> = workloads::ALL
                .iter()
                .flat_map(|workload| {
                    let cells = cells(&arguments.options, workload);
                    cells.into_iter().map(|cell| (workload.name, cell.name))
                })
                .collect();
            for goal in GOALS.iter().filter(|goal| goal.placement == placement) {
                let own = |(workload, cell): &(&str, String)| {
                    (*workload, cell.as_str()) == (goal.workload, goal.cell)
                };
                assert!(chosen.iter().any(own), "{} {}", goal.workload, goal.cell);
            }
        }
    }
}
