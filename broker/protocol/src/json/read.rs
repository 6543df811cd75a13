//! Reads the dialect into typed values.
//!
//! What is `null` counts as not there, so that defaults apply: Go sends empty lists as null.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, U32Deserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::JsonError;
use super::scan::Reader;

/// Reads one value and nothing behind it but blanks.
pub(crate) fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    let text = std::str::from_utf8(text).map_err(|_| JsonError("it is not UTF-8".to_owned()))?;
    let mut reader = Reader::new(text);
    let value = T::deserialize(&mut reader).map_err(|error| reader.locate(error))?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.error("nothing more was expected")),
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
            self.spend(1)?;
            // `as` saturates, and serde refuses what then does not fit a narrower field.
            let number = self.number::<$type>(|float| float as $type)?;
            visitor.$visit(number)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.peek() {
            Some(b'{') => self.deserialize_map(visitor),
            Some(b'[') => self.deserialize_seq(visitor),
            Some(b'"' | b'\'') => self.deserialize_str(visitor),
            _ => {
                self.spend(1)?;
                match self.bare()? {
                    "null" => visitor.visit_unit(),
                    "true" => visitor.visit_bool(true),
                    "false" => visitor.visit_bool(false),
                    word => match (word.parse(), word.parse()) {
                        (Ok(integer), _) => visitor.visit_i64(integer),
                        (_, Ok(float)) => visitor.visit_f64(float),
                        _ => visitor.visit_borrowed_str(word),
                    },
                }
            }
        }
    }

    integers! {
        deserialize_i8 visit_i64 i64,
        deserialize_i16 visit_i64 i64,
        deserialize_i32 visit_i64 i64,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u64 u64,
        deserialize_u16 visit_u64 u64,
        deserialize_u32 visit_u64 u64,
        deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f64 f64,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.spend(1)?;
        let text = self.scalar()?;
        match &*text {
            "true" | "TRUE" | "True" | "1" => visitor.visit_bool(true),
            "false" | "FALSE" | "False" | "0" | "" | "null" => visitor.visit_bool(false),
            _ => Err(self.error("true or false was expected")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.spend(1)?;
        if self.is_null() {
            self.bare()?;
            return visitor.visit_borrowed_str("");
        }
        match self.scalar()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if self.is_null() {
            self.bare()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if self.is_null() {
            self.bare()?;
            return visitor.visit_seq(serde::de::value::SeqDeserializer::<_, JsonError>::new(
                std::iter::empty::<()>(),
            ));
        }
        self.open(b'[')?;
        let value = visitor.visit_seq(Elements {
            reader: self,
            first: true,
        })?;
        self.close(b']')?;
        Ok(value)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if self.is_null() {
            self.bare()?;
            let nothing = std::iter::empty::<((), ())>();
            return visitor.visit_map(serde::de::value::MapDeserializer::<_, JsonError>::new(
                nothing,
            ));
        }
        self.open(b'{')?;
        let value = visitor.visit_map(Members {
            reader: self,
            first: true,
        })?;
        self.close(b'}')?;
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_enum(Variant { reader: self })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.deserialize_unit(visitor)
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit_struct tuple tuple_struct
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.deserialize_str(visitor)
    }
}

struct Elements<'r, 't> {
    reader: &'r mut Reader<'t>,
    first: bool,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = JsonError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, JsonError> {
        if self.reader.more(&mut self.first, b']')? {
            seed.deserialize(&mut *self.reader).map(Some)
        } else {
            Ok(None)
        }
    }
}

struct Members<'r, 't> {
    reader: &'r mut Reader<'t>,
    first: bool,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = JsonError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, JsonError> {
        let reader = &mut *self.reader;
        while reader.more(&mut self.first, b'}')? {
            let start = reader.place();
            // An object as a key is never followed by null, and is read once instead of twice.
            if reader.peek() != Some(b'{') {
                reader.skip()?;
                reader.expect(b':')?;
                if reader.is_null() {
                    reader.bare()?;
                    continue;
                }
                reader.return_to(start);
            }
            return seed.deserialize(reader).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, JsonError> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

/// An enum's value: its name, or its position as a number.
struct Variant<'r, 't> {
    reader: &'r mut Reader<'t>,
}

impl<'de, 'r> EnumAccess<'de> for Variant<'r, 'de> {
    type Error = JsonError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), JsonError> {
        self.reader.spend(1)?;
        let text = self.reader.scalar()?;
        let value = match text.parse::<u32>() {
            Ok(position) => seed.deserialize(U32Deserializer::<JsonError>::new(position))?,
            Err(_) => match &text {
                Cow::Borrowed(name) => {
                    seed.deserialize(BorrowedStrDeserializer::<JsonError>::new(name))?
                }
                Cow::Owned(name) => return Err(JsonError::unknown_variant(name, &[])),
            },
        };
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = JsonError;

    fn unit_variant(self) -> Result<(), JsonError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, JsonError> {
        Err(self.reader.error("enums hold no values in this dialect"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, JsonError> {
        Err(self.reader.error("enums hold no values in this dialect"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, JsonError> {
        Err(self.reader.error("enums hold no values in this dialect"))
    }
}
