//! The file of runs: one line each, tab-separated, for whoever makes a page of it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use runtime::Clock;

use crate::plan::Plan;
use crate::report::Report;

const HEADER: &str = "# date\tcommit\ttarget\tflush\tnemesis\tclient\tseed\tcycles\tattempts\tacknowledged\tmedian ms\tworst ms\tverdict\tset up as\n";

/// Puts a run into the file, in the place of an earlier one of the same kind.
pub fn record(file: &Path, plan: &Plan, outcome: &Result<Report>) -> Result<()> {
    let known = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(why) => return Err(why).with_context(|| format!("cannot read {}", file.display())),
    };
    let line = line(plan, outcome, &date(Clock::real().wall()), &commit());
    std::fs::write(file, put(&known, &line))
        .with_context(|| format!("cannot write {}", file.display()))
}

fn line(plan: &Plan, outcome: &Result<Report>, date: &str, commit: &str) -> String {
    let none = Report::default();
    let report = outcome.as_ref().unwrap_or(&none);
    let (median, worst) = report
        .waits()
        .map_or(("-".to_owned(), "-".to_owned()), |waits| {
            (waits.0.to_string(), waits.1.to_string())
        });
    let verdict = match outcome {
        Ok(report) => report.verdict(),
        // What it comes down to is enough; the rest, and where it lies, is in what was printed.
        Err(why) => {
            let why = why.root_cause().to_string().replace('\t', " ");
            format!("failed: {}", why.lines().next().unwrap_or_default())
        }
    };
    let strict = if plan.strict { " (strict)" } else { "" };
    [
        date,
        commit,
        plan.target.name(),
        &format!("{}{strict}", plan.flush),
        &plan.nemesis_names(),
        plan.clients.name(),
        &plan.seed.to_string(),
        &report.cycles().to_string(),
        &report.attempts().to_string(),
        &report.acknowledged().to_string(),
        &median,
        &worst,
        &verdict,
        &plan.target.configuration(plan.flush),
    ]
    .join("\t")
}

/// What is the same of runs of one kind: target, flush, nemesis, client.
fn kind(line: &str) -> Vec<&str> {
    line.split('\t').skip(2).take(4).collect()
}

fn put(known: &str, line: &str) -> String {
    let others = known.lines().filter(|other| !other.starts_with('#'));
    let mut lines: Vec<&str> = others.filter(|other| kind(other) != kind(line)).collect();
    lines.push(line);
    lines.sort_by_key(|line| kind(line).join("\t"));
    format!("{HEADER}{}\n", lines.join("\n"))
}

/// The day in UTC.
fn date(wall_ms: i64) -> String {
    // Days to civil date, by the era of 400 years.
    let days = wall_ms.div_euclid(86_400_000) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}")
}

fn commit() -> String {
    let said = peers::run(Command::new("git").args(["rev-parse", "--short", "HEAD"]));
    said.map_or("unknown".to_owned(), |said| said.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_the_place_of_an_earlier_one_of_its_kind() {
        let kill =
            "2026-01-01\ta\tmillstream\tsync\tkill\trust\t1\t5\t9\t9\t1\t2\tclean\tflush=sync";
        let power =
            "2026-01-01\ta\tmillstream\tsync\tpower\trust\t1\t5\t9\t9\t1\t2\tclean\tflush=sync";
        let later =
            "2026-01-02\tb\tmillstream\tsync\tkill\trust\t2\t5\t9\t9\t1\t2\tclean\tflush=sync";
        let text = put(&put(&put("", kill), power), later);
        assert_eq!(text, format!("{HEADER}{later}\n{power}\n"));
    }

    #[test]
    fn a_day_has_its_date() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400_000), "2000-02-29");
        assert_eq!(date(1_798_675_199_999), "2026-12-30");
    }
}
