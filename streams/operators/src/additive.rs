//! COUNT, SUM and AVG under withdrawals: a number of values and their sum, both with weights.
//!
//! Integer sums wrap as the batch engine's do, decimals are exact. A sum of floats carries its
//! rounding error along (Neumaier), yet after withdrawals its last bits may differ from those of
//! a sum over the remaining rows alone, and an infinity or NaN once added never leaves. A group
//! whose last row is withdrawn starts from zero again.

use crate::{
    Error,
    accumulators::{Arguments, Function},
};
use arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, AsArray, Float64Array, Int64Array, PrimitiveArray,
        UInt64Array,
    },
    compute::{cast, nullif},
    datatypes::{
        DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, Float64Type, Int64Type,
        UInt64Type,
    },
};
use std::sync::Arc;

/// What is made of the number and the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    Count,
    Sum,
    Average,
}

/// One such function.
pub(crate) struct Additive {
    made: Made,
    /// Type of the sum; none where only the number matters.
    sum: Option<DataType>,
}

/// The rows of one epoch: which group each belongs to, and how often it comes or goes.
pub(crate) struct Weighted<'a> {
    pub(crate) groups: &'a [usize],
    pub(crate) weights: &'a [i64],
}

impl Additive {
    /// The kernel for this function, if its values can be taken back from a sum.
    pub(crate) fn of(name: &str, distinct: bool, arguments: &[DataType]) -> Option<Self> {
        let ([argument], false) = (arguments, distinct) else {
            return None;
        };
        let sum = match argument {
            DataType::Int64 | DataType::UInt64 | DataType::Float64 => Some(argument.clone()),
            DataType::Decimal128(_, scale) => {
                Some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, *scale))
            }
            _ => None,
        };
        match name {
            "count" => Some(Self {
                made: Made::Count,
                sum: None,
            }),
            "sum" => Some(Self {
                made: Made::Sum,
                sum: Some(sum?),
            }),
            // Averages of integers are averages of floats: the planner casts their arguments.
            "avg" if !argument.is_integer() => Some(Self {
                made: Made::Average,
                sum: Some(sum?),
            }),
            _ => None,
        }
    }

    /// Columns of the stored state.
    pub(crate) fn state_fields(&self) -> Vec<Field> {
        let mut fields = vec![Field::new("values", DataType::Int64, true)];
        if let Some(sum) = &self.sum {
            fields.push(Field::new("sum", sum.clone(), true));
            if *sum == DataType::Float64 {
                fields.push(Field::new("rounding", DataType::Float64, true));
            }
        }
        fields
    }

    /// New state of each group. The old state is null where a group is new.
    pub(crate) fn fold(
        &self,
        old: &[ArrayRef],
        arguments: &Arguments,
        rows: &Weighted<'_>,
    ) -> Result<Vec<ArrayRef>, Error> {
        let values = &arguments.columns[0];
        let counts = |row: usize| {
            values.is_valid(row)
                && arguments
                    .filter
                    .as_ref()
                    .is_none_or(|filter| filter.value(row))
        };
        let mut numbers = start::<Int64Type>(&old[0]);
        for (row, (group, weight)) in rows.groups.iter().zip(rows.weights).enumerate() {
            if counts(row) {
                numbers[*group] = numbers[*group].wrapping_add(*weight);
            }
        }
        let mut state: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(numbers))];
        let Some(sum) = &self.sum else {
            return Ok(state);
        };
        match sum {
            DataType::Int64 => {
                let add = |sum: i64, value: i64, weight: i64| {
                    sum.wrapping_add(value.wrapping_mul(weight))
                };
                state.push(add_up::<Int64Type>(&old[1], values, rows, counts, add));
            }
            DataType::UInt64 => {
                let add = |sum: u64, value: u64, weight: i64| {
                    sum.wrapping_add(value.wrapping_mul(weight as u64))
                };
                state.push(add_up::<UInt64Type>(&old[1], values, rows, counts, add));
            }
            DataType::Float64 => {
                let (sums, roundings) = add_floats(&old[1], &old[2], values, rows, counts);
                state.extend([sums, roundings]);
            }
            decimal => {
                let add = |sum: i128, value: i128, weight: i64| {
                    sum.wrapping_add(value.wrapping_mul(weight.into()))
                };
                let sums = add_up::<Decimal128Type>(&old[1], values, rows, counts, add);
                let sums = sums
                    .as_primitive::<Decimal128Type>()
                    .clone()
                    .with_data_type(decimal.clone());
                state.push(Arc::new(sums));
            }
        }
        Ok(state)
    }

    /// The result of each state.
    pub(crate) fn results(
        &self,
        state: &[ArrayRef],
        function: &Function,
    ) -> Result<ArrayRef, Error> {
        let numbers = state[0].as_primitive::<Int64Type>();
        if self.made == Made::Count {
            return Ok(cast(numbers, function.output())?);
        }
        let sums: ArrayRef = match state.get(2) {
            Some(roundings) => {
                let (sums, roundings) = (
                    state[1].as_primitive::<Float64Type>(),
                    roundings.as_primitive::<Float64Type>(),
                );
                let exact = sums
                    .values()
                    .iter()
                    .zip(roundings.values())
                    .map(|(sum, rounding)| sum + rounding);
                Arc::new(exact.collect::<Float64Array>())
            }
            None => Arc::clone(&state[1]),
        };
        let none = numbers
            .values()
            .iter()
            .map(|number| Some(*number == 0))
            .collect();
        let sums = nullif(&sums, &none)?;
        if self.made == Made::Sum {
            return Ok(cast(&sums, function.output())?);
        }
        // The library's own division, with its precision and rounding.
        let numbers: ArrayRef = Arc::new(
            numbers
                .values()
                .iter()
                .map(|n| *n as u64)
                .collect::<UInt64Array>(),
        );
        let [_, sum_field] = function.state_fields() else {
            let why = "its partial state is not a number and a sum".to_owned();
            return Err(Error::Expression {
                sql: "AVG".to_owned(),
                why,
            });
        };
        let sums = cast(&sums, sum_field.data_type())?;
        function.results(&[nullif(&numbers, &none)?, sums], state[0].len())
    }
}

/// The old value of each group, zero for new ones.
fn start<T: ArrowPrimitiveType>(old: &ArrayRef) -> Vec<T::Native> {
    old.as_primitive::<T>()
        .iter()
        .map(Option::unwrap_or_default)
        .collect()
}

fn add_up<T: ArrowPrimitiveType>(
    old: &ArrayRef,
    values: &ArrayRef,
    rows: &Weighted<'_>,
    counts: impl Fn(usize) -> bool,
    add: impl Fn(T::Native, T::Native, i64) -> T::Native,
) -> ArrayRef {
    let mut sums = start::<T>(old);
    let values = values.as_primitive::<T>();
    for (row, (group, weight)) in rows.groups.iter().zip(rows.weights).enumerate() {
        if counts(row) {
            sums[*group] = add(sums[*group], values.value(row), *weight);
        }
    }
    Arc::new(PrimitiveArray::<T>::from_iter_values(sums))
}

fn add_floats(
    sums: &ArrayRef,
    roundings: &ArrayRef,
    values: &ArrayRef,
    rows: &Weighted<'_>,
    counts: impl Fn(usize) -> bool,
) -> (ArrayRef, ArrayRef) {
    let mut sums = start::<Float64Type>(sums);
    let mut roundings = start::<Float64Type>(roundings);
    let values = values.as_primitive::<Float64Type>();
    for (row, (group, weight)) in rows.groups.iter().zip(rows.weights).enumerate() {
        if !counts(row) {
            continue;
        }
        let value = values.value(row) * *weight as f64;
        let (sum, rounding) = (&mut sums[*group], &mut roundings[*group]);
        let total = *sum + value;
        if total.is_finite() {
            *rounding += if sum.abs() >= value.abs() {
                (*sum - total) + value
            } else {
                (value - total) + *sum
            };
        }
        *sum = total;
    }
    (
        Arc::new(Float64Array::from(sums)),
        Arc::new(Float64Array::from(roundings)),
    )
}
