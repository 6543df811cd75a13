//! The serialized form of Arrow schemas and types: names and Arrow's own type texts.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
struct FieldText {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    nullable: bool,
}

impl From<&Field> for FieldText {
    fn from(field: &Field) -> Self {
        Self {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
            nullable: field.is_nullable(),
        }
    }
}

impl TryFrom<FieldText> for Field {
    type Error = arrow::error::ArrowError;

    fn try_from(text: FieldText) -> Result<Self, Self::Error> {
        Ok(Field::new(
            text.name,
            text.data_type.parse()?,
            text.nullable,
        ))
    }
}

/// `#[serde(with = "schema::whole")]` for a `SchemaRef`.
pub(crate) mod whole {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        schema: &SchemaRef,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            schema
                .fields()
                .iter()
                .map(|field| FieldText::from(field.as_ref())),
        )
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SchemaRef, D::Error> {
        let texts = Vec::<FieldText>::deserialize(deserializer)?;
        let fields: Result<Vec<Field>, _> = texts.into_iter().map(Field::try_from).collect();
        Ok(Arc::new(Schema::new(fields.map_err(de::Error::custom)?)))
    }
}

/// `#[serde(with = "schema::fields")]` for a list of fields.
pub(crate) mod fields {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        fields: &[Field],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(fields.iter().map(FieldText::from))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Field>, D::Error> {
        let texts = Vec::<FieldText>::deserialize(deserializer)?;
        texts
            .into_iter()
            .map(Field::try_from)
            .collect::<Result<_, _>>()
            .map_err(de::Error::custom)
    }
}

/// `#[serde(with = "schema::field")]` for one field.
pub(crate) mod field {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        field: &Field,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        FieldText::from(field).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Field, D::Error> {
        FieldText::deserialize(deserializer)?
            .try_into()
            .map_err(de::Error::custom)
    }
}

/// `#[serde(with = "schema::data_type")]` for one type.
pub(crate) mod data_type {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        data_type: &DataType,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(data_type)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DataType, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}
