//! Rows of an outside table by key, fetched once per key and kept while they may be.

use crate::{Error, accumulators::Interner};
use arrow::{
    array::{Array, ArrayRef, RecordBatch, UInt32Array},
    compute::{interleave_record_batch, take, take_record_batch},
    datatypes::{Field, Schema, SchemaRef},
};
use dataflow::TableSpec;
use state::RowCodec;
use std::{collections::HashMap, error, sync::Arc};

/// Answers which rows of an outside table have a key. Calls may block.
pub trait Lookup: Send {
    /// Changes whenever rows fetched earlier may no longer be used.
    fn version(&mut self) -> u64;

    /// The rows of these keys: one key per element of the columns, each key once, none null.
    fn fetch(&mut self, keys: &[ArrayRef]) -> Result<Fetched, Box<dyn error::Error + Send + Sync>>;
}

/// Rows found for some keys.
pub struct Fetched {
    /// All declared columns of the table.
    pub rows: RecordBatch,
    /// Per row the number of its key among those asked for.
    pub keys: Vec<u32>,
}

/// Opens outside tables for lookups.
pub trait Lookups: Send + Sync {
    /// `keys` are the positions of the key columns in the table.
    fn open(
        &self,
        table: &TableSpec,
        keys: &[usize],
    ) -> Result<Box<dyn Lookup>, Box<dyn error::Error + Send + Sync>>;
}

/// Rows kept before the cache starts anew.
const CACHED_ROWS: usize = 1 << 20;
/// Parts of the cache before they are made one.
const CHUNKS: usize = 16;

pub(crate) struct LookupCache {
    table: String,
    lookup: Box<dyn Lookup>,
    version: Option<u64>,
    interner: Interner,
    codec: RowCodec,
    schema: SchemaRef,
    chunks: Vec<RecordBatch>,
    found: HashMap<Box<[u8]>, Place>,
}

/// Where the rows of a key are: some in a row, in one chunk.
#[derive(Clone, Copy)]
struct Place {
    chunk: usize,
    from: usize,
    rows: usize,
}

/// What was found for a batch of keys.
pub(crate) struct Matches {
    /// The rows of every distinct key of the batch, one key's after the other's.
    pub(crate) rows: RecordBatch,
    /// Per distinct key: its first row and their number.
    places: Vec<(u32, u32)>,
    /// Per element of the batch the number of its distinct key.
    keys: Vec<usize>,
}

impl Matches {
    /// The rows that match an element of the batch.
    pub(crate) fn of(&self, element: usize) -> std::ops::Range<u32> {
        let (from, rows) = self.places[self.keys[element]];
        from..from + rows
    }
}

impl LookupCache {
    pub(crate) fn new(
        table: &TableSpec,
        lookup: Box<dyn Lookup>,
        keys: &[usize],
    ) -> Result<Self, Error> {
        let schema = table.schema();
        let fields: Vec<Field> = keys
            .iter()
            .map(|key| schema.field(*key).clone().with_nullable(true))
            .collect();
        Ok(Self {
            table: table.name.clone(),
            lookup,
            version: None,
            codec: RowCodec::of(&fields)?,
            interner: Interner::new(Arc::new(Schema::new(fields)))?,
            schema,
            chunks: Vec::new(),
            found: HashMap::new(),
        })
    }

    /// The matches of each key. A key with a null matches nothing.
    pub(crate) fn matches(&mut self, keys: &[ArrayRef]) -> Result<Matches, Error> {
        self.refresh()?;
        let interned = self.interner.intern(keys)?;
        let rows = self.codec.encode(&interned.keys, interned.count)?;
        let whole = |key: &usize| interned.keys.iter().all(|column| column.is_valid(*key));
        let missing = (0..interned.count)
            .filter(|key| whole(key) && !self.found.contains_key(rows.row(*key)));
        let missing: Vec<u32> = missing.map(|key| key as u32).collect();
        if !missing.is_empty() {
            self.fetch(&interned.keys, &rows, UInt32Array::from(missing))?;
        }
        let mut picks = Vec::new();
        let mut places = Vec::with_capacity(interned.count);
        for key in 0..interned.count {
            let place = self.found.get(rows.row(key));
            places.push((
                picks.len() as u32,
                place.map_or(0, |place| place.rows as u32),
            ));
            if let Some(place) = place {
                picks.extend((place.from..place.from + place.rows).map(|row| (place.chunk, row)));
            }
        }
        let found = if picks.is_empty() {
            RecordBatch::new_empty(self.schema.clone())
        } else {
            interleave_record_batch(&self.chunks.iter().collect::<Vec<_>>(), &picks)?
        };
        Ok(Matches {
            rows: found,
            places,
            keys: interned.groups,
        })
    }

    fn fetch(
        &mut self,
        keys: &[ArrayRef],
        rows: &state::Rows,
        missing: UInt32Array,
    ) -> Result<(), Error> {
        let asked = keys
            .iter()
            .map(|column| take(column, &missing, None))
            .collect::<Result<Vec<_>, _>>()?;
        let fetched = self
            .lookup
            .fetch(&asked)
            .map_err(|source| self.failed(source))?;
        let Fetched {
            rows: found,
            keys: of,
        } = fetched;
        if of.len() != found.num_rows() || of.iter().any(|key| *key as usize >= missing.len()) {
            return Err(self.failed("it answered for keys that were not asked for".into()));
        }
        let mut order: Vec<u32> = (0..of.len() as u32).collect();
        order.sort_by_key(|row| of[*row as usize]);
        let mut counts = vec![0; missing.len()];
        for key in &of {
            counts[*key as usize] += 1;
        }
        let chunk = self.chunks.len();
        let sorted = take_record_batch(&found, &UInt32Array::from(order))?;
        self.chunks.push(RecordBatch::try_new(
            self.schema.clone(),
            sorted.columns().to_vec(),
        )?);
        let mut from = 0;
        for (key, count) in missing.values().iter().zip(counts) {
            self.found.insert(
                rows.row(*key as usize).into(),
                Place {
                    chunk,
                    from,
                    rows: count,
                },
            );
            from += count;
        }
        Ok(())
    }

    /// Forgets rows that may no longer be used, and keeps the cache in few parts.
    fn refresh(&mut self) -> Result<(), Error> {
        let version = self.lookup.version();
        let rows: usize = self.chunks.iter().map(RecordBatch::num_rows).sum();
        if self.version != Some(version) || rows.max(self.found.len()) > CACHED_ROWS {
            self.version = Some(version);
            self.chunks.clear();
            self.found.clear();
        }
        if self.chunks.len() > CHUNKS {
            let starts = self.chunks.iter().scan(0, |start, chunk| {
                *start += chunk.num_rows();
                Some(*start - chunk.num_rows())
            });
            let starts: Vec<usize> = starts.collect();
            for place in self.found.values_mut() {
                *place = Place {
                    chunk: 0,
                    from: starts[place.chunk] + place.from,
                    rows: place.rows,
                };
            }
            self.chunks = vec![arrow::compute::concat_batches(&self.schema, &self.chunks)?];
        }
        Ok(())
    }

    fn failed(&self, source: Box<dyn error::Error + Send + Sync>) -> Error {
        Error::Lookup {
            table: self.table.clone(),
            source,
        }
    }
}
