//! The one binary: roles, commands and RocketMQ's old names.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // A command line reads the user's files and prints.

mod adoption;
mod arguments;
mod commands;
mod failure;
mod house;
mod old_names;
mod output;
mod rest;
mod settings;

use std::process::ExitCode;

use arguments::{Arguments, Output};
use clap::Parser;
use failure::{Exit, Failure};

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("MILLSTREAM_LOG")
                .unwrap_or_else(|_| "warn,fjall=error,lsm_tree=error".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    if let Some(role) = old_names::Role::of(std::env::args().next().as_deref().unwrap_or_default())
    {
        return end(Output::Table, role.run(std::env::args().skip(1)));
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help is no failure; a wrong command line ends with 1, since 2 means "not found".
        Err(why) => {
            why.print().ok();
            return if why.use_stderr() {
                ExitCode::from(Exit::Usage as u8)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let output = arguments.global.output;
    end(output, commands::run(arguments))
}

/// Prints a failure the way the caller reads it, and turns it into an exit code.
fn end(output: Output, outcome: anyhow::Result<()>) -> ExitCode {
    let Err(why) = outcome else {
        return ExitCode::SUCCESS;
    };
    let failure = match why.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(why) => Failure::new(Exit::Usage, "failed", why.to_string()).why(
            why.chain()
                .skip(1)
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(": "),
        ),
    };
    match output {
        Output::Table => eprintln!("{failure}"),
        Output::Json => eprintln!("{}", failure.to_json()),
    }
    ExitCode::from(failure.exit as u8)
}
