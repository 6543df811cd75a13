//! The change of a keyed result: old rows withdrawn, new ones inserted, equal ones silent.

use crate::Error;
use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array},
    compute::{concat, take},
    datatypes::SchemaRef,
};
use dataflow::Delta;
use state::RowCodec;

/// Results of some groups.
pub(crate) struct Results {
    /// The group of each result; every group at most once, ascending.
    pub(crate) groups: Vec<u32>,
    pub(crate) columns: Vec<ArrayRef>,
}

/// Compares results and says what changed.
pub(crate) struct Emission {
    schema: SchemaRef,
    codec: RowCodec,
}

impl Emission {
    /// For rows of `keys` key columns followed by result columns.
    pub(crate) fn new(schema: &SchemaRef, keys: usize) -> Result<Self, Error> {
        let results = schema
            .fields()
            .iter()
            .skip(keys)
            .map(|field| field.data_type());
        Ok(Self {
            schema: schema.clone(),
            codec: RowCodec::new(results)?,
        })
    }

    /// What has to be said about groups with these keys. Per group the old row comes first.
    pub(crate) fn changes(
        &self,
        keys: &[ArrayRef],
        old: &Results,
        new: &Results,
    ) -> Result<Delta, Error> {
        if old.groups.is_empty() {
            return self.inserts(keys, new);
        }
        let old_rows = self.codec.encode(&old.columns, old.groups.len())?;
        let new_rows = self.codec.encode(&new.columns, new.groups.len())?;
        let mut groups: Vec<u32> = Vec::new();
        let mut positions: Vec<u32> = Vec::new();
        let mut weights: Vec<i64> = Vec::new();
        let mut say = |group: u32, position: usize, weight: i64| {
            groups.push(group);
            positions.push(u32::try_from(position).expect("a batch has fewer than 2^32 rows"));
            weights.push(weight);
        };
        let (mut at_old, mut at_new) = (0, 0);
        let first_new = old.groups.len();
        loop {
            let (was, is) = (
                old.groups.get(at_old).copied(),
                new.groups.get(at_new).copied(),
            );
            match (was, is) {
                (None, None) => break,
                (Some(was), Some(is)) if was == is => {
                    if old_rows.row(at_old) != new_rows.row(at_new) {
                        say(was, at_old, -1);
                        say(is, first_new + at_new, 1);
                    }
                    at_old += 1;
                    at_new += 1;
                }
                (Some(was), is) if is.is_none_or(|is| was < is) => {
                    say(was, at_old, -1);
                    at_old += 1;
                }
                (_, is) => {
                    say(
                        is.expect("one side has a group left"),
                        first_new + at_new,
                        1,
                    );
                    at_new += 1;
                }
            }
        }
        let mut columns = take_all(keys, &UInt32Array::from(groups))?;
        let positions = UInt32Array::from(positions);
        for (old, new) in old.columns.iter().zip(&new.columns) {
            columns.push(take(&concat(&[old, new])?, &positions, None)?);
        }
        let batch = self.batch(columns, weights.len())?;
        if weights.iter().all(|weight| *weight == 1) {
            return Ok(Delta::inserts(batch));
        }
        Ok(Delta::weighted(batch, Int64Array::from(weights))?)
    }

    /// New rows alone.
    pub(crate) fn inserts(&self, keys: &[ArrayRef], new: &Results) -> Result<Delta, Error> {
        let mut columns = take_all(keys, &UInt32Array::from(new.groups.clone()))?;
        columns.extend(new.columns.iter().cloned());
        Ok(Delta::inserts(self.batch(columns, new.groups.len())?))
    }

    pub(crate) fn nothing(&self) -> Delta {
        Delta::empty(self.schema.clone())
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, Error> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            columns,
            &options,
        )?)
    }
}

fn take_all(columns: &[ArrayRef], positions: &UInt32Array) -> Result<Vec<ArrayRef>, Error> {
    let taken = columns.iter().map(|column| take(column, positions, None));
    Ok(taken.collect::<Result<_, _>>()?)
}
