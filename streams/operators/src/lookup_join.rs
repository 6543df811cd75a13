//! Joins each row with the rows of an outside table that have its key at this moment.

use crate::{
    Error, Functions, Lookups, Operator, Output, RowError, RowMap, Step,
    expressions::{Evaluator, evaluate_all},
    lookup_cache::LookupCache,
};
use arrow::{
    array::{ArrayRef, RecordBatch, UInt32Array},
    compute::take,
    datatypes::{DataType, Schema, SchemaRef},
};
use dataflow::{Delta, JoinKind, Node};
use std::sync::Arc;

/// The join of a batch, without regard to weights.
pub(crate) struct Lookuper {
    keys: Vec<Evaluator>,
    cache: LookupCache,
    pub(crate) kind: JoinKind,
    residual: Option<Evaluator>,
    pub(crate) schema: SchemaRef,
}

/// Which row of the input belongs to which row that was found.
pub(crate) struct Pairs {
    pub(crate) left: UInt32Array,
    /// Null where nothing was found and the row is kept nevertheless.
    pub(crate) right: UInt32Array,
    pub(crate) found: RecordBatch,
}

impl Lookuper {
    pub(crate) fn new(
        join: &dataflow::LookupJoin,
        node: &Node,
        input: &Schema,
        functions: &Functions,
        lookups: &dyn Lookups,
    ) -> Result<Self, Error> {
        let types = join.table.schema();
        let keys = join.left_keys.iter().zip(&join.right_keys);
        let keys = keys.map(|(left, right)| {
            functions.compile(left, input, Some(types.field(*right).data_type()))
        });
        let opened = lookups.open(&join.table, &join.right_keys);
        let lookup = opened.map_err(|source| Error::Lookup {
            table: join.table.name.clone(),
            source,
        })?;
        let residual = join.residual.as_ref();
        let residual = residual
            .map(|residual| functions.compile(residual, &node.schema, Some(&DataType::Boolean)));
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
            cache: LookupCache::new(&join.table, lookup, &join.right_keys)?,
            kind: join.kind,
            residual: residual.transpose()?,
            schema: node.schema.clone(),
        })
    }

    pub(crate) fn pairs(&mut self, input: &RecordBatch) -> Result<Pairs, Error> {
        let keys = evaluate_all("lookup-join", &self.keys, input)?;
        let matches = self.cache.matches(&keys)?;
        let keeps = self.kind == JoinKind::Left && self.residual.is_none();
        let mut left: Vec<u32> = Vec::with_capacity(input.num_rows());
        let mut right: Vec<Option<u32>> = Vec::with_capacity(input.num_rows());
        for row in 0..input.num_rows() {
            let found = matches.of(row);
            if found.is_empty() && keeps {
                left.push(row as u32);
                right.push(None);
            }
            left.extend(std::iter::repeat_n(row as u32, found.len()));
            right.extend(found.map(Some));
        }
        let pairs = Pairs {
            left: left.into(),
            right: right.into(),
            found: matches.rows,
        };
        match &self.residual {
            None => Ok(pairs),
            Some(residual) => self.sift(input, pairs, residual),
        }
    }

    /// Keeps the pairs for which the residual holds, and the rows left alone if they are kept.
    fn sift(
        &self,
        input: &RecordBatch,
        pairs: Pairs,
        residual: &Evaluator,
    ) -> Result<Pairs, Error> {
        let candidates = self.rows(input, &pairs)?;
        let of_input = |error| match error {
            Error::Rows { rows, .. } => {
                let rows = rows.into_iter().map(|error| RowError {
                    row: pairs.left.value(error.row as usize),
                    ..error
                });
                Error::rows("lookup-join", rows.collect())
            }
            error => error,
        };
        let mask = residual.evaluate_mask(&candidates).map_err(of_input)?;
        let mut left = Vec::new();
        let mut right = Vec::new();
        let mut pair = 0;
        for row in 0..input.num_rows() as u32 {
            let before = left.len();
            while pair < pairs.left.len() && pairs.left.value(pair) == row {
                if mask.value(pair) {
                    left.push(row);
                    right.push(Some(pairs.right.value(pair)));
                }
                pair += 1;
            }
            if left.len() == before && self.kind == JoinKind::Left {
                left.push(row);
                right.push(None);
            }
        }
        Ok(Pairs {
            left: left.into(),
            right: right.into(),
            found: pairs.found,
        })
    }

    /// The output rows of these pairs.
    pub(crate) fn rows(&self, input: &RecordBatch, pairs: &Pairs) -> Result<RecordBatch, Error> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for column in input.columns() {
            columns.push(if pairs.is_one_to_one(input.num_rows()) {
                Arc::clone(column)
            } else {
                take(column, &pairs.left, None)?
            });
        }
        for column in pairs.found.columns() {
            columns.push(take(column, &pairs.right, None)?);
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

impl Pairs {
    /// Whether every row of the input stands in exactly one pair, in order.
    pub(crate) fn is_one_to_one(&self, rows: usize) -> bool {
        self.left.len() == rows
            && self
                .left
                .values()
                .iter()
                .enumerate()
                .all(|(row, left)| *left as usize == row)
    }
}

/// The operator over inputs that are never withdrawn.
pub(crate) struct LookupJoin(pub(crate) Lookuper);

impl Operator for LookupJoin {
    fn step(&mut self, inputs: &[&Delta], _: &mut Step<'_>) -> Result<Output, Error> {
        let input = inputs[0];
        if input.is_empty() {
            return Ok(Output::same(Delta::empty(self.0.schema.clone())));
        }
        let pairs = self.0.pairs(input.batch())?;
        let batch = self.0.rows(input.batch(), &pairs)?;
        if pairs.is_one_to_one(input.rows()) {
            return Ok(Output::same(input.with_batch(batch)?));
        }
        let weights = input.weights().map(|weights| {
            pairs
                .left
                .values()
                .iter()
                .map(|row| weights.value(*row as usize))
        });
        let delta = match weights {
            None => Delta::inserts(batch),
            Some(weights) => Delta::weighted(batch, weights.collect::<Vec<i64>>().into())?,
        };
        Ok(Output::mapped(delta, RowMap::Taken(pairs.left)))
    }
}
