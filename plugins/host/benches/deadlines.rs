//! How long hostile modules hold a caller, and how far past the deadline the latest let go.
//!
//! Every module is called often, first with nothing beside it, then with a busy thread on each
//! core. The promise is 10 ms past the deadline at most, and with nothing beside it the benchmark
//! fails where one call in a hundred takes longer; what ends by itself ends sooner.
#![allow(clippy::disallowed_methods)]

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use plugin_host::{PluginHost, Settings, Signature};
use runtime::{Clock, Tasks};

const DEADLINE: Duration = Duration::from_millis(20);
/// How long past the deadline a caller may be held.
const PROMISED: Duration = Duration::from_millis(10);
/// Filling and copying memory is one instruction each, which nothing interrupts.
const ONE_INSTRUCTION: [&str; 2] = [
    "all memory filled, for ever",
    "half the memory copied, for ever",
];
const ROWS: usize = 4_096;

/// A module, by what it does.
struct Offender {
    name: &'static str,
    /// Further imports and items of the module.
    items: &'static str,
    /// The body of `mr_eval`, with `$at` and `$bytes`.
    body: &'static str,
    returns: DataType,
}

/// What is never reached in a module that attacks while it starts.
const AT_THE_START: &str = "(i64.const 0)";

const WRITE: &str = r#"(import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))"#;
const RANDOM: &str = r#"(import "wasi_snapshot_preview1" "random_get"
    (func $random (param i32 i32) (result i32)))"#;

fn offenders() -> Vec<Offender> {
    let offender = |name, items, body| Offender {
        name,
        items,
        body,
        returns: DataType::Int64,
    };
    vec![
        offender("endless loop", "", "(loop (br 0)) (i64.const 0)"),
        offender(
            "endless loop at the start",
            "(func $start (loop (br 0))) (start $start)",
            AT_THE_START,
        ),
        offender(
            "trap at the start",
            "(func $start unreachable) (start $start)",
            AT_THE_START,
        ),
        offender(
            "memory bomb",
            "",
            "(loop (drop (memory.grow (i32.const 1))) (br 0)) (i64.const 0)",
        ),
        offender(
            "deep recursion",
            "",
            "(call $eval (local.get $at) (local.get $bytes))",
        ),
        offender("read outside memory", "", "(i64.load (i32.const -8))"),
        offender(
            "reply outside memory",
            "",
            "(i64.const 0xffff_fff0_0000_0040)",
        ),
        offender(
            "reply of a wrong length",
            "",
            "(i64.const 0x0000_0400_0000_0003)",
        ),
        offender(
            "reply that is no UTF-8",
            r#"(data (i32.const 64) "\01\00\00\00\ff\ff")"#,
            "(i64.const 0x40_0000_0006)",
        ),
        Offender {
            returns: DataType::Utf8,
            ..offender(
                "text of 30 MiB, the last byte no UTF-8",
                // At 1 MiB, behind the request: head, last offset, last byte of text.
                r#"(data (i32.const 1048576) "\00\00\00\00\00\10\00\00\01\00\00\00\05\00\00\00\00\00\00\00\00\00\00\00\30\40\00\00\00\00\e0\01\28\00\00\00\04\40\00\00")
                (data (i32.const 1065000) "\00\00\e0\01")
                (data (i32.const 32522287) "\ff")"#,
                "(i64.const 0x10_0000_01e0_4030)",
            )
        },
        offender(
            "trap after half the time, for every row",
            "",
            "(local $turns i32)
            (loop
                (local.set $turns (i32.add (local.get $turns) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $turns) (i32.const 20_000_000))))
            unreachable",
        ),
        offender(
            "all memory filled, for ever",
            "",
            "(loop (memory.fill (i32.const 65536) (i32.const 7) (i32.const 67043328)) (br 0)) (i64.const 0)",
        ),
        offender(
            "half the memory copied, for ever",
            "",
            "(loop (memory.copy (i32.const 65536) (i32.const 33554432) (i32.const 33488896)) (br 0)) (i64.const 0)",
        ),
        offender(
            "all memory written to the log, for ever",
            WRITE,
            "(local $part i32)
            (loop
                (i32.store (local.get $part) (i32.const 65536))
                (i32.store offset=4 (local.get $part) (i32.const 67043328))
                (local.set $part (i32.add (local.get $part) (i32.const 8)))
                (br_if 0 (i32.lt_u (local.get $part) (i32.const 8192))))
            (loop
                (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1024) (i32.const 8192)))
                (br 0))
            (i64.const 0)",
        ),
        offender(
            "all memory drawn at random, for ever",
            RANDOM,
            "(loop (drop (call $random (i32.const 65536) (i32.const 67043328))) (br 0)) (i64.const 0)",
        ),
    ]
}

fn module(offender: &Offender) -> Vec<u8> {
    let Offender { items, body, .. } = offender;
    let (imports, items) = if items.starts_with("(import") {
        (*items, "")
    } else {
        ("", *items)
    };
    wat::parse_str(format!(
        r#"(module {imports}
            (memory (export "memory") 1024)
            (func (export "mr_alloc") (param i32) (result i32) (i32.const 1024))
            (func $eval (export "mr_eval") (param $at i32) (param $bytes i32) (result i64) {body})
            {items})"#
    ))
    .expect("the module is well formed")
}

/// Times of `calls` attempts, shortest first, and what the last of them ended in.
fn attack(host: &PluginHost, offender: &Offender, calls: usize) -> (Vec<Duration>, String) {
    let bytes = module(offender);
    let declared = Signature::new("f", vec![DataType::Int64], offender.returns.clone());
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let function = host.compile(&bytes).map(|module| {
        module
            .scalar("f", &declared)
            .expect("a core module takes the declaration's word")
    });
    let attempt = || match &function {
        Ok(function) => function
            .call(std::slice::from_ref(&column), ROWS)
            .map(drop)
            .map_err(|error| error.to_string()),
        Err(_) => host
            .compile(&bytes)
            .map(drop)
            .map_err(|error| error.to_string()),
    };
    let mut times = Vec::with_capacity(calls);
    let mut said = String::new();
    for _ in 0..calls {
        let began = Instant::now();
        let ended = attempt();
        times.push(began.elapsed());
        said = ended.expect_err("it attacks");
    }
    times.sort();
    (times, said)
}

/// Runs `work` beside a thread on each core that never rests.
fn beside_busy_threads(work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    spin_loop();
                }
            });
        }
        work();
        done.store(true, Ordering::Relaxed);
    });
}

/// Prints what each module did; returns those that held their callers too long.
fn report(host: &PluginHost, calls: usize) -> Vec<&'static str> {
    let mut late = Vec::new();
    let ms = |duration: Duration| format!("{:.2}", duration.as_secs_f64() * 1e3);
    println!(
        "{:<42} {:>8} {:>8} {:>8} {:>14}  ends in",
        "ms", "p50", "p99", "max", "past deadline"
    );
    for offender in offenders() {
        let (times, said) = attack(host, &offender, calls);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        let latest = at(1.0);
        if at(0.99) > DEADLINE + PROMISED && !ONE_INSTRUCTION.contains(&offender.name) {
            late.push(offender.name);
        }
        println!(
            "{:<42} {:>8} {:>8} {:>8} {:>14}  {:.70}",
            offender.name,
            ms(at(0.5)),
            ms(at(0.99)),
            ms(latest),
            if latest > DEADLINE {
                ms(latest - DEADLINE)
            } else {
                "-".to_owned()
            },
            said,
        );
    }
    late
}

fn main() {
    // `cargo test` runs this once and measures nothing.
    let calls = if std::env::args().any(|argument| argument == "--bench") {
        200
    } else {
        1
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts");
    let tasks = runtime.block_on(async { Tasks::new(Clock::real()) });
    let cache = tempfile::tempdir().expect("there is room for a folder");
    let settings = Settings {
        cache_dir: Some(cache.path().to_owned()),
        deadline_ms: DEADLINE.as_millis() as u64,
        start_deadline_ms: DEADLINE.as_millis() as u64,
        ..Settings::default()
    };
    let host = PluginHost::new(settings, &tasks).expect("the settings are fine");
    println!(
        "deadline {} ms, {calls} calls of {ROWS} rows each",
        DEADLINE.as_millis()
    );
    println!("\nwith nothing beside it");
    let late = report(&host, calls);
    println!("\nwith every core busy");
    beside_busy_threads(|| drop(report(&host, calls)));
    assert!(
        calls == 1 || late.is_empty(),
        "held their callers more than {PROMISED:?} past the deadline: {late:?}"
    );
}
