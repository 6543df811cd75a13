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
use crate::json_text::escape;

/// Deepest nesting. A body needs seven levels at most (a static topic within a registration);
/// the rest is room, and the stack is safe.
const DEPTH_LIMIT: usize = 32;
/// What the values of one body may cost: a list or object eight, anything else one. A registration of
/// 100,000 topics costs less than two thirds of it; a body of 16 MiB made to fill memory costs more.
const BUDGET: usize = 4_000_000;
const CONTAINER_COST: usize = 8;

/// Reads one value and nothing behind it but blanks.
pub(crate) fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    let text = std::str::from_utf8(text).map_err(|_| JsonError("it is not UTF-8".to_owned()))?;
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
        budget: BUDGET,
    };
    let value = T::deserialize(&mut reader).map_err(|error| reader.locate(error))?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.error("nothing more was expected")),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    budget: usize,
}

impl<'t> Reader<'t> {
    fn error(&self, why: &str) -> JsonError {
        JsonError(format!("{why} at byte {}", self.at))
    }

    fn locate(&self, error: JsonError) -> JsonError {
        if error.0.contains(" at byte ") {
            error
        } else {
            self.error(&error.0)
        }
    }

    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn expect(&mut self, wanted: u8) -> Result<(), JsonError> {
        if self.peek() != Some(wanted) {
            return Err(self.error(&format!("{:?} was expected", char::from(wanted))));
        }
        self.at += 1;
        Ok(())
    }

    fn spend(&mut self, cost: usize) -> Result<(), JsonError> {
        self.budget = self
            .budget
            .checked_sub(cost)
            .ok_or_else(|| self.error("too many values"))?;
        Ok(())
    }

    fn open(&mut self, bracket: u8) -> Result<(), JsonError> {
        self.expect(bracket)?;
        self.spend(CONTAINER_COST)?;
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(self.error("nested deeper than 32 levels"));
        }
        Ok(())
    }

    fn close(&mut self, bracket: u8) -> Result<(), JsonError> {
        self.depth -= 1;
        self.expect(bracket)
    }

    /// Whether another element follows; steps over the comma before it.
    fn more(&mut self, first: &mut bool, end: u8) -> Result<bool, JsonError> {
        let first = std::mem::replace(first, false);
        match self.peek() {
            Some(byte) if byte == end => Ok(false),
            Some(b',') if !first => {
                self.at += 1;
                Ok(self.peek() != Some(end))
            }
            Some(_) if first => Ok(true),
            _ => Err(self.error("a comma or an end was expected")),
        }
    }

    fn is_null(&mut self) -> bool {
        self.peek();
        let rest = &self.text.as_bytes()[self.at..];
        rest.starts_with(b"null") && !rest.get(4).copied().is_some_and(is_bare)
    }

    /// A quoted string or a bare word, as its text.
    fn scalar(&mut self) -> Result<Cow<'t, str>, JsonError> {
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote),
            _ => self.bare().map(Cow::Borrowed),
        }
    }

    fn bare(&mut self) -> Result<&'t str, JsonError> {
        self.peek();
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        self.at += rest.iter().take_while(|byte| is_bare(**byte)).count();
        if self.at == start {
            return Err(self.error("a value was expected"));
        }
        Ok(&self.text[start..self.at])
    }

    fn quoted(&mut self, quote: u8) -> Result<Cow<'t, str>, JsonError> {
        self.at += 1;
        let mut plain = String::new();
        loop {
            let rest = &self.text[self.at..];
            let stop = rest.bytes().position(|byte| byte == quote || byte == b'\\');
            let Some(stop) = stop else {
                return Err(self.error("a string does not end"));
            };
            let piece = &rest[..stop];
            self.at += stop + 1;
            if rest.as_bytes()[stop] == quote {
                if plain.is_empty() {
                    return Ok(Cow::Borrowed(piece));
                }
                plain.push_str(piece);
                return Ok(Cow::Owned(plain));
            }
            plain.push_str(piece);
            let (character, length) = escape(&rest.as_bytes()[stop + 1..])
                .ok_or_else(|| self.error("an unknown escape"))?;
            plain.push(character);
            self.at += length;
        }
    }

    fn skip(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'{') => {
                self.open(b'{')?;
                let mut first = true;
                while self.more(&mut first, b'}')? {
                    self.skip()?;
                    self.expect(b':')?;
                    self.skip()?;
                }
                self.close(b'}')
            }
            Some(b'[') => {
                self.open(b'[')?;
                let mut first = true;
                while self.more(&mut first, b']')? {
                    self.skip()?;
                }
                self.close(b']')
            }
            _ => self.scalar().map(|_| ()),
        }
    }

    /// A number, which may stand in quotes; the empty text and null are zero, as in Java.
    fn number<N: std::str::FromStr>(
        &mut self,
        from_float: impl Fn(f64) -> N,
    ) -> Result<N, JsonError> {
        let text = self.scalar()?;
        match &*text {
            "" | "null" | "false" => Ok(from_float(0.0)),
            "true" => Ok(from_float(1.0)),
            text => match text.parse() {
                Ok(number) => Ok(number),
                Err(_) => match text.parse::<f64>() {
                    Ok(number)
                        if number.is_finite() && number.fract() == 0.0 && number.abs() < 9e15 =>
                    {
                        Ok(from_float(number))
                    }
                    _ => Err(self.error("a number was expected")),
                },
            },
        }
    }
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_' | b'$') || byte >= 0x80
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
            let (start, budget) = (reader.at, reader.budget);
            // An object as a key is never followed by null, and is read once instead of twice.
            if reader.peek() != Some(b'{') {
                reader.skip()?;
                reader.expect(b':')?;
                if reader.is_null() {
                    reader.bare()?;
                    continue;
                }
                (reader.at, reader.budget) = (start, budget);
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
