//! A lookup join over rows that may be withdrawn: what was found for a row is kept with it, so
//! that exactly that is withdrawn, whatever the outside table says by then.

use crate::{
    Error, Operator, Output, RowMap, Step,
    lookup_join::{Lookuper, Pairs},
};
use arrow::{
    array::{Int64Array, RecordBatch, UInt32Array},
    compute::take_record_batch,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use bytes::{Buf, BufMut, Bytes};
use dataflow::{Delta, JoinKind, Node};
use state::{RowCodec, State, TableId};
use std::sync::Arc;

pub(crate) struct StoredLookups {
    lookuper: Lookuper,
    table: TableId,
    left: RowCodec,
    right: RowCodec,
    right_schema: SchemaRef,
}

/// What is kept of one row: how often it is there, and the rows found for it.
struct Kept {
    count: i64,
    found: Vec<Bytes>,
}

impl StoredLookups {
    pub(crate) fn new(
        lookuper: Lookuper,
        node: &Node,
        input: &Schema,
        state: &mut State,
    ) -> Result<Self, Error> {
        let columns = |fields: &[Arc<Field>]| {
            fields
                .iter()
                .map(|field| field.as_ref().clone())
                .collect::<Vec<_>>()
        };
        let left = columns(input.fields());
        let right = columns(&lookuper.schema.fields()[left.len()..]);
        let kept = [
            Field::new("count", DataType::Int64, false),
            Field::new("found", DataType::Binary, false),
        ];
        Ok(Self {
            table: state.table(&node.operator, 0, &left, &[&kept[..], &right].concat())?,
            left: RowCodec::of(&left)?,
            right: RowCodec::of(&right)?,
            right_schema: Arc::new(Schema::new(right)),
            lookuper,
        })
    }

    /// What is known of each row, asking the outside table about rows that are new.
    fn kept(
        &mut self,
        input: &RecordBatch,
        stored: Vec<Option<Bytes>>,
    ) -> Result<Vec<Kept>, Error> {
        let new: UInt32Array = (0..stored.len())
            .filter(|row| stored[*row].is_none())
            .map(|row| row as u32)
            .collect();
        let pairs = self.lookuper.pairs(&take_record_batch(input, &new)?)?;
        let found = self
            .right
            .encode(pairs.found.columns(), pairs.found.num_rows())?;
        let mut kept = stored.into_iter().map(|row| {
            row.map_or(
                Ok(Kept {
                    count: 0,
                    found: Vec::new(),
                }),
                Kept::decode,
            )
        });
        let mut kept = kept.by_ref().collect::<Result<Vec<_>, _>>()?;
        for (left, right) in pairs.left.values().iter().zip(&pairs.right) {
            if let Some(right) = right {
                let row = new.value(*left as usize) as usize;
                kept[row]
                    .found
                    .push(Bytes::copy_from_slice(found.row(right as usize)));
            }
        }
        Ok(kept)
    }
}

impl Operator for StoredLookups {
    fn step(&mut self, inputs: &[&Delta], step: &mut Step<'_>) -> Result<Output, Error> {
        // Each distinct row once: what is kept of it is read and written once.
        let input = inputs[0].consolidate()?;
        if input.is_empty() {
            return Ok(Output::same(Delta::empty(self.lookuper.schema.clone())));
        }
        let keys = self.left.encode(input.batch().columns(), input.rows())?;
        let stored = step.state.get_many(self.table, keys.iter())?;
        let kept = self.kept(input.batch(), stored)?;

        let mut left = Vec::new();
        let mut right = Vec::new();
        let mut found: Vec<&[u8]> = Vec::new();
        for (row, kept) in kept.iter().enumerate() {
            let key = keys.row(row);
            match kept.count.wrapping_add(input.weight(row)) {
                0 => step.state.delete(self.table, key),
                count => step.state.put(self.table, key, &kept.encode(count)),
            }
            if kept.found.is_empty() && self.lookuper.kind == JoinKind::Left {
                left.push(row as u32);
                right.push(None);
            }
            for bytes in &kept.found {
                left.push(row as u32);
                right.push(Some(found.len() as u32));
                found.push(bytes);
            }
        }
        let weights: Int64Array = left
            .iter()
            .map(|row| Some(input.weight(*row as usize)))
            .collect();
        let found = RecordBatch::try_new(self.right_schema.clone(), self.right.decode(found)?)?;
        let pairs = Pairs {
            left: left.into(),
            right: right.into(),
            found,
        };
        let batch = self.lookuper.rows(input.batch(), &pairs)?;
        Ok(Output::mapped(
            Delta::weighted(batch, weights)?,
            RowMap::Unknown,
        ))
    }
}

impl Kept {
    fn encode(&self, count: i64) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(8 + self.found.iter().map(|row| 4 + row.len()).sum::<usize>());
        bytes.put_i64(count);
        for row in &self.found {
            bytes.put_u32(u32::try_from(row.len()).expect("a row is shorter than 4 GiB"));
            bytes.put_slice(row);
        }
        bytes
    }

    fn decode(mut bytes: Bytes) -> Result<Self, Error> {
        let corrupt = || {
            let why = "it ends early".to_owned();
            Error::State(state::Error::Corrupt {
                what: "looked-up row",
                why,
            })
        };
        let count = bytes.try_get_i64().map_err(|_| corrupt())?;
        let mut found = Vec::new();
        while bytes.has_remaining() {
            let length = bytes.try_get_u32().map_err(|_| corrupt())? as usize;
            if length > bytes.len() {
                return Err(corrupt());
            }
            found.push(bytes.split_to(length));
        }
        Ok(Self { count, found })
    }
}
