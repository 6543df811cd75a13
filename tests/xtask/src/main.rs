//! `cargo xtask`: set-up, lints, tests and benchmarks, each by one command.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod bench;
mod budgets;
mod chaos;
mod fuzz;
mod instructions;
mod lint;
mod reliability;
mod schedules;
mod set_up;
mod simulate;
mod suite;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  test [FILTER]   lints, the instructions of a message, then every test; installs or downloads
                  what is missing and keeps it
  ci              the same, with one build cache outside the checkout
  lint            formatting, clippy, licences and sources
  peers           only the set-up: toolchains, jars, wheels and servers that tests meet
  bench [NAME]    benchmarks (sql-filter, protocol, store, functions, format) and budgets of
                  the house (produce, start, demo, sql)
  bench --workload W1,W2|all [--alone]
        [--peers rocketmq,rocketmq-tuned,rocketmq-rocksdb,rocketmq-rust,kafka]
        [--rounds N] [--seconds S] [--placement split|all] [--all] [--only TEXT]
        [--json FILE] [--record docs/benchmarks.md]
                  paired runs beside peers, probes around each pair; --alone measures the
                  broker without streams and connectors; --record writes the page
  simulate [--seeds N] [--seed S]
                  a broker and its clients on a faulty disk and network, from seeds
  chaos --cycles N --flush async|sync [--nemesis kill|stop|cut|full|damage|power|all]
        [--seed S] [--client rust|java|both] [--program PATH] [--alone]
        [--against rocketmq|rocketmq-rust] [--strict] [--record docs/reliability.runs]
                  the real broker under load and trouble; --alone builds and tries it without
                  streams and connectors; --strict holds an acknowledgement to survive a loss
                  of power, whatever the flush setting says
  reliability [--check]
                  writes docs/reliability.md from its rows and runs, or says whether it is stale
  planted [BUG]   bugs made on purpose, and within how many seeds each is found
  schedules       threads of the log's append path in every order, within bounds (loom), and in
                  orders drawn from a seed (shuttle)
  fuzz [--minutes M] [TARGET]
                  every decoder and the recovery against bytes a fuzzer makes up, M minutes
                  each (1), two at a time; what is new is added to tests/fuzz/corpus
  instructions [--accept]
                  instructions of a message, held against the accepted figures; --accept
                  takes today's as the accepted ones
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
        ["bench", ref options @ ..] if options.iter().any(|word| word.starts_with("--")) => {
            suite::run(options)
        }
        ["simulate", ref options @ ..] => simulate::seeds(options),
        ["chaos", ref options @ ..] => chaos::run(options),
        ["reliability"] => reliability::page(false),
        ["reliability", "--check"] => reliability::page(true),
        ["planted"] => simulate::planted(None),
        ["planted", bug] => simulate::planted(Some(bug)),
        ["schedules"] => schedules::all(),
        ["fuzz", ref options @ ..] => fuzz::run(options),
        ["instructions"] => instructions::guard(false),
        ["instructions", "--accept"] => instructions::guard(true),
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
