//! The page that says what goes wrong, what is expected, which test shows it, and when it was
//! last tried on a real process.
//!
//! It is made from two files beside it: the rows, which people write, and the runs, which
//! `chaos --record` writes. A row that names a test which does not exist fails, and so does a
//! page that is not what the files make of it.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};

const ROWS: &str = "docs/reliability.rows";
const RUNS: &str = "docs/reliability.runs";
const PAGE: &str = "docs/reliability.md";

const HEAD: &str = "\
# What goes wrong, and what shows that it does no harm

Made by `cargo xtask reliability` from `reliability.rows` and `reliability.runs`; do not edit.
A test is named by its function; real processes are tried by `cargo xtask chaos`.
";
/// The rows' parts, and what stands over them.
const PARTS: [(&str, &str); 2] = [
    ("7", "Ways in which RocketMQ has lost messages"),
    ("8", "What can happen to one node"),
];

/// Writes the page, or with `check` only says whether it is what it should be.
pub fn page(check: bool) -> Result<()> {
    let read = |file: &str| match std::fs::read_to_string(file) {
        Ok(text) => Ok(text),
        Err(why) if file == RUNS && why.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(why) => Err(why).with_context(|| format!("cannot read {file}")),
    };
    let (rows, runs) = (read(ROWS)?, read(RUNS)?);
    let (rows, runs) = (Row::all(&rows)?, Run::all(&runs)?);
    let missing = missing(&rows, |file| std::fs::read_to_string(Path::new(file)).ok());
    ensure!(
        missing.is_empty(),
        "{ROWS} names what does not exist: {}",
        missing.join(", ")
    );
    let page = write(&rows, &runs);
    if !check {
        return std::fs::write(PAGE, page).with_context(|| format!("cannot write {PAGE}"));
    }
    ensure!(
        read(PAGE)? == page,
        "{PAGE} is not what its rows and runs make of it: run  cargo xtask reliability"
    );
    Ok(())
}

/// Something that goes wrong.
#[derive(Debug, PartialEq)]
struct Row<'a> {
    part: &'a str,
    what: &'a str,
    expected: &'a str,
    /// As file and function.
    tests: Vec<(&'a str, &'a str)>,
    /// Kinds of runs of a real process, each as nemesis and flush setting.
    runs: Vec<&'a str>,
    note: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn all(text: &'a str) -> Result<Vec<Row<'a>>> {
        lines(text)
            .map(|line| Row::parse(line).with_context(|| format!("{ROWS}: {line:?}")))
            .collect()
    }

    fn parse(line: &'a str) -> Result<Row<'a>> {
        let cells: Vec<&str> = line.split('\t').collect();
        let &[part, what, expected, tests, runs, note] = &cells[..] else {
            anyhow::bail!("a row has six cells, not {}", cells.len());
        };
        ensure!(
            PARTS.iter().any(|(known, _)| *known == part),
            "there is no part {part}"
        );
        let some = |cell: &'a str| (cell != "-").then_some(cell);
        let tests = some(tests).map_or(Ok(Vec::new()), |tests| {
            let named = |test: &'a str| test.split_once('#').context("a test is FILE#FUNCTION");
            tests.split(' ').map(named).collect()
        })?;
        Ok(Row {
            part,
            what,
            expected,
            tests,
            runs: some(runs).map_or(Vec::new(), |runs| runs.split(", ").collect()),
            note: some(note),
        })
    }
}

/// A run of `chaos`, as it was recorded.
#[derive(Debug)]
struct Run<'a> {
    date: &'a str,
    commit: &'a str,
    target: &'a str,
    flush: &'a str,
    nemesis: &'a str,
    client: &'a str,
    seed: &'a str,
    cycles: &'a str,
    attempts: &'a str,
    acknowledged: &'a str,
    median: &'a str,
    worst: &'a str,
    verdict: &'a str,
    configuration: &'a str,
}

impl<'a> Run<'a> {
    fn all(text: &'a str) -> Result<Vec<Run<'a>>> {
        lines(text)
            .map(|line| {
                let cells: Vec<&str> = line.split('\t').collect();
                let &[
                    date,
                    commit,
                    target,
                    flush,
                    nemesis,
                    client,
                    seed,
                    cycles,
                    attempts,
                    acknowledged,
                    median,
                    worst,
                    verdict,
                    configuration,
                ] = &cells[..]
                else {
                    anyhow::bail!("{RUNS}: a run has fourteen cells: {line:?}");
                };
                Ok(Run {
                    date,
                    commit,
                    target,
                    flush,
                    nemesis,
                    client,
                    seed,
                    cycles,
                    attempts,
                    acknowledged,
                    median,
                    worst,
                    verdict,
                    configuration,
                })
            })
            .collect()
    }

    /// Whether it was a run of ours of this kind, `kill async` for one.
    fn is(&self, kind: &str) -> bool {
        let Some((nemesis, flush)) = kind.split_once(' ') else {
            return false;
        };
        self.target == "millstream"
            && self.flush == flush
            && self.nemesis.split('+').any(|one| one == nemesis)
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Tests that are named and are not there; `read` gives a file's text.
fn missing(rows: &[Row<'_>], read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut missing = Vec::new();
    for (file, function) in rows.iter().flat_map(|row| &row.tests) {
        let there = read(file).is_some_and(|text| text.contains(&format!("fn {function}(")));
        if !there {
            missing.push(format!("{file}#{function}"));
        }
    }
    missing
}

fn write(rows: &[Row<'_>], runs: &[Run<'_>]) -> String {
    let mut page = HEAD.to_owned();
    for (part, title) in PARTS {
        let _ = write!(
            page,
            "\n## {title}\n\n| what happens | what is expected | tests | last real run | note |\n\
             |---|---|---|---|---|\n"
        );
        for row in rows.iter().filter(|row| row.part == part) {
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} |",
                row.what,
                row.expected,
                tests(row),
                last_runs(row, runs),
                row.note.unwrap_or_default()
            );
        }
    }
    page.push_str(
        "\n## Real runs\n\nThe last of each kind. `strict` holds an acknowledgement to survive a \
         loss of power, which without `sync` it does not: the judge has to object.\n\n\
         | broker | flush | trouble | clients | cycles | attempts | acknowledged | first \
         acknowledgement after a start, median and worst | verdict | when | seed |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for run in runs {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {} ms, {} ms | {} | {}, `{}` | {} |",
            run.target,
            run.flush,
            run.nemesis,
            run.client,
            run.cycles,
            run.attempts,
            run.acknowledged,
            run.median,
            run.worst,
            run.verdict.replace('|', "\\|"),
            run.date,
            run.commit,
            run.seed
        );
    }
    page.push_str("\nWhat they were set up with:\n\n");
    let mut settings: Vec<_> = runs.iter().map(setting).collect();
    settings.sort_unstable();
    settings.dedup();
    for setting in settings {
        let _ = writeln!(page, "- {setting}");
    }
    page
}

/// How the broker of a run was set up; the same for all troubles and clients.
fn setting(run: &Run<'_>) -> String {
    let flush = run.flush.split(' ').next().unwrap_or_default();
    format!("{}, {flush}: `{}`", run.target, run.configuration)
}

fn tests(row: &Row<'_>) -> String {
    if row.tests.is_empty() {
        return "**no test yet**".to_owned();
    }
    let link = |(file, function): &(&str, &str)| format!("[`{function}`](../{file})");
    row.tests.iter().map(link).collect::<Vec<_>>().join("<br>")
}

fn last_runs(row: &Row<'_>, runs: &[Run<'_>]) -> String {
    let last = |kind: &&str| {
        let of_kind = runs.iter().filter(|run| run.is(kind));
        match of_kind.max_by_key(|run| run.date) {
            Some(run) => format!(
                "{kind}: {}, {} cycles, {}",
                run.date, run.cycles, run.verdict
            ),
            None => format!("{kind}: not yet"),
        }
    };
    let last: Vec<_> = row.runs.iter().map(last).collect();
    last.join("<br>").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "8\tkill\tnothing lost\ta.rs#one a.rs#two\tkill async\t-";
    const BARE: &str = "8\tflood\tlimits\t-\t-\tlater";
    const RUN: &str =
        "2026-01-02\tabc\tmillstream\tasync\tkill\trust\t1\t25\t9\t8\t10\t20\tclean\ta=1";

    #[test]
    fn a_row_tells_its_tests_and_its_last_run() {
        let rows = Row::all(ROW).expect("it is whole");
        let runs = Run::all(RUN).expect("it is whole");
        let page = write(&rows, &runs);
        assert!(page.contains("[`one`](../a.rs)<br>[`two`](../a.rs)"));
        assert!(page.contains("| kill async: 2026-01-02, 25 cycles, clean |"));
        assert!(page.ends_with("\n- millstream, async: `a=1`\n"));
    }

    #[test]
    fn a_row_without_a_test_says_so() {
        let rows = Row::all(BARE).expect("it is whole");
        assert!(write(&rows, &[]).contains("| **no test yet** |  | later |"));
    }

    #[test]
    fn a_test_that_does_not_exist_is_named() {
        let rows = Row::all(ROW).expect("it is whole");
        let read = |_: &str| Some("fn one() {}".to_owned());
        assert_eq!(missing(&rows, read), ["a.rs#two"]);
    }

    #[test]
    fn a_row_that_is_not_whole_is_refused() {
        for text in ["8\tkill", "9\ta\tb\t-\t-\t-", "8\ta\tb\tone\t-\t-"] {
            Row::all(text).expect_err(text);
        }
    }
}
