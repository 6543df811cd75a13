//! However many rows a call has, the function sees them in batches that its limits are made for.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use plugin_host::CallError;

use crate::columns::{function, kinds};
use crate::guests::{ECHO, bigint_function, bigints, evaluating, tight};
use crate::house::{House, doubles};

const ROWS: usize = 65_537;

#[test]
fn rows_that_do_not_fit_into_a_functions_memory_at_once_all_have_a_result() {
    let house = House::new(tight());
    // Its memory is 128 KiB, and these arguments are 512 KiB.
    let echo = bigint_function(&house, &evaluating(ECHO));
    let column = echo.call(&[bigints(0..ROWS as i64)], ROWS);
    let column = column.expect("each batch fits");
    assert!(
        column
            .as_primitive::<Int64Type>()
            .values()
            .iter()
            .copied()
            .eq(0..ROWS as i64)
    );
}

#[test]
fn the_limit_of_a_result_is_that_of_a_batch() {
    let house = House::new(tight());
    let shout = function(&house, "shout", &[DataType::Utf8], &DataType::Utf8);
    let hundred = "a".repeat(100);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![hundred.as_str(); ROWS]));
    let column = shout
        .call(&[texts], ROWS)
        .expect("each batch is below 1 MiB");
    let loud = "A".repeat(100);
    assert_eq!(column.len(), ROWS);
    assert!(
        column
            .as_string::<i32>()
            .iter()
            .all(|text| text == Some(&loud))
    );
}

#[test]
fn refused_rows_are_named_as_rows_of_the_whole_call() {
    let house = kinds();
    let root = function(&house, "root", &[DataType::Float64], &DataType::Float64);
    let bad = [3, 8_191, 8_192, 20_000, ROWS - 1];
    let value = |row| if bad.contains(&row) { -1.0 } else { 4.0 };
    let error = root.call(&[doubles((0..ROWS).map(value))], ROWS);
    let CallError::Rows(rows) = error.expect_err("negative numbers have no root") else {
        panic!("rows are refused");
    };
    assert_eq!(rows.iter().map(|error| error.row).collect::<Vec<_>>(), bad);
    let column = root.call(&[doubles((0..ROWS).map(|_| 4.0))], ROWS);
    let column = column.expect("the others have one");
    assert!(
        column
            .as_primitive::<Float64Type>()
            .values()
            .iter()
            .all(|root| *root == 2.0)
    );
}

#[test]
fn rows_that_trap_are_named_as_rows_of_the_whole_call() {
    let house = kinds();
    let reciprocal = function(&house, "reciprocal", &[DataType::Int64], &DataType::Int64);
    let value = |row| if row == 9_000 { 0 } else { 1 };
    let error = reciprocal.call(&[bigints((0..10_000).map(value))], 10_000);
    let CallError::Trap { rows, .. } = error.expect_err("zero has no reciprocal") else {
        panic!("it traps");
    };
    assert_eq!(rows, [9_000]);
}
