//! Writes the dialect: members in the order of their declaration, nothing for what is null.

use serde::Serialize;
use serde::ser::{Error, Impossible, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::JsonError;
use crate::digits::Digits;
use crate::json_text::put_string;

/// How number keys of maps are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// `{0:"a"}`, as RocketMQ does it.
    Bare,
    /// `{"0":"a"}`, as JSON wants it.
    Quoted,
}

/// Writes one value without blanks.
pub(crate) fn to_vec(value: &impl Serialize, keys: Keys) -> Result<Vec<u8>, JsonError> {
    let mut writer = Writer {
        out: Vec::with_capacity(256),
        keys,
    };
    value.serialize(&mut writer)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    keys: Keys,
}

impl Writer {
    fn key(&mut self, key: &(impl Serialize + ?Sized)) -> Result<(), JsonError> {
        let start = self.out.len();
        key.serialize(&mut *self)?;
        if self.keys == Keys::Quoted && !matches!(self.out.get(start), Some(b'"' | b'{')) {
            self.out.insert(start, b'"');
            self.out.push(b'"');
        }
        self.out.push(b':');
        Ok(())
    }
}

/// A list or an object being written.
struct Inside<'w> {
    writer: &'w mut Writer,
    end: u8,
    any: bool,
    /// Where the member begins whose value comes next.
    member: usize,
}

impl<'w> Inside<'w> {
    fn open(writer: &'w mut Writer, bracket: u8, end: u8) -> Inside<'w> {
        writer.out.push(bracket);
        Inside {
            writer,
            end,
            any: false,
            member: 0,
        }
    }

    fn separate(&mut self) {
        self.member = self.writer.out.len();
        if self.any {
            self.writer.out.push(b',');
        }
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), JsonError> {
        let start = self.writer.out.len();
        value.serialize(&mut *self.writer)?;
        if &self.writer.out[start..] == b"null" {
            self.writer.out.truncate(self.member);
        } else {
            self.any = true;
        }
        Ok(())
    }

    fn close(self) -> Result<(), JsonError> {
        self.writer.out.push(self.end);
        Ok(())
    }
}

impl SerializeSeq for Inside<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.separate();
        self.any = true;
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), JsonError> {
        self.close()
    }
}

impl SerializeMap for Inside<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), JsonError> {
        self.separate();
        self.writer.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.value(value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.close()
    }
}

impl SerializeStruct for Inside<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), JsonError> {
        self.separate();
        put_string(&mut self.writer.out, name);
        self.writer.out.push(b':');
        self.value(value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.close()
    }
}

macro_rules! integers {
    ($($method:ident $type:ty,)*) => {$(
        fn $method(self, value: $type) -> Result<(), JsonError> {
            self.out.extend_from_slice(Digits::of(value).as_bytes());
            Ok(())
        }
    )*};
}

macro_rules! unsupported {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<$ok, JsonError> {
            Err(JsonError::custom("this dialect has no such value"))
        }
    )*};
}

impl<'w> Serializer for &'w mut Writer {
    type Ok = ();
    type Error = JsonError;
    type SerializeSeq = Inside<'w>;
    type SerializeTuple = Impossible<(), JsonError>;
    type SerializeTupleStruct = Impossible<(), JsonError>;
    type SerializeTupleVariant = Impossible<(), JsonError>;
    type SerializeMap = Inside<'w>;
    type SerializeStruct = Inside<'w>;
    type SerializeStructVariant = Impossible<(), JsonError>;

    integers! {
        serialize_i8 i8,
        serialize_i16 i16,
        serialize_i32 i32,
        serialize_i64 i64,
        serialize_u8 u8,
        serialize_u16 u16,
        serialize_u32 u32,
    }

    unsupported! {
        serialize_bytes(&[u8]) -> ();
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_u64(self, value: u64) -> Result<(), JsonError> {
        self.out.extend_from_slice(value.to_string().as_bytes());
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), JsonError> {
        self.out
            .extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), JsonError> {
        self.serialize_f64(f64::from(value))
    }

    /// Always with a point, as in Java. What is no number is null.
    fn serialize_f64(self, value: f64) -> Result<(), JsonError> {
        if !value.is_finite() {
            return self.serialize_unit();
        }
        self.out.extend_from_slice(format!("{value:?}").as_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), JsonError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), JsonError> {
        put_string(&mut self.out, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), JsonError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), JsonError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), JsonError> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), JsonError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
    ) -> Result<(), JsonError> {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), JsonError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), JsonError> {
        Err(JsonError::custom("this dialect has no such value"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Inside<'w>, JsonError> {
        Ok(Inside::open(self, b'[', b']'))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Inside<'w>, JsonError> {
        Ok(Inside::open(self, b'{', b'}'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Inside<'w>, JsonError> {
        Ok(Inside::open(self, b'{', b'}'))
    }
}
