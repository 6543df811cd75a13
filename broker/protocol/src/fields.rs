//! Typed headers: a struct per set of custom fields, read from and written as text.

use crate::ext_fields::FieldSink;
use crate::{Error, ExtFields};

/// A typed header that can be read from custom fields. It borrows their text.
pub trait ReadFields<'a>: Sized {
    /// Unknown fields are ignored. Fails on a missing required field or one that does not parse.
    fn read_fields(fields: &'a ExtFields) -> Result<Self, Error>;
}

/// A type one custom field can have.
pub(crate) trait Field<'a>: Sized {
    /// What a bad value was not.
    const EXPECTED: &'static str;
    /// What stands for a field that is not there; `None` where that is an error.
    fn absent() -> Option<Self> {
        None
    }
    fn read(text: &'a str) -> Option<Self>;
    fn write(&self, name: &'static str, sink: &mut impl FieldSink);
}

impl<'a> Field<'a> for &'a str {
    const EXPECTED: &'static str = "text";
    fn read(text: &'a str) -> Option<Self> {
        Some(text)
    }
    fn write(&self, name: &'static str, sink: &mut impl FieldSink) {
        sink.put_ours(name, self);
    }
}

impl<'a> Field<'a> for bool {
    const EXPECTED: &'static str = "true or false";
    /// As in Java, whatever is not `true` is false.
    fn read(text: &'a str) -> Option<Self> {
        Some(text.eq_ignore_ascii_case("true"))
    }
    fn write(&self, name: &'static str, sink: &mut impl FieldSink) {
        sink.put_ours(name, if *self { "true" } else { "false" });
    }
}

impl<'a> Field<'a> for i64 {
    const EXPECTED: &'static str = "a 64-bit integer";
    fn read(text: &'a str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        if digits.is_empty() {
            return None;
        }
        // Up to 18 digits cannot overflow.
        if digits.len() <= 18 {
            let mut value = 0;
            for digit in digits {
                value =
                    value * 10 + i64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
            }
            return Some(if negative { -value } else { value });
        }
        // Negative, because that side reaches one further.
        let value = digits.iter().try_fold(0i64, |value, digit| {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
            value.checked_mul(10)?.checked_sub(i64::from(digit))
        })?;
        if negative {
            Some(value)
        } else {
            value.checked_neg()
        }
    }
    fn write(&self, name: &'static str, sink: &mut impl FieldSink) {
        sink.put_number(name, *self);
    }
}

macro_rules! narrower {
    ($($type:ty, $expected:literal;)*) => {$(
        impl<'a> Field<'a> for $type {
            const EXPECTED: &'static str = $expected;
            fn read(text: &'a str) -> Option<Self> {
                i64::read(text)?.try_into().ok()
            }
            fn write(&self, name: &'static str, sink: &mut impl FieldSink) {
                i64::from(*self).write(name, sink);
            }
        }
    )*};
}

narrower! {
    i32, "a 32-bit integer";
    u32, "an unsigned 32-bit integer";
}

impl<'a> Field<'a> for u64 {
    const EXPECTED: &'static str = "an unsigned 63-bit integer";
    fn read(text: &'a str) -> Option<Self> {
        i64::read(text)?.try_into().ok()
    }
    fn write(&self, name: &'static str, sink: &mut impl FieldSink) {
        sink.put_number(name, i64::try_from(*self).unwrap_or(i64::MAX));
    }
}

impl<'a, T: Field<'a>> Field<'a> for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn read(text: &'a str) -> Option<Self> {
        T::read(text).map(Some)
    }
    /// `None` is not written at all.
    fn write(&self, name: &'static str, sink: &mut impl FieldSink) {
        if let Some(value) = self {
            value.write(name, sink);
        }
    }
}

/// Turns the text of one field into its value. `fallback` stands in for a missing one.
pub(crate) fn field<'a, T: Field<'a>>(
    name: &'static [u8],
    text: Option<&'a str>,
    fallback: Option<T>,
) -> Result<T, Error> {
    let Some(text) = text else {
        return fallback
            .or_else(T::absent)
            .ok_or_else(|| Error::MissingField {
                field: field_name(name),
            });
    };
    T::read(text).ok_or_else(|| {
        let found = String::from_utf8_lossy(&text.as_bytes()[..text.len().min(64)]).into_owned();
        Error::BadField {
            field: field_name(name),
            expected: T::EXPECTED,
            found,
        }
    })
}

pub(crate) const fn field_name(name: &'static [u8]) -> &'static str {
    match std::str::from_utf8(name) {
        Ok(name) => name,
        Err(_) => "?",
    }
}

/// Declares typed headers.
///
/// ```text
/// /// What it is.
/// pub struct GetMaxOffset<'a> {
///     topic: &'a str = b"topic",                     // required
///     queue: i32 = b"queueId",
///     committed: bool = b"committed" or true,        // what a missing one means
///     broker: Option<&'a str> = b"bname" | b"n",     // either name is read, the first is written
/// }
/// ```
macro_rules! headers {
    () => {};
    (
        $(#[$about:meta])*
        pub struct $type:ident $(<$life:lifetime>)? {
            $($(#[$note:meta])* $field:ident: $kind:ty = $wire:literal $(| $also:literal)* $(or $fallback:expr)?,)*
        }
        $($rest:tt)*
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $type $(<$life>)? {
            $($(#[$note])* pub $field: $kind,)*
        }

        impl $(<$life>)? $crate::ext_fields::WriteFields for $type $(<$life>)? {
            fn write_fields(&self, sink: &mut impl $crate::ext_fields::FieldSink) {
                $($crate::fields::Field::write(&self.$field, const { $crate::fields::field_name($wire) }, sink);)*
            }
        }

        $crate::fields::headers!(@read [$($life)? 'fields] $type $(<$life>)? {
            $($field = $wire $(| $also)* $(or $fallback)?,)*
        });

        $crate::fields::headers! { $($rest)* }
    };
    (@read [$life:lifetime $($unused:lifetime)?] $type:ty {
        $($field:ident = $wire:literal $(| $also:literal)* $(or $fallback:expr)?,)*
    }) => {
        impl<$life> $crate::fields::ReadFields<$life> for $type {
            fn read_fields(fields: &$life $crate::ExtFields) -> Result<Self, $crate::Error> {
                $(let mut $field = None;)*
                for (name, value) in fields.iter() {
                    match name.as_bytes() {
                        $($wire $(| $also)* => $field = Some(value),)*
                        _ => {}
                    }
                }
                Ok(Self {
                    $($field: {
                        let fallback = $crate::fields::headers!(@fallback $($fallback)?);
                        $crate::fields::field($wire, $field, fallback)?
                    },)*
                })
            }
        }
    };
    (@fallback) => { None };
    (@fallback $fallback:expr) => { Some($fallback) };
}

pub(crate) use headers;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(<i64 as Field>::read(text), expected, "{text:?}");
    }

    #[test]
    fn integers_are_read_as_java_reads_them() {
        check("0", Some(0));
        check("-1", Some(-1));
        check("+7", Some(7));
        check("9223372036854775807", Some(i64::MAX));
        check("-9223372036854775808", Some(i64::MIN));
        check("9223372036854775808", None);
        check("", None);
        check("-", None);
        check("1 ", None);
        check("not a number", None);
        check("1.0", None);
    }

    #[test]
    fn a_number_too_wide_for_its_field_is_refused() {
        assert_eq!(<i32 as Field>::read("2147483648"), None);
        assert_eq!(<u32 as Field>::read("-1"), None);
    }

    #[test]
    fn anything_but_true_is_false() {
        assert_eq!(<bool as Field>::read("TRUE"), Some(true));
        assert_eq!(<bool as Field>::read("1"), Some(false));
    }
}
