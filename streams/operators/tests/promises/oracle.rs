//! The integral of a job's output equals the batch engine's answer over the same input, however
//! the input is cut into epochs, and wherever the job is stopped and started again.

use crate::harness::{Plan, Run, batch, batch_of, input_schema};
use arrow::{
    array::{
        ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
        TimestampMillisecondArray,
    },
    compute::concat_batches,
};
use dataflow::{Dataflow, Delta};
use proptest::prelude::*;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
struct Row {
    k: Option<&'static str>,
    v: Option<i64>,
    /// In quarters, so that sums of floats are exact in any order.
    quarters: Option<i32>,
    d: Option<i32>,
    ts: i64,
}

fn row() -> impl Strategy<Value = Row> {
    let k = prop_oneof![4 => prop::sample::select(vec!["a", "b", "c", ""]).prop_map(Some), 1 => Just(None)];
    let v = prop::option::weighted(0.9, -3i64..4);
    (
        k,
        v,
        prop::option::weighted(0.9, -20i32..20),
        prop::option::weighted(0.9, -999i32..999),
        0i64..5000,
    )
        .prop_map(|(k, v, quarters, d, ts)| Row {
            k,
            v,
            quarters,
            d,
            ts,
        })
}

/// Changes that leave no row with a negative count: `true` inserts, `false` withdraws.
fn changes() -> impl Strategy<Value = Vec<(Row, bool)>> {
    prop::collection::vec(
        (
            row(),
            any::<prop::sample::Index>(),
            prop::bool::weighted(0.6),
        ),
        0..50,
    )
    .prop_map(|steps| {
        let mut there: Vec<Row> = Vec::new();
        let mut changes = Vec::new();
        for (row, pick, insert) in steps {
            if insert || there.is_empty() {
                there.push(row.clone());
                changes.push((row, true));
            } else {
                changes.push((there.swap_remove(pick.index(there.len())), false));
            }
        }
        changes
    })
}

fn to_batch<'a>(rows: impl IntoIterator<Item = &'a Row>) -> RecordBatch {
    let rows: Vec<&Row> = rows.into_iter().collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.k).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.v).collect::<Int64Array>()),
        Arc::new(
            rows.iter()
                .map(|row| row.quarters.map(|quarters| f64::from(quarters) / 4.0))
                .collect::<Float64Array>(),
        ),
        Arc::new(
            rows.iter()
                .map(|row| row.d.map(i128::from))
                .collect::<Decimal128Array>()
                .with_precision_and_scale(10, 2)
                .expect("a valid decimal"),
        ),
        Arc::new(
            rows.iter()
                .map(|row| Some(row.ts))
                .collect::<TimestampMillisecondArray>(),
        ),
    ];
    batch_of(&input_schema(), columns)
}

fn to_delta(changes: &[(Row, bool)]) -> Delta {
    let rows = to_batch(changes.iter().map(|(row, _)| row));
    if changes.iter().all(|(_, insert)| *insert) {
        return Delta::inserts(rows);
    }
    let weights: Vec<i64> = changes
        .iter()
        .map(|(_, insert)| if *insert { 1 } else { -1 })
        .collect();
    Delta::weighted(rows, weights.into()).expect("a weight per row")
}

/// The table after these changes.
fn integrate(changes: &[(Row, bool)]) -> RecordBatch {
    let mut there: Vec<&Row> = Vec::new();
    for (row, insert) in changes {
        if *insert {
            there.push(row);
        } else {
            let at = there
                .iter()
                .position(|there| *there == row)
                .expect("only rows that are there are withdrawn");
            there.swap_remove(at);
        }
    }
    to_batch(there)
}

/// What happens after an epoch.
#[derive(Clone, Copy, Debug)]
enum Then {
    GoOn,
    /// The process stops after the commit.
    Restart,
    /// It stops before the commit; the epoch is done again.
    Lose,
}

fn slicing() -> impl Strategy<Value = Vec<(usize, Then)>> {
    let then = prop_oneof![4 => Just(Then::GoOn), 1 => Just(Then::Restart), 1 => Just(Then::Lose)];
    prop_oneof![
        1 => Just(vec![(1, Then::GoOn); 50]),
        1 => Just(vec![(60, Then::GoOn)]),
        4 => prop::collection::vec((0usize..30, then), 1..6),
    ]
}

/// Runs the changes in slices and compares after every epoch.
fn check(dataflow: &Dataflow, sql: &str, changes: &[(Row, bool)], slices: &[(usize, Then)]) {
    let mut run = Run::new(dataflow);
    let mut from = 0;
    for (rows, then) in slices.iter().copied().chain([(changes.len(), Then::GoOn)]) {
        let until = (from + rows).min(changes.len());
        let input = to_delta(&changes[from..until]);
        if let Then::Lose = then {
            run.step(input.clone()).expect("the epoch steps");
            run.restart();
        }
        run.epoch(input);
        from = until;
        if let Then::Restart = then {
            run.restart();
        }
        if rows > 1 {
            assert_eq!(
                run.integral(),
                batch(sql, integrate(&changes[..from])),
                "after {from} rows"
            );
        }
    }
}

fn inserts(changes: &[(Row, bool)]) -> Vec<(Row, bool)> {
    changes
        .iter()
        .filter(|(_, insert)| *insert)
        .cloned()
        .collect()
}

const CALLS: [&str; 12] = [
    "count(1)",
    "count(v)",
    "sum(v)",
    "sum(f)",
    "sum(d)",
    "avg(f)",
    "avg(d)",
    "min(v)",
    "max(k)",
    "count(distinct v)",
    "median(v)",
    "sum(v) filter (where f > 0)",
];

fn aggregate_sql(keys: &str) -> String {
    format!(
        "select {keys}{} from input group by {keys} true having count(*) > 0",
        CALLS.join(", ")
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn projection_and_filter_equal_the_batch(changes in changes(), slices in slicing()) {
        let dataflow = Plan::source(false)
            .filter("f > 0 or k = 'a'")
            .project(&[("v * 2 + 1", "x"), ("upper(k)", "y"), ("d", "z")])
            .filter("x > 0")
            .sink();
        let sql = "select v * 2 + 1, upper(k), d from input where (f > 0 or k = 'a') and v * 2 + 1 > 0";
        check(&dataflow, sql, &changes, &slices);
    }

    #[test]
    fn groups_of_inserts_equal_the_batch(changes in changes(), slices in slicing()) {
        let dataflow = Plan::source(true).aggregate(&["k"], &CALLS, false).sink();
        check(&dataflow, &aggregate_sql("k, "), &inserts(&changes), &slices);
    }

    #[test]
    fn groups_under_withdrawals_equal_the_batch(changes in changes(), slices in slicing()) {
        let dataflow = Plan::source(false).aggregate(&["k"], &CALLS, false).sink();
        check(&dataflow, &aggregate_sql("k, "), &changes, &slices);
    }

    #[test]
    fn groups_by_several_keys_equal_the_batch(changes in changes(), slices in slicing()) {
        let dataflow = Plan::source(false).aggregate(&["v", "k"], &["max(ts)", "count(1)"], false).sink();
        check(&dataflow, "select v, k, max(ts), count(1) from input group by v, k", &changes, &slices);
    }

    #[test]
    fn one_group_without_keys_equals_the_batch(changes in changes(), slices in slicing()) {
        let calls = ["count(1)", "sum(v)", "min(f)"];
        let sql = "select count(1), sum(v), min(f) from input having count(*) > 0";
        check(&Plan::source(false).aggregate(&[], &calls, false).sink(), sql, &changes, &slices);
        check(&Plan::source(true).aggregate(&[], &calls, false).sink(), sql, &inserts(&changes), &slices);
    }

    #[test]
    fn distinct_rows_equal_the_batch(changes in changes(), slices in slicing()) {
        let sql = "select distinct k, v from input";
        check(&Plan::source(false).aggregate(&["k", "v"], &[], false).sink(), sql, &changes, &slices);
        check(&Plan::source(true).aggregate(&["k", "v"], &[], false).sink(), sql, &inserts(&changes), &slices);
    }

    #[test]
    fn an_aggregate_of_an_aggregate_equals_the_batch(changes in changes(), slices in slicing()) {
        let mut plan = Plan::source(true).aggregate(&["k", "v"], &["max(f)", "count(1)"], false).updating();
        plan = plan.project(&[("k", "k"), ("\"max(f)\"", "worst"), ("\"count(1)\"", "n")]);
        let dataflow = plan.aggregate(&["k"], &["avg(worst)", "max(n)", "count(1)"], false).sink();
        let sql = "select k, avg(worst), max(n), count(1) from \
                   (select k, v, max(f) as worst, count(1) as n from input group by k, v) group by k";
        check(&dataflow, sql, &inserts(&changes), &slices);
    }
}

const WINDOW_END: &str =
    "arrow_cast((cast(ts as bigint) / 1000 + 1) * 1000, 'Timestamp(Millisecond, None)')";

/// Rows whose times never fall behind the watermark `ts - 400 ms`.
fn in_time(changes: &[(Row, bool)]) -> Vec<(Row, bool)> {
    let rows = inserts(changes).into_iter().enumerate();
    rows.map(|(position, (row, _))| {
        (
            Row {
                ts: position as i64 * 100 + row.ts % 400,
                ..row
            },
            true,
        )
    })
    .collect()
}

fn windows(append_only: bool, keys: &[&str], on_close: bool) -> Dataflow {
    let plan = Plan::source(append_only)
        .watermark("ts - interval '400 milliseconds'")
        .tumble(1000);
    plan.aggregate(keys, &["count(1)", "sum(v)", "max(f)", "avg(d)"], on_close)
        .sink()
}

fn window_sql(keys: &str, watermark: Option<i64>) -> String {
    let closed = watermark.map_or("true".to_owned(), |at| {
        format!("{WINDOW_END} <= arrow_cast({at} + 1, 'Timestamp(Millisecond, None)')")
    });
    format!(
        "select {keys}, count(1), sum(v), max(f), avg(d) from (select *, {WINDOW_END} as window_end from input) \
         where {closed} group by {keys}"
    )
    .replace(&format!("where {WINDOW_END}"), "where window_end")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn closed_windows_equal_the_batch_and_leave_once(changes in changes(), slices in slicing()) {
        let rows = in_time(&changes);
        // Once with the window's end behind the other key, once alone; both state layouts.
        for (append_only, keys) in [(true, &["k", "window_end"][..]), (false, &["window_end"]), (false, &["k", "window_end"])] {
            let dataflow = windows(append_only, keys, true);
            let mut run = Run::new(&dataflow);
            let mut from = 0;
            for (count, then) in slices.iter().copied().chain([(rows.len(), Then::GoOn)]) {
                let until = (from + count).min(rows.len());
                run.epoch(to_delta(&rows[from..until]));
                from = until;
                if !matches!(then, Then::GoOn) {
                    run.restart();
                }
                let watermark = rows[..from].iter().map(|(row, _)| row.ts - 400).max().unwrap_or(i64::MIN / 2);
                let expected = batch(&window_sql(&keys.join(", "), Some(watermark)), integrate(&rows[..from]));
                prop_assert_eq!(run.integral(), expected, "after {} rows", from);
            }
            run.drain();
            prop_assert_eq!(run.integral(), batch(&window_sql(&keys.join(", "), None), integrate(&rows)));
            prop_assert!(run.late.is_empty(), "{:?}", run.late);
            prop_assert!(run.outputs.iter().all(|delta| delta.weights().is_none()), "closed windows are inserts");
            prop_assert_eq!(run.state.stats().cached_bytes, 0, "closed windows leave no state");
        }
    }

    #[test]
    fn changing_windows_equal_the_batch_and_are_dropped_when_they_close(changes in changes(), slices in slicing()) {
        let rows = in_time(&changes);
        for append_only in [true, false] {
            let dataflow = windows(append_only, &["k", "window_end"], false);
            check(&dataflow, &window_sql("k, window_end", None), &rows, &slices);
            let mut run = Run::new(&dataflow);
            run.epoch(to_delta(&rows));
            run.drain();
            prop_assert_eq!(run.integral(), batch(&window_sql("k, window_end", None), integrate(&rows)));
            prop_assert_eq!(run.state.stats().cached_bytes, 0, "closed windows leave no state");
        }
    }
}

fn at(ts: i64) -> (Row, bool) {
    (
        Row {
            k: Some("a"),
            v: Some(1),
            quarters: Some(1),
            d: Some(1),
            ts,
        },
        true,
    )
}

#[test]
fn a_row_behind_a_closed_window_is_late_and_changes_nothing() {
    for append_only in [true, false] {
        let dataflow = windows(append_only, &["window_end"], true);
        let mut run = Run::new(&dataflow);
        run.epoch(to_delta(&[at(0), at(1399)]));
        assert_eq!(
            run.integral().len(),
            1,
            "the watermark 999 closes the window up to 1000"
        );
        run.epoch(to_delta(&[at(999), at(1000)]));
        run.restart();
        run.epoch(to_delta(&[at(500)]));
        run.drain();
        let counts: Vec<String> = run
            .integral()
            .iter()
            .map(|row| row.split('|').take(2).collect::<Vec<_>>().join("|"))
            .collect();
        assert_eq!(counts, ["1970-01-01T00:00:01|1", "1970-01-01T00:00:02|2"]);
        let late = [999, 500].map(|event| (Some(event), Some(999)));
        assert_eq!(run.late, late);
    }
}

#[test]
fn a_row_without_event_time_is_late() {
    let mut rows = to_batch([&at(5).0, &at(6).0]);
    let mut columns = rows.columns().to_vec();
    columns[4] = Arc::new(TimestampMillisecondArray::from(vec![None, Some(6)]));
    rows = batch_of(&input_schema(), columns);
    let dataflow = windows(true, &["window_end"], true);
    let mut run = Run::new(&dataflow);
    run.epoch(Delta::inserts(rows));
    run.drain();
    assert_eq!(run.late, [(None, None)]);
    assert!(
        run.integral()[0].starts_with("1970-01-01T00:00:01|1|"),
        "{:?}",
        run.integral()
    );
}

#[test]
fn an_update_that_changes_nothing_is_not_emitted() {
    for append_only in [true, false] {
        let dataflow = Plan::source(append_only)
            .aggregate(&["k"], &["max(v)"], false)
            .sink();
        let mut run = Run::new(&dataflow);
        run.epoch(to_delta(&[at(0)]));
        run.epoch(to_delta(&[at(0)]));
        assert_eq!(run.outputs.len(), 1);
    }
}

#[test]
fn a_withdrawal_on_an_edge_of_inserts_is_an_error() {
    let dataflow = Plan::source(true)
        .aggregate(&["k"], &["max(v)"], false)
        .sink();
    let mut run = Run::new(&dataflow);
    let error = run
        .step(to_delta(&[(at(0).0, false)]))
        .expect_err("a withdrawal");
    assert!(
        matches!(error, operators::Error::Withdrawal { .. }),
        "{error}"
    );
}

#[test]
fn rows_that_occur_several_times_count_as_often() {
    let rows = to_batch([&at(0).0, &at(1).0]);
    let weighted = Delta::weighted(rows.clone(), vec![3, 1].into()).expect("a weight per row");
    let dataflow = Plan::source(true)
        .aggregate(&["k"], &["sum(v)", "count(1) filter (where f > 0)"], false)
        .sink();
    let mut run = Run::new(&dataflow);
    run.epoch(weighted);
    let twice = rows.slice(0, 1);
    let all = concat_batches(&input_schema(), [&rows, &twice, &twice]).expect("one schema");
    let sql = "select k, sum(v), count(1) filter (where f > 0) from input group by k";
    assert_eq!(run.integral(), batch(sql, all));
}

#[test]
fn the_rows_a_function_fails_for_are_named_as_rows_of_the_source() {
    let rows: Vec<(Row, bool)> = [1, 0, 7, 2, 0, 3]
        .into_iter()
        .map(|v| {
            (
                Row {
                    v: Some(v),
                    ..at(v).0
                },
                true,
            )
        })
        .collect();
    for dataflow in [
        Plan::source(true)
            .filter("v < 5")
            .project(&[("10 / v", "x")])
            .sink(),
        Plan::source(true)
            .filter("v < 5")
            .aggregate(&["k"], &["sum(10 / v)"], false)
            .sink(),
        Plan::source(false)
            .filter("v < 5")
            .aggregate(&["k"], &["sum(10 / v)"], false)
            .sink(),
        Plan::source(true).filter("10 / v > 0").sink(),
    ] {
        let mut run = Run::new(&dataflow);
        let error = run.step(to_delta(&rows)).expect_err("a division by zero");
        let operators::Error::Rows { sources, .. } = error else {
            panic!("{error}")
        };
        let named: Vec<u32> = sources[&dataflow::NodeId(0)]
            .iter()
            .map(|error| error.row)
            .collect();
        assert_eq!(named, [1, 4]);
        assert!(
            sources[&dataflow::NodeId(0)][0]
                .why
                .contains("Divide by zero"),
            "{sources:?}"
        );

        run.state.roll_back().expect("the store answers");
        let good: Vec<(Row, bool)> = rows
            .iter()
            .filter(|(row, _)| row.v != Some(0))
            .cloned()
            .collect();
        run.epoch(to_delta(&good));
        assert!(!run.integral().is_empty());
    }
}
