//! Every type crosses the contract, nulls go where they should, errors name their rows.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array,
    Int32Array, Int64Array, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use plugin_host::{CallError, Error, RowError, ScalarFunction, Settings, Signature};

use crate::build;
use crate::house::{House, doubles};

/// `tests/guests/kinds`, built once.
static KINDS: LazyLock<Vec<u8>> = LazyLock::new(|| build::rust(&build::guest("kinds"), "kinds"));

/// A house for the functions of `tests/guests/kinds`.
pub fn kinds() -> House {
    House::new(Settings::default())
}

/// One of these functions.
#[track_caller]
pub fn function(
    house: &House,
    name: &str,
    arguments: &[DataType],
    returns: &DataType,
) -> ScalarFunction {
    let module = house.host.compile(&KINDS).expect("kinds is a function");
    let declared = Signature::new(name, arguments.to_vec(), returns.clone());
    module.scalar(name, &declared).expect("kinds has it")
}

/// `name` takes one column and gives back one of the same type.
#[track_caller]
fn check(name: &str, argument: impl Into<ArrayRef>, expected: impl Into<ArrayRef>) {
    let (argument, expected) = (argument.into(), expected.into());
    let house = kinds();
    let function = function(
        &house,
        name,
        &[argument.data_type().clone()],
        expected.data_type(),
    );
    let result = function.call(std::slice::from_ref(&argument), argument.len());
    assert_eq!(&result.expect("no row fails"), &expected);
    let part = argument.slice(1, argument.len() - 1);
    let result = function.call(std::slice::from_ref(&part), part.len());
    assert_eq!(
        &result.expect("no row fails"),
        &expected.slice(1, part.len())
    );
}

fn array(array: impl arrow::array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}

#[test]
fn every_type_crosses_with_its_nulls() {
    check(
        "negate",
        array(BooleanArray::from(vec![Some(true), None, Some(false)])),
        array(BooleanArray::from(vec![Some(false), None, Some(true)])),
    );
    check(
        "next_int",
        array(Int32Array::from(vec![Some(1), None, Some(i32::MAX)])),
        array(Int32Array::from(vec![Some(2), None, Some(i32::MIN)])),
    );
    check(
        "next_bigint",
        array(Int64Array::from(vec![Some(-1), None, Some(i64::MAX)])),
        array(Int64Array::from(vec![Some(0), None, Some(i64::MIN)])),
    );
    check(
        "half",
        array(Float64Array::from(vec![
            Some(1.0),
            None,
            Some(f64::INFINITY),
        ])),
        array(Float64Array::from(vec![
            Some(0.5),
            None,
            Some(f64::INFINITY),
        ])),
    );
    check(
        "tomorrow",
        array(Date32Array::from(vec![Some(0), None, Some(-1)])),
        array(Date32Array::from(vec![Some(1), None, Some(0)])),
    );
    check(
        "shout",
        array(StringArray::from(vec![Some("straße"), None, Some("")])),
        array(StringArray::from(vec![Some("STRASSE"), None, Some("")])),
    );
    check(
        "reversed",
        array(BinaryArray::from(vec![
            Some(&b"\x00\xff"[..]),
            None,
            Some(b""),
        ])),
        array(BinaryArray::from(vec![
            Some(&b"\xff\x00"[..]),
            None,
            Some(b""),
        ])),
    );
}

#[test]
fn timestamps_keep_their_unit_and_decimals_their_point() {
    check(
        "millis",
        array(TimestampMillisecondArray::from(vec![
            Some(1),
            None,
            Some(-1),
        ])),
        array(TimestampMillisecondArray::from(vec![
            Some(2),
            None,
            Some(0),
        ])),
    );
    check(
        "micros",
        array(TimestampMicrosecondArray::from(vec![Some(1), None])),
        array(TimestampMicrosecondArray::from(vec![Some(2), None])),
    );
    check(
        "nanos",
        array(TimestampNanosecondArray::from(vec![Some(1), None])),
        array(TimestampNanosecondArray::from(vec![Some(2), None])),
    );
    let decimals = |values: Vec<Option<i128>>| {
        let array = Decimal128Array::from(values).with_precision_and_scale(10, 2);
        array.expect("10 digits hold it")
    };
    check(
        "cents",
        array(decimals(vec![Some(1_250), None, Some(-1)])),
        array(decimals(vec![Some(1_251), None, Some(0)])),
    );
}

#[test]
fn a_function_may_take_nulls_and_make_nulls() {
    check(
        "or_zero",
        array(Int64Array::from(vec![Some(5), None, Some(7)])),
        array(Int64Array::from(vec![5, 0, 7])),
    );
    check(
        "half_of_even",
        array(Int64Array::from_iter_values(0..20)),
        array(Int64Array::from_iter(
            (0..20).map(|i| (i % 2 == 0).then_some(i / 2)),
        )),
    );
}

#[test]
fn a_null_in_a_plain_argument_is_a_null_even_beside_one_that_takes_nulls() {
    let house = kinds();
    let label = function(
        &house,
        "label",
        &[DataType::Utf8, DataType::Int64],
        &DataType::Utf8,
    );
    let prefixes = array(StringArray::from(vec![Some("a"), None, Some("c")]));
    let values = array(Int64Array::from(vec![Some(1), Some(2), None]));
    let labels = label.call(&[prefixes, values], 3).expect("no row fails");
    let expected = array(StringArray::from(vec![Some("a1"), None, Some("c-")]));
    assert_eq!(&labels, &expected);
}

#[test]
fn a_function_without_arguments_gives_a_row_per_row() {
    let house = kinds();
    let constant = function(&house, "constant", &[], &DataType::Int32);
    let column = constant.call(&[], 3).expect("no row fails");
    assert_eq!(&column, &array(Int32Array::from(vec![42; 3])));
}

#[test]
fn a_batch_of_no_rows_or_only_nulls_needs_no_call() {
    let house = kinds();
    let root = function(&house, "root", &[DataType::Float64], &DataType::Float64);
    assert_eq!(
        root.call(&[doubles([])], 0).expect("nothing to do").len(),
        0
    );
    let nulls = array(Float64Array::from(vec![None, None]));
    let column = root.call(&[nulls], 2).expect("nothing to do");
    assert_eq!(column.null_count(), 2);
}

#[test]
fn rows_the_function_refuses_are_named_by_their_place_in_the_batch() {
    let house = kinds();
    let root = function(&house, "root", &[DataType::Float64], &DataType::Float64);
    let values = array(Float64Array::from(vec![
        Some(4.0),
        None,
        Some(-1.0),
        Some(9.0),
        Some(-2.0),
    ]));
    let error = root.call(&[values], 5).expect_err("two rows are negative");
    let row = |row, why: &str| RowError {
        row,
        why: why.to_owned(),
    };
    assert_eq!(
        error,
        CallError::Rows(vec![row(2, "-1 has no root"), row(4, "-2 has no root")])
    );
    let rest = doubles([4.0, 9.0]);
    let column = root.call(&[rest], 2).expect("the rest is fine");
    assert_eq!(column.as_primitive::<Float64Type>().values(), &[2.0, 3.0]);
}

#[test]
fn a_panic_is_a_trap_that_names_its_rows_and_its_reason() {
    let house = kinds();
    let reciprocal = function(&house, "reciprocal", &[DataType::Int64], &DataType::Int64);
    let values = (0..8_192).map(|i| (i != 3).then_some(if i % 2_000 == 1_999 { 0 } else { i + 1 }));
    let values = array(Int64Array::from_iter(values));
    match reciprocal.call(&[values], 8_192) {
        Err(CallError::Trap { why, rows }) => {
            assert_eq!(rows, [1_999, 3_999, 5_999, 7_999]);
            assert!(why.contains("zero has no reciprocal"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let column = reciprocal
        .call(&[array(Int64Array::from(vec![4]))], 1)
        .expect("a fresh instance answers");
    assert_eq!(column.as_primitive::<Int64Type>().value(0), 250);
}

#[test]
fn an_instance_stays_warm_until_it_traps() {
    let house = kinds();
    let calls = function(&house, "calls", &[DataType::Int64], &DataType::Int64);
    let one = || array(Int64Array::from(vec![0]));
    let count = |function: &ScalarFunction| {
        let column = function.call(&[one()], 1).expect("it counts");
        column.as_primitive::<Int64Type>().value(0)
    };
    assert_eq!((count(&calls), count(&calls)), (1, 2));
    let others = function(&house, "calls", &[DataType::Int64], &DataType::Int64);
    assert_eq!(
        count(&others),
        1,
        "another job's function has memory of its own"
    );
}

#[test]
fn nan_has_the_same_bits_on_every_machine() {
    let house = kinds();
    let nan = function(&house, "nan", &[DataType::Int64], &DataType::Float64);
    let column = nan
        .call(&[array(Int64Array::from(vec![0]))], 1)
        .expect("it is a number");
    let bits = column.as_primitive::<Float64Type>().value(0).to_bits();
    assert_eq!(bits, 0x7ff8_0000_0000_0000);
}

#[test]
fn a_function_may_log_without_end() {
    let house = kinds();
    let said = function(&house, "said", &[DataType::Utf8], &DataType::Boolean);
    let lines = array(StringArray::from_iter_values(
        (0..5_000).map(|i| format!("\u{1b}[2J line {i}")),
    ));
    let column = said.call(&[lines], 5_000).expect("the rest is dropped");
    assert_eq!(column.as_boolean().true_count(), 5_000);
}

#[test]
fn a_wrong_declaration_names_both_signatures() {
    let house = kinds();
    let module = house.host.compile(&KINDS).expect("kinds is a function");
    let declared = Signature::new("half", vec![DataType::Int64], DataType::Float64);
    let error = module
        .scalar("half", &declared)
        .expect_err("half takes DOUBLE");
    assert_eq!(
        error.to_string(),
        "the declaration is half(BIGINT) RETURNS DOUBLE, but the module has half(DOUBLE) RETURNS DOUBLE"
    );
    let missing = Signature::new("third", vec![DataType::Float64], DataType::Float64);
    let error = module
        .scalar("third", &missing)
        .expect_err("there is no third");
    assert!(
        matches!(&error, Error::NoSuchFunction { name, offered }
        if name == "third" && offered.contains("half(DOUBLE) RETURNS DOUBLE")),
        "{error}"
    );
    let list = Signature::new("half", vec![DataType::UInt8], DataType::Float64);
    let error = module
        .scalar("half", &list)
        .expect_err("UInt8 is no SQL type");
    assert!(matches!(error, Error::Type(_)), "{error}");
}

#[test]
fn arguments_of_another_type_or_length_are_refused() {
    let house = kinds();
    let half = function(&house, "half", &[DataType::Float64], &DataType::Float64);
    let ints = array(Int64Array::from(vec![1]));
    let error = half.call(&[ints], 1).expect_err("half takes DOUBLE");
    assert_eq!(
        error.to_string(),
        "the function failed: half(DOUBLE) RETURNS DOUBLE was called with (Int64)"
    );
    let error = half
        .call(&[doubles([1.0])], 2)
        .expect_err("one row is missing");
    assert!(matches!(error, CallError::Batch(_)), "{error}");
}

#[test]
fn many_threads_may_call_one_function() {
    let house = kinds();
    let half = function(&house, "half", &[DataType::Float64], &DataType::Float64);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let half = half.clone();
            scope.spawn(move || {
                for round in 0..50 {
                    let value = f64::from(thread * 1_000 + round);
                    let column = half.call(&[doubles([value])], 1).expect("it halves");
                    assert_eq!(column.as_primitive::<Float64Type>().value(0), value / 2.0);
                }
            });
        }
    });
}
