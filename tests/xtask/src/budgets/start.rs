//! How soon a fresh start serves and delivers, and what it holds while nothing happens.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use peers::{cache, up};

use super::contender::build_millstream;
use super::median;

const STARTS: usize = 7;
/// What is set up behind the open doors has settled by then.
const IDLE: Duration = Duration::from_secs(5);
const ADDRESS: &str = "127.0.0.83";
const NAME_SERVER: &str = "127.0.0.83:9876";
const READY_GOAL: Duration = Duration::from_millis(300);
/// From the start to the first message that two more commands send and receive.
const DELIVERY_GOAL: Duration = Duration::from_secs(5);
const MEMORY_GOAL: u64 = 80_000_000;

/// What one start, or the median of all, took.
struct Start {
    /// Seconds until it serves.
    ready: f64,
    /// Seconds until the first message is consumed.
    delivered: f64,
    /// Bytes resident when idle, before anything was sent.
    memory: f64,
}

/// `millstream up` on an empty folder: fails when it serves too late or holds too much.
pub fn start() -> Result<()> {
    let binary = build_millstream()?;
    let folder = cache("bench")?.join(format!("start-{}", std::process::id()));
    let measured = measure(&binary, &folder);
    std::fs::remove_dir_all(&folder).ok();
    let Start {
        ready,
        delivered,
        memory,
    } = measured?;
    ensure!(
        ready <= READY_GOAL.as_secs_f64(),
        "ready after {:.0} ms, the goal is {READY_GOAL:?}",
        ready * 1e3
    );
    ensure!(
        delivered <= DELIVERY_GOAL.as_secs_f64(),
        "the first message after {delivered:.1} s, the goal is {DELIVERY_GOAL:?}"
    );
    ensure!(
        memory <= MEMORY_GOAL as f64,
        "{:.0} MB resident when idle, the goal is {} MB",
        memory / 1e6,
        MEMORY_GOAL / 1_000_000
    );
    Ok(())
}

/// The median of all starts, each on an empty folder.
fn measure(binary: &Path, folder: &Path) -> Result<Start> {
    println!("start  ready ms  first message ms  idle MB  of them not files' MB");
    let mut starts = Vec::new();
    for start in 1..=STARTS {
        let data = folder.join(start.to_string());
        std::fs::create_dir_all(&data)?;
        let began = Instant::now();
        let mut process = up(binary, &data, ADDRESS, &[])?;
        let ready = began.elapsed().as_secs_f64();
        std::thread::sleep(IDLE);
        let (all, own) = process.memory()?;
        process.stop()?;
        std::fs::remove_dir_all(&data)?;

        let began = Instant::now();
        let mut process = up(binary, &data, ADDRESS, &[])?;
        command(binary, &["produce", "hello", "it works"])?;
        let said = command(binary, &["consume", "hello", "--count", "1"])?;
        let delivered = began.elapsed().as_secs_f64();
        ensure!(said.contains("it works"), "consumed {said:?}");
        process.stop()?;
        std::fs::remove_dir_all(&data)?;

        println!(
            "{start:>5}  {:>8.0}  {:>16.0}  {:>7.1}  {:>21.1}",
            ready * 1e3,
            delivered * 1e3,
            all as f64 / 1e6,
            own as f64 / 1e6
        );
        starts.push(Start {
            ready,
            delivered,
            memory: all as f64,
        });
    }
    let middle = Start {
        ready: median(starts.iter().map(|start| start.ready)),
        delivered: median(starts.iter().map(|start| start.delivered)),
        memory: median(starts.iter().map(|start| start.memory)),
    };
    println!(
        "millstream up: ready after {:.0} ms (goal {}), first message after {:.0} ms (goal {}), \
         {:.1} MB resident when idle (goal {})",
        middle.ready * 1e3,
        READY_GOAL.as_millis(),
        middle.delivered * 1e3,
        DELIVERY_GOAL.as_millis(),
        middle.memory / 1e6,
        MEMORY_GOAL / 1_000_000
    );
    Ok(middle)
}

fn command(binary: &Path, arguments: &[&str]) -> Result<String> {
    peers::run(
        Command::new(binary)
            .args(arguments)
            .args(["-n", NAME_SERVER]),
    )
}
