//! Opens a job's state where it was left, and its tables under the columns they were written with.

use super::{Opened, PROGRESS_KEY, Settings, State, TableId};
use crate::{
    Direction, Durability, Epoch, Error, KeyRange, Progress, Space, Store, Write,
    cache::CachedTable,
    keys::table_prefix,
    rows,
    wire::{Reader, Writer},
};
use arrow::datatypes::Field;
use bytes::Bytes;
use dataflow::OperatorId;
use std::{ops::ControlFlow, sync::Arc};

impl State {
    /// Reads where the job stands.
    pub fn open(store: Arc<dyn Store>, settings: Settings) -> Result<Opened, Error> {
        let record = store
            .get_many(Space::Meta, &[PROGRESS_KEY])?
            .pop()
            .flatten();
        let progress = record
            .map(|record| Progress::decode(&record))
            .transpose()?
            .unwrap_or_default();
        let mut outbox = Vec::new();
        let mut misnamed = false;
        store.scan(
            Space::Outbox,
            &KeyRange::all(),
            Direction::Ascending,
            &mut |key, value| {
                match key.try_into() {
                    Ok(epoch) => outbox.push((
                        Epoch(u64::from_be_bytes(epoch)),
                        Bytes::copy_from_slice(value),
                    )),
                    Err(_) => misnamed = true,
                }
                ControlFlow::Continue(())
            },
        )?;
        if misnamed
            || outbox
                .last()
                .is_some_and(|(epoch, _)| *epoch > progress.epoch)
        {
            return Err(Error::Corrupt {
                what: "outbox",
                why: "an entry belongs to no committed epoch".to_owned(),
            });
        }
        let state = Self {
            store,
            settings,
            tables: Vec::new(),
            committed: progress.epoch,
            acknowledged: Vec::new(),
            closed: false,
            store_reads: 0,
        };
        Ok(Opened {
            state,
            progress,
            outbox,
        })
    }

    /// Opens a table of an operator, creating it if there is none. `part` tells the tables of
    /// one operator apart.
    ///
    /// # Errors
    /// The table was written with other columns, or is open already.
    pub fn table(
        &mut self,
        operator: &OperatorId,
        part: u8,
        keys: &[Field],
        values: &[Field],
    ) -> Result<TableId, Error> {
        let prefix = table_prefix(operator, part);
        if self.tables.iter().any(|table| table.prefix() == prefix) {
            return Err(Error::Shared {
                operator: operator.to_string(),
            });
        }
        let layout_key = [b"layout ", prefix.as_slice()].concat();
        let layout = layout(keys, values);
        match self
            .store
            .get_many(Space::Meta, &[&layout_key])?
            .pop()
            .flatten()
        {
            Some(stored) if stored != layout => {
                let (stored, asked) = (describe_layout(&stored)?, describe_layout(&layout)?);
                return Err(Error::Schema {
                    operator: operator.to_string(),
                    stored,
                    asked,
                });
            }
            Some(_) => {}
            None => {
                let write = Write::Put {
                    space: Space::Meta,
                    key: layout_key.into(),
                    value: layout.into(),
                };
                self.store.commit(vec![write], Durability::Buffered)?;
            }
        }
        let table = self.warm(CachedTable::new(prefix))?;
        self.tables.push(table);
        Ok(TableId(self.tables.len() - 1))
    }

    fn warm(&self, mut table: CachedTable) -> Result<CachedTable, Error> {
        let range = KeyRange::all().under(table.prefix());
        let skip = table.prefix().len();
        let mut all = true;
        self.store.scan(
            Space::Rows,
            &range,
            Direction::Ascending,
            &mut |key, value| {
                if table.bytes() > self.settings.warm_bytes {
                    all = false;
                    return ControlFlow::Break(());
                }
                table.remember(&key[skip..], Some(Bytes::copy_from_slice(value)));
                ControlFlow::Continue(())
            },
        )?;
        if all {
            table.now_whole();
        }
        Ok(table)
    }
}

/// What a table's bytes mean: row format, key columns, value columns.
fn layout(keys: &[Field], values: &[Field]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(rows::FORMAT);
    for fields in [keys, values] {
        writer.count(fields.len());
        for field in fields {
            writer.bytes(field.name().as_bytes());
            writer.bytes(field.data_type().to_string().as_bytes());
        }
    }
    writer.finish()
}

fn describe_layout(bytes: &[u8]) -> Result<String, Error> {
    let mut reader = Reader::new("table layout", bytes);
    let mut text = format!("format {}", reader.u8()?);
    for part in [" keys", " values"] {
        let mut columns = Vec::new();
        for _ in 0..reader.count()? {
            let name = reader.text()?;
            columns.push(format!("{name} {}", reader.text()?));
        }
        text.push_str(&format!("{part} ({})", columns.join(", ")));
    }
    reader.finish()?;
    Ok(text)
}
