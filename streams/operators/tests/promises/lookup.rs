//! Lookup joins: what matches, what is kept without a match, and that exactly what was found is
//! withdrawn again, whatever the outside table says by then.

use crate::harness::{Plan, Run, batch_of, expression, input_schema, table};
use arrow::{
    array::{
        Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray,
        TimestampMillisecondArray, UInt32Array,
    },
    compute::take_record_batch,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use dataflow::{Dataflow, Delta, JoinKind, LookupJoin, NodeKind, TableSpec};
use operators::{Fetched, Lookup, Lookups};
use std::sync::{Arc, Mutex};

/// An outside table of cities by code, and how often it was asked.
#[derive(Clone, Default)]
struct Cities(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    rows: Vec<(&'static str, i64)>,
    version: u64,
    asked: Vec<usize>,
}

impl Cities {
    fn with(rows: &[(&'static str, i64)]) -> Self {
        let cities = Self::default();
        cities.replace(rows);
        cities
    }

    fn replace(&self, rows: &[(&'static str, i64)]) {
        let mut contents = self.0.lock().expect("no test panicked");
        contents.rows = rows.to_vec();
        contents.version += 1;
    }

    fn asked(&self) -> Vec<usize> {
        self.0.lock().expect("no test panicked").asked.clone()
    }
}

fn city_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("size", DataType::Int64, true),
        Field::new("code", DataType::Utf8, true),
    ]))
}

impl Lookups for Cities {
    fn open(
        &self,
        _: &TableSpec,
        keys: &[usize],
    ) -> Result<Box<dyn Lookup>, Box<dyn std::error::Error + Send + Sync>> {
        assert_eq!(keys, [1], "the key is the code");
        Ok(Box::new(self.clone()))
    }
}

impl Lookup for Cities {
    fn version(&mut self) -> u64 {
        self.0.lock().expect("no test panicked").version
    }

    fn fetch(
        &mut self,
        keys: &[ArrayRef],
    ) -> Result<Fetched, Box<dyn std::error::Error + Send + Sync>> {
        let mut contents = self.0.lock().expect("no test panicked");
        let codes = keys[0]
            .as_any()
            .downcast_ref::<StringArray>()
            .expect("codes are text")
            .clone();
        assert_eq!(codes.null_count(), 0, "nobody asks for null");
        contents.asked.push(codes.len());
        let mut found: Vec<(i64, &str, u32)> = Vec::new();
        for (code, size) in &contents.rows {
            let key = codes.iter().position(|key| key == Some(*code));
            found.extend(key.map(|key| (*size, *code, key as u32)));
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(
                found
                    .iter()
                    .map(|(size, ..)| Some(*size))
                    .collect::<Int64Array>(),
            ),
            Arc::new(
                found
                    .iter()
                    .map(|(_, code, _)| Some(*code))
                    .collect::<StringArray>(),
            ),
        ];
        Ok(Fetched {
            rows: batch_of(&city_schema(), columns),
            keys: found.iter().map(|(.., key)| *key).collect(),
        })
    }
}

fn join(append_only: bool, kind: JoinKind, residual: Option<&str>) -> Dataflow {
    let plan = Plan::source(append_only);
    let input = plan.schema();
    let mut fields: Vec<Field> = input
        .fields()
        .iter()
        .map(|field| field.as_ref().clone())
        .collect();
    fields.extend(
        city_schema()
            .fields()
            .iter()
            .map(|field| field.as_ref().clone()),
    );
    let schema = Arc::new(Schema::new(fields));
    let join = LookupJoin {
        table: table("cities", &city_schema()),
        left_keys: vec![expression("upper(k)", &input).0],
        right_keys: vec![1],
        kind,
        residual: residual.map(|sql| expression(sql, &schema).0),
    };
    plan.add(NodeKind::LookupJoin(join), schema)
        .project(&[("k", "k"), ("v", "v"), ("size", "size")])
        .sink()
}

fn rows(rows: &[(Option<&str>, i64)]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|(k, _)| *k).collect::<StringArray>()),
        Arc::new(rows.iter().map(|(_, v)| Some(*v)).collect::<Int64Array>()),
        Arc::new(Float64Array::new_null(rows.len())),
        arrow::array::new_null_array(&DataType::Decimal128(10, 2), rows.len()),
        Arc::new(TimestampMillisecondArray::new_null(rows.len())),
    ];
    batch_of(&input_schema(), columns)
}

#[track_caller]
fn check(kind: JoinKind, residual: Option<&str>, expected: &[&str]) {
    let cities = Cities::with(&[("A", 10), ("B", 20), ("B", 21)]);
    let input = rows(&[
        (Some("a"), 1),
        (Some("b"), 2),
        (Some("x"), 3),
        (None, 4),
        (Some("a"), 5),
        (Some("a"), 5),
    ]);
    for append_only in [true, false] {
        let dataflow = join(append_only, kind, residual);
        let mut run = Run::with_lookups(&dataflow, &cities);
        run.epoch(Delta::inserts(input.slice(0, 2)));
        run.epoch(Delta::inserts(input.slice(2, 4)));
        assert_eq!(run.integral(), expected, "append only: {append_only}");
    }
}

#[test]
fn an_inner_join_has_a_row_per_match() {
    check(
        JoinKind::Inner,
        None,
        &["a|1|10", "a|5|10", "a|5|10", "b|2|20", "b|2|21"],
    );
}

#[test]
fn a_left_join_keeps_rows_without_a_match_once() {
    let expected = [
        "NULL|4|NULL",
        "a|1|10",
        "a|5|10",
        "a|5|10",
        "b|2|20",
        "b|2|21",
        "x|3|NULL",
    ];
    check(JoinKind::Left, None, &expected);
}

#[test]
fn a_pair_that_fails_the_residual_is_no_match() {
    check(
        JoinKind::Inner,
        Some("size <> 21 and v < 5"),
        &["a|1|10", "b|2|20"],
    );
    let expected = [
        "NULL|4|NULL",
        "a|1|10",
        "a|5|NULL",
        "a|5|NULL",
        "b|2|20",
        "x|3|NULL",
    ];
    check(JoinKind::Left, Some("size <> 21 and v < 5"), &expected);
}

#[test]
fn each_key_is_asked_for_once_until_the_table_changes() {
    let cities = Cities::with(&[("A", 10)]);
    let dataflow = join(true, JoinKind::Left, None);
    let mut run = Run::with_lookups(&dataflow, &cities);
    let input = rows(&[(Some("a"), 1), (Some("x"), 1), (Some("a"), 1), (None, 1)]);
    run.epoch(Delta::inserts(input.clone()));
    run.epoch(Delta::inserts(input.clone()));
    assert_eq!(cities.asked(), [2]);
    cities.replace(&[("X", 7)]);
    run.epoch(Delta::inserts(input.slice(1, 1)));
    assert_eq!(cities.asked(), [2, 1]);
    assert!(run.integral().contains(&"x|1|7".to_owned()));
}

#[test]
fn many_keys_over_many_epochs_keep_their_own_rows() {
    let codes: Vec<String> = (0..200).map(|code| format!("c{code}")).collect();
    let leaked: Vec<(&'static str, i64)> = codes
        .iter()
        .enumerate()
        .map(|(size, code)| (&*code.to_uppercase().leak(), size as i64))
        .collect();
    let cities = Cities::with(&leaked);
    let dataflow = join(true, JoinKind::Inner, None);
    let mut run = Run::with_lookups(&dataflow, &cities);
    let all: Vec<(Option<&str>, i64)> = codes
        .iter()
        .enumerate()
        .map(|(v, code)| (Some(&**code), v as i64))
        .collect();
    let all = rows(&all);
    for epoch in 0..40u32 {
        let picks = UInt32Array::from(
            (0..10)
                .map(|row| (epoch * 5 + row) % 200)
                .collect::<Vec<_>>(),
        );
        run.epoch(Delta::inserts(
            take_record_batch(&all, &picks).expect("rows of the batch"),
        ));
    }
    let found = run.integral();
    assert_eq!(found.len(), 400);
    for row in found {
        let parts: Vec<&str> = row.split('|').collect();
        assert_eq!(parts[1], parts[2], "{row}");
    }
}

#[test]
fn a_withdrawal_takes_back_what_was_found_at_the_time() {
    for kind in [JoinKind::Inner, JoinKind::Left] {
        let cities = Cities::with(&[("A", 10), ("A", 11)]);
        let dataflow = join(false, kind, None);
        let mut run = Run::with_lookups(&dataflow, &cities);
        let input = rows(&[(Some("a"), 1), (Some("x"), 2)]);
        run.epoch(Delta::inserts(input.clone()));
        cities.replace(&[("A", 99), ("X", 98)]);
        run.restart();
        run.epoch(Delta::inserts(input.clone()));
        run.restart();
        run.epoch(Delta::weighted(input.clone(), vec![-2, -2].into()).expect("a weight per row"));
        assert_eq!(run.integral(), [] as [&str; 0], "{kind:?}");
        assert_eq!(run.state.stats().cached_bytes, 0);
        run.epoch(Delta::inserts(input));
        assert_eq!(
            run.integral(),
            ["a|1|99", "x|2|98"],
            "{kind:?}: a row that comes back is looked up again"
        );
    }
}
