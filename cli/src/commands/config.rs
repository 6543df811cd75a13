//! `millstream config`: the manual of all settings, and what is wrong with a file.

use anyhow::{Context, Result, bail};

use crate::arguments::Config;
use crate::failure::{Exit, Failure};
use crate::settings::{self, Line};

pub fn run(command: &Config) -> Result<()> {
    match command {
        Config::Default => print!("{}", settings::DEFAULT),
        Config::Check { file } => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            match file.extension().is_some_and(|kind| kind == "conf") {
                true => check_broker_conf(&text)?,
                false => check_settings(&text, &file.display().to_string())?,
            }
        }
    }
    Ok(())
}

fn check_settings(text: &str, name: &str) -> Result<()> {
    let findings = settings::check(text);
    if findings.is_empty() {
        println!("{name} is valid");
        return Ok(());
    }
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    bail!(
        Failure::new(
            Exit::Usage,
            "settings.invalid",
            format!("{name} has {} mistakes", lines.len())
        )
        .why(lines.join("\n"))
        .fix("all keys with their meaning:  millstream config default")
    )
}

/// Every line with what becomes of it.
fn check_broker_conf(text: &str) -> Result<()> {
    let translated = settings::translate(text);
    for line in &translated.lines {
        match line {
            Line::Mapped { key, flag } => println!("mapped          {key}  ->  {flag}"),
            Line::WithoutEffect { key, why } => println!("without effect  {key}: {why}"),
            Line::Refused { line, key, why } => {
                println!("refused         line {line}: {key}: {why}")
            }
        }
    }
    let refusals = translated.refusals();
    if refusals.is_empty() {
        return Ok(());
    }
    bail!(
        Failure::new(
            Exit::Usage,
            "settings.broker-conf",
            format!("{} lines cannot be honoured", refusals.len())
        )
        .why(refusals.join("\n"))
    )
}
