//! WASM functions that attack while a SQL job calls them.

use crate::cli::failure;
use crate::table::Table;
use crate::up::Up;

/// What the function does, and the body of its `mr_eval($at, $bytes)`.
const ATTACKS: [(&str, &str); 5] = [
    ("runs for ever", "(loop (br 0)) (i64.const 0)"),
    (
        "asks for all the memory there is",
        "(loop (drop (memory.grow (i32.const 16))) (br 0)) (i64.const 0)",
    ),
    (
        "calls itself without end",
        "(call $eval (local.get $at) (local.get $bytes))",
    ),
    (
        "answers from beyond its memory",
        "(i64.const 0x7fff_ffff_0000_0048)",
    ),
    ("traps", "(unreachable)"),
];

/// Answers its argument: a request of one column is a valid reply.
const ECHO: &str = "(i64.or
    (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
    (i64.extend_i32_u (local.get $bytes)))";

pub fn at_work(house: &Up, table: &mut Table) {
    house.ask(&["topic", "create", "attacked", "--queues", "1"]);
    house.ask(&["produce", "attacked", "{\"a\": 7}"]);
    for (number, (does, body)) in ATTACKS.into_iter().enumerate() {
        let job = format!("attack-{number}");
        run(house, table, &job, body);
        let described = failure(house, &["job", "describe", &job], "failure");
        table.row("function at work", does, &described);
        house.ask(&["job", "delete", &job, "--yes"]);
    }
    // The process that held all of them still runs an honest one.
    run(house, table, "honest", ECHO);
    let answered = house.ask(&["consume", "answered", "--count", "1"]);
    assert_eq!(answered.trim(), "{\"a\":7}");
    house.ask(&["job", "stop", "honest"]);
    house.ask(&["job", "delete", "honest", "--yes"]);
}

fn run(house: &Up, table: &mut Table, job: &str, body: &str) {
    let module = wat::parse_str(format!(
        r#"(module
            (memory (export "memory") 2)
            (func (export "mr_alloc") (param i32) (result i32) (i32.const 1024))
            (func $eval (export "mr_eval") (param $at i32) (param $bytes i32) (result i64) {body}))"#
    ));
    let name = format!("{job}.wasm");
    table.file(&name, &module.expect("the module is well formed"));
    let script = format!(
        "CREATE FUNCTION f(a BIGINT) RETURNS BIGINT LANGUAGE wasm AS '{name}';\n\
         CREATE TABLE t (a BIGINT) WITH ('connector' = 'rocketmq', 'topic' = 'attacked', 'format' = 'json');\n\
         CREATE TABLE o (a BIGINT) WITH ('connector' = 'rocketmq', 'topic' = 'answered', 'format' = 'json');\n\
         INSERT INTO o SELECT f(a) AS a FROM t;"
    );
    let file = table.file(&format!("{job}.sql"), script.as_bytes());
    house.ask(&["run", &file]);
}
