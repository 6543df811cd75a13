//! Any other aggregate under withdrawals: the values themselves, ordered, with their counts.
//!
//! Values stand in a table of their own, `group ▸ value` to count. MIN and MAX read one end of a
//! group, every other function reads the whole group again, each value as often as it counts.

use crate::{
    Error,
    accumulators::{Arguments, Function, Interner},
    additive::Weighted,
    groups::Grouped,
};
use arrow::{
    array::{Array, ArrayRef, UInt32Array},
    compute::{cast, interleave, take},
    datatypes::{DataType, Field, Schema},
};
use dataflow::OperatorId;
use state::{Direction, KeyRange, RowCodec, State, TableId};
use std::sync::Arc;

pub(crate) struct Multiset {
    table: TableId,
    values: RowCodec,
    interner: Interner,
    /// The end that alone decides the result, of MIN and MAX.
    end: Option<Direction>,
    distinct: bool,
    output: Field,
}

impl Multiset {
    /// `part` is the function's own table of the operator.
    pub(crate) fn new(
        (name, distinct): (&str, bool),
        function: &Function,
        operator: &OperatorId,
        part: u8,
        keys: &[Field],
        state: &mut State,
    ) -> Result<Self, Error> {
        let arguments = function.argument_types();
        let named = |(position, data_type): (usize, &DataType)| {
            Field::new(format!("value {position}"), data_type.clone(), true)
        };
        let value_fields: Vec<Field> = arguments.iter().enumerate().map(named).collect();
        let table_keys = [keys, &value_fields].concat();
        let table = state.table(
            operator,
            part,
            &table_keys,
            &[Field::new("count", DataType::Int64, false)],
        )?;
        let mut interned = vec![Field::new("group", DataType::UInt32, false)];
        interned.extend(value_fields);
        let end = match name {
            "min" => Some(Direction::Ascending),
            "max" => Some(Direction::Descending),
            _ => None,
        };
        Ok(Self {
            table,
            values: RowCodec::new(&arguments)?,
            interner: Interner::new(Arc::new(Schema::new(interned)))?,
            end,
            distinct,
            output: Field::new("result", function.output().clone(), true),
        })
    }

    /// The stored state in the group's row: the function's last result.
    pub(crate) fn state_field(&self) -> Field {
        self.output.clone()
    }

    /// Adds and takes away values, and returns the result of every group. Where a group's values
    /// did not change, that is its old result.
    pub(crate) fn fold(
        &mut self,
        function: &Function,
        old: &ArrayRef,
        arguments: &Arguments,
        grouped: &Grouped,
        rows: &Weighted<'_>,
        state: &mut State,
    ) -> Result<ArrayRef, Error> {
        let touched = self.count(arguments, grouped, rows, state)?;
        if touched.is_empty() {
            return Ok(Arc::clone(old));
        }
        let results = match self.end {
            Some(direction) => self.ends(&touched, direction, grouped, state)?,
            None => self.whole(function, &touched, grouped, state)?,
        };
        let mut picks: Vec<(usize, usize)> = (0..grouped.count).map(|group| (0, group)).collect();
        for (position, group) in touched.iter().enumerate() {
            picks[*group] = (1, position);
        }
        Ok(interleave(&[old, &results], &picks)?)
    }

    /// Changes the counts of values and returns the groups they belong to.
    fn count(
        &mut self,
        arguments: &Arguments,
        grouped: &Grouped,
        rows: &Weighted<'_>,
        state: &mut State,
    ) -> Result<Vec<usize>, Error> {
        let counts = |row: &usize| {
            let null = self.end.is_some() && arguments.columns[0].is_null(*row);
            !null
                && arguments
                    .filter
                    .as_ref()
                    .is_none_or(|filter| filter.value(*row))
        };
        let counted: Vec<usize> = (0..rows.groups.len()).filter(counts).collect();
        if counted.is_empty() {
            return Ok(Vec::new());
        }
        let positions: UInt32Array = counted.iter().map(|row| *row as u32).collect();
        let groups: UInt32Array = counted.iter().map(|row| rows.groups[*row] as u32).collect();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(groups)];
        for column in &arguments.columns {
            columns.push(take(column, &positions, None)?);
        }
        let interned = self.interner.intern(&columns)?;
        let mut changes = vec![0i64; interned.count];
        for (entry, row) in interned.groups.iter().zip(&counted) {
            changes[*entry] = changes[*entry].wrapping_add(rows.weights[*row]);
        }
        let groups = interned.keys[0]
            .as_any()
            .downcast_ref::<UInt32Array>()
            .expect("groups are 32-bit numbers");
        let values = self.values.encode(&interned.keys[1..], interned.count)?;
        let key = |entry: usize| {
            [
                grouped.rows.row(groups.value(entry) as usize),
                values.row(entry),
            ]
            .concat()
        };
        let changed: Vec<usize> = (0..interned.count)
            .filter(|entry| changes[*entry] != 0)
            .collect();
        let keys: Vec<Vec<u8>> = changed.iter().map(|entry| key(*entry)).collect();
        let stored = state.get_many(self.table, keys.iter().map(Vec::as_slice))?;
        for ((entry, key), stored) in changed.iter().zip(&keys).zip(stored) {
            let count = stored
                .map_or(Ok(0), |count| decode_count(&count))?
                .wrapping_add(changes[*entry]);
            match count {
                0 => state.delete(self.table, key),
                count => state.put(self.table, key, &count.to_be_bytes()),
            }
        }
        let mut touched: Vec<usize> = changed
            .iter()
            .map(|entry| groups.value(*entry) as usize)
            .collect();
        touched.sort_unstable();
        touched.dedup();
        Ok(touched)
    }

    /// The first value at one end of each group, null for groups without values.
    fn ends(
        &self,
        touched: &[usize],
        direction: Direction,
        grouped: &Grouped,
        state: &mut State,
    ) -> Result<ArrayRef, Error> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut positions: Vec<Option<u32>> = Vec::with_capacity(touched.len());
        for group in touched {
            let key = grouped.rows.row(*group);
            let end = state.first(self.table, &KeyRange::prefix(key), direction)?;
            positions.push(end.as_ref().map(|_| found.len() as u32));
            found.extend(end.map(|(value, _)| value[key.len()..].to_vec()));
        }
        let values = self.values.decode(found.iter().map(Vec::as_slice))?;
        let taken = take(&values[0], &UInt32Array::from(positions), None)?;
        Ok(cast(&taken, self.output.data_type())?)
    }

    /// Each group's function over all of its values.
    fn whole(
        &self,
        function: &Function,
        touched: &[usize],
        grouped: &Grouped,
        state: &mut State,
    ) -> Result<ArrayRef, Error> {
        let mut values: Vec<Vec<u8>> = Vec::new();
        let mut picks: Vec<Option<u32>> = Vec::new();
        let mut groups: Vec<usize> = Vec::new();
        for (position, group) in touched.iter().enumerate() {
            let key = grouped.rows.row(*group);
            // Shows the function a group that may have no values; the filter leaves it out.
            picks.push(None);
            groups.push(position);
            for (value, count) in state.scan_prefix(self.table, key)? {
                let count = usize::try_from(decode_count(&count)?).unwrap_or(0);
                let times = if self.distinct { count.min(1) } else { count };
                picks.extend(std::iter::repeat_n(Some(values.len() as u32), times));
                groups.extend(std::iter::repeat_n(position, times));
                values.push(value[key.len()..].to_vec());
            }
        }
        let filter = picks.iter().map(|pick| Some(pick.is_some())).collect();
        let columns = self.values.decode(values.iter().map(Vec::as_slice))?;
        let picks = UInt32Array::from(picks);
        let columns = columns
            .iter()
            .map(|column| take(column, &picks, None))
            .collect::<Result<Vec<_>, _>>()?;
        function.results_of(
            &Arguments {
                columns,
                filter: Some(filter),
            },
            &groups,
            touched.len(),
        )
    }

    /// Drops the values of closed groups.
    pub(crate) fn close(&self, range: &KeyRange, state: &mut State) -> Result<(), Error> {
        state.take(self.table, range)?;
        Ok(())
    }
}

fn decode_count(bytes: &[u8]) -> Result<i64, Error> {
    let bytes = bytes.try_into().map_err(|_| state::Error::Corrupt {
        what: "count of a value",
        why: format!("it has {} bytes", bytes.len()),
    })?;
    Ok(i64::from_be_bytes(bytes))
}
