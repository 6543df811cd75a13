//! The batch on every edge: rows with integer weights, a piece of a changing table.
//!
//! A weight of +n means that the row now occurs n times more, −n that it occurs n times
//! less. Absent weights mean +1 for every row, the common case, which costs nothing.

use crate::Error;
use arrow::{
    array::{Array, BooleanArray, Int64Array, RecordBatch, UInt32Array},
    compute::{concat, concat_batches, filter, filter_record_batch, take, take_record_batch},
    datatypes::SchemaRef,
    row::{RowConverter, SortField},
};
use std::collections::HashMap;

/// Rows and their weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    batch: RecordBatch,
    weights: Option<Int64Array>,
}

impl Delta {
    /// Every row inserted once.
    pub fn inserts(batch: RecordBatch) -> Self {
        Self {
            batch,
            weights: None,
        }
    }

    /// Every row withdrawn once.
    pub fn withdrawals(batch: RecordBatch) -> Self {
        let weights = Int64Array::from_value(-1, batch.num_rows());
        Self {
            batch,
            weights: Some(weights),
        }
    }

    /// Rows with a weight each. Weights may be negative or zero, never null.
    pub fn weighted(batch: RecordBatch, weights: Int64Array) -> Result<Self, Error> {
        if weights.len() != batch.num_rows() || weights.null_count() > 0 {
            return Err(Error::Weights {
                rows: batch.num_rows(),
                weights: weights.len() - weights.null_count(),
            });
        }
        Ok(Self {
            batch,
            weights: Some(weights),
        })
    }

    /// No rows of this schema.
    pub fn empty(schema: SchemaRef) -> Self {
        Self::inserts(RecordBatch::new_empty(schema))
    }

    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The weights, or `None` if every one is +1.
    pub fn weights(&self) -> Option<&Int64Array> {
        self.weights.as_ref()
    }

    pub fn weight(&self, row: usize) -> i64 {
        self.weights
            .as_ref()
            .map_or(1, |weights| weights.value(row))
    }

    pub fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    /// Rows, whatever their weights.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    pub fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    pub fn into_parts(self) -> (RecordBatch, Option<Int64Array>) {
        (self.batch, self.weights)
    }

    /// The same rows and weights with other columns, as a projection makes them.
    pub fn with_batch(&self, batch: RecordBatch) -> Result<Self, Error> {
        match self.weights.clone() {
            Some(weights) => Self::weighted(batch, weights),
            None if batch.num_rows() == self.rows() => Ok(Self::inserts(batch)),
            None => Err(Error::Weights {
                rows: batch.num_rows(),
                weights: self.rows(),
            }),
        }
    }

    /// Every weight with its sign turned.
    pub fn negate(&self) -> Result<Self, Error> {
        let Some(weights) = &self.weights else {
            return Ok(Self::withdrawals(self.batch.clone()));
        };
        let turned: Option<Int64Array> = weights
            .values()
            .iter()
            .map(|weight| weight.checked_neg().map(Some))
            .collect();
        Self::weighted(self.batch.clone(), turned.ok_or(Error::WeightOverflow)?)
    }

    /// The rows at these positions, in this order; a position may occur twice.
    pub fn take(&self, positions: &UInt32Array) -> Result<Self, Error> {
        let batch = take_record_batch(&self.batch, positions)?;
        let Some(weights) = &self.weights else {
            return Ok(Self::inserts(batch));
        };
        let taken = take(weights, positions, None)?;
        Self::weighted(batch, as_weights(&taken))
    }

    /// The rows where the mask is true.
    pub fn filter(&self, mask: &BooleanArray) -> Result<Self, Error> {
        let batch = filter_record_batch(&self.batch, mask)?;
        let Some(weights) = &self.weights else {
            return Ok(Self::inserts(batch));
        };
        let kept = filter(weights, mask)?;
        Self::weighted(batch, as_weights(&kept))
    }

    /// All rows of several deltas of this schema, one after the other.
    pub fn concat(schema: &SchemaRef, deltas: &[Delta]) -> Result<Self, Error> {
        let batch = concat_batches(schema, deltas.iter().map(Delta::batch))?;
        if deltas.iter().all(|delta| delta.weights.is_none()) {
            return Ok(Self::inserts(batch));
        }
        let ones = |delta: &Delta| Int64Array::from_value(1, delta.rows());
        let weights: Vec<Int64Array> = deltas
            .iter()
            .map(|delta| delta.weights.clone().unwrap_or_else(|| ones(delta)))
            .collect();
        let joined = concat(
            &weights
                .iter()
                .map(|array| array as &dyn Array)
                .collect::<Vec<_>>(),
        )?;
        Self::weighted(batch, as_weights(&joined))
    }

    /// The same change with each distinct row at most once and no weight of zero, in the order
    /// in which rows first occur.
    pub fn consolidate(&self) -> Result<Self, Error> {
        if self.rows() == 0 || self.batch.num_columns() == 0 {
            return self.consolidate_without_columns();
        }
        let types = self
            .schema()
            .fields()
            .iter()
            .map(|field| SortField::new(field.data_type().clone()))
            .collect();
        let converter = RowConverter::new(types)?;
        let rows = converter.convert_columns(self.batch.columns())?;
        let mut groups = HashMap::with_capacity(rows.num_rows());
        let mut firsts: Vec<u32> = Vec::new();
        let mut sums: Vec<i64> = Vec::new();
        for (position, row) in rows.iter().enumerate() {
            let group = *groups.entry(row).or_insert_with(|| {
                firsts.push(u32::try_from(position).expect("a batch has fewer than 2^32 rows"));
                sums.push(0);
                sums.len() - 1
            });
            sums[group] = sums[group]
                .checked_add(self.weight(position))
                .ok_or(Error::WeightOverflow)?;
        }
        let (positions, weights): (Vec<u32>, Vec<i64>) = firsts
            .into_iter()
            .zip(sums)
            .filter(|(_, weight)| *weight != 0)
            .unzip();
        let batch = take_record_batch(&self.batch, &UInt32Array::from(positions))?;
        match weights.iter().all(|weight| *weight == 1) {
            true => Ok(Self::inserts(batch)),
            false => Self::weighted(batch, weights.into()),
        }
    }

    /// Rows without columns are all equal, so one row carries the sum.
    fn consolidate_without_columns(&self) -> Result<Self, Error> {
        let mut sum = 0_i64;
        for row in 0..self.rows() {
            sum = sum
                .checked_add(self.weight(row))
                .ok_or(Error::WeightOverflow)?;
        }
        match sum {
            0 => Ok(Self::inserts(self.batch.slice(0, 0))),
            1 => Ok(Self::inserts(self.batch.slice(0, 1))),
            sum => Self::weighted(self.batch.slice(0, 1), vec![sum].into()),
        }
    }
}

fn as_weights(array: &dyn Array) -> Int64Array {
    array
        .as_any()
        .downcast_ref::<Int64Array>()
        .expect("weights stay 64-bit integers")
        .clone()
}
