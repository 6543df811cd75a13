//! What a function takes and returns.

use std::fmt;

use arrow::datatypes::{DataType, TimeUnit};

use crate::Error;
use crate::contract::{Ty, Unit, WitSignature};
use crate::guest_log::printable;

/// A function's name, its argument types and its result type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub name: String,
    pub arguments: Vec<DataType>,
    pub returns: DataType,
    /// A row with a null argument has a null result and never reaches the function.
    pub null_on_null: bool,
    /// Equal arguments give equal results, now and after a restart.
    pub deterministic: bool,
}

impl Signature {
    /// As `CREATE FUNCTION` declares it. The two flags are what a core module gets; a
    /// component's come from its own description.
    pub fn new(name: impl Into<String>, arguments: Vec<DataType>, returns: DataType) -> Self {
        Self {
            name: name.into(),
            arguments,
            returns,
            null_on_null: true,
            deterministic: true,
        }
    }

    pub(crate) fn described(signature: WitSignature) -> Result<Self, Error> {
        let [returns] = signature.returns.as_slice() else {
            let names: Vec<_> = signature
                .returns
                .iter()
                .map(|field| field.name.as_str())
                .collect();
            return Err(Error::Contract(printable(&format!(
                "{} returns ({}) instead of one column",
                signature.name,
                names.join(", ")
            ))));
        };
        if !signature.state.is_empty() || signature.invertible {
            return Err(Error::Contract(printable(&format!(
                "{} has state, which only an aggregate has",
                signature.name
            ))));
        }
        Ok(Self {
            returns: arrow_type(&returns.ty)?,
            arguments: signature
                .args
                .iter()
                .map(arrow_type)
                .collect::<Result<_, _>>()?,
            name: printable(&signature.name),
            null_on_null: signature.null_on_null,
            deterministic: signature.deterministic,
        })
    }

    /// Whether the types agree. The names are the caller's affair.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        self.arguments == other.arguments && self.returns == other.returns
    }

    /// The first type that no function can take or return, if there is one.
    pub(crate) fn check_types(&self) -> Result<(), Error> {
        self.arguments
            .iter()
            .chain([&self.returns])
            .try_for_each(|data_type| wit_type(data_type).map(drop))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (number, data_type) in self.arguments.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{}", sql_name(data_type))?;
        }
        write!(f, ") RETURNS {}", sql_name(&self.returns))
    }
}

fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Utf8 => "STRING".to_owned(),
        DataType::Binary => "BYTES".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Timestamp(TimeUnit::Millisecond, None) => "TIMESTAMP(3)".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP(6)".to_owned(),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "TIMESTAMP(9)".to_owned(),
        other => other.to_string(),
    }
}

/// The contract's name for an Arrow type.
pub(crate) fn wit_type(data_type: &DataType) -> Result<Ty, Error> {
    Ok(match data_type {
        DataType::Boolean => Ty::Boolean,
        DataType::Int32 => Ty::Int32,
        DataType::Int64 => Ty::Int64,
        DataType::Float64 => Ty::Float64,
        DataType::Date32 => Ty::Date,
        DataType::Utf8 => Ty::Utf8,
        DataType::Binary => Ty::Binary,
        DataType::Decimal128(precision, scale) => Ty::Decimal((*precision, *scale)),
        DataType::Timestamp(TimeUnit::Millisecond, None) => Ty::Timestamp(Unit::Milli),
        DataType::Timestamp(TimeUnit::Microsecond, None) => Ty::Timestamp(Unit::Micro),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => Ty::Timestamp(Unit::Nano),
        other => return Err(Error::Type(other.to_string())),
    })
}

/// The Arrow type a guest means. What comes from a guest may be nonsense.
pub(crate) fn arrow_type(ty: &Ty) -> Result<DataType, Error> {
    Ok(match ty {
        Ty::Boolean => DataType::Boolean,
        Ty::Int32 => DataType::Int32,
        Ty::Int64 => DataType::Int64,
        Ty::Float64 => DataType::Float64,
        Ty::Date => DataType::Date32,
        Ty::Utf8 => DataType::Utf8,
        Ty::Binary => DataType::Binary,
        Ty::Decimal((precision @ 1..=38, scale)) if scale.unsigned_abs() <= *precision => {
            DataType::Decimal128(*precision, *scale)
        }
        Ty::Decimal((precision, scale)) => {
            return Err(Error::Type(format!("DECIMAL({precision}, {scale})")));
        }
        Ty::Timestamp(Unit::Milli) => DataType::Timestamp(TimeUnit::Millisecond, None),
        Ty::Timestamp(Unit::Micro) => DataType::Timestamp(TimeUnit::Microsecond, None),
        Ty::Timestamp(Unit::Nano) => DataType::Timestamp(TimeUnit::Nanosecond, None),
        Ty::Nested(_) => return Err(Error::Type("a nested type".to_owned())),
    })
}
