//! What a SQL job costs: the demo's job over three million flights, from topic to topic.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use peers::{Flights, Process, cache, flights, run, say, up};

use super::contender::build_millstream;

/// Rows that one core has to bring from topic to topic in a second, all commits included.
const GOAL: f64 = 150_000.0;
const JOB: &str = "airport-delays";
const TOPIC: &str = "flights";
const ADDRESS: &str = "127.0.0.84";
const LOOK: Duration = Duration::from_millis(100);
/// Longest that loading or the job may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// The demo's job over the flights; fails when a core brings fewer rows than the goal.
pub fn sql() -> Result<()> {
    let flights = flights()?;
    let binary = build_millstream()?;
    let folder = cache("bench")?.join(format!("sql-{}", std::process::id()));
    let measured = measure(&binary, &folder, &flights);
    std::fs::remove_dir_all(&folder).ok();
    let rows = measured?;
    ensure!(
        rows >= GOAL,
        "{rows:.0} rows a second and core, the goal is {GOAL:.0}"
    );
    Ok(())
}

/// Rows per second of CPU of the whole house, between the job's start and its last commit.
fn measure(binary: &Path, folder: &Path, flights: &Flights) -> Result<f64> {
    std::fs::create_dir_all(folder)?;
    let house = House::start(binary, folder)?;
    say(&format!("loading {} flights into a topic", flights.flights));
    house.run(&["connector", "apply", &source(folder, flights)?])?;
    house.wait("the topic has every flight", || {
        let ends = numbers(
            &house.run(&["topic", "describe", TOPIC]).unwrap_or_default(),
            "end",
        );
        Ok(ends.iter().sum::<u64>() >= flights.flights)
    })?;

    say("running the job");
    let before = house.process.cpu()?;
    let began = Instant::now();
    let script = examples().join("airport-delays.sql");
    house.run(&["run", &script.display().to_string()])?;
    house.wait("the job has committed every flight", || {
        let progress = house.run(&["group", "describe", JOB]).unwrap_or_default();
        Ok(numbers(&progress, "committed").iter().sum::<u64>() >= flights.flights)
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = house.process.cpu()? - before;
    house.check(flights)?;

    let rows = flights.flights as f64;
    println!(
        "{rows} rows in {seconds:.1} s: {:.0} rows/s; {cpu:.1} s of CPU: {:.0} rows/s per core, {:.2} of the goal of {GOAL:.0}; {:.0} MB resident at the end",
        rows / seconds,
        rows / cpu,
        rows / cpu / GOAL,
        house.process.memory()?.0 as f64 / 1e6,
    );
    Ok(rows / cpu)
}

/// The demo's source connector, reading the large file.
fn source(folder: &Path, flights: &Flights) -> Result<String> {
    let text = std::fs::read_to_string(examples().join("flights-source.toml"))?;
    let own = format!("path = {:?}", flights.csv);
    let changed = text.replace("path = \"flights-20k.csv\"", &own);
    ensure!(changed != text, "the demo's source names another file");
    let file = folder.join("flights-source.toml");
    std::fs::write(&file, changed)?;
    Ok(file.display().to_string())
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights")
}

/// A running `millstream up`, spoken to by its own commands.
struct House {
    process: Process,
    binary: PathBuf,
}

impl House {
    fn start(binary: &Path, folder: &Path) -> Result<House> {
        Ok(House {
            process: up(binary, &folder.join("data"), ADDRESS, &[])?,
            binary: binary.to_owned(),
        })
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        run(Command::new(&self.binary)
            .args(["--output", "json"])
            .args(["--nameservers", &format!("{ADDRESS}:9876")])
            .args(["--connect", &format!("{ADDRESS}:8083")])
            .args(["--admin", &format!("{ADDRESS}:8084")])
            .args(arguments))
    }

    fn wait(&self, what: &str, reached: impl Fn() -> Result<bool>) -> Result<()> {
        let began = Instant::now();
        while !reached()? {
            if began.elapsed() > PATIENCE {
                let job = self.run(&["job", "list"]);
                bail!("waited in vain until {what}: {job:?}");
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Every flight counted, none late, and as many results as there are airport-hours.
    fn check(&self, flights: &Flights) -> Result<()> {
        let job = self.run(&["job", "describe", JOB])?;
        ensure!(
            numbers(&job, "rows_in") == [flights.flights],
            "the job did not read every flight once: {job}"
        );
        for lost in ["late", "undecodable", "failed"] {
            ensure!(
                numbers(&job, lost).is_empty(),
                "rows are missing, {lost}: {job}"
            );
        }
        let drained = self.run(&["job", "stop", JOB, "--drain"])?;
        ensure!(
            numbers(&drained, "rows_out") == [flights.airport_hours],
            "there are {} airport-hours, the job ended with {drained}",
            flights.airport_hours
        );
        Ok(())
    }
}

/// Every number of a member of this name in JSON as our commands print it; those below zero,
/// which stand for "none", are left out.
fn numbers(json: &str, name: &str) -> Vec<u64> {
    let name = format!("\"{name}\": ");
    json.lines()
        .filter_map(|line| line.trim().strip_prefix(&name))
        .filter_map(|value| value.trim_end_matches(',').parse().ok())
        .collect()
}
