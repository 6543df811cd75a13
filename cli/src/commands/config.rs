//! `millstream config`: the manual of all settings, and what is wrong with a file.

use std::path::Path;

use anyhow::{Result, bail};

use crate::arguments::Config;
use crate::failure::{Exit, Failure, counted};
use crate::settings::{self, Line};

pub fn run(command: &Config) -> Result<()> {
    match command {
        Config::Default => print!("{}", settings::DEFAULT),
        Config::Check { file } => {
            let text = read(file)?;
            match file.extension().is_some_and(|kind| kind == "conf") {
                true => check_broker_conf(&text)?,
                false => check_settings(&text, &file.display().to_string())?,
            }
        }
    }
    Ok(())
}

/// The text of a file that the command line names.
pub fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|why| {
        Failure::new(
            Exit::NotFound,
            "settings.file",
            format!("{} cannot be read", file.display()),
        )
        .why(why)
        .fix("write one after  millstream config default")
    })
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
            format!("{name} has {}", counted(lines.len(), "mistake"))
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
            format!("{} cannot be honoured", counted(refusals.len(), "line"))
        )
        .why(refusals.join("\n"))
    )
}
