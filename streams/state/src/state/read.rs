//! Reads rows: what is in memory over what is stored.

use super::{State, TableId};
use crate::{Direction, Error, KeyRange, Space};
use bytes::Bytes;
use std::{cmp::Ordering, ops::ControlFlow};

impl State {
    /// The rows of these keys, this epoch's writes included; one answer per key, in order.
    pub fn get_many<'k>(
        &mut self,
        table: TableId,
        keys: impl IntoIterator<Item = &'k [u8]>,
    ) -> Result<Vec<Option<Bytes>>, Error> {
        let table = &mut self.tables[table.0];
        let mut missing: Vec<(usize, &'k [u8])> = Vec::new();
        let mut found: Vec<Option<Bytes>> = Vec::new();
        for (position, key) in keys.into_iter().enumerate() {
            found.push(table.get(key).unwrap_or_else(|| {
                missing.push((position, key));
                None
            }));
        }
        if missing.is_empty() {
            return Ok(found);
        }
        missing.sort_unstable_by(|left, right| left.1.cmp(right.1));
        let stored_keys: Vec<Vec<u8>> = missing
            .iter()
            .map(|(_, key)| [table.prefix(), key].concat())
            .collect();
        let stored_keys: Vec<&[u8]> = stored_keys.iter().map(Vec::as_slice).collect();
        self.store_reads += stored_keys.len() as u64;
        let answers = self.store.get_many(Space::Rows, &stored_keys)?;
        let mut previous: Option<&[u8]> = None;
        for ((position, key), value) in missing.into_iter().zip(answers) {
            if previous != Some(key) {
                table.remember(key, value.clone());
            }
            previous = Some(key);
            found[position] = value;
        }
        Ok(found)
    }

    /// The rows of a range in key order, this epoch's writes included.
    pub fn scan(&mut self, table: TableId, range: &KeyRange) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let mut rows = Vec::new();
        self.visit(table, range, Direction::Ascending, &mut |key, row| {
            rows.push((key.clone(), row.clone()));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// The rows whose keys start with `prefix`, in key order, this epoch's writes included.
    pub fn scan_prefix(
        &mut self,
        table: TableId,
        prefix: &[u8],
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.scan(table, &KeyRange::prefix(prefix))
    }

    /// The first row of a range in the given direction, if it has any.
    pub fn first(
        &mut self,
        table: TableId,
        range: &KeyRange,
        direction: Direction,
    ) -> Result<Option<(Bytes, Bytes)>, Error> {
        let mut first = None;
        self.visit(table, range, direction, &mut |key, row| {
            first = Some((key.clone(), row.clone()));
            ControlFlow::Break(())
        })?;
        Ok(first)
    }

    /// Visits a range's rows, merging what is in memory over what is stored.
    fn visit(
        &mut self,
        table: TableId,
        range: &KeyRange,
        direction: Direction,
        visit: &mut dyn FnMut(&Bytes, &Bytes) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let table = &self.tables[table.0];
        let ascending = table.range(range);
        let mut cached: Box<dyn Iterator<Item = (&Bytes, Option<&Bytes>)>> = match direction {
            Direction::Ascending => Box::new(ascending),
            Direction::Descending => Box::new(ascending.rev()),
        };
        let mut emit = |key: &Bytes, row: Option<&Bytes>| match row {
            Some(row) => visit(key, row),
            None => ControlFlow::Continue(()),
        };
        let mut ended = false;
        if !table.is_whole() {
            self.store_reads += 1;
            let mut next = cached.next();
            let skip = table.prefix().len();
            self.store.scan(
                Space::Rows,
                &range.under(table.prefix()),
                direction,
                &mut |stored_key, stored_row| {
                    let stored_key = &stored_key[skip..];
                    while let Some((key, row)) = next {
                        let order = match direction {
                            Direction::Ascending => key[..].cmp(stored_key),
                            Direction::Descending => stored_key.cmp(&key[..]),
                        };
                        if order == Ordering::Greater {
                            break;
                        }
                        next = cached.next();
                        ended = emit(key, row).is_break();
                        if ended || order == Ordering::Equal {
                            return if ended {
                                ControlFlow::Break(())
                            } else {
                                ControlFlow::Continue(())
                            };
                        }
                    }
                    ended = emit(
                        &Bytes::copy_from_slice(stored_key),
                        Some(&Bytes::copy_from_slice(stored_row)),
                    )
                    .is_break();
                    if ended {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                },
            )?;
            if let (Some((key, row)), false) = (next, ended) {
                ended = emit(key, row).is_break();
            }
        }
        if !ended {
            for (key, row) in cached {
                if emit(key, row).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }
}
