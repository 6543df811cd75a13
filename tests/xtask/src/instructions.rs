//! Instructions of a message, counted by callgrind and held against accepted figures.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use peers::{require_debian, say};

use crate::suite::build;

const VALGRIND: &str = "/usr/bin/valgrind";
/// Lines of a name and the instructions of one message; `#` begins a remark.
const ACCEPTED: &str = "tests/bench/instructions.txt";
const HEAD: &str = "\
# Instructions of one message, accepted by `cargo xtask instructions --accept`.
# What changes by more than 3 % fails `cargo xtask instructions`.
";
/// Most that a figure may move, either way: what became cheaper is accepted too, or it is lost.
const MOVED: f64 = 0.03;
/// Names, and messages of the shorter of both runs.
const PARTS: [(&str, u64); 7] = [
    ("decode", 20_480),
    ("decode-binary", 20_480),
    ("append", 10_240),
    ("pull", 40_960),
    ("filtered", 40_960),
    ("tagged", 409_600),
    ("sql92", 100_000),
];

/// Counts; fails with both numbers where they differ too much, or writes them as accepted.
pub fn guard(accept: bool) -> Result<()> {
    require_debian("valgrind", Path::new(VALGRIND))?;
    let what = ["--package", "mill-bench", "--example", "instructions"];
    let program = build(&what, "examples/instructions")?;
    let mut counted = BTreeMap::new();
    println!("{:<14} {:>24}", "part", "instructions a message");
    for (part, messages) in PARTS {
        let once = count(&program, part, messages)?;
        let twice = count(&program, part, 2 * messages)?;
        let each = (twice as f64 - once as f64) / messages as f64;
        println!("{part:<14} {each:>24.1}");
        counted.insert(part.to_owned(), each);
    }
    let path = Path::new(ACCEPTED);
    if accept {
        std::fs::write(path, written(&counted))?;
        say(&format!("accepted in {ACCEPTED}"));
        return Ok(());
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{ACCEPTED}: run  cargo xtask instructions --accept"))?;
    let moved = moved(&read(&text)?, &counted);
    ensure!(moved.is_empty(), "{}", moved.join("\n"));
    Ok(())
}

/// Instructions of the whole process.
fn count(program: &Path, part: &str, messages: u64) -> Result<u64> {
    let output = Command::new(VALGRIND)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([part, &messages.to_string()])
        .output()
        .context("cannot start valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{part} failed: {said}");
    collected(&said).with_context(|| format!("valgrind did not count {part}: {said}"))
}

/// Of a line such as `==7== Collected : 1234`.
fn collected(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("Collected :")?;
    rest.split_whitespace().next()?.parse().ok()
}

fn written(counted: &BTreeMap<String, f64>) -> String {
    let lines = counted
        .iter()
        .map(|(part, each)| format!("{part} {each:.1}\n"));
    HEAD.to_owned() + &lines.collect::<String>()
}

fn read(text: &str) -> Result<BTreeMap<String, f64>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (part, each) = line
                .split_once(' ')
                .with_context(|| format!("{ACCEPTED}: {line:?} is not a name and a number"))?;
            Ok((part.to_owned(), each.parse()?))
        })
        .collect()
}

/// A sentence for every figure that is new or has moved too far.
fn moved(accepted: &BTreeMap<String, f64>, counted: &BTreeMap<String, f64>) -> Vec<String> {
    let sentence = |(part, each): (&String, &f64)| {
        let Some(before) = accepted.get(part) else {
            return Some(format!("{part}: {each:.1} instructions, none accepted"));
        };
        let change = each / before - 1.0;
        (change.abs() > MOVED).then(|| {
            format!(
                "{part}: {before:.1} instructions accepted, {each:.1} now ({:+.1} %); if that is \
                 meant, run  cargo xtask instructions --accept",
                change * 100.0
            )
        })
    };
    counted.iter().filter_map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_beyond_three_percent_is_told_with_both_numbers() {
        let accepted =
            read("# remark\nappend 1000.0\ndecode 200.0\npull 100.0\n").expect("it reads");
        let counted = read("append 1029.0\ndecode 207.0\nsql92 5.0\npull 96.0").expect("it reads");
        let moved = moved(&accepted, &counted);
        assert_eq!(moved.len(), 3, "{moved:?}");
        assert!(moved[0].starts_with("decode: 200.0 instructions accepted, 207.0 now (+3.5 %)"));
        assert!(moved[1].starts_with("pull: 100.0 instructions accepted, 96.0 now (-4.0 %)"));
        assert!(moved[2].starts_with("sql92: 5.0 instructions, none accepted"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let counted = read("append 12.5\npull 3.0").expect("it reads");
        assert_eq!(read(&written(&counted)).expect("it reads"), counted);
    }

    #[test]
    fn the_count_is_found_in_what_valgrind_says() {
        let said = "==7== Events    : Ir\n==7== Collected : 12345678\n==7==\n";
        assert_eq!(collected(said), Some(12_345_678));
        assert_eq!(collected("nothing"), None);
    }
}
