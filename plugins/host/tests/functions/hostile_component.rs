//! Components that attack through the canonical ABI: each ends in an error of its own.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use plugin_host::{CallError, Error, Kind, Settings, Signature};

use crate::guests::{
    assert_unharmed, column, component, refusal, scalar_component, tight, wasm, words,
};
use crate::house::House;

/// Describes `f() RETURNS BIGINT`, and answers `eval` with the bytes at 1,024 (`answer`).
fn answering(answer: &[u32]) -> Vec<u8> {
    scalar("(i32.const 1024)", answer)
}

fn scalar(eval: &str, answer: &[u32]) -> Vec<u8> {
    scalar_component("", eval, answer)
}

fn call(settings: Settings, bytes: &[u8]) -> Result<i64, CallError> {
    let house = House::new(settings);
    let module = house
        .host
        .compile(bytes)
        .expect("the component passes the door");
    assert_eq!(module.kind(), Kind::Component);
    let declared = Signature::new("f", vec![], DataType::Int64);
    let function = module.scalar("f", &declared).expect("it describes f");
    let answer = function.call(&[], 2);
    assert_unharmed(&house);
    answer.map(|column| column.as_primitive::<Int64Type>().value(1))
}

#[track_caller]
fn is_bad_output(bytes: &[u8], why: &str) {
    match call(tight(), bytes) {
        Err(CallError::BadOutput(said)) if said.contains(why) => {}
        other => panic!("{other:?} should be bad output: {why}"),
    }
}

#[test]
fn the_harness_can_also_behave() {
    let numbers_at = 1_024 + 20 * 4;
    let mut answer = column(2, 2, 1, [numbers_at, 2, 0, 0]);
    answer.resize(20, 0);
    answer.extend([5, 0, 6, 0]);
    assert_eq!(call(tight(), &answering(&answer)), Ok(6));
}

#[test]
fn a_list_outside_memory_is_refused() {
    is_bad_output(
        &answering(&column(2, 2, 1, [0, 0x0fff_ffff, 0, 0])),
        "out of bounds",
    );
    is_bad_output(
        &answering(&column(2, 2, 1, [u32::MAX - 7, 2, 0, 0])),
        "out of bounds",
    );
    is_bad_output(&answering(&column(2, 2, 1, [4, 2, 0, 0])), "aligned");
}

#[test]
fn an_answer_outside_memory_is_refused() {
    is_bad_output(&scalar("(i32.const -16)", &[]), "out of bounds");
    is_bad_output(&scalar("(i32.const 1026)", &[]), "aligned");
}

#[test]
fn an_unknown_variant_is_refused() {
    is_bad_output(&answering(&[77]), "discriminant");
    is_bad_output(&answering(&column(77, 2, 1, [0, 2, 0, 0])), "discriminant");
    is_bad_output(&answering(&column(2, 2, 77, [0, 2, 0, 0])), "discriminant");
}

#[test]
fn columns_that_do_not_fit_are_refused() {
    is_bad_output(
        &answering(&column(2, 3, 1, [0, 3, 0, 0])),
        "3 rows for 2 rows",
    );
    is_bad_output(
        &answering(&column(2, 2, 1, [0, 3, 0, 0])),
        "3 values for 2 rows",
    );
    is_bad_output(
        &answering(&column(3, 2, 2, [0, 2, 0, 0])),
        "Float64 instead of Int64",
    );
    is_bad_output(
        &answering(&column(2, 2, 6, [0, 2, 0, 0])),
        "buffers that do not hold Int64",
    );
    is_bad_output(
        &answering(&column(9, 2, 6, [0, 2, 0, 0])),
        "a type no function returns",
    );
}

#[test]
fn bad_utf8_in_an_error_is_refused() {
    // err, batch, and 4 bytes of text at 1,040.
    is_bad_output(&answering(&[1, 1, 1_040, 4, u32::MAX]), "utf-8");
}

#[test]
fn errors_of_rows_that_are_not_there_are_refused() {
    // err, rows, one at 1,040: row 2, text "f".
    is_bad_output(
        &answering(&[1, 0, 1_040, 1, 2, 32, 1]),
        "an error of row 2 in a batch of 2",
    );
    is_bad_output(&answering(&[1, 0, 1_040, 0]), "an error of no row");
    // Three at 1,040, all of row 0.
    let answer = [&[1, 0, 1_040, 3][..], &[0, 32, 1].repeat(3)].concat();
    is_bad_output(&answering(&answer), "errors of 3 rows in a batch of 2");
}

#[test]
fn a_small_answer_that_names_gigabytes_is_not_copied() {
    // 1,000 errors that all point at the same megabyte of zeros.
    let mut answer = vec![1, 0, 1_040, 1_000];
    for _ in 0..1_000 {
        answer.extend([0, 0, 1 << 20]);
    }
    is_bad_output(&answering(&answer), "too much data");
}

#[test]
fn loops_recursion_and_growth_end_in_their_errors() {
    let error = |eval: &str| call(tight(), &scalar(eval, &[])).expect_err("it attacks");
    assert!(matches!(
        error("(loop (br 0)) (i32.const 0)"),
        CallError::Deadline { .. }
    ));
    let grow = "(loop (drop (memory.grow (i32.const 16))) (br 0)) (i32.const 0)";
    assert_eq!(
        error(grow),
        CallError::Memory {
            limit_bytes: 8 << 20
        }
    );
    let recursion = "(call $eval (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";
    match error(recursion) {
        CallError::Trap { why, rows } => {
            assert!(why.contains("call stack exhausted"), "{why}");
            assert_eq!(rows, [0, 1]);
        }
        other => panic!("{other:?}"),
    }
}

/// Words for `describe`'s answer at 16, then what follows it.
fn describing(answer: &[u32]) -> Vec<u8> {
    component(&format!(
        r#"(module
            (memory (export "memory") 1)
            (data (i32.const 16) "{}")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192))
            (func (export "millstream:udf/scalar@1.0.0#describe") (result i32) (i32.const 16))
            (func (export "millstream:udf/scalar@1.0.0#eval")
                (param i32 i32 i32 i32) (result i32) (i32.const 1024)))"#,
        words(answer),
    ))
}

#[test]
fn nonsense_descriptions_are_refused_at_the_door() {
    let house = House::new(tight());
    let start = refusal(&house, &describing(&[0, u32::MAX]));
    assert!(
        matches!(start, Error::Start(CallError::BadOutput(_))),
        "{start}"
    );
    // One signature at 24 that returns nothing.
    let nothing = refusal(&house, &describing(&[24, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    assert!(
        matches!(&nothing, Error::Contract(why) if why.contains("instead of one column")),
        "{nothing}"
    );
    // One that returns DECIMAL(0, 9).
    let decimal = [24, 1, 0, 0, 0, 0, 60, 1, 0, 0, 0, 0, 0, 7, 0x0900, 0];
    let decimal = refusal(&house, &describing(&decimal));
    assert!(
        matches!(&decimal, Error::Type(name) if name == "DECIMAL(0, 9)"),
        "{decimal}"
    );
    assert_unharmed(&house);
}

#[test]
fn imports_beyond_the_grant_are_named() {
    let importing = |name: &str, function: &str| {
        wasm(&format!(
            r#"(component (import "{name}" (instance (export "{function}" (func (result u64))))))"#
        ))
    };
    let ungranted = House::new(tight());
    for name in [
        "wasi:clocks/monotonic-clock@0.2.0",
        "millstream:udf/clock@1.0.0",
        "millstream:udf/kv@1.0.0",
    ] {
        let error = refusal(&ungranted, &importing(name, "now"));
        assert!(
            matches!(&error, Error::Import { name: said, .. } if said == name),
            "{error}"
        );
    }
    assert_eq!(
        refusal(&ungranted, &importing("wasi:io/poll@0.2.0", "now")).to_string(),
        "the module imports wasi:io/poll@0.2.0; a function may import only millstream:udf/log"
    );
    let granted = House::new(Settings {
        grant_clock: true,
        ..tight()
    });
    let error = refusal(
        &granted,
        &importing("millstream:udf/clock@1.0.0", "epoch-time"),
    );
    assert!(
        matches!(&error, Error::Contract(why) if why.contains("scalar")),
        "{error}"
    );
}
