//! The one binary: roles, commands and RocketMQ's old names.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // A command line reads the user's files and prints.

mod arguments;
mod commands;
mod doors;
mod failure;
mod house;
mod log;
mod old_names;
mod output;
mod progress;
mod rest;
mod stop_signal;

use std::process::ExitCode;

use arguments::{Arguments, Output};
use clap::Parser;
use failure::{Exit, Failure};

fn main() -> ExitCode {
    log::start();
    if let Some(role) = old_names::Role::of(std::env::args().next().as_deref().unwrap_or_default())
    {
        return end(Output::Table, role.run(std::env::args().skip(1)));
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(why) => return not_understood(&why),
    };
    let output = arguments.global.output;
    end(output, commands::run(arguments))
}

/// Help is no failure; a wrong command line ends with 1, since 2 means "not found".
fn not_understood(why: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if !why.use_stderr() || why.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        why.print().ok();
        return match why.use_stderr() {
            true => ExitCode::from(Exit::Usage as u8),
            false => ExitCode::SUCCESS,
        };
    }
    let text = why.render().to_string();
    let (what, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let what = what.trim_start_matches("error: ");
    let (hints, usage) = rest.split_once("Usage:").unwrap_or((rest, ""));
    let mut hints: Vec<_> = hints
        .lines()
        .map(|line| line.trim().trim_start_matches("tip: "))
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    // A value that does not fit says why in the same line.
    let what = match (why.kind(), what.rsplit_once(": ")) {
        (ErrorKind::ValueValidation, Some((what, reason))) => {
            hints.insert(0, reason);
            what
        }
        _ => what,
    };
    let usage = usage.lines().next().unwrap_or_default().trim();
    let expected = format!("what is expected: {usage}");
    if hints.is_empty() {
        hints.push(&expected);
    }
    // The words of the command, up to its first argument.
    let command: Vec<_> = usage
        .split_whitespace()
        .take_while(|word| !word.starts_with(['-', '<', '[']))
        .collect();
    let command = match command.as_slice() {
        [] => "millstream".to_owned(),
        words => words.join(" "),
    };
    let failure = Failure::new(Exit::Usage, "usage", what)
        .why(hints.join("\n"))
        .fix(format!("see  {command} --help"));
    let json = |words: &[String]| matches!(words, [flag, value] if matches!(flag.as_str(), "-o" | "--output") && value == "json");
    let words: Vec<String> = std::env::args().collect();
    let output =
        match words.windows(2).any(json) || words.iter().any(|word| word == "--output=json") {
            true => Output::Json,
            false => Output::Table,
        };
    end(output, Err(failure.into()))
}

/// Prints a failure the way the caller reads it, and turns it into an exit code.
fn end(output: Output, outcome: anyhow::Result<()>) -> ExitCode {
    let Err(why) = outcome else {
        return ExitCode::SUCCESS;
    };
    let failure = match why.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(why) => Failure::new(Exit::Usage, "failed", why.to_string())
            .why(
                why.chain()
                    .skip(1)
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(": "),
            )
            .fix("see  millstream --help"),
    };
    match output {
        Output::Table => eprintln!("{failure}"),
        Output::Json => eprintln!("{}", failure.to_json()),
    }
    ExitCode::from(failure.exit as u8)
}
