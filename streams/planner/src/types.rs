//! Flink's types and the Arrow types that carry them.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::{
    common::{DataFusionError, plan_datafusion_err},
    logical_expr::planner::TypePlanner,
};
use sqlparser::ast::{self, BinaryLength, CharacterLength, ExactNumberInfo, TimezoneInfo};
use std::sync::Arc;

/// The offset that marks `TIMESTAMP_LTZ`: an instant, written in UTC.
pub(crate) const UTC: &str = "+00:00";

/// The type of event time, window bounds and everything the planner computes with time.
pub(crate) const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// The Arrow type of a Flink type, or why there is none.
pub(crate) fn arrow_type(written: &ast::DataType) -> Result<DataType, String> {
    use ast::DataType as Sql;
    Ok(match written {
        Sql::Boolean | Sql::Bool => DataType::Boolean,
        Sql::TinyInt(None) => DataType::Int8,
        Sql::SmallInt(None) => DataType::Int16,
        Sql::Int(None) | Sql::Integer(None) => DataType::Int32,
        Sql::BigInt(None) => DataType::Int64,
        Sql::Float(ExactNumberInfo::None) => DataType::Float32,
        Sql::Double(ExactNumberInfo::None) | Sql::DoublePrecision => DataType::Float64,
        Sql::Decimal(size) | Sql::Dec(size) | Sql::Numeric(size) => decimal(size)?,
        Sql::String(None) => DataType::Utf8,
        Sql::Varchar(length) | Sql::CharacterVarying(length) => text(written, length)?,
        Sql::Bytes(None) => DataType::Binary,
        Sql::Varbinary(None | Some(BinaryLength::Max)) => DataType::Binary,
        Sql::Varbinary(Some(BinaryLength::IntegerLength { length: MAX_LENGTH })) => {
            DataType::Binary
        }
        Sql::Date => DataType::Date32,
        Sql::Time(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            match precision.unwrap_or(0) {
                0..=3 => DataType::Time32(TimeUnit::Millisecond),
                4..=9 => DataType::Time64(TimeUnit::Nanosecond),
                _ => return Err("the precision of TIME goes from 0 to 9".to_owned()),
            }
        }
        Sql::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            DataType::Timestamp(unit(*precision)?, None)
        }
        Sql::Custom(name, arguments) if name.to_string().eq_ignore_ascii_case("TIMESTAMP_LTZ") => {
            let precision = match arguments.as_slice() {
                [] => None,
                [precision] => Some(
                    precision
                        .parse()
                        .map_err(|_| format!("{precision} is no precision"))?,
                ),
                _ => return Err("TIMESTAMP_LTZ has one precision".to_owned()),
            };
            DataType::Timestamp(unit(precision)?, Some(UTC.into()))
        }
        other => return Err(format!("the type {other} is not supported")),
    })
}

/// The length that Flink writes for "any length".
const MAX_LENGTH: u64 = i32::MAX as u64;

fn text(written: &ast::DataType, length: &Option<CharacterLength>) -> Result<DataType, String> {
    match length {
        Some(
            CharacterLength::IntegerLength {
                length: MAX_LENGTH, ..
            }
            | CharacterLength::Max,
        ) => Ok(DataType::Utf8),
        _ => Err(format!(
            "the type {written} is not supported: lengths are not enforced; write STRING"
        )),
    }
}

fn decimal(size: &ExactNumberInfo) -> Result<DataType, String> {
    let (precision, scale) = match size {
        ExactNumberInfo::None => (10, 0),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale))
            if scale >= 0 && i64::from(precision) >= i64::from(scale) =>
        {
            Ok(DataType::Decimal128(precision, scale))
        }
        _ => Err(
            "the precision of DECIMAL goes from 1 to 38, its scale from 0 to the precision"
                .to_owned(),
        ),
    }
}

fn unit(precision: Option<u64>) -> Result<TimeUnit, String> {
    match precision.unwrap_or(6) {
        0..=3 => Ok(TimeUnit::Millisecond),
        4..=6 => Ok(TimeUnit::Microsecond),
        7..=9 => Ok(TimeUnit::Nanosecond),
        _ => Err("the precision of TIMESTAMP goes from 0 to 9".to_owned()),
    }
}

/// Flink's name of an Arrow type.
pub(crate) fn flink_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "STRING".to_owned(),
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary => "BYTES".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Time32(_) => "TIME(3)".to_owned(),
        DataType::Time64(_) => "TIME(9)".to_owned(),
        DataType::Timestamp(unit, zone) => {
            let precision = match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 3,
                TimeUnit::Microsecond => 6,
                TimeUnit::Nanosecond => 9,
            };
            let name = if zone.is_some() {
                "TIMESTAMP_LTZ"
            } else {
                "TIMESTAMP"
            };
            format!("{name}({precision})")
        }
        DataType::Null => "NULL".to_owned(),
        other => other.to_string(),
    }
}

/// The one Arrow type we use where Arrow has several layouts for the same values.
pub(crate) fn canonical(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        other => other.clone(),
    }
}

/// Whether `INSERT` may change `from` into `to` unasked, as Flink's implicit casts do.
///
/// Among integers every cast is: a literal is `INT` in Flink and `BIGINT` here. A number that
/// does not fit is an error of its row.
pub(crate) fn casts_unasked(from: &DataType, to: &DataType) -> bool {
    let rank = |data_type: &DataType| match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(3),
        DataType::Decimal128(..) => Some(4),
        DataType::Float32 => Some(5),
        DataType::Float64 => Some(6),
        _ => None,
    };
    let (from, to) = (canonical(from), canonical(to));
    if from == to || from == DataType::Null {
        return true;
    }
    match (&from, &to) {
        (DataType::Timestamp(_, one), DataType::Timestamp(_, other)) => {
            one.is_some() == other.is_some()
        }
        (DataType::Date32, DataType::Timestamp(_, None)) => true,
        _ => matches!((rank(&from), rank(&to)), (Some(from), Some(to)) if from <= to),
    }
}

/// Gives the SQL planner our reading of type names in `CAST`.
#[derive(Debug)]
pub(crate) struct FlinkTypes;

impl TypePlanner for FlinkTypes {
    fn plan_type_field(
        &self,
        sql_type: &ast::DataType,
    ) -> Result<Option<arrow::datatypes::FieldRef>, DataFusionError> {
        let data_type = arrow_type(sql_type).map_err(|why| plan_datafusion_err!("{why}"))?;
        Ok(Some(Arc::new(arrow::datatypes::Field::new(
            "", data_type, true,
        ))))
    }
}
