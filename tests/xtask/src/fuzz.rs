//! Runs the fuzzer over each kind of input, and keeps what it has learnt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use peers::say;

const USAGE: &str = "cargo xtask fuzz [--minutes M] [TARGET]";
/// Most bytes of an input, where a target is not to have more than a few.
const LONGEST: &str = "8192";
/// What is done to a store is a row of a few changes.
const LONGEST_ROW: &str = "72";
/// Fuzzers that run at a time.
const TOGETHER: usize = 2;

/// Builds the fuzzer, runs every target or the one that is named, and prints what came of it.
/// Fails if a target broke; the input that broke it lies in `tests/fuzz/libfuzzer/artifacts`.
pub fn run(options: &[&str]) -> Result<()> {
    let (minutes, targets) = read(options)?;
    let fuzzer = Fuzzer::build()?;
    let mut broken = Vec::new();
    for targets in targets.chunks(TOGETHER) {
        let runs = targets.iter().map(|target| fuzzer.start(target, minutes));
        for run in runs.collect::<Result<Vec<_>>>()? {
            let target = run.target.clone();
            if !run.finish()? {
                broken.push(target.clone());
            }
            fuzzer.keep(&target)?;
        }
    }
    ensure!(broken.is_empty(), "broken: {}", broken.join(", "));
    Ok(())
}

fn read(options: &[&str]) -> Result<(u64, Vec<String>)> {
    let (minutes, names) = match options {
        ["--minutes", minutes, names @ ..] => {
            let number = minutes.parse();
            let number = number.with_context(|| format!("{minutes} is not a number; {USAGE}"))?;
            (number, names)
        }
        names => (1, names),
    };
    let known = targets()?;
    match names {
        [] => Ok((minutes, known)),
        [name] if known.iter().any(|target| target == name) => Ok((minutes, vec![(*name).into()])),
        _ => bail!("the targets are {}; {USAGE}", known.join(", ")),
    }
}

/// Every target has a folder of inputs.
fn targets() -> Result<Vec<String>> {
    let folders = fs::read_dir(root().join("corpus")).context("tests/fuzz/corpus is missing")?;
    let mut names = Vec::new();
    for folder in folders {
        names.push(folder?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

struct Fuzzer {
    program: PathBuf,
}

/// A target that is being tried.
struct Run {
    target: String,
    child: std::process::Child,
    log: PathBuf,
}

impl Fuzzer {
    fn build() -> Result<Fuzzer> {
        say("building the fuzzer");
        // Its flags stand in a file that cargo looks for from where it is started.
        let folder = root().join("libfuzzer");
        let output = Command::new("cargo")
            .args(["build", "--release", "--locked", "--message-format=json"])
            .current_dir(&folder)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        ensure!(output.status.success(), "the fuzzer does not build");
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        let marker = "\"executable\":\"";
        let mut places = messages.lines().filter_map(|line| {
            let (_, rest) = line.split_once(marker)?;
            rest.split_once('"').map(|(path, _)| PathBuf::from(path))
        });
        let program = places.next_back().context("cargo names no program")?;
        Ok(Fuzzer { program })
    }

    fn command(&self, target: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.env("MILLSTREAM_FUZZ_TARGET", target);
        command.env("RUST_BACKTRACE", "0");
        let longest = if target == "recovery" {
            LONGEST_ROW
        } else {
            LONGEST
        };
        command.arg(format!("-max_len={longest}"));
        command.args(["-rss_limit_mb=1024", "-malloc_limit_mb=64", "-timeout=25"]);
        command
    }

    fn start(&self, target: &str, minutes: u64) -> Result<Run> {
        say(&format!("{target}, {minutes} min"));
        let artifacts = root().join("libfuzzer/artifacts").join(target);
        let found = root().join("libfuzzer/found").join(target);
        fs::create_dir_all(&artifacts)?;
        fs::create_dir_all(&found)?;
        let log = root()
            .join("libfuzzer/artifacts")
            .join(format!("{target}.log"));
        let output = fs::File::create(&log)?;
        let child = self
            .command(target)
            .arg(format!("-max_total_time={}", minutes * 60))
            .args(["-print_final_stats=1", "-len_control=0"])
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args([&found, &root().join("corpus").join(target)])
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .context("cannot start the fuzzer")?;
        Ok(Run {
            target: target.to_owned(),
            child,
            log,
        })
    }

    /// Adds to the corpus what reaches code that nothing in it reaches.
    fn keep(&self, target: &str) -> Result<()> {
        let found = root().join("libfuzzer/found").join(target);
        let kept = root().join("corpus").join(target);
        let merged = self
            .command(target)
            .arg("-merge=1")
            .args([&kept, &found])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(merged.success(), "the inputs of {target} cannot be merged");
        fs::remove_dir_all(&found)?;
        Ok(())
    }
}

impl Run {
    /// Waits for its end, and prints how far it came; false if an input broke the target.
    fn finish(mut self) -> Result<bool> {
        let status = self.child.wait()?;
        let log = fs::read(&self.log)?;
        let log = String::from_utf8_lossy(&log);
        let executions = after(&log, "stat::number_of_executed_units:");
        let edges = log.lines().rev().find_map(|line| after(line, "cov:"));
        println!(
            "{}: {} executions, {} edges{}",
            self.target,
            executions.unwrap_or("?"),
            edges.unwrap_or("?"),
            if status.success() { "" } else { ", broken" },
        );
        if !status.success() {
            let said = log.lines().skip_while(|line| !line.contains("panicked"));
            said.take(12).for_each(|line| println!("  {line}"));
            println!("  the rest is in {}", self.log.display());
        }
        Ok(status.success())
    }
}

/// The word that follows a mark.
fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(mark)?;
    rest.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_the_fuzzer_says() {
        let line = "#384\tDONE   cov: 8258 ft: 23268 corp: 244/1931b lim: 9 exec/s: 18 rss: 42Mb";
        assert_eq!(after(line, "cov:"), Some("8258"));
        assert_eq!(
            after("stat::number_of_executed_units: 384\n", "units:"),
            Some("384")
        );
        assert_eq!(after(line, "units:"), None);
    }
}
