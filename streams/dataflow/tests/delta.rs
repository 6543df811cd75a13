//! What holds for every delta, whatever rows and weights it has.

use arrow::{
    array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, UInt32Array},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use dataflow::{Delta, Error};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

type Row = (Option<i64>, Option<String>);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("s", DataType::Utf8, true),
    ]))
}

fn delta(rows: &[(Row, i64)]) -> Delta {
    let numbers: Int64Array = rows.iter().map(|((number, _), _)| *number).collect();
    let texts: StringArray = rows.iter().map(|((_, text), _)| text.clone()).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::new(texts)];
    let batch = RecordBatch::try_new(schema(), columns).expect("columns fit the schema");
    let weights: Vec<i64> = rows.iter().map(|(_, weight)| *weight).collect();
    Delta::weighted(batch, weights.into()).expect("one weight per row")
}

/// The change as a table from row to weight, zeros left out.
fn meaning(delta: &Delta) -> BTreeMap<Row, i64> {
    let mut sums = BTreeMap::new();
    let numbers = delta
        .batch()
        .column(0)
        .as_any()
        .downcast_ref::<Int64Array>()
        .expect("the first column is n");
    let texts = delta
        .batch()
        .column(1)
        .as_any()
        .downcast_ref::<StringArray>()
        .expect("the second column is s");
    for row in 0..delta.rows() {
        let number = numbers.is_valid(row).then(|| numbers.value(row));
        let text = texts.is_valid(row).then(|| texts.value(row).to_owned());
        *sums.entry((number, text)).or_insert(0) += delta.weight(row);
    }
    sums.retain(|_, weight| *weight != 0);
    sums
}

fn any_rows() -> impl Strategy<Value = Vec<(Row, i64)>> {
    let row = (
        proptest::option::of(0..3_i64),
        proptest::option::of("[ab]{0,2}"),
    );
    proptest::collection::vec((row, -3..4_i64), 0..40)
}

proptest! {
    #[test]
    fn consolidating_keeps_the_meaning_and_leaves_each_row_once(rows in any_rows()) {
        let before = delta(&rows);
        let after = before.consolidate().expect("small weights add up");
        prop_assert_eq!(meaning(&before), meaning(&after));
        prop_assert_eq!(after.rows(), meaning(&after).len());
    }

    #[test]
    fn a_delta_and_its_negation_are_nothing_together(rows in any_rows()) {
        let change = delta(&rows);
        let undone = change.negate().expect("small weights can be turned");
        let both = Delta::concat(&schema(), &[change, undone]).expect("same schema");
        prop_assert!(both.consolidate().expect("small weights add up").is_empty());
    }

    #[test]
    fn filter_and_take_choose_the_same_rows(rows in any_rows(), seed in any::<u64>()) {
        let change = delta(&rows);
        let mask: Vec<bool> = (0..rows.len()).map(|row| seed.rotate_left(row as u32) & 1 == 1).collect();
        let positions: Vec<u32> = (0..rows.len() as u32).filter(|row| mask[*row as usize]).collect();
        let filtered = change.filter(&BooleanArray::from(mask)).expect("one bit per row");
        let taken = change.take(&UInt32Array::from(positions)).expect("positions are in range");
        prop_assert_eq!(filtered, taken);
    }
}

#[test]
fn rows_without_weights_are_inserted_once_each() {
    let (batch, _) = delta(&[((Some(1), None), 5), ((Some(2), None), 5)]).into_parts();
    let inserted = Delta::inserts(batch);
    assert_eq!(inserted.weights(), None);
    assert_eq!((inserted.weight(0), inserted.weight(1)), (1, 1));
}

#[test]
fn consolidating_equal_inserts_adds_them_up() {
    let (batch, _) = delta(&[((Some(1), None), 1), ((Some(1), None), 1)]).into_parts();
    let once = Delta::inserts(batch).consolidate().expect("two fits");
    assert_eq!((once.rows(), once.weight(0)), (1, 2));
}

#[test]
fn joining_weighted_and_unweighted_rows_keeps_both() {
    let weighted = delta(&[((Some(1), None), -1)]);
    let (batch, _) = delta(&[((Some(1), None), 9)]).into_parts();
    let both = Delta::concat(&schema(), &[weighted, Delta::inserts(batch)]).expect("same schema");
    assert_eq!((both.weight(0), both.weight(1)), (-1, 1));
}

#[test]
fn weights_must_match_the_rows() {
    let (batch, _) = delta(&[((Some(1), None), 1)]).into_parts();
    let error = Delta::weighted(batch, vec![1, 2].into()).expect_err("two weights for one row");
    assert!(
        matches!(
            error,
            Error::Weights {
                rows: 1,
                weights: 2
            }
        ),
        "{error}"
    );
}

#[test]
fn a_weight_past_64_bits_is_an_error_not_a_wrap() {
    let huge = delta(&[((Some(1), None), i64::MAX), ((Some(1), None), 1)]);
    assert!(matches!(huge.consolidate(), Err(Error::WeightOverflow)));
    let lowest = delta(&[((Some(1), None), i64::MIN)]);
    assert!(matches!(lowest.negate(), Err(Error::WeightOverflow)));
}
