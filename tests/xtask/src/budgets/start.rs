//! How soon a fresh start serves, and what it holds while nothing happens.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use peers::{cache, say};

use super::contender::target;
use super::median;
use super::process::Process;

const STARTS: usize = 7;
/// What is set up behind the open doors has settled by then.
const IDLE: Duration = Duration::from_secs(5);
/// The usual ports, on an address that nobody else uses.
const SETTINGS: [&str; 5] = [
    "nameserver.listen=127.0.0.83:9876",
    "broker.listen=127.0.0.83:10911",
    "broker.nameservers=127.0.0.83:9876",
    "connect.listen=127.0.0.83:8083",
    "admin.listen=127.0.0.83:8084",
];
const READY_GOAL: Duration = Duration::from_millis(300);
const MEMORY_GOAL: u64 = 80_000_000;

/// `millstream up` on an empty folder: fails when it serves too late or holds too much.
pub fn start() -> Result<()> {
    say("building millstream with optimisation (half an hour the first time)");
    let arguments = ["build", "--release", "--package", "millstream"];
    ensure!(
        Command::new("cargo").args(arguments).status()?.success(),
        "millstream does not build"
    );
    let binary = target().join("release/millstream");
    let folder = cache("bench")?.join(format!("start-{}", std::process::id()));
    let measured = measure(&binary, &folder);
    std::fs::remove_dir_all(&folder).ok();
    let (ready, memory) = measured?;
    ensure!(
        ready <= READY_GOAL.as_secs_f64(),
        "ready after {:.0} ms, the goal is {READY_GOAL:?}",
        ready * 1e3
    );
    ensure!(
        memory <= MEMORY_GOAL as f64,
        "{:.0} MB resident when idle, the goal is {} MB",
        memory / 1e6,
        MEMORY_GOAL / 1_000_000
    );
    Ok(())
}

/// Median seconds until it serves, and median bytes it holds when idle.
fn measure(binary: &Path, folder: &Path) -> Result<(f64, f64)> {
    println!("start  ready ms  idle MB  of them not files' MB");
    let mut measured = Vec::new();
    for start in 1..=STARTS {
        let data = folder.join(start.to_string());
        std::fs::create_dir_all(&data)?;
        let began = Instant::now();
        let mut command = Command::new(binary);
        command.args(["up", "--data"]).arg(&data);
        for setting in SETTINGS {
            command.args(["--set", setting]);
        }
        let mut process = Process::start("millstream", &mut command)?;
        process.says("broker  ")?;
        let ready = began.elapsed().as_secs_f64();
        std::thread::sleep(IDLE);
        let (all, own) = process.memory()?;
        process.stop()?;
        println!(
            "{start:>5}  {:>8.0}  {:>7.1}  {:>21.1}",
            ready * 1e3,
            all as f64 / 1e6,
            own as f64 / 1e6
        );
        measured.push((ready, all as f64));
    }
    let ready = median(measured.iter().map(|(ready, _)| *ready));
    let memory = median(measured.iter().map(|(_, memory)| *memory));
    println!(
        "millstream up: ready after {:.0} ms (goal {}), {:.1} MB resident when idle (goal {})",
        ready * 1e3,
        READY_GOAL.as_millis(),
        memory / 1e6,
        MEMORY_GOAL / 1_000_000
    );
    Ok((ready, memory))
}
