//! The macro that turns plain Rust functions into a component.

use crate::argument::Argument;
use crate::bindings::millstream::udf::types::{Column, Error, Field, Signature, Ty};
use crate::outcome::Results;

/// Declares the functions of this component. They are written, documented and
/// called like any Rust function; their names and types become what
/// `CREATE FUNCTION` can ask for.
///
/// Arguments are `bool`, `i32`, `i64`, `f64`, `&str`, `&[u8]`, [`Date`](crate::Date),
/// the timestamps, [`Decimal`](crate::Decimal), or `Option` of one of them. A function returns one of
/// these (owned), `Option` of it, or `Result` of either with any `Display` error.
///
/// Functions are taken to be deterministic: equal arguments, equal results.
#[macro_export]
macro_rules! functions {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $returns:ty $body:block
    )+) => {
        $(
            $(#[$attribute])*
            $visibility fn $name($($argument: $type),*) -> $returns $body
        )+

        const _: () = {
            struct Component;

            impl $crate::expansion::Guest for Component {
                fn describe() -> ::std::vec::Vec<$crate::expansion::Signature> {
                    $crate::expansion::report_panics();
                    ::std::vec![$(
                        $crate::expansion::signature::<<$returns as $crate::Outcome>::Value>(
                            ::core::stringify!($name),
                            ::std::vec![$(<$type as $crate::Argument>::ty()),*],
                            !(false $(|| <$type as $crate::Argument>::TAKES_NULL)*),
                        )
                    ),+]
                }

                fn eval(
                    function: u32,
                    columns: ::std::vec::Vec<$crate::expansion::Column>,
                    rows: u32,
                ) -> ::core::result::Result<$crate::expansion::Column, $crate::expansion::Error> {
                    $crate::expansion::report_panics();
                    let rows = rows as usize;
                    let mut number = 0u32;
                    $(
                        if number == function {
                            let mut column = 0usize..;
                            $(let $argument = $crate::expansion::read::<$type>(&columns, column.next(), rows)?;)*
                            let mut results = $crate::expansion::Rows::<<$returns as $crate::Outcome>::Value>::new();
                            for row in 0..rows {
                                $(
                                    let ::core::option::Option::Some($argument) =
                                        <$type as $crate::Argument>::get(&$argument, row)
                                    else {
                                        results.push_null();
                                        continue;
                                    };
                                )*
                                results.push($name($($argument),*));
                            }
                            return results.finish();
                        }
                        number += 1;
                    )+
                    ::core::result::Result::Err($crate::expansion::batch_error(
                        ::std::format!("no function has number {function}; there are {number}"),
                    ))
                }
            }

            $crate::expansion::export_scalar!(Component with_types_in $crate::expansion::bindings);
        };
    };
}

/// The signature of a deterministic scalar function.
pub fn signature<V: Results>(name: &str, args: Vec<Ty>, null_on_null: bool) -> Signature {
    Signature {
        name: name.to_owned(),
        args,
        returns: vec![Field {
            name: "result".to_owned(),
            ty: V::ty(),
        }],
        state: Vec::new(),
        null_on_null,
        deterministic: true,
        invertible: false,
    }
}

/// A view of argument `number`, or the error that says what is wrong with it.
pub fn read<'a, A: Argument<'a>>(
    columns: &'a [Column],
    number: Option<usize>,
    rows: usize,
) -> Result<A::Reader, Error> {
    let number = number.expect("an open range has a next number");
    let column = columns
        .get(number)
        .ok_or_else(|| batch_error(format!("argument {number} is missing")))?;
    A::reader(column, rows).ok_or_else(|| {
        batch_error(format!(
            "argument {number} is not {rows} rows of {:?}",
            A::ty()
        ))
    })
}

/// An error of the whole batch.
pub fn batch_error(why: String) -> Error {
    Error::Batch(why)
}
