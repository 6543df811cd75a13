//! Core modules that attack: each ends in its own error, and the host works on.

use std::time::Duration;

use arrow::datatypes::DataType;
use plugin_host::{CallError, Error, Signature};

use crate::guests::{
    assert_unharmed, bigint_function, bigints, core, evaluating, refusal, tight, wasm,
};
use crate::house::House;

/// What a call of three rows ends in, twice: the second call meets a fresh instance.
#[track_caller]
fn ends_in(bytes: &[u8], expected: impl Fn(&CallError) -> bool) {
    let house = House::new(tight());
    let function = bigint_function(&house, bytes);
    for _ in 0..2 {
        let error = function
            .call(&[bigints([1, 2, 3])], 3)
            .expect_err("it attacks");
        assert!(expected(&error), "{error:?}: {error}");
    }
    assert_unharmed(&house);
}

#[track_caller]
fn is_bad_output(bytes: &[u8], why: &str) {
    ends_in(
        bytes,
        |error| matches!(error, CallError::BadOutput(said) if said.contains(why)),
    );
}

#[track_caller]
fn traps(bytes: &[u8], reason: &str) {
    ends_in(
        bytes,
        |error| matches!(error, CallError::Trap { why, rows } if why.contains(reason) && *rows == [0, 1, 2]),
    );
}

/// The module is refused at the door, and says this.
#[track_caller]
fn is_refused(bytes: &[u8], expected: impl Fn(&Error) -> bool) {
    let house = House::new(tight());
    let error = refusal(&house, bytes);
    assert!(expected(&error), "{error:?}: {error}");
    assert_unharmed(&house);
}

/// A reply with this status, row count and one column head, then 32 bytes of 0xff at 40.
fn replying(rows: u32, code: u32, data: (u32, u32), offsets: (u32, u32)) -> Vec<u8> {
    let words = [0, rows, 1, code, 0, 0, data.0, data.1, offsets.0, offsets.1];
    let text: String = words
        .iter()
        .flat_map(|word: &u32| word.to_le_bytes())
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    core(&format!(
        r#"(data (i32.const 64) "{text}{}")
        (func (export "mr_eval") (param i32 i32) (result i64)
            (i64.const {:#x}))"#,
        "\\ff".repeat(32),
        (64u64 << 32) | 72,
    ))
}

#[test]
fn an_endless_loop_is_stopped_at_its_deadline() {
    let limit = Duration::from_millis(300);
    ends_in(&evaluating("(loop (br 0)) (i64.const 0)"), |error| {
        *error == CallError::Deadline { limit }
    });
}

#[test]
fn a_memory_bomb_is_refused_the_memory() {
    let grow = "(loop (drop (memory.grow (i32.const 16))) (br 0)) (i64.const 0)";
    ends_in(&evaluating(grow), |error| {
        *error
            == CallError::Memory {
                limit_bytes: 8 << 20,
            }
    });
    let at_once = "(drop (memory.grow (i32.const 4096))) (i64.const 0)";
    ends_in(&evaluating(at_once), |error| {
        matches!(error, CallError::Memory { .. })
    });
}

#[test]
fn a_memory_bomb_at_the_start_is_refused_at_the_door() {
    let bomb = wasm(
        r#"(module (memory (export "memory") 4096)
            (func (export "mr_alloc") (param i32) (result i32) (i32.const 0))
            (func (export "mr_eval") (param i32 i32) (result i64) (i64.const 0)))"#,
    );
    is_refused(&bomb, |error| {
        matches!(error, Error::Start(CallError::Memory { .. }))
    });
}

#[test]
fn a_table_bomb_is_refused_the_table() {
    let bomb = core(
        r#"(table $t 1 funcref)
        (func (export "mr_eval") (param i32 i32) (result i64)
            (loop (drop (table.grow $t (ref.null func) (i32.const 10000))) (br 0))
            (i64.const 0))"#,
    );
    ends_in(&bomb, |error| matches!(error, CallError::Memory { .. }));
}

#[test]
fn deep_recursion_ends_with_the_stack() {
    traps(
        &evaluating("(call $eval (local.get $at) (local.get $bytes))"),
        "call stack exhausted",
    );
}

#[test]
fn a_read_outside_memory_traps() {
    traps(&evaluating("(i64.load (i32.const -8))"), "out of bounds");
}

#[test]
fn an_exit_traps() {
    let exiting = wasm(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "mr_alloc") (param i32) (result i32) (i32.const 1024))
            (func (export "mr_eval") (param i32 i32) (result i64)
                (call $exit (i32.const 3)) (i64.const 0)))"#,
    );
    traps(&exiting, "it exited with status 3");
}

#[test]
fn traps_that_take_their_time_are_searched_no_longer_than_the_deadline() {
    // Tens of milliseconds for every try: the 64 rows that a search names would take seconds.
    let slow = evaluating(
        "(local $turns i64)
        (loop
            (local.set $turns (i64.add (local.get $turns) (i64.const 1)))
            (br_if 0 (i64.lt_u (local.get $turns) (i64.const 100_000_000))))
        unreachable",
    );
    let house = House::new(tight());
    let function = bigint_function(&house, &slow);
    let error = function.call(&[bigints(0..128)], 128);
    match error.expect_err("it attacks") {
        CallError::Trap { rows, .. } => assert!(rows.len() < 64, "{rows:?}"),
        other => assert!(matches!(other, CallError::Deadline { .. }), "{other:?}"),
    }
    assert_unharmed(&house);
}

#[test]
fn a_stand_in_takes_a_little_at_a_time() {
    let greedy = wasm(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get"
                (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 16)
            (data (i32.const 8) "\00\00\00\00\00\00\0a\00\00\00\00\00\00\00\0a\00")
            (func (export "mr_alloc") (param i32) (result i32) (i32.const 1024))
            (func (export "mr_eval") (param $at i32) (param $bytes i32) (result i64)
                (drop (call $write (i32.const 1) (i32.const 8) (i32.const 2) (i32.const 0)))
                (if (i32.ne (i32.load (i32.const 0)) (i32.const 65536)) (then unreachable))
                (if (i32.eqz (call $random (i32.const 2048) (i32.const 65537))) (then unreachable))
                (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
                    (i64.extend_i32_u (local.get $bytes)))))"#,
    );
    let house = House::new(tight());
    let function = bigint_function(&house, &greedy);
    let column = function
        .call(&[bigints([7])], 1)
        .expect("it was given less");
    assert_eq!(&column, &bigints([7]));
}

#[test]
fn what_a_dying_module_writes_is_shown() {
    let crying = wasm(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 8) "\10\00\00\00\09\00\00\00panic: x\0a")
            (func (export "mr_alloc") (param i32) (result i32) (i32.const 1024))
            (func (export "mr_eval") (param i32 i32) (result i64)
                (drop (call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 0)))
                unreachable))"#,
    );
    traps(&crying, "panic: x (");
}

#[test]
fn a_stand_in_that_is_given_a_bad_address_writes_nothing() {
    let poking = wasm(
        r#"(module
            (import "wasi_snapshot_preview1" "random_get"
                (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "mr_alloc") (param i32) (result i32) (i32.const 1024))
            (func (export "mr_eval") (param i32 i32) (result i64)
                (drop (call $random (i32.const 65530) (i32.const 100))) (i64.const 0)))"#,
    );
    is_bad_output(&poking, "an address outside its memory");
}

#[test]
fn replies_that_lie_outside_memory_are_refused() {
    is_bad_output(
        &evaluating("(i64.const 0xffff_fff0_0000_0040)"),
        "outside its memory",
    );
    is_bad_output(
        &evaluating("(i64.const 0x0000_0400_0002_0000)"),
        "outside its memory",
    );
    is_bad_output(
        &evaluating("(i64.const 0x0000_0400_0000_0003)"),
        "a reply of 3 bytes",
    );
    is_bad_output(&evaluating("(i64.const 0)"), "a reply of 0 bytes");
}

#[test]
fn a_huge_reply_is_refused_before_it_is_copied() {
    is_bad_output(
        &evaluating("(i64.const 0x7fff_ffff)"),
        "the limit is 1048576",
    );
}

#[test]
fn memory_for_arguments_outside_memory_is_refused() {
    let module = |address: &str| {
        wasm(&format!(
            r#"(module (memory (export "memory") 1)
                (func (export "mr_alloc") (param i32) (result i32) (i32.const {address}))
                (func (export "mr_eval") (param i32 i32) (result i64) (i64.const 0)))"#
        ))
    };
    is_bad_output(&module("-8"), "outside its memory");
    is_bad_output(&module("65528"), "outside its memory");
    is_bad_output(&module("1025"), "not a multiple of 8");
}

#[test]
fn wrong_lengths_are_refused() {
    is_bad_output(&replying(3, 2, (40, 16), (0, 0)), "2 values for 3 rows");
    is_bad_output(&replying(2, 2, (40, 16), (0, 0)), "2 rows for 3 rows");
    is_bad_output(
        &replying(3, 2, (40, 23), (0, 0)),
        "23 bytes of 8-byte values",
    );
    is_bad_output(
        &replying(3, 2, (40, 40), (0, 0)),
        "a buffer of 40 bytes at 40",
    );
    is_bad_output(&replying(3, 2, (u32::MAX, u32::MAX), (0, 0)), "a buffer of");
    is_bad_output(
        &replying(3, 2, (41, 24), (0, 0)),
        "a buffer of 24 bytes at 41",
    );
}

#[test]
fn a_wrong_type_is_refused() {
    is_bad_output(
        &replying(3, 3, (40, 24), (0, 0)),
        "Float64 instead of Int64",
    );
    is_bad_output(&replying(3, 77, (40, 24), (0, 0)), "unknown type 0x4d");
}

#[test]
fn bad_utf8_is_refused_in_columns_and_in_messages() {
    let house = House::new(tight());
    // Offsets 0 and 4 at 48, then the text: four bytes of 0xff.
    let text = core(
        r#"(data (i32.const 64) "\00\00\00\00\01\00\00\00\01\00\00\00\05\00\00\00\00\00\00\00\00\00\00\00\38\00\00\00\04\00\00\00\30\00\00\00\08\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\04\00\00\00\ff\ff\ff\ff")
        (func (export "mr_eval") (param i32 i32) (result i64) (i64.const 0x40_0000_003c))"#,
    );
    let module = house
        .host
        .compile(&text)
        .expect("the module passes the door");
    let declared = Signature::new("f", vec![DataType::Int64], DataType::Utf8);
    let function = module
        .scalar("f", &declared)
        .expect("a core module takes the declaration's word");
    let error = function
        .call(&[bigints([1])], 1)
        .expect_err("that is no text");
    assert_eq!(
        error,
        CallError::BadOutput("text that is not UTF-8".to_owned())
    );
    assert_unharmed(&house);

    let message = core(
        r#"(data (i32.const 64) "\01\00\00\00\ff\ff")
        (func (export "mr_eval") (param i32 i32) (result i64) (i64.const 0x40_0000_0006))"#,
    );
    is_bad_output(&message, "a message that is not UTF-8");
}

#[test]
fn a_message_cannot_draw_on_the_terminal() {
    let message = core(
        r#"(data (i32.const 64) "\01\00\00\00\1b[2Jgone")
        (func (export "mr_eval") (param i32 i32) (result i64) (i64.const 0x40_0000_000c))"#,
    );
    ends_in(&message, |error| {
        *error == CallError::Batch("\\u{1b}[2Jgone".to_owned())
    });
}

#[test]
fn a_module_that_cannot_start_is_refused() {
    let starting = |body: &str| {
        core(&format!(
            r#"(func (export "mr_eval") (param i32 i32) (result i64) (i64.const 0))
            (func $start {body}) (start $start)"#
        ))
    };
    is_refused(&starting("unreachable"), |error| {
        matches!(error, Error::Start(CallError::Trap { .. }))
            && error
                .to_string()
                .starts_with("the module failed while it started: ")
    });
    is_refused(
        &starting("(loop (br 0))"),
        |error| matches!(error, Error::Start(CallError::Deadline { limit }) if limit.as_secs() == 1),
    );
    let initialize = core(
        r#"(func (export "mr_eval") (param i32 i32) (result i64) (i64.const 0))
        (func (export "_initialize") unreachable)"#,
    );
    is_refused(&initialize, |error| {
        matches!(error, Error::Start(CallError::Trap { .. }))
    });
}

#[test]
fn a_forbidden_import_is_named() {
    for (module, name) in [
        ("env", "abort"),
        ("wasi_snapshot_preview1", "path_open"),
        ("wasi_snapshot_preview1", "sock_accept"),
        ("millstream", "topics"),
    ] {
        let importing = wasm(&format!(
            r#"(module (import "{module}" "{name}" (func)) (memory (export "memory") 1)
                (func (export "mr_alloc") (param i32) (result i32) (i32.const 1024))
                (func (export "mr_eval") (param i32 i32) (result i64) (i64.const 0)))"#
        ));
        is_refused(&importing, |error| {
            let said = format!("the module imports {module}.{name};");
            error.to_string().starts_with(&said)
        });
    }
}

#[test]
fn a_module_without_the_abi_is_refused() {
    let contract = |error: &Error| matches!(error, Error::Contract(_));
    is_refused(&wasm("(module)"), contract);
    is_refused(&core(""), contract);
    is_refused(
        &core(r#"(func (export "mr_eval") (param i32) (result i64) (i64.const 0))"#),
        contract,
    );
    is_refused(
        &core(r#"(memory $other 1) (export "mr_eval" (memory 0))"#),
        |error| matches!(error, Error::Contract(_) | Error::Malformed(_)),
    );
    is_refused(&wasm(r#"(module (func (export "_start")))"#), contract);
}

#[test]
fn proposals_that_no_function_needs_are_off() {
    for text in [
        r#"(module (memory (export "memory") i64 1))"#,
        r#"(module (memory (export "memory") 1 2 shared))"#,
        "(module (memory 1) (memory 1))",
        "(module (type (struct (field i32))))",
        "(module (tag))",
    ] {
        is_refused(&wasm(text), |error| matches!(error, Error::Malformed(_)));
    }
}

#[test]
fn a_file_over_the_limit_is_not_even_read() {
    let house = House::new(plugin_host::Settings {
        module_bytes: 1_000,
        ..tight()
    });
    let error = refusal(&house, &vec![0; 1_001]);
    assert_eq!(
        error.to_string(),
        "the module has 1001 bytes; the limit is 1000"
    );
}
