//! What can be wrong with a format before the first row is looked at.

use arrow::datatypes::DataType;

/// A decoder or encoder could not be made, or a batch does not fit it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name after `format` is not one of ours.
    #[error("format \"{name}\" is unknown, the formats are json, csv and raw")]
    UnknownFormat {
        /// As it was written.
        name: String,
    },
    /// An option that this format does not have.
    #[error("format {format} has no option \"{key}\"; it has {known}")]
    UnknownOption {
        /// The format asked.
        format: &'static str,
        /// The key as it was written.
        key: String,
        /// Every key there is, comma separated.
        known: String,
    },
    /// An option whose value cannot be used.
    #[error("option \"{key}\" is \"{value}\", it must be {expected}")]
    BadOption {
        /// The key as it was written.
        key: String,
        /// The value as it was written.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A column of a type this format cannot hold.
    #[error("column \"{column}\" has type {data_type}, which {format} cannot hold")]
    UnsupportedType {
        /// The format asked.
        format: &'static str,
        /// The column.
        column: String,
        /// Its Arrow type.
        data_type: DataType,
    },
    /// A schema that this format cannot carry for another reason than a type.
    #[error("{why}")]
    Schema {
        /// The reason, one sentence.
        why: String,
    },
    /// The batch handed to an encoder has other columns than the encoder was made for.
    #[error("the batch has schema {found}, the encoder was made for {expected}")]
    OtherSchema {
        /// The encoder's columns.
        expected: String,
        /// The batch's columns.
        found: String,
    },
}
