//! Rounds of trouble, each with a seed, a folder and a verdict of its own.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use history::Promise;
use runtime::{Clock, Rng};

use crate::full::SmallDisk;
use crate::nemesis::Striker;
use crate::plan::{Flush, Nemesis, Plan};
use crate::power::Overlay;
use crate::recorder::Recorder;
use crate::report::{Report, Round};
use crate::world::{Ground, World};

/// Milliseconds that a flush may begin late on a busy machine.
const LATE_MS: u64 = 1_000;

/// Runs all rounds, printing each. Fails when the house breaks a promise: the error names the
/// seed, the breach, and the folder that was kept.
pub fn run(plan: &Plan) -> Result<Report> {
    println!(
        "{} under {}, {} clients, seed {}: {}",
        plan.target.name(),
        plan.nemesis_names(),
        plan.clients.name(),
        plan.seed,
        plan.target.configuration(plan.flush)
    );
    let mut report = Report::default();
    let grounds = grounds(plan, &mut report.skipped);
    for why in &report.skipped {
        println!("skipped: {why}");
    }
    if grounds.is_empty() {
        bail!("nothing of this can be done here");
    }
    let rounds = plan.cycles.div_ceil(Plan::ROUND).max(grounds.len() as u64);
    for number in 0..rounds {
        // As even as can be.
        let cycles = plan.cycles * (number + 1) / rounds - plan.cycles * number / rounds;
        let (ground, kinds) = &grounds[(number % grounds.len() as u64) as usize];
        let round = round(
            plan,
            *ground,
            kinds,
            cycles.max(1),
            plan.seed.wrapping_add(number),
        )?;
        println!("round {}: {round}", number + 1);
        report.rounds.push(round);
    }
    println!("{}, {report}", plan.flush);
    Ok(report)
}

/// What rounds there are, by what their data has to lie on.
fn grounds(plan: &Plan, skipped: &mut Vec<String>) -> Vec<(Ground, Vec<Nemesis>)> {
    let of = |wanted: &[Nemesis]| -> Vec<Nemesis> {
        let wanted = wanted.iter().filter(|kind| plan.nemeses.contains(kind));
        wanted.copied().collect()
    };
    let mut grounds = Vec::new();
    let plain = of(&[Nemesis::Kill, Nemesis::Stop, Nemesis::Cut, Nemesis::Damage]);
    if !plain.is_empty() {
        grounds.push((Ground::Plain, plain));
    }
    for (special, ground, fit) in [
        (Nemesis::Full, Ground::Small, SmallDisk::fit()),
        (Nemesis::Power, Ground::Powered, Overlay::fit()),
    ] {
        if !plan.nemeses.contains(&special) {
            continue;
        }
        match fit {
            Ok(()) => grounds.push((ground, of(&[special, Nemesis::Kill, Nemesis::Stop]))),
            Err(why) => skipped.push(format!("{}: {why:#}", special.name())),
        }
    }
    grounds
}

fn round(plan: &Plan, ground: Ground, kinds: &[Nemesis], cycles: u64, seed: u64) -> Result<Round> {
    let parent = plan.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = parent.join(format!(
        "chaos-{}-{}-{seed}",
        std::process::id(),
        plan.flush
    ));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let outcome = live(plan, ground, kinds, cycles, seed, &folder);
    let kept = || {
        format!(
            "{}, --seed {seed} --cycles {cycles} --nemesis {}, data kept in {}",
            plan.flush,
            names(kinds),
            folder.display()
        )
    };
    let round = outcome.with_context(kept)?;
    if !round.violations.is_empty() {
        let violations: Vec<_> = round.violations.iter().map(|one| one.to_string()).collect();
        return Err(anyhow!("{}", violations.join("; "))).with_context(kept);
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(round)
}

fn names(kinds: &[Nemesis]) -> String {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    names.join(",")
}

fn live(
    plan: &Plan,
    ground: Ground,
    kinds: &[Nemesis],
    cycles: u64,
    seed: u64,
    folder: &Path,
) -> Result<Round> {
    let rng = Rng::seeded(seed);
    let promise = match plan.flush {
        Flush::Async if !plan.strict => Promise::SurvivesKills {
            flush_ms: plan.target.flush_ms() + LATE_MS,
        },
        _ => Promise::SurvivesPowerLoss,
    };
    let recorder = Recorder::new(Clock::real(), promise);
    let mut world = World::raise(
        plan,
        ground,
        kinds,
        folder,
        recorder.clone(),
        &rng.split("load"),
    )?;
    let mut striker = Striker::new(rng.split("nemesis"), kinds);
    let lived = strike(&mut striker, &mut world, cycles);
    let (_, oldest) = recorder.missing();
    let verdict = recorder.take().finish();
    if lived.is_err() || !verdict.violations.is_empty() {
        world.keep(&folder.join("survived"));
    }
    Ok(Round {
        seed,
        segments: lived?,
        blows: striker.blows,
        tally: verdict.tally,
        violations: verdict.violations,
        waits: striker.waits,
        oldest_taken_ms: oldest,
        notes: striker.notes,
    })
}

/// All the blows of a round, and its end; how many segments there were.
fn strike(striker: &mut Striker, world: &mut World, cycles: u64) -> Result<usize> {
    for cycle in 1..=cycles {
        let outcome = striker.strike(world, cycle == cycles);
        outcome.with_context(|| format!("blow {cycle}"))?;
    }
    world.end()
}
