//! Groups a batch by key columns, and gives every group the bytes its state is stored under.
//!
//! Where a key is a window's end, it stands first in those bytes: closed windows are then the
//! front of the table, in the order in which they close.

use crate::{Error, Watermark, accumulators::Interner};
use arrow::{
    array::{ArrayRef, RecordBatch, TimestampMillisecondArray},
    compute::cast,
    datatypes::{DataType, Field, Schema},
};
use state::{KeyRange, RowCodec, Rows};
use std::sync::Arc;

pub(crate) struct Groups {
    /// Positions of the keys in the input.
    columns: Vec<usize>,
    fields: Vec<Field>,
    /// Which key stands where in the stored bytes.
    stored_order: Vec<usize>,
    window_end: Option<usize>,
    interner: Option<Interner>,
    codec: RowCodec,
    window_codec: Option<RowCodec>,
}

/// The rows of a batch by group.
pub(crate) struct Grouped {
    /// Per row the number of its group.
    pub(crate) groups: Vec<usize>,
    pub(crate) count: usize,
    /// One row per group, in the order of the aggregate's keys.
    pub(crate) keys: Vec<ArrayRef>,
    /// One stored key per group.
    pub(crate) rows: Rows,
}

impl Groups {
    /// `window_end` is a position in `columns`.
    pub(crate) fn new(
        columns: &[usize],
        window_end: Option<usize>,
        input: &Schema,
    ) -> Result<Self, Error> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| input.field(*column).clone())
            .collect();
        let mut stored_order: Vec<usize> = (0..columns.len()).collect();
        stored_order.sort_by_key(|key| Some(*key) != window_end);
        let interner =
            (!columns.is_empty()).then(|| Interner::new(Arc::new(Schema::new(fields.clone()))));
        let codec = RowCodec::new(stored_order.iter().map(|key| fields[*key].data_type()))?;
        let window_codec = window_end
            .map(|key| RowCodec::new([fields[key].data_type()]))
            .transpose()?;
        Ok(Self {
            columns: columns.to_vec(),
            fields,
            stored_order,
            window_end,
            interner: interner.transpose()?,
            codec,
            window_codec,
        })
    }

    /// The key columns as they are stored.
    pub(crate) fn stored_fields(&self) -> Vec<Field> {
        self.stored_order
            .iter()
            .map(|key| self.fields[*key].clone())
            .collect()
    }

    /// Position of the window's end in the input.
    pub(crate) fn window_end_column(&self) -> Option<usize> {
        self.window_end.map(|key| self.columns[key])
    }

    pub(crate) fn group(&mut self, batch: &RecordBatch) -> Result<Grouped, Error> {
        let Some(interner) = &mut self.interner else {
            let count = batch.num_rows().min(1);
            let rows = self.codec.encode(&[], count)?;
            return Ok(Grouped {
                groups: vec![0; batch.num_rows()],
                count,
                keys: Vec::new(),
                rows,
            });
        };
        let columns: Vec<ArrayRef> = self
            .columns
            .iter()
            .map(|column| Arc::clone(batch.column(*column)))
            .collect();
        let interned = interner.intern(&columns)?;
        let stored: Vec<ArrayRef> = self
            .stored_order
            .iter()
            .map(|key| Arc::clone(&interned.keys[*key]))
            .collect();
        let rows = self.codec.encode(&stored, interned.count)?;
        Ok(Grouped {
            groups: interned.groups,
            count: interned.count,
            keys: interned.keys,
            rows,
        })
    }

    /// The keys of stored groups, in the order of the aggregate's keys.
    pub(crate) fn keys<'a>(
        &self,
        stored: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<ArrayRef>, Error> {
        let mut keys: Vec<(usize, ArrayRef)> = self
            .stored_order
            .iter()
            .copied()
            .zip(self.codec.decode(stored)?)
            .collect();
        keys.sort_by_key(|(key, _)| *key);
        Ok(keys.into_iter().map(|(_, column)| column).collect())
    }

    /// Stored groups whose window was open before this epoch and is complete now.
    pub(crate) fn closed(
        &self,
        before: Watermark,
        now: Watermark,
    ) -> Result<Option<KeyRange>, Error> {
        let (Some(codec), Some(until)) = (&self.window_codec, now.open_from()) else {
            return Ok(None);
        };
        if before.open_from() == Some(until) {
            return Ok(None);
        }
        let key = self
            .window_end
            .expect("a codec of window ends goes with one");
        let bytes = |end: i64| -> Result<Vec<u8>, Error> {
            let end: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![end]));
            let end = cast(&end, self.fields[key].data_type())?;
            Ok(codec.encode(&[end], 1)?.row(0).to_vec())
        };
        // Everything below what was open before is gone already; asking for it again would
        // walk over the graves of deleted rows.
        let from = before
            .open_from()
            .flatten()
            .map(bytes)
            .transpose()?
            .unwrap_or_default();
        let until = until.map(bytes).transpose()?;
        Ok(Some(KeyRange { from, until }))
    }
}

/// Whether a column can carry the end of a window.
pub(crate) fn is_window_end(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, _))
}
