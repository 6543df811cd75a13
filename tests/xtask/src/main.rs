//! `cargo xtask`: set-up, lints, tests and benchmarks, each by one command.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod bench;
mod budgets;
mod lint;
mod set_up;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  test [FILTER]   lints, then every test; installs or downloads what is missing and keeps it
  ci              the same, with one build cache outside the checkout
  lint            formatting, clippy, licences and sources
  peers           only the set-up: toolchains, jars, wheels and servers that tests meet
  bench [NAME]    benchmarks (sql-filter, protocol, store, functions, format) and budgets of
                  the house (produce, start, demo, sql)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => test::everything(None),
        ["test", filter] => test::everything(Some(filter)),
        ["ci"] => set_up::share_build_cache("test"),
        ["lint"] => lint::all(),
        ["peers"] => set_up::peers().map(drop),
        ["bench"] => bench::run(None),
        ["bench", name] => bench::run(Some(name)),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(1);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why:#}");
            ExitCode::FAILURE
        }
    }
}
