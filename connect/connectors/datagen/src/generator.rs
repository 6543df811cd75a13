//! The value of any column in any row, from the seed alone.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int64Array,
    RecordBatch, StringArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use connect_sdk::{Error, Options, nearest};

/// Makes rows. Row 17 of a seed is the same however often and from wherever it is made.
#[derive(Clone, Debug)]
pub(crate) struct Generator {
    schema: SchemaRef,
    seed: u64,
    counting: Vec<bool>,
    start: i64,
    least: i64,
    most: i64,
    text_length: usize,
    keys: Option<u64>,
    /// Milliseconds since 1970 of row 0; the clock tells where it is `None`.
    time: Option<i64>,
    time_step: i64,
}

impl Generator {
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        let schema = options.columns("schema").expect("it has a default");
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        for name in options.list("sequence") {
            if !names.contains(&name.as_str()) {
                let hint = match nearest(&name, names.iter().copied()) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("the columns are {}", names.join(", ")),
                };
                return Err(Error::config(
                    format!("sequence names \"{name}\", which schema does not have"),
                    hint,
                ));
            }
        }
        let sequence = options.list("sequence");
        let counting = schema
            .fields()
            .iter()
            .map(|field| sequence.contains(field.name()))
            .collect();
        for field in schema.fields() {
            if matches!(field.data_type(), DataType::Time32(_) | DataType::Time64(_)) {
                return Err(Error::config(
                    format!(
                        "column \"{}\" has type TIME, which is not generated",
                        field.name()
                    ),
                    "use TIMESTAMP(3)",
                ));
            }
        }
        let number = |name: &str| options.integer(name).unwrap_or_default();
        let (least, most) = (number("number.min"), number("number.max"));
        if least > most {
            return Err(Error::config(
                "number.min is greater than number.max",
                "turn them around",
            ));
        }
        Ok(Self {
            counting,
            seed: number("seed") as u64,
            start: number("sequence.start"),
            least,
            most,
            text_length: usize::try_from(number("text.length")).unwrap_or(8),
            keys: options
                .integer("text.keys")
                .and_then(|keys| u64::try_from(keys).ok()),
            time: options.integer("time.start"),
            time_step: options.duration("time.step").map_or(0, |step| {
                i64::try_from(step.as_millis()).unwrap_or(i64::MAX)
            }),
            schema,
        })
    }

    /// Rows `first` up to `first + count`; `now` is the clock's time in milliseconds.
    pub(crate) fn rows(&self, first: u64, count: usize, now: i64) -> Result<RecordBatch, Error> {
        let arrays = self
            .schema
            .fields()
            .iter()
            .enumerate()
            .map(|(column, field)| self.column(column, field, first, count, now))
            .collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(self.schema.clone(), arrays)
            .map_err(|error| Error::poison(error.to_string()))
    }

    fn column(
        &self,
        column: usize,
        field: &Arc<Field>,
        first: u64,
        count: usize,
        now: i64,
    ) -> Result<ArrayRef, Error> {
        let rows = first..first + count as u64;
        let dice = |row: u64| mix(self.seed ^ mix(row ^ mix(column as u64 + 1)));
        let counted = |row: u64| self.start.wrapping_add(row as i64);
        let number = |row: u64| {
            if self.counting[column] {
                return counted(row);
            }
            let span = self.most.wrapping_sub(self.least) as u64;
            let within = if span == u64::MAX {
                dice(row)
            } else {
                dice(row) % (span + 1)
            };
            self.least.wrapping_add(within as i64)
        };
        let time = |row: u64| match self.time {
            Some(start) => start.saturating_add(self.time_step.saturating_mul(row as i64)),
            None => now,
        };
        let array: ArrayRef = match field.data_type() {
            DataType::Boolean => Arc::new(BooleanArray::from_iter(
                rows.map(|row| Some(dice(row) & 1 == 1)),
            )),
            DataType::Float32 | DataType::Float64 if !self.counting[column] => {
                let span = self.most as f64 - self.least as f64;
                let value = |row| {
                    self.least as f64 + (dice(row) >> 11) as f64 / (1_u64 << 53) as f64 * span
                };
                match field.data_type() {
                    DataType::Float32 => Arc::new(Float32Array::from_iter_values(
                        rows.map(|row| value(row) as f32),
                    )),
                    _ => Arc::new(Float64Array::from_iter_values(rows.map(value))),
                }
            }
            DataType::Utf8 => Arc::new(StringArray::from_iter_values(rows.map(|row| {
                if self.counting[column] {
                    counted(row).to_string()
                } else {
                    match self.keys {
                        Some(keys) => {
                            letters(mix(self.seed ^ (dice(row) % keys)), self.text_length)
                        }
                        None => letters(dice(row), self.text_length),
                    }
                }
            }))),
            DataType::Binary => Arc::new(BinaryArray::from_iter_values(
                rows.map(|row| letters(dice(row), self.text_length)),
            )),
            DataType::Date32 => {
                let days = rows.map(|row| time(row).div_euclid(86_400_000));
                cast(
                    field,
                    &(Arc::new(Int64Array::from_iter_values(days)) as ArrayRef),
                    &DataType::Int32,
                )?
            }
            DataType::Timestamp(unit, _) => {
                let ticks = |ms: i64| match unit {
                    TimeUnit::Second => ms.div_euclid(1_000),
                    TimeUnit::Millisecond => ms,
                    TimeUnit::Microsecond => ms.saturating_mul(1_000),
                    TimeUnit::Nanosecond => ms.saturating_mul(1_000_000),
                };
                Arc::new(Int64Array::from_iter_values(
                    rows.map(|row| ticks(time(row))),
                ))
            }
            DataType::Decimal128(precision, scale) => {
                let unit = 10_i128.pow(u32::from(scale.unsigned_abs()));
                let limit = 10_i128.pow(u32::from(*precision));
                let values = rows.map(|row| (i128::from(number(row)) * unit) % limit);
                let array = Decimal128Array::from_iter_values(values)
                    .with_precision_and_scale(*precision, *scale);
                Arc::new(array.map_err(|error| Error::poison(error.to_string()))?)
            }
            _ => Arc::new(Int64Array::from_iter_values(rows.map(number))),
        };
        cast(field, &array, field.data_type())
    }
}

/// A number too great for its column says so instead of becoming NULL.
fn cast(field: &Field, array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, Error> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, data_type, &strict).map_err(|error| {
        Error::config(
            format!(
                "column \"{}\" cannot hold the generated numbers: {error}",
                field.name()
            ),
            "change number.min, number.max or the column's type",
        )
    })
}

/// Scatters numbers that lie close together (SplitMix64's last step).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn letters(mut dice: u64, length: usize) -> String {
    let letter = |_| {
        dice = mix(dice);
        char::from(b'a' + (dice % 26) as u8)
    };
    (0..length).map(letter).collect()
}
